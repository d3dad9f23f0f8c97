"""What solvers for several objectives promise beyond the contract of all solvers."""

import numpy as np
import pytest

from engine.errors import ParameterError
from engine.optimize import minimize
from engine.pareto import crowding_distance, hypervolume, nondominated
from engine.problem import Limit, Problem, Term, Variable
from engine.solvers import SOLVERS, from_bytes, from_state, to_bytes
from engine.solvers.nsga2 import thinned_out
from engine.solvers.nsga3 import reference_directions

MULTI = sorted(name for name, solver in SOLVERS.items() if solver.is_multi_objective)


@pytest.fixture(params=MULTI)
def name(request):
    return request.param


def zdt1(X):
    g = 1 + 9 * X[:, 1:].mean(axis=1)
    return np.column_stack([X[:, 0], g * (1 - np.sqrt(X[:, 0] / g))])


def made(name, *, d=6, budget=6000, seed=1, **space):
    return SOLVERS[name](np.zeros(d), np.ones(d), budget=budget, seed=seed, n_objectives=2, **space)


def run(solver, objectives, violation=lambda X: np.zeros(len(X)), *, until=np.inf):
    asked = []
    while not solver.is_done and solver.evaluations < until:
        X = solver.ask()
        solver.tell(X, objectives(X), violation(X))
        asked.append(X)
    return np.concatenate(asked)


def test_a_known_front_is_reached(name):
    solver = made(name)

    run(solver, zdt1)

    front = solver.front()
    assert hypervolume(front.F, [1.1, 1.1]) > 0.98 * 0.8719  # the whole front is worth 1.21 - 1/3
    assert nondominated(front.F).all()
    assert (front.violation == 0).all()


def test_a_run_saved_after_any_population_goes_on_to_the_same_bits(name):
    expected = run(made(name, budget=700), zdt1)
    for part in (0, 60, 400, 690):
        solver = made(name, budget=700)
        before = run(solver, zdt1, until=part) if part else np.empty((0, 6))

        again = from_state(from_bytes(to_bytes(solver.state_dict())))

        np.testing.assert_array_equal(
            np.concatenate([before, *([run(again, zdt1)] if not again.is_done else [])]), expected
        )


def test_infeasible_points_are_on_no_front_once_a_feasible_one_is_known(name):
    solver = made(name, budget=2000)

    run(solver, zdt1, lambda X: np.maximum(0, 0.3 - X[:, 0]))

    front = solver.front()
    assert (front.violation == 0).all()
    assert front.X[:, 0].min() >= 0.3


def test_where_nothing_is_feasible_the_front_is_what_violates_least(name):
    solver = made(name, budget=600)

    run(solver, zdt1, lambda X: 1 + X[:, 1])

    assert solver.front().violation.tolist() == [solver.result().violation] * len(solver.front().X)
    assert solver.result().violation < 1.05


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_could_not_be_computed_is_on_no_front(name, bad):
    def failing(X):
        F = zdt1(X)
        F[X[:, 0] < 0.5, 1] = bad
        return F

    solver = made(name, budget=900)

    run(solver, failing)

    assert solver.front().X[:, 0].min() >= 0.5


def test_a_run_without_one_computable_point_has_no_answer(name):
    solver = made(name, budget=100)

    run(solver, lambda X: np.full((len(X), 2), np.nan))

    assert solver.result() is None
    assert len(solver.front().X) == 0


def test_constant_objectives_end_with_one_recipe_each(name):
    solver = made(name, budget=300)

    run(solver, lambda X: np.ones((len(X), 2)))

    assert np.isfinite(solver.result().objective)


@pytest.mark.parametrize("d", [1, 1000])
def test_one_dimension_and_a_thousand_are_searched(name, d):
    solver = made(name, d=d, budget=300)

    run(solver, lambda X: np.column_stack([X[:, 0], 1 - X[:, 0]]))

    assert len(solver.front().X) > 5


def test_mixed_variables_take_only_their_values(name):
    space = {"steps": [0, 0.25, 0.5, 0, 0, 0], "choices": [False, False, True, False, False, False]}
    solver = made(name, budget=1000, **space)

    asked = run(solver, zdt1)

    assert set(asked[:, 1]) == {0, 0.25, 0.5, 0.75, 1}
    assert set(asked[:, 2]) == {0, 0.5, 1}


@pytest.mark.parametrize("budget", [1, 7, 20, 33])
def test_the_budget_is_spent_and_a_cut_population_still_counts(name, budget):
    solver = made(name, budget=budget)

    asked = run(solver, zdt1)

    assert len(asked) == budget
    best = solver.front().F[:, 0].min()
    assert best == zdt1(asked)[:, 0].min()


def test_one_objective_is_refused(name):
    with pytest.raises(ParameterError, match="n_objectives"):
        SOLVERS[name]([0.0], [1.0], budget=10)


def test_reference_directions_are_the_lattice_of_a_simplex():
    R = reference_directions(3, 100)

    assert len(R) == 91  # 12 divisions: (12 + 2)! / (12! 2!)
    np.testing.assert_allclose(R.sum(axis=1), 1)
    np.testing.assert_allclose(12 * R, np.round(12 * R))
    assert len(np.unique(R, axis=0)) == 91


class Plant:
    inputs, outputs = ("load", "air"), ("cost", "nox")

    def predict(self, X):
        load, air = X.T
        return np.column_stack([(air - 0.8) ** 2 + load, (air - 0.2) ** 2 - 0.1 * load])


PROBLEM = Problem(
    variables=(Variable("load", 0, 1), Variable("air", 0, 1)),
    terms=(Term("minimize", "cost", objective="money"), Term("minimize", "nox", objective="air")),
    limits=(Limit("load", lower=0.5),),
)


def test_several_objectives_give_a_front_of_recipes():
    found = minimize(PROBLEM, Plant(), solver="nsga2", budget=3000, n_recipes=7)

    assert found.front.names == ("money", "air")
    assert len(found.front.recipes) == 7
    assert sum(recipe.is_knee for recipe in found.front.recipes) == 1
    assert all(recipe.is_feasible and recipe.inputs["load"] >= 0.5 for recipe in found.front.recipes)
    assert found.objectives in [recipe.objectives for recipe in found.front.recipes]
    volumes = [volume for _, volume in found.front.hypervolume]
    assert volumes[-1] > volumes[0]
    assert found.front.n_found > 7


def test_a_run_for_several_objectives_is_resumed_to_the_same_answer():
    states = []
    whole = minimize(PROBLEM, Plant(), solver="nsga3", budget=800, on_step=lambda step: states.append(step.state()))

    again = minimize(PROBLEM, Plant(), solver="nsga3", budget=800, resume=from_bytes(to_bytes(states[3])))

    assert again == whole


def test_steps_tell_the_hypervolume():
    told = []

    minimize(PROBLEM, Plant(), solver="nsga2", budget=500, on_step=lambda step: told.append(step.hypervolume))

    assert told[-1] >= told[0] > 0


@pytest.mark.parametrize("p", [2, 3])
def test_a_front_that_is_too_long_loses_its_most_crowded_point_again_and_again(p):
    F = np.random.default_rng(4).random((40, p))
    left = list(range(len(F)))
    while len(left) > 17:
        left.pop(int(np.argmin(crowding_distance(F[left]))))

    assert thinned_out(F, 17).tolist() == left


def test_a_dense_part_of_a_front_is_thinned_and_not_emptied():
    first = np.concatenate([np.linspace(0, 0.5, 41), np.linspace(0.55, 1, 10)])

    kept = first[thinned_out(np.column_stack([first, 1 - first]), 22)]

    assert np.diff(kept).max() < 0.08  # the 29 most crowded of the beginning lie side by side: 0.36
    assert kept[[0, -1]].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("solver", "problem", "words"), [("de", PROBLEM, "problem has 2"), ("nsga2", None, "has 1")])
def test_a_solver_for_another_number_of_objectives_is_refused(solver, problem, words):
    single = Problem(PROBLEM.variables, terms=PROBLEM.terms[:1])

    with pytest.raises(ParameterError, match=words):
        minimize(problem or single, Plant(), solver=solver)

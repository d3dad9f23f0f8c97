"""What a portfolio looks at, whom it lets work, and the descents and axes that it begins with."""

import numpy as np
import pytest

from engine.solvers import SOLVERS, SolverStateError, from_bytes, from_state, to_bytes
from engine.solvers.axes import Axes
from engine.solvers.local import Local


def drive(solver, objective, violation=lambda X: np.zeros(len(X)), *, until=np.inf):
    """Drive a solver to the end or to a number of evaluations; return its points and who was at work on each."""
    asked, workers = [], []
    while not solver.is_done and solver.evaluations < until:
        workers.append(getattr(solver, "at_work", solver.name))
        asked.append(solver.ask())
        solver.tell(asked[-1], objective(asked[-1]), violation(asked[-1]))
    return np.concatenate(asked), workers


def auto(d, *, budget, **more):
    return SOLVERS["auto"](np.full(d, -5.0), np.full(d, 5.0), budget=budget, seed=1, **more)


def in_order(workers):
    """Return who was at work, in the order of their first time."""
    return list(dict.fromkeys(workers))


def rosenbrock(X):
    return (100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(axis=1)


def many_valleys(X):
    """Return a sum of one function of each variable with about ten valleys; the lowest point, 0, is at 1.7."""
    Z = X - 1.7
    return (Z**2 + 10 * (1 - np.cos(2 * np.pi * Z))).sum(axis=1)


def turned_valleys(X):
    """Return the same valleys along other directions than the axes."""
    Q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal(2 * X.shape[1:]))
    return many_valleys((X - 1.7) @ Q + 1.7)


def forest(X):
    """Return a surface of flat pieces in which variables work together, whole numbers, least where all are at 1.7."""
    return np.floor(np.abs(X - 1.7) * 4).max(axis=1) + np.floor(np.abs(X[:, 0] - X[:, 1]) * 2)


# Who works


def test_a_smooth_valley_is_followed_by_descents_and_then_by_turns_with_cmaes():
    _, workers = drive(auto(3, budget=2000), rosenbrock)

    assert in_order(workers) == ["axes", "local", "cmaes"]
    assert workers.count("axes") == 1
    assert "local" in workers[workers.index("cmaes") :]


def test_descents_and_cmaes_get_as_many_evaluations_as_each_other():
    solver = auto(4, budget=6000)
    _, workers = drive(solver, turned_valleys)
    parts = solver._parts

    shared = parts["local"].evaluations - solver._n_before

    assert parts["cmaes"].evaluations == pytest.approx(shared, rel=0.2)
    assert set(workers) == {"axes", "local", "cmaes"}


def test_flat_pieces_are_given_to_differential_evolution():
    _, workers = drive(auto(4, budget=1000), forest)

    assert in_order(workers) == ["axes", "local", "de"]


def test_a_broken_limit_gives_the_rest_to_differential_evolution():
    solver = auto(3, budget=800)
    _, workers = drive(solver, rosenbrock, lambda X: np.maximum(0, 1.5 - X[:, 0]))

    assert in_order(workers) == ["axes", "de"]
    assert solver.result().violation == 0


def test_variables_with_levels_are_given_to_differential_evolution_from_the_first_point():
    _, workers = drive(auto(3, budget=200, steps=[0, 1, 0]), rosenbrock)

    assert set(workers) == {"de"}


def test_a_budget_too_small_to_ask_for_sums_begins_with_descents():
    _, workers = drive(auto(20, budget=80), rosenbrock)

    assert set(workers) == {"local"}


# Saving, wherever it stands

SURFACES = {"axes": many_valleys, "turns": turned_valleys, "valley": rosenbrock, "flat": forest}


@pytest.mark.parametrize("surface", SURFACES)
def test_a_run_saved_after_any_tell_goes_on_to_the_same_bits(surface):
    objective = SURFACES[surface]
    expected, _ = drive(auto(3, budget=800), objective)

    solver, asked = auto(3, budget=800), []
    while not solver.is_done:
        asked.append(solver.ask())
        solver.tell(asked[-1], objective(asked[-1]), np.zeros(len(asked[-1])))
        solver = from_state(from_bytes(to_bytes(solver.state_dict())))

    np.testing.assert_array_equal(np.concatenate(asked), expected)


DAMAGES = {
    "axes": [
        ("axes_points", lambda T: T[:, ::-1]),
        ("axes_base", lambda b: b / 2 + 0.001),
        ("axes_base_f", lambda f: f * np.nan),
        ("axes_moves", lambda m: m * 2),
        ("axes_scale", lambda s: s * 0),
    ],
    "local": [
        ("local_phase", lambda p: p + 7),
        ("local_level", lambda p: p + 3),
        ("local_changes", lambda Y: -Y),
        ("local_n_flat", lambda n: n + 100),
        ("local_tries", lambda n: n + 100),
        ("local_fall", lambda fall: -fall - 1),
        ("local_good_v", lambda v: np.full_like(v, -1)),
        ("local_moves", lambda S: S[:-2]),
        ("local_waiting", lambda W: W[:0]),
        ("cmaes_run", lambda run: -run),
        ("n_before", lambda n: -n),
    ],
}


@pytest.mark.parametrize(("stands", "key", "damage"), [(at, *each) for at, every in DAMAGES.items() for each in every])
def test_a_state_that_no_run_comes_to_is_refused(stands, key, damage):
    solver = auto(3, budget=4000)
    if stands == "axes":
        drive(solver, many_valleys, until=100)
    else:  # until a descent that knows some curvature stands beside CMA-ES
        while "cmaes" not in solver._parts or len(solver._parts["local"]._changes) < 3:
            drive(solver, rosenbrock, until=solver.evaluations + 1)
    state = solver.state_dict()

    state[key] = np.array(damage(state[key]), state[key].dtype)

    with pytest.raises(SolverStateError):
        from_state(state)


@pytest.mark.parametrize("wrong", [{"at_work": "pso"}, {"at_work": 3}, {"parts": ["de", "axes"]}, {"parts": None}])
def test_a_state_with_other_solvers_at_work_is_refused(wrong):
    solver = auto(3, budget=400)
    drive(solver, rosenbrock, until=100)

    with pytest.raises(SolverStateError, match="cannot be at work"):
        from_state(solver.state_dict() | wrong)


# Axes


@pytest.mark.parametrize("d", [1, 2, 7])
def test_a_sum_of_many_valleys_is_solved_along_its_axes(d):
    solver = auto(d, budget=300 * d)

    drive(solver, many_valleys)

    assert solver.result().objective < 1e-8
    assert solver.result().x == pytest.approx(1.7, abs=1e-4)


@pytest.mark.parametrize("offset", [0.0, 3e4])
def test_c_plus_two_points_tell_a_sum_from_what_is_none(offset):
    def is_additive(objective):
        solver = Axes(np.full(5, -5.0), np.full(5, 5.0), budget=1000, seed=0)
        drive(solver, lambda X: objective(X) + offset, until=1)
        assert solver.evaluations == 5 + 2
        return not solver.is_over

    assert is_additive(many_valleys)
    assert is_additive(lambda X: np.exp(X).sum(axis=1) - X[:, 0])
    assert not is_additive(rosenbrock)
    assert not is_additive(lambda X: (X**2).sum(axis=1) + 1e-4 * X[:, 1] * X[:, 3])
    assert not is_additive(lambda X: np.sqrt((X**2).sum(axis=1)))


def test_a_sum_in_a_part_of_the_box_alone_is_noticed_and_costs_little():
    def bent(X):
        return ((X - 1.0) ** 2).sum(axis=1) + np.maximum(0, X[:, 0] - 0.7) * (X[:, 1] - 1) ** 2

    solver = auto(4, budget=1000, starts=[[-2.0, -2.0, -2.0, -2.0]])
    _, workers = drive(solver, bent)

    assert solver.result().objective < 1e-8
    assert workers.count("axes") < 20
    assert in_order(workers)[:2] == ["axes", "local"]


# Descents


def descended(objective, *, d=5, budget=600, **more):
    solver = Local(np.full(d, -5.0), np.full(d, 5.0), budget=budget, seed=2, **more)
    drive(solver, objective)
    return solver


def test_a_badly_scaled_quadratic_takes_few_steps():
    weights = np.logspace(0, 6, 10)

    best = descended(lambda X: (X - 1.3) ** 2 @ weights, d=10, budget=1000).result()

    assert best.objective < 1e-8


def test_values_of_single_precision_are_no_flat_surface_and_are_descended():
    def coarse(X):
        Z = X.astype(np.float32)
        return (100 + rosenbrock(Z)).astype(np.float32).astype(np.float64)

    solver = descended(coarse, d=4, budget=2000)

    assert not solver.is_flat
    assert solver.result().objective < 100.01


def test_a_surface_of_flat_pieces_is_called_flat():
    assert descended(forest).is_flat


def test_an_input_that_does_not_matter_keeps_nothing_from_coming_down():
    best = descended(lambda X: rosenbrock(X[:, :2]), d=5, budget=1500).result()

    assert best.objective < 1e-8

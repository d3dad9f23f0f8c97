"""One contract for every solver."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ParameterError, ProblemError, ShapeError
from engine.solvers import SOLVERS, SolverMisuse, SolverStateError, find_solver, from_bytes, from_state, to_bytes
from engine.solvers.ranking import best_first, is_at_least_as_good, is_better
from engine.solvers.space import Space, latin_hypercube

LOWER, UPPER = np.array([-4.0, 10.0, -1e6]), np.array([6.0, 20.0, 3e6])


SINGLE = sorted(name for name, solver in SOLVERS.items() if not solver.is_multi_objective)


@pytest.fixture(params=SINGLE)
def name(request):
    return request.param


def bowl(X):
    """Return a bowl over LOWER..UPPER whose lowest point lies inside, 0."""
    Z = (X - LOWER) / (UPPER - LOWER) - [0.3, 0.7, 0.5]
    return (Z**2).sum(axis=1)


def valley(X):
    """Return a curved valley over LOWER..UPPER, whose lowest point, 0, lies at 0.6 of each variable."""
    Z = (X - LOWER) / (UPPER - LOWER) + 0.4
    return (100 * (Z[:, 1:] - Z[:, :-1] ** 2) ** 2 + (1 - Z[:, :-1]) ** 2).sum(axis=1)


def steps(X):
    """Return a surface of flat pieces, as a tree ensemble has, of whole numbers."""
    return np.floor(8 * (X - LOWER) / (UPPER - LOWER)).sum(axis=1) % 7


def run(solver, objective, violation=lambda X: np.zeros(len(X)), *, until=None):
    """Drive a solver to the end of its budget, or to a number of evaluations, and return all points it asked for."""
    asked = []
    while not solver.is_done and (until is None or solver.evaluations < until):
        X = solver.ask()
        solver.tell(X, objective(X), violation(X))
        asked.append(X)
    return np.concatenate(asked)


def made(name, *, budget=400, seed=1, lower=LOWER, upper=UPPER):
    return SOLVERS[name](lower, upper, budget=budget, seed=seed)


# The box


@settings(max_examples=25, deadline=None)
@given(
    bounds=st.lists(
        st.tuples(*2 * [st.floats(-1e300, 1e300, allow_subnormal=False)]).map(sorted), min_size=1, max_size=6
    ),
    seed=st.integers(0, 2**64),
)
def test_every_point_lies_within_any_box(bounds, seed):
    lower, upper = np.array(bounds).T
    for name in SINGLE:
        X = run(made(name, budget=150, seed=seed, lower=lower, upper=upper), lambda X: X[:, 0] - X[:, -1])

        assert (np.clip(X, lower, upper) == X).all()


def test_an_optimum_on_a_corner_is_reached_exactly(name):
    solver = made(name)

    run(solver, lambda X: X[:, 0] - X[:, 1] + X[:, 2] / 1e6)

    assert solver.result().x.tolist() == [-4.0, 20.0, -1e6]


def test_equal_bounds_fix_a_variable_and_the_others_are_searched_as_if_it_were_not_there(name):
    alone = made(name, lower=[-4.0, 2.0], upper=[6.0, 9.0])
    beside = made(name, lower=[-4.0, 5.5, 2.0], upper=[6.0, 5.5, 9.0])

    X = run(alone, lambda X: X[:, 0] ** 2 + X[:, 1])
    Z = run(beside, lambda Z: Z[:, 0] ** 2 + Z[:, 2])

    assert (Z[:, 1] == 5.5).all()
    assert np.array_equal(Z[:, [0, 2]], X)


def test_a_box_of_one_point_is_that_point(name):
    X = run(made(name, budget=50, lower=[3.0, 0.1], upper=[3.0, 0.1]), lambda X: X[:, 0])

    assert X.shape == (50, 2)
    assert (X == [3.0, 0.1]).all()


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        ([0, -np.inf], [1, 1], "variable 1 has bounds -inf and 1: both must be finite"),
        ([0, 0], [1, np.nan], "variable 1 has bounds 0 and nan: both must be finite"),
        ([0, 3], [1, 2], "variable 1 has its lower bound 3 above its upper bound 2"),
        ([], [], "there is no variable"),
    ],
)
def test_a_box_that_cannot_be_searched_is_refused(name, lower, upper, words):
    with pytest.raises(ProblemError, match=words):
        SOLVERS[name](lower, upper, budget=10)


def test_bounds_that_do_not_belong_together_are_refused(name):
    with pytest.raises(ShapeError, match=r"two vectors of one length, but have shapes \(2,\) and \(3,\)"):
        SOLVERS[name]([0, 0], [1, 1, 1], budget=10)


@pytest.mark.parametrize("name", ["pso", "de"])
def test_the_first_population_has_one_point_in_each_stratum_of_every_axis(name):
    X = made(name).ask()

    strata = np.floor((X - LOWER) / (UPPER - LOWER) * len(X))

    assert (np.sort(strata, axis=0) == np.arange(len(X))[:, None]).all()


def test_a_latin_hypercube_fills_the_cube_evenly():
    U = np.concatenate([latin_hypercube(np.random.default_rng(seed), 20, 3) for seed in range(500)])

    assert U.mean(axis=0) == pytest.approx(0.5, abs=1e-3)  # a stratified mean is sharp: its sd is 1/sqrt(12 n^3)
    assert np.corrcoef(U.T)[np.triu_indices(3, 1)] == pytest.approx(0, abs=0.03)


# The budget


@pytest.mark.parametrize("budget", [1, 2, 5, 13, 500, 1001])
def test_the_budget_is_spent_to_the_last_evaluation_and_never_exceeded(name, budget):
    solver = made(name, budget=budget)

    X = run(solver, bowl)

    assert len(X) == solver.evaluations == budget
    assert solver.is_done


def test_a_run_goes_on_when_nothing_can_be_gained(name):
    solver = made(name, budget=3000)

    X = run(solver, lambda X: np.full(len(X), 7.25))

    assert len(X) == 3000
    assert solver.result().objective == 7.25
    assert np.array_equal(solver.result().x, X[0])  # the earliest of equals


# Randomness


def test_the_same_seed_gives_the_same_points_and_another_seed_gives_others(name):
    first, again, other = (run(made(name, seed=seed), steps) for seed in (5, 5, 6))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("a", "b"), [(2.0**-40, 0.0), (2.0**30, 0.0), (1.0, 2.0**20), (0.5, -(2.0**12))])
def test_unit_and_offset_of_the_objective_change_no_bit_of_the_search(name, a, b):
    def rounded(X):
        return np.round(bowl(X) * 2**20) / 2**20  # so that a f + b is exact

    X = run(made(name), rounded)
    Z = run(made(name), lambda X: a * rounded(X) + b)

    assert np.array_equal(X, Z)


@pytest.mark.parametrize("name", ["pso", "de", "cmaes"])  # the others look at slopes
def test_any_increasing_function_of_the_objective_gives_the_same_search(name):
    X = run(made(name), steps)
    Z = run(made(name), lambda X: np.exp(5 * steps(X)))

    assert np.array_equal(X, Z)


def test_the_unit_of_the_violation_changes_no_bit_of_the_search(name):
    def too_far(X):
        return np.maximum(np.round(X[:, 0] * 1024) / 1024 + 3, 0)

    X = run(made(name), bowl, too_far)
    Z = run(made(name), bowl, lambda X: 2.0**50 * too_far(X))

    assert np.array_equal(X, Z)


# What is best


def test_a_feasible_point_beats_every_infeasible_one(name):
    solver = made(name)

    X = run(solver, bowl, lambda X: np.maximum(0, 15 - X[:, 1]))

    is_feasible = X[:, 1] >= 15
    best = solver.result()
    assert best.violation == 0
    assert best.x[1] >= 15
    assert best.objective == bowl(X[is_feasible]).min()
    assert bowl(X[~is_feasible]).size > 0


def test_where_nothing_is_feasible_the_least_violation_is_best(name):
    solver = made(name, budget=1500)

    X = run(solver, bowl, lambda X: 1 + np.abs(X[:, 0] - 5))

    assert solver.result().violation == (1 + np.abs(X[:, 0] - 5)).min()
    assert solver.result().violation == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_could_not_be_computed_is_never_best_and_does_not_stop_the_search(name, bad):
    solver = made(name, budget=1500)

    run(solver, lambda X: np.where(X[:, 0] < 0, bad, bowl(X)), lambda X: np.maximum(0, 12 - X[:, 1]))

    assert solver.result().objective == pytest.approx(0.01, abs=1e-3)  # 0.1 of the box from the bowl's bottom
    assert solver.result().x[0] >= 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_violation_that_could_not_be_computed_is_worse_than_any_that_could(name, bad):
    solver = made(name)

    run(solver, bowl, lambda X: np.where(X[:, 0] > 0, bad, 1e300))

    assert solver.result().violation == 1e300
    assert solver.result().x[0] <= 0


def test_a_run_without_one_computable_point_has_no_best(name):
    solver = made(name)

    X = run(solver, lambda X: np.full(len(X), np.nan))

    assert len(X) == 400
    assert solver.result() is None


def test_the_best_is_the_best_of_everything_that_was_told(name):
    solver = made(name, budget=700)

    X = run(solver, steps, lambda X: np.maximum(0, np.sin(X[:, 0])))

    f, v = steps(X), np.maximum(0, np.sin(X[:, 0]))
    first = min(range(len(X)), key=lambda i: (v[i], f[i]))
    best = solver.result()
    assert (best.objective, best.violation) == (f[first], v[first])
    assert np.array_equal(best.x, X[first])


values = st.sampled_from([0.0, 1.0, 2.5, np.inf])


@settings(deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=12))
def test_the_order_is_that_of_the_three_rules_of_deb(points):
    f, v = np.array(points).T

    def rules(i, j):
        if v[i] == 0 and v[j] == 0:
            return f[i] < f[j]
        if v[i] == 0 or v[j] == 0:
            return bool(v[i] == 0)
        return v[i] < v[j] or (v[i] == v[j] and f[i] < f[j])

    order = best_first(f, v)
    for i in range(len(f)):
        worse = [not rules(j, i) for j in range(len(f))]
        assert is_better(f, v, f[i], v[i]).tolist() == [rules(j, i) for j in range(len(f))]
        assert is_at_least_as_good(f[i], v[i], f, v).tolist() == worse
    assert not any(rules(order[k + 1], order[k]) for k in range(len(f) - 1))


@pytest.mark.parametrize(("n", "n_with_archive"), [(4, 4), (4, 9), (7, 7)])
def test_differences_are_drawn_evenly_from_individuals_that_all_differ(n, n_with_archive):
    solver = SOLVERS["de"]([0.0], [1.0], budget=10, seed=3)
    draws = [solver._two_others(n, n_with_archive) for _ in range(4000)]

    r1, r2 = (np.stack(each) for each in zip(*draws, strict=True))

    i = np.arange(n)
    assert ((r1 != i) & (r2 != i) & (r1 != r2)).all()
    for own in i:
        pairs, counts = np.unique(np.stack([r1[:, own], r2[:, own]]), axis=1, return_counts=True)
        n_pairs = (n - 1) * (n_with_archive - 2)
        assert pairs.shape[1] == n_pairs
        assert counts == pytest.approx(4000 / n_pairs, rel=0.5)  # five standard deviations of the rarest


# Saving and going on


@pytest.mark.parametrize("part", [0, 13, 90, 399, 400])
def test_a_run_that_was_saved_and_goes_on_ends_as_if_it_had_not_been(name, part):
    whole = made(name)
    X = run(whole, steps)
    first = made(name)
    beginning = run(first, steps, until=part) if part else np.empty((0, 3))

    second = from_state(from_bytes(to_bytes(first.state_dict())))
    rest = run(second, steps) if not second.is_done else np.empty((0, 3))

    assert np.array_equal(np.concatenate([beginning, rest]), X)
    assert np.array_equal(second.result().x, whole.result().x)
    assert second.result().objective == whole.result().objective


GO_ON = """
import sys
import numpy as np
from engine.solvers import from_bytes, from_state, to_bytes

solver = from_state(from_bytes(sys.stdin.buffer.read()))
while not solver.is_done:
    X = solver.ask()
    solver.tell(X, np.abs(X).sum(axis=1), np.maximum(0, X[:, 0]))
sys.stdout.buffer.write(to_bytes(solver.state_dict()))
"""


def test_another_process_goes_on_to_the_same_bits(name):
    def objective(X):
        return np.abs(X).sum(axis=1)

    def violation(X):
        return np.maximum(0, X[:, 0])

    here = made(name)
    run(here, objective, violation, until=150)
    saved = to_bytes(here.state_dict())
    run(here, objective, violation)

    there = subprocess.run([sys.executable, "-c", GO_ON], input=saved, capture_output=True, check=True).stdout

    assert there == to_bytes(here.state_dict())


def test_a_state_is_plain_arrays_and_json_and_shares_nothing_with_the_solver(name):
    solver = made(name)
    run(solver, bowl, until=100)

    state = solver.state_dict()

    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    rest = {key: value for key, value in state.items() if key not in arrays}
    assert {array.dtype.kind for array in arrays.values()} <= {"f", "b", "i"}
    assert json.loads(json.dumps(rest, allow_nan=False)) == rest
    before = to_bytes(solver.state_dict())
    for array in arrays.values():
        array[...] = 0
    assert to_bytes(solver.state_dict()) == before


PARTS = ("", "axes_", "local_", "cmaes_", "de_")
_ROWS = (
    *("mean", "x", "position", "velocity", "best_position", "best_f", "best_v", "population", "f", "v"),
    *("points", "base"),
)


def change(state, keys, how):
    """Change what of these keys a state has, those of the solvers in a portfolio included."""
    held = [f"{part}{key}" for key in keys for part in PARTS if f"{part}{key}" in state]
    state.update({key: np.asarray(how(state[key])) for key in held})


def cut(length):
    return lambda array: array[:length] if array.ndim else np.zeros(1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.update(version=1),
        lambda state: state.update(solver="gradient"),
        lambda state: state.pop("generator"),
        lambda state: state.update(generator={"bit_generator": "MT19937"}),
        lambda state: state.update(budget="400"),
        lambda state: state.update(evaluations=-1),
        lambda state: state.update(best_x=np.zeros(2)),
        lambda state: state.update(upper=np.array([np.inf] * 3)),
        lambda state: state.update(starts=np.full((1, 3), 1.5)),
        lambda state: change(state, ("best_f", "f", "path_step", "g", "values"), cut(-1)),
        lambda state: change(state, ("position", "population", "mean", "x", "points"), lambda array: array > 0),
        lambda state: change(state, ("velocity", "archive", "covariance", "changes", "values"), lambda array: None),
        lambda state: state.update(version=np.zeros(2)),
        lambda state: state.update(generator=np.zeros(2)),
        lambda state: state.update(lower="low"),
        lambda state: state.update(best_value=np.array(["a", "b"])),
        lambda state: change(state, ("position", "population", "mean", "x", "points"), lambda array: array + 2),
        lambda state: change(state, ("velocity", "f", "covariance", "g", "values"), lambda array: array * np.nan),
        lambda state: change(state, ("best_position", "memory_F", "run", "step", "stale"), lambda array: 0 * array - 1),
        lambda state: change(state, _ROWS, cut(0)),
    ],
)
def test_a_damaged_state_is_refused(name, damage):
    solver = made(name)
    run(solver, bowl, until=100)
    state = solver.state_dict()

    damage(state)

    with pytest.raises(SolverStateError):
        from_state(state)


LISTED = safetensors.numpy.save({"json": np.frombuffer(b"[1]", dtype=np.uint8)})


@pytest.mark.parametrize("data", [b"", b"no state", LISTED, b"\x08\0\0\0\0\0\0\0{}      ", to_bytes({})[:-2]])
def test_bytes_that_are_no_state_are_refused(data):
    with pytest.raises(SolverStateError):
        from_state(from_bytes(data))


# Order of calls


def test_asking_twice_is_refused(name):
    solver = made(name)
    solver.ask()

    with pytest.raises(SolverMisuse, match="not told yet"):
        solver.ask()


def test_telling_twice_or_without_asking_is_refused(name):
    solver = made(name)
    with pytest.raises(SolverMisuse, match="ask for one first"):
        solver.tell(np.zeros((1, 3)), [0.0], [0.0])
    X = solver.ask()
    solver.tell(X, bowl(X), np.zeros(len(X)))

    with pytest.raises(SolverMisuse, match="ask for one first"):
        solver.tell(X, bowl(X), np.zeros(len(X)))


def test_telling_other_points_than_were_asked_for_is_refused(name):
    solver = made(name)
    X = solver.ask()

    with pytest.raises(SolverMisuse, match="not the population"):
        solver.tell(X + 1e-9, bowl(X), np.zeros(len(X)))
    solver.tell(X, bowl(X), np.zeros(len(X)))  # a refused tell leaves the solver as it was


def test_values_that_do_not_fit_the_points_are_refused(name):
    solver = made(name)
    X = solver.ask()

    with pytest.raises(ShapeError, match="objective has shape"):
        solver.tell(X, bowl(X)[:-1], np.zeros(len(X)))
    with pytest.raises(ShapeError, match="total_violation has shape"):
        solver.tell(X, bowl(X), np.zeros((len(X), 1)))
    with pytest.raises(ParameterError, match="at least 0, but -1 was told"):
        solver.tell(X, bowl(X), np.full(len(X), -1.0))


def test_asking_beyond_the_budget_is_refused(name):
    solver = made(name, budget=3)
    run(solver, bowl)

    with pytest.raises(SolverMisuse, match="budget of 3 evaluations is spent"):
        solver.ask()


def test_saving_between_ask_and_tell_is_refused(name):
    solver = made(name)
    solver.ask()

    with pytest.raises(SolverMisuse, match="not between ask and tell"):
        solver.state_dict()


def test_changing_the_points_that_were_asked_for_changes_nothing_inside(name):
    solver = made(name)
    X = solver.ask()
    kept = X.copy()
    X[:] = 0

    solver.tell(kept, bowl(kept), np.zeros(len(kept)))

    assert solver.evaluations == len(kept)


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"budget": 2.5}, {"budget": True}, {"seed": -1}, {"seed": None}])
def test_budget_and_seed_must_be_whole_numbers(name, wrong):
    with pytest.raises(ParameterError, match=f"{next(iter(wrong))} must be a whole number"):
        made(name, **wrong)


def test_an_unknown_solver_is_refused_with_the_list_of_those_there_are():
    with pytest.raises(ParameterError, match="no solver 'adam'; there are auto, pso, de"):
        find_solver("adam")


# How good they are: seeds are fixed, and every bound is a fraction of what was seen over many seeds


def solved(name, objective, *, d, budget, low=-5.0, high=5.0, seed=0):
    solver = made(name, budget=budget, seed=seed, lower=np.full(d, low), upper=np.full(d, high))
    run(solver, objective)
    return solver.result()


def test_a_sphere_in_five_dimensions_is_solved_to_a_millionth(name):
    best = solved(name, lambda X: ((X - 1.3) ** 2).sum(axis=1), d=5, budget=5000)

    assert best.objective < 1e-6
    assert best.x == pytest.approx(1.3, abs=1e-3)


def test_one_dimension_is_solved(name):
    best = solved(name, lambda X: np.abs(X[:, 0] - 0.4), d=1, budget=500)

    assert best.objective < 1e-4


def test_a_narrow_valley_is_followed(name):
    def rosenbrock(X):
        return (100 * (X[:, 1] - X[:, 0] ** 2) ** 2 + (1 - X[:, 0]) ** 2).round(12)

    best = solved(name, rosenbrock, d=2, budget=5000)

    assert best.objective < 1e-4


def test_a_thousand_dimensions_are_searched_and_come_down(name):
    best = solved(name, lambda X: (X**2).mean(axis=1), d=1000, budget=3000)

    assert best.objective < 0.6 * 25 / 3  # 25 / 3 is the mean over the box


def test_flat_pieces_do_not_stop_the_search(name):
    best = solved(name, lambda X: np.floor(np.abs(X - 1.7) * 4).sum(axis=1), d=4, budget=4000)

    assert best.objective == 0


# Variables that take only some values, and starts


MIXED = {
    "lower": np.array([0.0, 1.0, -0.3, 0.0]),
    "upper": np.array([1.0, 9.0, 0.5, 4.0]),
    "steps": np.array([0.0, 1.0, 0.2, 1.0]),
    "choices": np.array([False, False, False, True]),
}


def mixed(X):
    """Return a surface whose best point is (0.25, 3, 0.1, code 3); the codes have no order."""
    by_code = np.array([5.0, 2.0, 4.0, 0.0, 3.0])[X[:, 3].astype(int)]
    return (X[:, 0] - 0.25) ** 2 + (X[:, 1] - 3.2) ** 2 / 10 + np.abs(X[:, 2] - 0.12) + by_code


def test_every_point_has_a_value_that_its_variables_may_take(name):
    asked = run(SOLVERS[name](**MIXED, budget=300, seed=2), mixed)

    assert set(asked[:, 1]) <= set(range(1, 10))
    assert np.isclose(asked[:, 2, None], [-0.3, -0.1, 0.1, 0.3, 0.5], atol=1e-12).any(axis=1).all()
    assert set(asked[:, 3]) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", [name for name in SINGLE if name != "local"])  # which keeps levels as they are
def test_mixed_variables_are_searched_to_their_best_values(name):
    solver = SOLVERS[name](**MIXED, budget=1500, seed=2)

    run(solver, mixed)

    assert solver.result().x == pytest.approx([0.25, 3, 0.1, 3], abs=1e-2)


def test_a_run_with_starts_goes_on_to_the_same_bits_from_its_very_beginning(name):
    starts = [[0.5, 11.0, 1e6], [2.0, 15.0, 0.0]]
    whole, part = (SOLVERS[name](LOWER, UPPER, budget=300, seed=4, starts=starts) for _ in range(2))

    after = run(from_state(from_bytes(to_bytes(part.state_dict()))), valley)

    np.testing.assert_array_equal(after, run(whole, valley))


def test_a_run_over_mixed_variables_goes_on_to_the_same_bits(name):
    whole, part = (SOLVERS[name](**MIXED, budget=400, seed=4) for _ in range(2))
    expected = run(whole, mixed)
    before = run(part, mixed, until=150)

    after = run(from_state(from_bytes(to_bytes(part.state_dict()))), mixed)

    np.testing.assert_array_equal(np.concatenate([before, after]), expected)


def test_starts_are_among_the_first_points(name):
    starts = np.array([[0.5, 11.0, 1e6], [100.0, 15.0, 0.0]])

    first = SOLVERS[name](LOWER, UPPER, budget=400, seed=1, starts=starts).ask()

    assert np.isclose(first, starts[0], rtol=1e-12).all(axis=1).any()
    assert name == "local" or np.isclose(first, [6.0, 15.0, 0.0], rtol=1e-12, atol=1e-6).all(axis=1).any()


def test_an_infeasible_start_does_not_keep_a_run_from_what_is_feasible(name):
    solver = SOLVERS[name](LOWER, UPPER, budget=800, seed=1, starts=[[6.0, 20.0, 3e6]])

    run(solver, bowl, lambda X: np.maximum(0, X[:, 0] - 0.5))

    assert solver.result().violation == 0


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"steps": [-1.0, 0, 0]}, ProblemError, "step of -1"),
        ({"steps": [1e-300, 0, 0]}, ProblemError, "far too small"),
        ({"steps": [1.0, 0]}, ShapeError, "3 variables"),
        ({"choices": [True]}, ShapeError, "3 variables"),
        ({"choices": [True, False, False]}, ProblemError, "categorical: give a step"),
        ({"starts": [[1.0, 2.0]]}, ShapeError, "3 variables"),
        ({"starts": [[1.0, 2.0, np.nan]]}, ShapeError, "finite points"),
        ({"n_objectives": 0}, ParameterError, "n_objectives"),
    ],
)
def test_a_space_that_contradicts_itself_is_refused(name, wrong, error, words):
    with pytest.raises(error, match=words):
        SOLVERS[name](LOWER, UPPER, budget=10, **wrong)


@given(
    st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.integers(2, 200), st.lists(st.floats(0, 1), min_size=1, max_size=20)
)
def test_cube_and_box_translate_levels_there_and_back(lower, step, n_levels, u):
    space = Space([lower], [lower + (n_levels - 1) * step], [step])

    X = space.to_box(np.array(u)[:, None])

    np.testing.assert_array_equal(space.to_box(space.to_cube(X)), X)
    levels = (X - lower) / step
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)


def test_evenly_drawn_points_give_every_level_its_turn():
    space = Space([0.0], [4.0], [1.0])

    found = space.to_box(np.linspace(0, 1, 1001)[:, None])[:, 0]

    counts = np.bincount(found.astype(int))
    assert counts.tolist() == pytest.approx([200] * 5, abs=1)

"""Searches along limits: the level up to which differential evolution may break them for a while."""

import numpy as np
import pytest

from engine.solvers import SOLVERS, SolverStateError, from_bytes, from_state, to_bytes

LOWER, UPPER = np.full(3, -2.0), np.full(3, 2.0)


def made(name="de", *, budget=6000, seed=1):
    return SOLVERS[name](LOWER, UPPER, budget=budget, seed=seed)


def drive(solver, objective, violation, *, until=np.inf):
    asked = []
    while not solver.is_done and solver.evaluations < until:
        asked.append(solver.ask())
        solver.tell(asked[-1], objective(asked[-1]), violation(asked[-1]))
    return np.concatenate(asked)


def slope(X):
    return X @ [1.0, 2.0, -2.0]


def off_the_sphere(X):
    """Return by how much points miss the unit sphere, beyond a ten-thousandth."""
    return np.maximum(np.abs((X**2).sum(axis=1) - 1) - 1e-4, 0)


def outside_of_islands(X):
    """Return by how much points lie outside of the cubes of edge 0.4 around 0, 1 and -1 in each variable."""
    return np.maximum(np.abs(X - np.round(X).clip(-1, 1)) - 0.2, 0).sum(axis=1)


@pytest.mark.parametrize("name", ["de", "auto"])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_point_along_an_equality_is_found(name, seed):
    solver = made(name, seed=seed)

    drive(solver, slope, off_the_sphere)

    best = solver.result()
    assert best.violation == 0
    assert best.objective == pytest.approx(-3, abs=0.01)  # -|(1, 2, -2)|; feasibility first alone stays at about -1.7
    assert best.x == pytest.approx(np.array([-1, -2, 2]) / 3, abs=0.1)


@pytest.mark.parametrize("name", ["de", "auto"])
def test_the_best_of_many_islands_is_found(name):
    solver = made(name)

    drive(solver, slope, outside_of_islands)

    assert solver.result().violation == 0
    assert solver.result().objective == pytest.approx(-1.2 * 5, abs=1e-6)


def test_the_search_breaks_limits_at_first_and_comes_down_on_them_in_the_end():
    X = drive(made(), slope, off_the_sphere)

    v = off_the_sphere(X)
    by_tenth = [np.median(v[i : i + 600]) for i in range(0, 6000, 600)]

    assert by_tenth[1] > 5 * by_tenth[6] > 0
    assert by_tenth[-1] < 1e-3


def test_what_is_returned_is_feasible_before_infeasible_while_the_search_breaks_limits():
    solver = made()
    X = drive(solver, slope, outside_of_islands, until=2000)

    v, f = outside_of_islands(X), slope(X)

    assert solver._level > 0
    assert solver.result().violation == 0
    assert solver.result().objective == f[v == 0].min()


def test_a_run_that_breaks_no_limit_is_as_if_there_were_none():
    X = drive(made(), slope, lambda X: np.zeros(len(X)))
    Z = drive(made(), slope, lambda X: np.where((X > 1.99).all(axis=1), 1.0, 0.0))  # a corner far from the best

    assert np.array_equal(X[:2000], Z[:2000])


def test_the_unit_of_the_violation_changes_no_bit_of_a_search_with_a_level():
    X = drive(made(), slope, off_the_sphere)
    Z = drive(made(), slope, lambda X: 2.0**40 * off_the_sphere(X))

    assert np.array_equal(X, Z)


@pytest.mark.parametrize("name", ["de", "auto"])
@pytest.mark.parametrize("part", [100, 2500, 5500])
def test_a_run_saved_above_or_below_the_level_goes_on_to_the_same_bits(name, part):
    expected = drive(made(name), slope, off_the_sphere)
    first = made(name)
    before = drive(first, slope, off_the_sphere, until=part)

    after = drive(from_state(from_bytes(to_bytes(first.state_dict()))), slope, off_the_sphere)

    np.testing.assert_array_equal(np.concatenate([before, after]), expected)


DAMAGES = [
    *[("first_level", wrong) for wrong in (-1.0, np.inf, np.nan)],
    *[("width", wrong) for wrong in (-1.0, 2.0, np.nan)],
    *[("first_width", wrong) for wrong in (0.0, np.nan)],
    *[("began", wrong) for wrong in (-1, 5000)],
    ("n_lost", -1),
]


@pytest.mark.parametrize(("key", "wrong"), DAMAGES)
def test_a_state_with_a_level_that_no_run_comes_to_is_refused(key, wrong):
    solver = made()
    drive(solver, slope, off_the_sphere, until=1000)

    with pytest.raises(SolverStateError):
        from_state(solver.state_dict() | {key: np.array(wrong)})


def lowest_at_a_corner(X):
    """Return a violation with a wide valley that is nowhere feasible, and a narrow feasible one elsewhere."""
    wide = 1 + np.abs(X + 1.5).sum(axis=1)
    narrow = np.maximum(0, 20 * np.abs(X - 1.0).max(axis=1) - 4)
    return np.minimum(wide, narrow)


def test_a_population_left_behind_by_the_level_gives_way_to_another():
    solver = made(budget=12000)

    X = drive(solver, lambda X: X.sum(axis=1), lowest_at_a_corner)

    assert solver._n_lost > 0
    assert solver._began < len(X)
    first = X[: solver._began]
    assert lowest_at_a_corner(first[-50:]).min() == pytest.approx(1, abs=0.01)  # nearest to feasible in the wide valley
    assert solver.result().violation <= 1.01


def test_a_search_with_a_level_never_settles_for_one_coordinate_at_a_time():
    solver = made()
    drive(solver, slope, off_the_sphere, until=1000)

    solver._remember_success(np.array([0.5]), np.array([0.0]))
    solver._remember_success(np.array([0.5]), np.array([0.8]))

    assert solver._memory_CR[-2:].tolist() == [0.0, pytest.approx(0.8)]


def test_steps_end_on_faces_again_once_the_level_is_gone():
    solver = made()

    X = drive(solver, lambda X: X.sum(axis=1), lambda X: np.maximum(0, 1.0 - X[:, 0]))

    assert solver.result().x == pytest.approx([1, -2, -2], abs=1e-6)
    assert (X[-600:, 1:] == -2).mean() > 0.5


def test_a_first_population_that_cannot_be_computed_has_no_level():
    solver = made()

    drive(solver, lambda X: np.full(len(X), np.nan), off_the_sphere, until=1000)

    assert solver._level == 0
    assert solver.result() is None

"""Our BBOB functions against the values of the archive that results are compared in."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.problems import bbob

REFERENCE = json.loads((Path(__file__).parent.parent / "data" / "reference_bbob.json").read_text())


def points(D):
    return np.stack(
        [np.zeros(D), np.ones(D), np.linspace(-4, 4, D), np.linspace(5, -5, D), 3 * np.sin(1 + np.arange(D))]
    )


def of(function, part):
    """Return the published problems of one function, each with ours."""
    known = [entry for entry in REFERENCE[part] if entry["function"] == function]
    return [(entry, bbob.problem(function, entry["instance"], entry["dimension"])) for entry in known]


@pytest.fixture(params=bbob.FUNCTIONS, ids="f{}".format)
def function(request):
    return request.param


@pytest.mark.parametrize(("part", "n"), [("problems", 12), ("other_instances", 2)])
def test_values_are_the_published_ones(function, part, n):
    pairs = of(function, part)

    assert len(pairs) == n
    for known, ours in pairs:
        # Sums of up to 20 squares with weights up to 10^6, and cosines of 3^11 z: some 10^4 roundings
        assert ours.evaluate(points(known["dimension"])) == pytest.approx(known["f"], rel=1e-10)


def test_the_optimum_is_the_published_one_in_place_and_value(function):
    for known, ours in of(function, "problems"):
        assert ours.f_opt == pytest.approx(known["f_opt"], abs=1e-9)
        assert ours.x_opt == pytest.approx(np.array(known["best_x"]), abs=1e-9)
        assert ours.evaluate(ours.x_opt[None])[0] == pytest.approx(ours.f_opt, abs=1e-9)


def test_no_point_near_the_optimum_or_anywhere_else_lies_below_it(function):
    ours = bbob.problem(function, 7, 6)
    rng = np.random.default_rng(function)
    near = ours.x_opt + rng.normal(size=(300, 6)) * 10 ** rng.uniform(-9, 0, size=(300, 1))

    values = ours.evaluate(np.concatenate([near, rng.uniform(-5, 5, (300, 6))]))

    assert values.min() >= ours.f_opt - 1e-9


def test_a_population_is_computed_row_by_row_and_left_as_it_was(function):
    ours = bbob.problem(function, 3, 4)
    X = np.random.default_rng(1).uniform(-6, 6, (30, 4))
    before = X.copy()

    together = ours.evaluate(X)

    assert np.array_equal(X, before)
    assert together == pytest.approx([ours.evaluate(x[None])[0] for x in X], rel=1e-12)


@pytest.mark.parametrize("D", [2, 5, 40])
def test_rotations_are_orthogonal(D):
    Q = bbob.rotation(123, D)

    assert pytest.approx(np.eye(D), abs=1e-12) == Q @ Q.T


@pytest.mark.parametrize(("function", "instance", "D"), [(0, 1, 2), (25, 1, 2), (1, 0, 2), (1, 1, 1)])
def test_a_problem_that_does_not_exist_is_refused(function, instance, D):
    with pytest.raises(ValueError, match="f1 to f24, from 1, from 2"):
        bbob.problem(function, instance, D)


def test_points_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match=r"X must have shape \(n, 3\), not \(4, 2\)"):
        bbob.problem(1, 1, 3).evaluate(np.zeros((4, 2)))

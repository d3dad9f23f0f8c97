"""Our constrained problems against published points."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.problems import cec2006

PUBLISHED = json.loads((Path(__file__).parent.parent / "data" / "reference_cec2006.json").read_text())["problems"]
SOLVED = [name for name in cec2006.NAMES if name != "g20"]


def published(name):
    return PUBLISHED[f"G{int(name[1:])}"]


def matched(ours, theirs):
    """Compare columns of constraints regardless of their order, which differs between sources."""
    assert np.sort(ours, axis=1) == pytest.approx(np.sort(theirs, axis=1), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("name", cec2006.NAMES)
def test_objective_and_constraints_are_the_published_ones(name):
    known = published(name)

    f, g, h = cec2006.problem(name).evaluate(np.array(known["x"]))

    assert f == pytest.approx(np.ravel(known["f"]), rel=1e-11)
    if name == "g11":  # an equality in the report; the source relaxes it to one side
        matched(h, known["g"])
        assert g.shape == (3, 0)
    else:
        matched(g, np.reshape(known.get("g", []), (3, -1)))
        matched(h, np.reshape(known.get("h", []), (3, -1)))


@pytest.mark.parametrize("name", cec2006.NAMES)
def test_the_box_is_the_published_one(name):
    ours, known = cec2006.problem(name), published(name)

    assert ours.lower.tolist() == known["lower"]
    assert ours.upper.tolist() == known["upper"]


@pytest.mark.parametrize("name", SOLVED)
def test_the_best_known_point_is_feasible_lies_in_the_box_and_has_the_published_value(name):
    ours = cec2006.problem(name)

    f, g, h = ours.evaluate(ours.best_x[None])

    assert f[0] == pytest.approx(ours.best_f, rel=1e-12)
    assert ours.best_f == pytest.approx(published(name)["best_f"][0], rel=1e-7)
    assert cec2006.violation(g, h)[0] < 1e-11
    assert ((ours.lower <= ours.best_x) & (ours.best_x <= ours.upper)).all()


@pytest.mark.parametrize("name", SOLVED)
def test_no_feasible_point_nearby_is_better_than_the_best_known(name):
    ours = cec2006.problem(name)
    rng = np.random.default_rng(3)
    spread = 10 ** rng.uniform(-6, -1, size=(2000, 1)) * (ours.upper - ours.lower)
    X = np.clip(ours.best_x + spread * rng.normal(size=(2000, len(ours.lower))), ours.lower, ours.upper)

    f, g, h = ours.evaluate(X)

    is_feasible = cec2006.violation(g, h, tolerance=0.0) == 0
    assert (f[is_feasible] >= ours.best_f - 1e-7 * abs(ours.best_f)).all()


def test_the_nearest_of_the_729_balls_of_g12_is_the_nearest_of_all():
    X = np.random.default_rng(0).uniform(0, 10, (200, 3))
    centers = np.array(list(itertools.product(range(1, 10), repeat=3)))

    _, g, _ = cec2006.problem("g12").evaluate(X)

    of_all = ((X[:, None] - centers) ** 2).sum(axis=2).min(axis=1) - 0.0625
    assert g[:, 0] == pytest.approx(of_all, abs=1e-12)


def test_what_is_not_known_about_g20_is_not_made_up():
    ours = cec2006.problem("g20")

    assert np.isnan(ours.best_f)
    assert np.isnan(ours.best_x).all()


def test_a_violation_counts_broken_limits_and_equalities_beyond_their_tolerance():
    g, h = np.array([[-1.0, 2.0], [0.0, -3.0]]), np.array([[0.5], [-5e-5]])

    assert cec2006.violation(g, h) == pytest.approx([2.4999, 0.0])


def test_a_problem_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="g25 is none of the problems"):
        cec2006.problem("g25")


def test_points_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match=r"g06 takes X of shape \(n, 2\), not \(3, 5\)"):
        cec2006.problem("g06").evaluate(np.zeros((3, 5)))

"""Our problems of several objectives against published points and fronts."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.problems import multiobjective
from engine.pareto import hypervolume, nondominated

REFERENCE = json.loads((Path(__file__).parent.parent / "data" / "reference_multiobjective.json").read_text())


@pytest.mark.parametrize("name", multiobjective.NAMES)
def test_objectives_and_violations_are_the_published_ones(name):
    known = REFERENCE["problems"][name]
    X = np.array(known["x"])

    F, g = multiobjective.problem(name, X.shape[1]).evaluate(X)

    assert F.shape == np.shape(known["f"])
    assert pytest.approx(np.array(known["f"]), rel=1e-9) == F
    assert multiobjective.violation(g) == pytest.approx(np.array(known["violation"]), rel=1e-9)


@pytest.mark.parametrize("name", multiobjective.NAMES)
def test_no_feasible_point_dominates_the_true_front(name):
    ours = multiobjective.problem(name)
    rng = np.random.default_rng(5)
    X = rng.uniform(ours.lower, ours.upper, (20_000, len(ours.lower)))
    front = ours.front(200)

    F, g = ours.evaluate(X)

    for point in F[multiobjective.violation(g) == 0]:
        assert not (point <= front - 1e-9).all(axis=1).any()


@pytest.mark.parametrize(
    ("name", "rest"), [*((n, 0.0) for n in ("ZDT1", "ZDT2", "ZDT4", "ZDT6")), *((f"DTLZ{k}", 0.5) for k in range(1, 5))]
)
def test_points_that_are_optimal_by_construction_lie_on_the_front(name, rest):
    ours = multiobjective.problem(name)
    n_places = 1 if name.startswith("ZDT") else 2
    X = np.full((40, len(ours.lower)), rest)
    X[:, :n_places] = np.random.default_rng(2).uniform(0, 1, (40, n_places)) ** (0.01 if name == "DTLZ4" else 1)
    front = ours.front(5000)

    F, _ = ours.evaluate(X)

    if name != "ZDT6":  # whose first objective falls and rises again: most places are dominated
        assert np.abs(F[:, None] - front[None]).max(axis=2).min(axis=1).max() < 0.015
    assert not (F[:, None] < front[None] - 1e-9).all(axis=2).any()


@pytest.mark.parametrize("name", ["OSY", "TNK"])
def test_the_front_is_the_published_one(name):
    published = np.array(REFERENCE["fronts"][name])
    front = multiobjective.problem(name).front(4000)
    scale = published.max(axis=0) - published.min(axis=0)

    distance = np.abs((published[:, None] - front[None]) / scale).max(axis=2).min(axis=1)

    assert distance.max() < 0.01  # the published points were found by a search, to about this


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("ZDT1", 1.1**2 - 1 / 3),  # the square up to the reference, without what lies below the front
        ("ZDT2", 1.1**2 - 2 / 3),
        ("ZDT4", 1.1**2 - 1 / 3),
        ("DTLZ1", 0.55**3 - 0.5**3 / 6),
        ("DTLZ2", 1.1**3 - np.pi / 6),
        ("DTLZ3", 1.1**3 - np.pi / 6),
        ("DTLZ4", 1.1**3 - np.pi / 6),
    ],
)
def test_the_front_has_the_hypervolume_of_its_closed_form(name, area):
    ours = multiobjective.problem(name)

    volume = hypervolume(ours.front(2000), ours.reference)

    assert volume < area
    assert volume == pytest.approx(area, rel=0.03)  # 2,000 points leave steps below the surface


@pytest.mark.parametrize("name", multiobjective.NAMES)
def test_the_points_of_a_front_do_not_dominate_each_other_and_lie_within_the_reference(name):
    ours = multiobjective.problem(name)

    front = ours.front(300)

    assert nondominated(front).all()
    assert (front < ours.reference).all()


def test_a_problem_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'ZDT5' is none of the problems ZDT1"):
        multiobjective.problem("ZDT5")


def test_variables_that_a_problem_does_not_have_are_refused():
    with pytest.raises(ValueError, match="OSY has 6 variables, not 7"):
        multiobjective.problem("OSY", 7)


def test_points_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match=r"TNK takes X of shape \(n, 2\), not \(3, 5\)"):
        multiobjective.problem("TNK").evaluate(np.zeros((3, 5)))

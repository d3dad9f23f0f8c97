import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine import pareto
from engine.errors import ShapeError

REFERENCE = json.loads((Path(__file__).parent.parent / "data" / "reference_indicators.json").read_text())
SETS = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(2, 4)), elements=st.integers(0, 6).map(float))


def dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


@given(SETS)
def test_a_point_is_undominated_if_no_other_dominates_it(F):
    by_hand = [not any(dominates(other, point) for other in F) for point in F]

    assert pareto.nondominated(F).tolist() == by_hand


def test_large_sets_are_sorted_out_in_parts_and_nothing_is_lost():
    F = np.random.default_rng(0).normal(size=(1500, 3))

    found = pareto.nondominated(F)

    assert found.tolist() == [not ((point >= F).all(axis=1) & (point > F).any(axis=1)).any() for point in F]


@given(SETS)
def test_fronts_are_peeled_one_after_the_other(F):
    front = pareto.fronts(F)

    left, rank = np.arange(len(F)), 0
    while len(left):
        now = pareto.nondominated(F[left])
        assert set(left[now]) == set(np.flatnonzero(front == rank))
        left, rank = left[~now], rank + 1


@given(SETS, st.lists(st.sampled_from([0.0, 0.0, 0.5, 2.0]), min_size=30, max_size=30))
def test_no_infeasible_point_is_on_a_front_with_or_before_a_feasible_one(F, v):
    v = np.array(v[: len(F)])

    front = pareto.fronts(F, v)

    if (v == 0).any() and (v > 0).any():
        assert front[v > 0].min() > front[v == 0].max()
    for level in set(v[v > 0]):
        assert len(set(front[v == level])) == 1


@pytest.mark.parametrize("case", REFERENCE["hypervolume"], ids=lambda case: case["name"])
def test_hypervolumes_are_the_published_ones(case):
    F = np.array(case["f"])

    assert pareto.hypervolume(F, case["ref"]) == pytest.approx(case["hypervolume"], rel=1e-9)


@given(SETS.filter(lambda F: len(F) <= 8 and F.shape[1] <= 3))
def test_the_hypervolume_is_the_count_of_unit_cells_that_are_dominated(F):
    corners = np.stack(np.meshgrid(*[np.arange(7.0)] * F.shape[1], indexing="ij"), axis=-1).reshape(-1, F.shape[1])

    n_cells = sum((corner >= F).all(axis=1).any() for corner in corners)

    assert pareto.hypervolume(F, np.full(F.shape[1], 7.0)) == pytest.approx(n_cells)


def test_points_beyond_the_reference_add_nothing():
    assert pareto.hypervolume(np.array([[2.0, 0.0]]), [1.0, 1.0]) == 0
    assert pareto.hypervolume(np.empty((0, 2)), [1.0, 1.0]) == 0
    with pytest.raises(ShapeError, match="reference of 2"):
        pareto.hypervolume(np.zeros((3, 2)), [1.0])


@pytest.mark.parametrize("case", REFERENCE["indicators"])
def test_distances_to_a_front_are_the_published_ones(case):
    F, front = np.array(case["f"]), np.array(case["front"])

    for name, value in case["values"].items():
        assert getattr(pareto, name)(F, front) == pytest.approx(value, rel=1e-6, abs=6e-3), (
            name
        )  # some are printed with two decimals


@pytest.mark.parametrize("case", REFERENCE["crowding"])
def test_crowding_distances_are_the_published_ones(case):
    found = pareto.crowding_distance(np.array(case["f"]))

    wanted = np.array([np.inf if each is None else each for each in case["crowding"]])
    is_end = np.isinf(wanted)
    assert np.isinf(found[is_end]).all()
    np.testing.assert_allclose(found[~is_end] / case["factor"], wanted[~is_end], rtol=1e-6)


def test_the_knee_lies_where_the_front_bends():
    F = np.array([[0.0, 1.0], [0.1, 0.2], [0.4, 0.15], [1.0, 0.0]])

    assert pareto.knee(F) == 1
    assert pareto.knee(F * [1000, 0.01] + [5, -7]) == 1


def test_thinning_keeps_the_ends_and_what_must_stay_and_spreads_the_rest():
    t = np.linspace(0, 1, 101)
    F = np.column_stack([t, 1 - t])

    kept = pareto.thin(F, 5, keep=np.array([30]))

    assert {0, 30, 100} <= set(kept.tolist())
    assert len(kept) == 5
    assert np.diff(kept).min() >= 15


def test_thinning_never_takes_a_point_twice():
    F = np.repeat([[0.0, 1.0], [1.0, 0.0]], 5, axis=0)

    assert len(pareto.thin(F, 10)) == 2

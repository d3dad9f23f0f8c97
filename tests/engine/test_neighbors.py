"""Distances to history: against brute force, and what a constant input means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import engine.neighbors
from engine.errors import ParameterError, ShapeError
from engine.neighbors import History, comparable_rows
from engine.trust import DistanceEnvelope

TAGS = ("load", "O2", "flow")


def plant_rows(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) * [30.0, 0.5, 1e5] + [200.0, 3.0, 2e6]


def by_hand(X, x, sd):
    """Return the distance of every row, one at a time."""
    return np.array([np.sqrt(sum(((a - b) / s) ** 2 for a, b, s in zip(row, x, sd, strict=True) if s)) for row in X])


@settings(max_examples=50, deadline=None)
@given(arrays(float, (12, 3), elements=st.integers(-3, 3)), st.integers(1, 15))
def test_the_nearest_rows_are_those_of_brute_force_in_order_and_ties_keep_the_order_of_rows(X, k):
    x = np.array([0.5, 1.0, -1.0])
    history = History(X, TAGS)

    rows, distances = history.nearest(x, k)

    expected = by_hand(X, x, np.where(np.ptp(X, axis=0) == 0, 0, X.std(axis=0)))
    assert distances == pytest.approx(np.sort(expected)[:k])
    assert expected[rows] == pytest.approx(distances)
    # Not by rounding: two inputs may have scales that differ in the last bit
    pairs = zip(zip(distances, rows, strict=True), zip(distances[1:], rows[1:], strict=True), strict=False)
    assert all(one < other for one, other in pairs)


def test_rows_within_a_distance_are_counted_with_those_at_it():
    X = plant_rows()
    distances = by_hand(X, X[0], X.std(axis=0))
    history = History(X, TAGS)

    _, (_, second, third) = history.nearest(X[0], 3)

    assert history.n_within(X[0], 1.0) == (distances <= 1.0).sum()
    assert history.n_within(X[0], second) == 2
    assert history.n_within(X[0], third) == 3
    assert history.n_within(X[0], float("nan")) == 0


def test_a_row_of_the_history_is_its_own_nearest_at_no_distance():
    X = plant_rows()

    rows, distances = History(X, TAGS).nearest(X[17], 3)

    assert (rows[0], distances[0]) == (17, 0.0)


def test_one_standard_deviation_away_in_one_input_is_a_distance_of_one():
    X = np.array([[0.0, 10.0], [2.0, 30.0]])  # sd 1 and 10

    _, distances = History(X, ("a", "b")).nearest([0.0, 0.0])

    assert distances.tolist() == [1.0]


def test_units_do_not_matter():
    X, x = plant_rows(), np.array([210.0, 3.3, 2.1e6])
    factors = np.array([1e3, 1e-6, 7.0])

    rows, distances = History(X, TAGS).nearest(x, 5)
    in_other_units = History(X * factors, TAGS).nearest(x * factors, 5)

    assert in_other_units[0].tolist() == rows.tolist()
    assert in_other_units[1] == pytest.approx(distances)


def test_given_scales_take_the_place_of_the_computed_ones():
    X = np.array([[0.0, 10.0], [2.0, 30.0]])

    _, distances = History(X, ("a", "b"), sd=[0.5, 5.0]).nearest([0.0, 0.0])

    assert distances.tolist() == [2.0]


def test_a_constant_input_adds_nothing_and_is_named_where_the_point_differs():
    X = np.column_stack([plant_rows(), np.full(200, 0.1)])
    history = History(X, (*TAGS, "mills"))

    _, distances = history.nearest([*X[3, :3], 0.2])

    assert distances.tolist() == [0.0]
    assert history.unseen([*X[3, :3], 0.2]) == ("mills",)
    assert history.unseen([0.0, 0.0, 0.0, 0.1]) == ()


def test_rows_in_several_chunks_are_searched_as_one(monkeypatch):
    X, x = plant_rows(100), plant_rows(1, seed=5)[0]
    whole = History(X, TAGS).nearest(x, 7)

    monkeypatch.setattr(engine.neighbors, "CHUNK", 9)

    chunked = History(X, TAGS).nearest(x, 7)
    assert chunked[0].tolist() == whole[0].tolist()
    assert chunked[1].tolist() == whole[1].tolist()


def test_the_spacing_is_the_median_distance_to_the_nearest_other_row():
    X = plant_rows(80)
    sd = X.std(axis=0)

    spacing = History(X, TAGS).spacing()

    nearest_other = [np.delete(by_hand(X, X[i], sd), i).min() for i in range(80)]
    assert spacing == pytest.approx(np.median(nearest_other))


def test_rows_that_are_there_twice_are_neighbors_at_no_distance():
    X = np.concatenate([plant_rows(30)] * 2)

    assert History(X, TAGS).spacing() == 0.0


def test_a_long_history_is_judged_by_rows_spread_over_it(monkeypatch):
    X = plant_rows(4000)
    exact = History(X, TAGS).spacing()

    monkeypatch.setattr(engine.neighbors, "MOST_SPACING_ROWS", 500)

    assert History(X, TAGS).spacing() == pytest.approx(exact, rel=0.1)


def test_a_very_long_history_is_judged_by_fewer_rows_so_that_the_work_stays_bounded(monkeypatch):
    X = plant_rows(4000)
    exact = History(X, TAGS).spacing()

    monkeypatch.setattr(engine.neighbors, "MOST_SPACING_PAIRS", 4000)

    assert History(X, TAGS).spacing() == pytest.approx(exact, rel=0.15)


def test_a_single_row_has_no_spacing():
    assert np.isnan(History([[1.0, 2.0, 3.0]], TAGS).spacing())


def test_rows_that_never_change_are_all_at_one_place():
    history = History([[1.0, 2.0, 3.0]] * 4, TAGS)

    assert history.spacing() == 0.0
    assert history.nearest([9.0, 9.0, 9.0], 2)[0].tolist() == [0, 1]


def test_comparable_rows_are_nearest_in_the_fixed_inputs_alone():
    X = plant_rows()

    rows = comparable_rows(X[:, [0, 2]], [200.0, 2e6], 10)

    distances = by_hand(X[:, [0, 2]], [200.0, 2e6], X[:, [0, 2]].std(axis=0))
    assert rows.tolist() == np.argsort(distances)[:10].tolist()


def test_with_nothing_fixed_every_row_is_comparable():
    assert comparable_rows(np.empty((5, 0)), [], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("X", "sd"),
    [
        (np.ones((4, 2)), None),
        (np.ones(3), None),
        (np.empty((0, 3)), None),
        ([[1.0, np.nan, 2.0]], None),
        (np.ones((4, 3)), [1.0, 1.0]),
        (np.ones((4, 3)), [1.0, -1.0, 1.0]),
        (np.ones((4, 3)), [1.0, np.nan, 1.0]),
    ],
)
def test_a_history_that_is_not_a_matrix_of_numbers_is_refused(X, sd):
    with pytest.raises(ShapeError):
        History(X, TAGS, sd)


def test_a_point_that_does_not_fit_the_history_is_refused():
    history = History(plant_rows(), TAGS)

    for point in ([1.0, 2.0], [[1.0, 2.0, 3.0]], [1.0, np.nan, 2.0]):
        with pytest.raises(ShapeError, match="a point needs 3 finite numbers"):
            history.nearest(point)
    with pytest.raises(ParameterError, match="k must be a whole number from 1, not 0"):
        history.nearest([1.0, 2.0, 3.0], 0)


def test_a_category_other_than_the_points_is_one_unit_however_far_its_place_in_the_list():
    X = np.array([[0.0, 0.0], [2.0, 1.0], [2.0, 9.0], [2.0, 9.0]])  # sd of a: 0.866
    history = History(X, ("a", "fuel"), categories=["fuel"])

    rows, distances = history.nearest([2.0, 0.0], 4)

    assert rows.tolist() == [1, 2, 3, 0]
    assert distances == pytest.approx([1.0, 1.0, 1.0, 2 / X[:, 0].std()])
    assert history.n_within([2.0, 0.0], 1.0) == 3


def test_renaming_categories_changes_no_distance():
    X, fuel = plant_rows(), np.random.default_rng(1).integers(0, 4, 200)
    codes = np.array([3.0, 0.0, 2.0, 1.0])
    history = History(np.column_stack([X, fuel]), (*TAGS, "fuel"), categories=["fuel"])
    renamed = History(np.column_stack([X, codes[fuel]]), (*TAGS, "fuel"), categories=["fuel"])

    rows, distances = history.nearest([*X[5], 1.0], 200)

    assert renamed.nearest([*X[5], codes[1]], 200)[0].tolist() == rows.tolist()
    assert renamed.nearest([*X[5], codes[1]], 200)[1].tolist() == distances.tolist()
    assert renamed.spacing() == history.spacing()


def test_the_spacing_with_categories_is_that_of_brute_force():
    X, fuel = plant_rows(60), np.random.default_rng(1).integers(0, 3, 60)

    spacing = History(np.column_stack([X, fuel]), (*TAGS, "fuel"), categories=["fuel"]).spacing()

    squares = [by_hand(X, x, X.std(axis=0)) ** 2 + (fuel != own) for x, own in zip(X, fuel, strict=True)]
    nearest_other = [np.sqrt(np.delete(each, i).min()) for i, each in enumerate(squares)]
    assert spacing == pytest.approx(np.median(nearest_other))


def test_distances_are_those_of_the_trust_envelope():
    X = np.column_stack([plant_rows(), np.random.default_rng(1).integers(0, 4, 200)])
    x = np.array([210.0, 3.3, 2.1e6, 2.0])
    tags = (*TAGS, "fuel")

    rows, distances = History(X, tags, categories=["fuel"]).nearest(x, 5)

    told = DistanceEnvelope.fit(X, tags, categories=["fuel"]).report(x)["nearest"]
    assert [each["row"] for each in told] == rows.tolist()
    assert [each["distance"] for each in told] == pytest.approx(distances)


def test_a_category_of_no_row_is_named_as_unseen():
    X = np.array([[0.0, 0.0, 1.0], [2.0, 2.0, 1.0]])
    history = History(X, ("a", "fuel", "mill"), categories=["fuel", "mill"])

    assert history.unseen([1.0, 1.0, 1.0]) == ("fuel",)
    assert history.unseen([1.0, 2.0, 0.0]) == ("mill",)
    assert history.nearest([0.0, 0.0, 0.0])[1].tolist() == [1.0]


def test_rows_are_comparable_by_the_same_category_and_not_by_the_next_one_in_the_list():
    X_fixed = np.array([[0.0], [1.0], [3.0], [2.0], [3.0]])

    assert comparable_rows(X_fixed, [3.0], 3, categories=[0]).tolist() == [2, 4, 0]

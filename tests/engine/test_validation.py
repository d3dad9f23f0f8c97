import csv
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from engine.errors import ParameterError, ShapeError, TrainingError
from engine.surrogates import NotFinite, fit
from engine.validation import CrossValidation, Validation, cross_validate, folds, score

RANDOM, TIME, BY_DAY = Validation("random"), Validation("time"), Validation("group", group="day")
COAL_UNIT = Path(__file__).parents[2] / "examples" / "coal_unit" / "data.csv"


def fold_of(parts, n):
    """Return the fold that tests each row; fails unless each row is tested once and trained on elsewhere."""
    fold = np.full(n, -1)
    for i, (train, test) in enumerate(parts):
        assert (fold[test] == -1).all()
        fold[test] = i
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n))
    assert (fold >= 0).all()
    return fold


def rows(n=60, m=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, (X @ rng.normal(size=(3, m)) + 0.1 * rng.normal(size=(n, m))) * [1.0, 1e5][:m]


def validated(X, Y, parts, **options):
    given = {"inputs": list("abc"), "outputs": list("yz")[: Y.shape[1]]} | options
    return cross_validate(given.pop("kind", "linear"), X, Y, parts, **given)


# Folds


@given(n=st.integers(2, 80), k=st.integers(2, 20), seed=st.integers(0, 9))
def test_random_folds_test_each_row_once_and_differ_by_one_row_at_most(n, k, seed):
    if n < k:
        with pytest.raises(TrainingError):
            folds(Validation("random", n_folds=k), n)
        return

    sizes = np.bincount(fold_of(folds(Validation("random", n_folds=k), n, seed=seed), n))

    assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.integers(0, 12), min_size=2, max_size=80), st.integers(2, 8), st.integers(0, 5))
def test_a_group_is_never_split(labels, k, seed):
    validation = Validation("group", n_folds=k, group="day")
    names = set(labels)
    if len(names) < k or len(labels) < k:
        with pytest.raises(TrainingError):
            folds(validation, len(labels), groups=labels, seed=seed)
        return

    parts = folds(validation, len(labels), groups=labels, seed=seed)

    fold_of(parts, len(labels))
    for train, test in parts:
        assert {labels[i] for i in train}.isdisjoint(labels[i] for i in test)
        assert len(test)


@given(st.lists(st.integers(1, 30), min_size=5, max_size=40), st.integers(0, 5))
def test_folds_of_groups_are_balanced(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)

    tested = np.bincount(fold_of(folds(BY_DAY, len(labels), groups=labels, seed=seed), len(labels)))

    # largest first, each into the emptiest: no fold gets ahead of another by more than one group
    assert tested.max() - tested.min() <= max(sizes)


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=60), st.integers(2, 6))
def test_blocks_of_time_follow_each_other_and_do_not_share_a_time(times, k):
    validation = Validation("time", n_folds=k)
    try:
        fold = fold_of(folds(validation, len(times), times=times), len(times))
    except TrainingError:
        assert max(times.count(t) for t in times) > 1 or len(times) < k  # only ties can be in the way
        return

    latest = [max(t for t, f in zip(times, fold, strict=True) if f == i) for i in range(k)]
    earliest = [min(t for t, f in zip(times, fold, strict=True) if f == i) for i in range(k)]
    assert all(before < after for before, after in zip(latest[:-1], earliest[1:], strict=True))


def test_blocks_of_time_are_found_in_a_table_in_any_order():
    times = np.datetime64("2020-03-01") + np.random.default_rng(0).permutation(23)

    fold = fold_of(folds(TIME, 23, times=times), 23)

    assert sorted(np.bincount(fold)) == [4, 4, 5, 5, 5]
    assert (np.diff(fold[np.argsort(times)]) >= 0).all()


@pytest.mark.parametrize("validation", [RANDOM, BY_DAY])
def test_the_seed_decides_and_nothing_else(validation):
    groups = np.arange(40) // 2

    first, second, other = (fold_of(folds(validation, 40, groups=groups, seed=seed), 40) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize(
    "groups",
    [
        list("aabbccddee") * 2,
        np.repeat([1.5, 2.5, 3.5, 4.5, 5.5], 4),
        np.repeat(np.datetime64("2020-01-01") + np.arange(5), 4),
        np.array([datetime(2020, 1, 1 + i // 4).date() for i in range(20)], dtype=object),
        [i // 4 for i in range(20)],
    ],
)
def test_groups_may_be_text_numbers_or_days(groups):
    fold = fold_of(folds(BY_DAY, 20, groups=groups), 20)

    assert np.bincount(fold).tolist() == [4] * 5


@pytest.mark.parametrize(
    ("validation", "n", "given_", "error", "words"),
    [
        (RANDOM, 4, {}, TrainingError, "5 folds need at least as many rows, but there are 4"),
        (BY_DAY, 9, {"groups": [1, 2, 3, 4] * 2 + [1]}, TrainingError, "but 'day' has 4 different values"),
        (BY_DAY, 9, {}, TrainingError, "this validation needs groups"),
        (TIME, 9, {}, TrainingError, "this validation needs times"),
        (BY_DAY, 6, {"groups": [1.0, 2.0, np.nan, 4.0, 5.0, np.nan]}, TrainingError,
         "groups are missing in 2 of 6 rows, first in row 2"),
        (BY_DAY, 6, {"groups": ["a", None, "b", "c", "d", "e"]}, TrainingError, "missing in 1 of 6 rows"),
        (TIME, 6, {"times": np.array(["2020-01-01"] * 5 + ["NaT"], "datetime64[D]")}, TrainingError,
         "times are missing in 1 of 6 rows, first in row 5"),
        (TIME, 6, {"times": ["12/19/2019", "1/2/2020", "c", "d", "e", "f"]}, TrainingError, "numbers or datetime64"),
        (TIME, 6, {"times": [1, 1, 1, 1, 1, 2]}, TrainingError, "too many share a time"),
        (BY_DAY, 6, {"groups": np.array([1, "a", 2, "b", 3, "c"], dtype=object)}, TrainingError, "different types"),
        (BY_DAY, 6, {"groups": [1, 2, 3]}, ShapeError, r"groups has shape \(3,\) but \(6,\) is needed"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be_made_say_why(validation, n, given_, error, words):
    with pytest.raises(error, match=words):
        folds(validation, n, **given_)


# What is asked for


@pytest.mark.parametrize("validation", [RANDOM, TIME, BY_DAY, Validation("group", 3, "campaign")])
def test_a_validation_survives_json(validation):
    assert Validation.from_json(json.loads(json.dumps(validation.to_json()))) == validation


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "scheme of a validation must be one of random, group, time, not ''"),
        ({"scheme": "loo"}, "scheme .* not 'loo'"),
        ({"scheme": ["random"]}, "scheme"),
        ({"scheme": "random", "n_folds": 1}, "n_folds .* a whole number from 2 to 100, not 1"),
        ({"scheme": "random", "n_folds": True}, "n_folds"),
        ({"scheme": "random", "n_folds": 5.0}, "n_folds"),
        ({"scheme": "group"}, "group .* the tag that holds the groups"),
        ({"scheme": "group", "group": ""}, "group .* the tag that holds the groups"),
        ({"scheme": "time", "group": "day"}, 'group .* left out, since the scheme is "time"'),
        ({"scheme": "time", "gap": 3}, "gap .* left out"),
    ],
)
def test_a_validation_that_makes_no_sense_is_refused(values, words):
    with pytest.raises(ParameterError, match=words):
        Validation.from_json(values)


# Scores


def test_scores_are_those_of_scikit_learn_over_all_held_out_rows():
    X, Y = rows()

    result = validated(X, Y, folds(RANDOM, 60))

    for j, tag in enumerate("yz"):
        measured, predicted = Y[:, j], result.predictions[:, j]
        assert result.scores[tag] == pytest.approx(
            {
                "r2": r2_score(measured, predicted),
                "rmse": root_mean_squared_error(measured, predicted),
                "mae": mean_absolute_error(measured, predicted),
            },
            rel=1e-12,
        )
    assert result.n_rows == 60
    assert result.seconds > 0


def test_each_row_is_predicted_by_a_model_that_has_not_seen_it():
    X, Y = rows()
    parts = folds(RANDOM, 60)

    result = validated(X, Y, parts, kind="extra_trees", params={"n_trees": 5}, seed=11)

    for (train, test), report in zip(parts, result.per_fold, strict=True):
        model = fit(
            "extra_trees", X[train], Y[train], inputs=list("abc"), outputs=list("yz"),
            params={"n_trees": 5}, seed=11,
        )  # fmt: skip
        np.testing.assert_array_equal(result.predictions[test], model.predict(X[test]))
        assert (report["n_train"], report["n_test"]) == (len(train), len(test))
        assert report["scores"] == score(Y[test], model.predict(X[test]), ["y", "z"])


def test_random_folds_flatter_a_model_that_only_remembers_the_day():
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(20), 15)
    X = np.repeat(rng.normal(size=(20, 3)), 15, axis=0) + 0.01 * rng.normal(size=(300, 3))
    Y = np.repeat(rng.normal(size=(20, 1)), 15, axis=0)  # nothing to learn but what happened on each day

    flattered = validated(X, Y, folds(RANDOM, 300), kind="extra_trees", params={"n_trees": 10})
    honest = validated(X, Y, folds(BY_DAY, 300, groups=day), kind="extra_trees", params={"n_trees": 10})

    assert flattered.scores["y"]["r2"] > 0.95
    assert honest.scores["y"]["r2"] < 0.2


@given(
    st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-3),
    st.integers(1, 30),
    st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=30),
)
@settings(max_examples=50)
def test_r2_of_an_output_that_never_changes_is_none(value, n, predicted):
    measured = np.full((n, 1), value)
    predicted = np.array(predicted[:n])[:, None]

    scores = score(measured, predicted, ["y"])["y"]

    assert scores["r2"] is None
    assert scores["mae"] == pytest.approx(np.abs(predicted - value).mean())
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_folds_of_one_row_have_scores_without_r2():
    X, Y = rows(8)

    result = validated(X, Y, folds(Validation("random", n_folds=8), 8))

    assert [report["scores"]["y"]["r2"] for report in result.per_fold] == [None] * 8
    assert result.scores["y"]["r2"] is not None
    json.dumps(result.to_json(), allow_nan=False)


def test_rows_that_no_fold_tests_have_no_prediction_and_no_weight():
    X, Y = rows()
    train, test = folds(RANDOM, 60)[0]

    result = validated(X, Y, [(train, test)])

    assert result.n_rows == len(test)
    np.testing.assert_array_equal(np.isfinite(result.predictions[:, 0]), np.isin(np.arange(60), test))
    assert result.scores == result.per_fold[0]["scores"]


# Progress and refusals


def test_progress_is_told_after_each_fold():
    X, Y = rows()
    told = []

    validated(X, Y, folds(RANDOM, 60), on_fold=lambda done, total: told.append((done, total)))

    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_what_progress_raises_ends_the_work():
    class CancelledError(Exception):
        pass

    def cancel(done, total):
        if done == 2:
            raise CancelledError

    X, Y = rows()
    with pytest.raises(CancelledError):
        validated(X, Y, folds(RANDOM, 60), on_fold=cancel)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "no folds"),
        ([(np.arange(50), np.arange(40, 60))], "rows that it was trained on"),
        ([(np.arange(50), np.arange(50, 60)), (np.arange(50), np.arange(55, 60))], "tests? a row more than once"),
        ([(np.arange(50), np.arange(0))], "tests no row"),
        ([(np.arange(0), np.arange(50))], "no rows to train on"),
    ],
)
def test_folds_that_would_deceive_are_refused(parts, words):
    with pytest.raises(TrainingError, match=words):
        validated(*rows(), parts)


def test_rows_that_do_not_fit_are_refused():
    X, Y = rows()
    with pytest.raises(ShapeError, match="both need the same rows"):
        validated(X[:-1], Y, folds(RANDOM, 59))
    X[7, 0] = np.nan
    with pytest.raises(NotFinite, match="X holds nan in row 7, tag 'a'"):
        validated(X, Y, folds(RANDOM, 60))


# A real plant


def test_specific_steam_consumption_of_a_real_unit_is_predicted_on_days_not_seen():
    with COAL_UNIT.open() as file:
        table = list(csv.DictReader(file))
    inputs = ["1JT66801S", "S833", "S831", "S634", "S11", "FW606", "FW463"]
    X = np.array([[float(row[tag]) for tag in inputs] for row in table])
    Y = np.array([[float(row["1FWS-STMFLW-A"]) / float(row["1JT66801S"])] for row in table])
    days = [row[""].split()[0] for row in table]

    result = cross_validate(
        "extra_trees", X, Y, folds(BY_DAY, len(X), groups=days),
        inputs=inputs, outputs=["ssc"], params={"n_trees": 30},
    )  # fmt: skip

    assert isinstance(result, CrossValidation)
    assert (result.n_rows, len(set(days))) == (1846, 25)
    assert 0.87 < result.scores["ssc"]["r2"] < 0.92

import json

import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError, TrainingError
from engine.folds import Validation, folds, honest_scheme, nested, split_at
from engine.honest import compare, score_after
from engine.validation import cross_validate

RANDOM, TIME = Validation("random"), Validation("time")
TREES = {"kind": "extra_trees", "params": {"n_trees": 15}}


def drifting(n=500, seed=0, hidden=0.6):
    """A plant that stays in one state for ten hours and then goes to another: X (n, 3) and Y (n, 3).

    Only the state tells the first output, the inputs tell most of the second, nothing tells the third.
    """
    rng = np.random.default_rng(seed)
    states = np.repeat(rng.normal(size=(n // 10, 5)), 10, axis=0)
    X = states[:, :3] + 0.01 * rng.normal(size=(n, 3))
    told = X[:, 0] - X[:, 1]
    return X, np.stack([states[:, 3], told + hidden * states[:, 4], rng.normal(size=n)], axis=1)


def validated(X, Y, parts, kind="linear", params=None, **options):
    tags = {"inputs": list("abc")[: X.shape[1]], "outputs": ["silica", "ph", "noise"][: Y.shape[1]]}
    return cross_validate(kind, X, Y, parts, params=params, **tags, **options)


# Which rows are held out together


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, Validation("random")),
        ({"times": np.arange(9)}, TIME),
        ({"times": np.zeros(9)}, Validation("random")),
        ({"times": [1, 2, 3] * 3}, Validation("time", 3)),
        ({"groups": list("aaabbbccc"), "group": "day"}, Validation("group", 3, "day")),
        ({"groups": list("abcdefghi"), "group": "day", "times": np.arange(9)}, Validation("group", 5, "day")),
        ({"groups": ["a"] * 9, "group": "day", "times": np.arange(9)}, TIME),
    ],
)
def test_rows_are_held_out_at_random_only_where_the_table_knows_nothing_better(known, expected):
    assert honest_scheme(**known) == expected


def test_groups_need_their_tag():
    with pytest.raises(ParameterError, match="the tag that holds the groups"):
        honest_scheme(groups=list("abc"))


@pytest.mark.parametrize(
    ("times", "cut", "n_before"),
    [
        (np.arange(10), 4, 4),
        (np.arange(10)[::-1], 4, 4),
        (np.datetime64("2011-01-01") + np.arange(10), "2011-01-05", 4),
        (np.array([1.5, 1.5, 2.5]), 2, 2),
    ],
)
def test_the_cut_parts_the_past_from_the_future(times, cut, n_before):
    past, future = split_at(times, cut)

    assert len(past) == n_before
    assert sorted([*past, *future]) == list(range(len(times)))
    assert times[past].max() < times[future].min()


@pytest.mark.parametrize(
    ("times", "cut", "error", "words"),
    [
        (np.arange(5), 9, TrainingError, "all 5 rows lie before 9"),
        (np.arange(5), -1, TrainingError, "all 5 rows lie after -1"),
        (["a", "b"], "b", TrainingError, "numbers or datetime64"),
        (np.array([1.0, np.nan]), 1, TrainingError, "missing in 1 of 2"),
        (np.zeros((2, 2)), 1, ShapeError, "one value for each row"),
    ],
)
def test_a_cut_that_parts_nothing_says_why(times, cut, error, words):
    with pytest.raises(error, match=words):
        split_at(times, cut)


def test_what_is_chosen_within_a_fold_is_chosen_by_the_other_folds():
    groups = np.repeat(np.arange(12), 5)
    parts = folds(Validation("group", 4, "day"), 60, groups=groups)

    for i, (train, test) in enumerate(parts):
        inner = nested(parts, i)

        assert len(inner) == 3
        assert sorted(np.concatenate([train[rows] for _, rows in inner])) == sorted(train)
        for learned, asked in inner:
            assert not np.isin(train[learned], test).any()
            assert set(groups[train[learned]]).isdisjoint(groups[train[asked]])


def test_rows_that_were_left_out_of_a_fold_on_purpose_stay_out_within():
    rows = np.arange(30)
    parts = [(rows[(rows < s - 2) | (rows >= s + 12)], rows[s : s + 10]) for s in (0, 10, 20)]  # two rows between

    for i, (train, _test) in enumerate(parts):
        for learned, asked in nested(parts, i):
            assert np.abs(train[learned][:, None] - train[asked]).min() > 2


def test_two_folds_leave_nothing_to_choose_by():
    parts = folds(Validation("random", 2), 10)

    assert nested(parts, 0) == []


def test_every_held_out_row_knows_its_fold_and_its_measurement():
    X, Y = drifting(60)
    parts = folds(TIME, 60, times=np.arange(60))

    result = validated(X, Y, parts[:4])

    for i, (_train, test) in enumerate(parts):
        assert set(result.fold[test]) == {i if i < 4 else -1}
    np.testing.assert_array_equal(result.measured, Y)
    np.testing.assert_array_equal(result.inputs, X)


# A random score beside the honest one


def test_a_model_that_knows_neighbors_and_not_the_future_is_called_so():
    X, Y = drifting()
    at_random = validated(X, Y, folds(RANDOM, len(X)), **TREES)
    by_time = validated(X, Y, folds(TIME, len(X), times=np.arange(len(X))), **TREES)

    silica, ph, noise = compare(at_random, by_time, TIME)

    assert (silica.code, ph.code, noise.code) == (
        "validation.neighbors_only",
        "validation.random_flatters",
        "validation.no_skill",
    )
    promised, kept = at_random.scores["silica"]["r2"], by_time.scores["silica"]["r2"]
    assert promised > 0.8
    assert kept < 0.05
    assert silica.message == (
        f"R2 of silica is {promised:.2f} on rows held out at random, but {kept:.2f} on blocks of time."
        " On blocks of time that it has not seen, the model does no better than the mean of what was measured:"
        " it knows neighbors, not the future"
    )
    assert silica.details["n_folds_worse"] == 5
    assert "Expect the lower figure" in ph.message
    assert json.loads(json.dumps(silica.to_json(), allow_nan=False))["details"]["random"] == at_random.scores["silica"]


def test_a_relation_that_holds_in_every_block_is_called_so():
    X, Y = drifting(hidden=0.05)
    by_day = Validation("group", group="day")
    day = np.arange(len(X)) // 10
    at_random = validated(X, Y[:, 1:2], folds(RANDOM, len(X)))
    by_group = validated(X, Y[:, 1:2], folds(by_day, len(X), groups=day))

    (note,) = compare(at_random, by_group, by_day)

    assert note.code == "validation.holds"
    assert "and 1.00 on whole groups of 'day'" in note.message


def test_an_output_that_never_changes_has_no_note():
    X, Y = drifting(60)
    Y[:, 0] = 3.0
    result = validated(X, Y[:, :2], folds(RANDOM, 60))

    notes = compare(result, result, TIME)

    assert [note.details["output"] for note in notes] == ["ph"]


def test_validations_of_different_rows_are_not_compared():
    X, Y = drifting(60)
    one, other = (validated(X[:n], Y[:n], folds(RANDOM, n)) for n in (60, 50))

    with pytest.raises(ShapeError, match=r"\(60, 3\) and \(50, 3\)"):
        compare(one, other, TIME)


# The future


def test_a_relation_that_shifts_after_the_cut_is_called_drift_with_its_offset():
    X, Y = drifting(hidden=0.05)
    year = np.repeat([2011, 2012, 2013, 2014, 2015], 100)
    Y[year >= 2014, 1] += 5.0
    told = []

    lasting = score_after(
        "linear", X, Y[:, 1:], year, 2014, inputs=list("abc"), outputs=["nox", "noise"], on_step=told.append
    )

    nox, noise = lasting.notes
    assert (nox.code, noise.code) == ("validation.drift", "validation.no_skill")
    assert lasting.before.scores["nox"]["r2"] > 0.9
    assert lasting.after.scores["nox"]["r2"] < 0
    assert lasting.after.n_rows == 200
    assert nox.details["offset"] == pytest.approx(-5, abs=0.1)  # predictions are 5 too low, and that is nearly all
    assert nox.details["offset_share"] > 0.95
    assert "does not last: later it does no better than the mean of that time" in nox.message
    assert "too low" in nox.message
    assert told == sorted(told)
    assert told[-1:] in ([], [1.0])


def test_a_relation_that_lasts_is_called_so():
    X, Y = drifting(hidden=0.05)

    lasting = score_after("linear", X, Y[:, 1:2], np.arange(500), 300, inputs=list("abc"), outputs=["ph"])

    assert [note.code for note in lasting.notes] == ["validation.holds"]
    assert lasting.notes[0].message.endswith("What was learned still holds")


def test_inner_folds_are_one_set_for_each_fold():
    X, Y = drifting(60)

    with pytest.raises(TrainingError, match="inner folds for 1 folds, but 5 folds"):
        validated(X, Y, folds(RANDOM, 60), inner=[[]])

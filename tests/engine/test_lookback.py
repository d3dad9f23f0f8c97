import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import surrogates
from engine.errors import ParameterError, ShapeError, TrainingError
from engine.lookback import InputHistory, Lookback, Recent, Steady, plain
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable
from engine.validation import Validation, folds

LOOKBACK = Lookback((InputHistory("u", (0, 2), (3,)), InputHistory("w")), horizon=1)


def test_features_are_lags_and_means_of_windows_that_end_at_the_row():
    u, w = np.array([1.0, 2, 4, 8, 16]), np.arange(5.0)

    F, rows = LOOKBACK.features(np.column_stack([u, w]))

    assert LOOKBACK.names == ("u", "u @ -2", "u ~ 3", "w")
    assert rows.tolist() == [2, 3, 4]
    np.testing.assert_allclose(F, [[4, 1, 7 / 3, 2], [8, 2, 14 / 3, 3], [16, 4, 28 / 3, 4]])


def test_the_outputs_of_a_row_lie_the_horizon_ahead():
    X, Y = np.zeros((6, 2)), np.arange(6.0)[:, None]

    F, ahead, rows = LOOKBACK.training_rows(X, Y)

    assert rows.tolist() == [2, 3, 4]
    assert ahead[:, 0].tolist() == [3, 4, 5]
    assert len(F) == 3


def test_no_row_looks_across_a_gap_in_time():
    X, Y = np.zeros((9, 2)), np.zeros((9, 1))
    times = np.array([0, 10, 20, 30, 40, 100, 110, 120, 130]) * 60_000.0

    _, _, rows = LOOKBACK.training_rows(X, Y, times)

    assert rows.tolist() == [2, 3, 7]


def test_a_missing_value_costs_the_rows_that_would_need_it_and_no_others():
    X = np.zeros((8, 2))
    X[3, 0] = np.nan

    _, rows = LOOKBACK.features(X)

    assert rows.tolist() == [2, 6, 7]


@given(st.integers(0, 6), st.integers(0, 4), st.integers(2, 5), st.integers(60, 100), st.integers(0, 99))
def test_purged_folds_share_no_measurement_between_train_and_test(lag, horizon, k, n, seed):
    lookback = Lookback((InputHistory("u", (0, lag) if lag else (0,)),), horizon)
    X = np.random.default_rng(seed).normal(size=(n, 1))
    _, _, rows = lookback.training_rows(X, X)

    found = lookback.purged(folds(Validation("time", k), len(rows), times=rows), rows)

    for train, test in found:
        used = {i for row in rows[train] for i in range(row - lag, row + horizon + 1)}
        tested = {i for row in rows[test] for i in range(row - lag, row + horizon + 1)}
        assert not used & tested


def test_rows_drawn_at_random_are_refused_when_all_of_them_touch():
    lookback = Lookback((InputHistory("u", (0, 30)),))
    X = np.zeros((100, 1))
    _, _, rows = lookback.training_rows(X, X)

    with pytest.raises(TrainingError, match="Hold out blocks of time"):
        lookback.purged(folds(Validation("random", 5), len(rows)), rows)


@pytest.fixture(scope="module")
def delayed():
    """A plant whose output follows the input of two rows ago, with the mean of the last three: y = 2 u[-2] + mean3."""
    u = np.random.default_rng(3).uniform(-1, 1, size=400)
    mean = np.convolve(u, np.ones(3) / 3)[: len(u)]
    y = np.concatenate([[0, 0], 2 * u[:-2]]) + mean
    lookback = Lookback((InputHistory("u", (2,), (3,)),))
    F, Y, _ = lookback.training_rows(u[:, None], y[:, None])
    return surrogates.fit("linear", F, Y, inputs=lookback.names, outputs=["y"]), lookback


def test_a_held_input_gives_what_the_plant_settles_at(delayed):
    model = Steady(*delayed)

    assert model.inputs == ("u",)
    np.testing.assert_allclose(model.predict([[0.5], [-1.0]]), [[1.5], [-3.0]], atol=1e-9)


def test_after_a_past_only_the_present_row_moves_the_prediction(delayed):
    model = Recent(*delayed, past=np.array([[9.0], [0.3], [0.6]]))

    predicted = model.predict([[0.9]])

    np.testing.assert_allclose(predicted, [[2 * 0.3 + (0.3 + 0.6 + 0.9) / 3]], atol=1e-9)


def test_features_in_prediction_are_those_of_training(delayed):
    _, lookback = delayed
    X = np.random.default_rng(1).normal(size=(10, 1))

    class Echo:
        inputs, outputs = lookback.names, lookback.names

        def predict(self, F):
            return F

    F, rows = lookback.features(X)

    np.testing.assert_allclose(Recent(Echo(), lookback, X[: rows[-1]]).predict(X[rows[-1:]]), F[-1:])
    np.testing.assert_allclose(Steady(Echo(), lookback).predict(X[:1]), lookback.features(np.tile(X[0], (3, 1)))[0])


def test_a_set_point_is_found_through_lags(delayed):
    wanted = Term("target", "y", value=1.2)

    found = minimize(Problem((Variable("u", -1, 1),), terms=(wanted,)), Steady(*delayed), solver="de", budget=600)

    assert found.inputs["u"] == pytest.approx(0.4, abs=1e-4)


def test_a_lookback_survives_json():
    assert Lookback.from_json(LOOKBACK.to_json()) == LOOKBACK


def test_inputs_without_a_declaration_are_seen_as_they_are():
    lookback = plain(["a", "b"], {"b": InputHistory("b", (1,))})

    assert lookback.names == ("a", "b @ -1")
    assert plain(["a"]).is_plain


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InputHistory("u", (-1,)), "lags of 'u'"),
        (lambda: InputHistory("u", (0,), (1,)), "windows of 'u'"),
        (lambda: InputHistory("u", (), ()), "nothing of 'u' is seen"),
        (lambda: InputHistory("u", (1, 1)), "twice"),
        (lambda: InputHistory("u", "12"), "list of whole numbers"),
        (lambda: Lookback(()), "needs inputs"),
        (lambda: Lookback((InputHistory("u"), InputHistory("u"))), "each of them once"),
        (lambda: Lookback((InputHistory("u"),), -1), "horizon"),
        (lambda: Lookback((InputHistory("u", tuple(range(2001))),)), "2001 features"),
        (lambda: Lookback.from_json({"inputs": [{}]}), "each with tag"),
        (lambda: plain(["a"], {"b": InputHistory("b")}), "'b' is no input"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, words):
    with pytest.raises(ParameterError, match=words):
        make()


def test_arrays_that_do_not_fit_are_refused(delayed):
    with pytest.raises(ShapeError, match="column for each input"):
        LOOKBACK.features(np.zeros((4, 3)))
    with pytest.raises(ShapeError, match="ascending order"):
        LOOKBACK.features(np.zeros((3, 2)), [0, 2, 1])
    with pytest.raises(ShapeError, match="one row of outputs"):
        LOOKBACK.training_rows(np.zeros((4, 2)), np.zeros((3, 1)))
    with pytest.raises(ShapeError, match="at least 2 rows"):
        Recent(*delayed, past=np.zeros((1, 1)))


def test_a_table_too_short_for_its_lags_is_refused_with_both_numbers():
    with pytest.raises(TrainingError, match="2 rows before it and the 1 after"):
        LOOKBACK.training_rows(np.zeros((3, 2)), np.zeros((3, 1)))

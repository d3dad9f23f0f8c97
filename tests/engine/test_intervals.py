import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelFileError, ParameterError, ShapeError, TrainingError
from engine.folds import Validation, folds
from engine.surrogates import Intervals, NotCalibrated, calibrate, fit
from engine.surrogates import intervals as module
from engine.surrogates.model_file import from_bytes, to_bytes
from engine.validation import CrossValidation, cross_validate

TAGS = {"inputs": ["a", "b"], "outputs": ["y", "z"]}


def plant(n, seed=0):
    """Noise of the first output grows with the first input; that of the second is the same everywhere."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 1, size=(n, 2))
    noise = rng.normal(size=(n, 2)) * np.stack([0.05 + 2 * X[:, 0] ** 2, np.full(n, 100.0)], axis=1)
    return X, np.stack([3 * X[:, 0] - X[:, 1], 1000 * X[:, 1]], axis=1) + noise


def validated(X, Y, n_folds=5, **tags):
    return cross_validate("linear", X, Y, folds(Validation("random", n_folds), len(X)), **(TAGS | tags))


@cache
def calibrated(n=400, seed=0):
    X, Y = plant(n, seed)
    return calibrate(fit("linear", X, Y, **TAGS), validated(X, Y))


def of_errors(E, fold=None):
    """A cross-validation of one input that measured these errors, shape (n,), and a model that predicts 0."""
    E = np.asarray(E, dtype=float)[:, None]
    X = np.arange(len(E), dtype=float)[:, None]
    fold = np.arange(len(E)) % 5 if fold is None else np.asarray(fold)
    scores = {"y": {"r2": None, "rmse": None, "mae": None}}
    cross_validation = CrossValidation(scores, [], np.zeros_like(E), len(E), 0.0, X, E, fold)
    return fit("linear", X, np.zeros_like(E), inputs=["a"], outputs=["y"]), cross_validation


# The promise


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.333])
def test_new_rows_lie_within_as_often_as_promised(level):
    X, Y = plant(20_000, seed=1)
    held = []
    for seed in range(5):
        lower, upper = calibrated(500, seed + 10).predict_interval(X, level)
        held.append(((lower <= Y) & (upper >= Y)).mean(axis=0))

    # 2,500 held-out rows in all: the share that they hold is off by 0.01 at most (one sd), at level 0.5
    np.testing.assert_allclose(np.mean(held, axis=0), level, atol=0.03)


def test_the_coverage_that_is_stored_is_what_new_rows_find():
    X, Y = plant(20_000, seed=1)
    surrogate = calibrated(1500)
    told = surrogate.intervals

    for i, level in enumerate(told.levels):
        lower, upper = surrogate.predict_interval(X, level)
        found = ((lower <= Y) & (upper >= Y)).mean(axis=0)
        np.testing.assert_allclose(told.coverage[i], found, atol=0.035)
        np.testing.assert_allclose(told.width[i], (upper - lower).mean(axis=0), rtol=0.1)
    assert (told.lowest <= told.coverage).all()


def test_without_difficulty_the_half_width_is_the_quantile_of_the_errors_counted_by_hand():
    E = np.random.default_rng(0).normal(size=99)
    surrogate, cross_validation = of_errors(E)
    surrogate = calibrate(surrogate, cross_validation)
    assert surrogate.intervals.difficulty is None

    lower, upper = surrogate.predict_interval([[3.0]], 0.9)

    # ceil(100 * 0.9) = 90: the 90th smallest of 99
    assert upper[0, 0] == -lower[0, 0] == np.sort(np.abs(E))[89]


@given(st.integers(2, 60), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_one_more_row_of_the_same_kind_is_held_with_at_least_the_level(n, level):
    E = np.arange(1.0, n + 2)  # any one of n + 1 exchangeable errors may be the new one
    held = 0
    if level > n / (n + 1):
        with pytest.raises(ParameterError, match="held-out rows tell intervals up to"):
            module._quantile(E[1:, None], level, n)
        return
    for i, new in enumerate(E):
        held += new <= module._quantile(np.delete(E, i)[:, None], level, n)[0]

    assert held >= level * (n + 1) - 1e-6
    assert held <= level * (n + 1) + 1


def test_a_higher_level_is_never_narrower():
    surrogate, X = calibrated(), plant(50, seed=2)[0]

    widths = [np.subtract(*reversed(surrogate.predict_interval(X, level))) for level in (0.1, 0.5, 0.9, 0.99)]

    assert all((narrow <= wide).all() for narrow, wide in pairwise(widths))


def test_difficulty_is_kept_where_errors_depend_on_the_place_and_only_there():
    by_place, flat = calibrated(), calibrate(*of_errors(np.random.default_rng(0).normal(size=300)))

    lower, upper = by_place.predict_interval([[0.05, 0.5], [0.95, 0.5]], 0.9)

    assert by_place.intervals.is_scaled.tolist() == [True, False]
    assert flat.intervals.difficulty is None
    assert (upper - lower)[1, 0] > 4 * (upper - lower)[0, 0]
    assert (upper - lower)[1, 1] == pytest.approx((upper - lower)[0, 1])


def test_blocks_of_time_promise_wider_intervals_than_rows_at_random_where_a_plant_drifts():
    rng = np.random.default_rng(0)
    n = 500
    level = np.repeat(rng.normal(size=10), 50)
    X = np.stack([np.arange(n), rng.normal(size=n)], axis=1)
    Y = (level + 0.1 * rng.normal(size=n))[:, None]
    options = {"inputs": ["time", "b"], "outputs": ["y"], "params": {"n_trees": 10}}
    model = fit("extra_trees", X, Y, **options)

    widths = []
    for scheme in ("random", "time"):
        parts = folds(Validation(scheme), n, times=np.arange(n))
        surrogate = calibrate(model, cross_validate("extra_trees", X, Y, parts, **options))
        widths.append(surrogate.intervals.width[2, 0])

    assert widths[1] > 3 * widths[0]


def test_many_scores_are_thinned_without_a_change_of_level(monkeypatch):
    E = np.random.default_rng(0).exponential(size=5000)
    surrogate, cross_validation = of_errors(E)
    whole = calibrate(surrogate, cross_validation)
    monkeypatch.setattr(module, "MOST_SCORES", 700)

    thin = calibrate(surrogate, cross_validation)

    assert len(thin.intervals.scores) == 700
    for level in (0.2, 0.9, 0.999):
        (all_of_them,), (some,) = (model.predict_interval([[1.0]], level)[1] for model in (whole, thin))
        assert all_of_them <= some <= np.sort(E)[min(4999, int(np.ceil(5001 * level)) + 8)]


@pytest.mark.parametrize("fold", [[0] * 40, [0] * 20 + [-1] * 20, list(range(40))])
def test_any_number_of_folds_will_do(fold):
    surrogate, cross_validation = of_errors(np.random.default_rng(0).normal(size=40), fold)

    intervals = calibrate(surrogate, cross_validation).intervals

    assert intervals.n_rows == sum(f >= 0 for f in fold)
    assert (intervals.coverage[2] > 0.75).all()


def test_two_folds_are_enough_although_nothing_is_left_to_learn_the_difficulty_from():
    X, Y = plant(400)

    surrogate = calibrate(fit("linear", X, Y, **TAGS), validated(X, Y, n_folds=2))

    assert not surrogate.intervals.is_scaled.any()
    np.testing.assert_allclose(surrogate.intervals.coverage[2], 0.9, atol=0.05)


def test_perfect_predictions_have_intervals_without_width():
    lower, upper = calibrate(*of_errors(np.zeros(30))).predict_interval([[1.0]], 0.9)

    assert lower == upper == 0


# Storage


@pytest.mark.parametrize("n", [60, 400])
def test_intervals_survive_storage_to_the_last_bit(n):
    surrogate, X = calibrated(n), plant(30, seed=3)[0]

    again = from_bytes(to_bytes(surrogate))

    for one, other in zip(surrogate.predict_interval(X, 0.8), again.predict_interval(X, 0.8), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.intervals.to_json() == surrogate.intervals.to_json()
    assert to_bytes(again) == to_bytes(surrogate)
    json.dumps(surrogate.intervals.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: a | {"scores": a["scores"][::-1]}, "do not ascend"),
        (lambda a: a | {"scores": a["scores"] - 1e9}, "do not ascend from 0"),
        (lambda a: a | {"n_rows": a["n_rows"] - 1}, "more than their rows"),
        (lambda a: a | {"scale": a["scale"] * 0}, "not positive"),
        (lambda a: a | {"coverage": a["coverage"][:1]}, "'coverage' has shape"),
        (lambda a: a | {"levels": np.empty(0)}, "'levels' has shape"),
        (lambda a: a | {"levels": np.array(0.5)}, "'levels' has shape"),
        (lambda a: a | {"other": a["levels"]}, "'other'"),
        (lambda a: a | {"difficulty.feature": a["difficulty.feature"] + 9}, "an input that does not exist"),
        (lambda a: a | {"is_scaled": a["is_scaled"] * 0}, "must not have it"),
        (lambda a: {n: v for n, v in a.items() if n != "difficulty.root"}, "'root'"),
    ],
)
def test_intervals_that_are_not_sound_are_refused(spoil, words):
    with pytest.raises(ModelFileError, match=words):
        Intervals.from_arrays(spoil(calibrated().intervals.arrays()), 2, 2)


def test_calibrating_leaves_the_model_as_it_was():
    X, Y = plant(100)
    model = fit("linear", X, Y, **TAGS)

    surrogate = calibrate(model, validated(X, Y))

    assert model.intervals is None
    np.testing.assert_array_equal(surrogate.predict(X), model.predict(X))


# Refusals


def test_a_model_that_was_never_calibrated_says_so():
    X, Y = plant(30)

    with pytest.raises(NotCalibrated, match="calibrate it with a cross-validation") as refusal:
        fit("linear", X, Y, **TAGS).predict_interval(X)

    assert refusal.value.code == "model.not_calibrated"


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, float("nan"), "0.9", None, 90])
def test_a_level_lies_between_0_and_1(level):
    with pytest.raises(ParameterError, match="between 0 and 1"):
        calibrated(60).predict_interval([[0.5, 0.5]], level)


def test_few_rows_tell_no_high_level():
    surrogate = calibrated(19)

    assert surrogate.predict_interval([[0.5, 0.5]], 0.95)[0].shape == (1, 2)
    with pytest.raises(ParameterError, match=r"19 held-out rows tell intervals up to the level 0\.95, not 0\.96"):
        surrogate.predict_interval([[0.5, 0.5]], 0.96)


def test_a_cross_validation_of_something_else_is_refused():
    X, Y = plant(30)
    model = fit("linear", X, Y, **TAGS)

    with pytest.raises(ShapeError, match=r"\['y', 'other'\] from 2 inputs, the model of \['y', 'z'\] from 2"):
        calibrate(model, validated(X, Y, outputs=["y", "other"]))
    with pytest.raises(ShapeError, match="from 1 inputs"):
        calibrate(model, validated(X[:, :1], Y, inputs=["a"]))


def test_a_cross_validation_without_held_out_rows_is_refused():
    surrogate, cross_validation = of_errors(np.ones(5), [-1] * 5)

    with pytest.raises(TrainingError, match="at least 2 held-out rows, but there are 0"):
        calibrate(surrogate, cross_validation)
    with pytest.raises(TrainingError, match="but there are 1"):
        calibrate(surrogate, replace(cross_validation, fold=np.array([0, -1, -1, -1, -1])))

"""One contract for every kind of surrogate."""

import subprocess
import sys

import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError, TrainingError
from engine.surrogates import KINDS, NotFinite, Surrogate, fit, load, save

INPUTS = ("load", "给煤量", "O2 in APH (%)", "flow")
OUTPUTS = ("efficiency", "NOx", "steam")
QUICK = {
    "linear": {"alpha": 0.5},
    "ridge": {},
    "gaussian_process": {"max_rows": 100},
    "neural_network": {"n_units": 16, "n_members": 2, "n_epochs": 1},
    "random_forest": {"n_trees": 12, "max_features": 0.6},
    "extra_trees": {"n_trees": 12, "max_features": 0.6},
    "hist_gradient_boosting": {"n_iterations": 12, "learning_rate": 0.4},
    "auto": {"budget": 3},
}


def plant_rows(n=160, seed=0):
    """Return inputs and outputs of a made-up plant, in units that differ by fifteen orders of magnitude."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, len(INPUTS)))
    X = Z * [30.0, 5.0, 0.4, 1e5] + [200.0, 40.0, 3.0, 2e6]
    noise = rng.normal(size=(n, len(OUTPUTS)))
    signal = np.stack([Z[:, 0] - Z[:, 1], 2 * Z[:, 2], np.abs(Z[:, 3])], axis=1)
    return X, (signal + 0.05 * noise) * [0.01, 1e6, 1e-9] + [0.9, 3e6, 0.0]


def trained(kind, X, Y, **options):
    inputs, outputs = INPUTS[: X.shape[1]], OUTPUTS[: Y.shape[1]]
    return fit(kind, X, Y, **{"inputs": inputs, "outputs": outputs, "params": QUICK[kind]} | options)


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def models():
    """One trained surrogate of each kind, made when first asked for."""
    made = {}

    def model(kind):
        if kind not in made:
            made[kind] = trained(kind, *plant_rows())
        return made[kind]

    return model


# What a surrogate tells about itself


def test_every_kind_is_in_the_contract():
    assert QUICK.keys() == KINDS.keys()


def test_a_surrogate_knows_what_it_was_trained_on(kind, models):
    X, Y = plant_rows()

    surrogate = models(kind)

    assert isinstance(surrogate, Surrogate)
    assert (surrogate.kind, surrogate.inputs, surrogate.outputs) == (kind, INPUTS, OUTPUTS)
    assert surrogate.n_rows == len(X)
    assert surrogate.params.items() >= QUICK[kind].items()
    np.testing.assert_array_equal(surrogate.input_ranges, list(zip(X.min(0), X.max(0), strict=True)))
    np.testing.assert_array_equal(surrogate.output_ranges, list(zip(Y.min(0), Y.max(0), strict=True)))
    np.testing.assert_array_equal(surrogate.input_sd, X.std(axis=0))
    np.testing.assert_array_equal(surrogate.output_sd, Y.std(axis=0))


def test_a_surrogate_cannot_be_changed(kind, models):
    surrogate = models(kind)

    with pytest.raises(AttributeError):
        surrogate.kind = "linear"
    with pytest.raises(TypeError):
        surrogate.params["alpha"] = 1.0
    for array in surrogate.form.arrays().values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


# What it predicts


def test_it_learns_every_output_whatever_its_unit(kind):
    X, Y = plant_rows(600)
    X_new, Y_new = plant_rows(200, seed=1)
    Y[:, 2], Y_new[:, 2] = (1e-9 * (rows[:, 3] - 2e6) / 1e5 for rows in (X, X_new))  # a line is there for all

    few = {"budget": 12} if kind == "auto" else {}  # its usual search takes a minute

    predicted = trained(kind, X, Y, params=few).predict(X_new)

    unexplained = ((predicted - Y_new) ** 2).mean(axis=0) / Y_new.var(axis=0)
    assert (unexplained < 0.3).all(), unexplained  # 1 for an output that is outweighed and not seen


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n_rows", [0, 1, 7])
def test_predictions_have_a_row_for_each_row_and_a_column_for_each_output(kind, n_rows, n_outputs):
    X, Y = plant_rows(40)

    predicted = trained(kind, X, Y[:, :n_outputs]).predict(X[:n_rows])

    assert predicted.shape == (n_rows, n_outputs)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()


def test_a_row_is_predicted_alike_in_any_company(kind, models):
    X, _ = plant_rows(50, seed=2)

    together = models(kind).predict(X)
    alone = np.concatenate([models(kind).predict(row[None]) for row in X])

    np.testing.assert_array_equal(alone, together)


def test_lists_and_other_layouts_of_memory_are_taken_as_well(kind, models):
    X, _ = plant_rows(5, seed=2)
    expected = models(kind).predict(X)

    np.testing.assert_array_equal(models(kind).predict(X.tolist()), expected)
    np.testing.assert_array_equal(models(kind).predict(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(models(kind).predict(np.repeat(X, 2, axis=0)[::2]), expected)


def test_the_same_seed_gives_the_same_bits(kind):
    X, Y = plant_rows(80)

    first, second, other = (trained(kind, X, Y, seed=seed) for seed in (7, 7, 8))

    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    if kind.endswith(("forest", "trees")):
        assert (first.predict(X) != other.predict(X)).any()


def test_the_number_of_threads_changes_no_bit(kind):
    X, Y = plant_rows(80)

    alone, together = (trained(kind, X, Y, n_jobs=n_jobs) for n_jobs in (1, 3))

    for name, array in alone.form.arrays().items():
        np.testing.assert_array_equal(together.form.arrays()[name], array)


def test_columns_belong_to_tags_by_their_place(kind):
    X, _ = plant_rows(300)
    Y = (X[:, [2, 0]] - X[:, [2, 0]].mean(axis=0)) / X[:, [2, 0]].std(axis=0)

    predicted = trained(kind, X, Y, outputs=["of O2", "of load"]).predict(X)

    correlation = np.corrcoef(predicted.T, X[:, [2, 0]].T)[:2, 2:]
    assert (np.diag(correlation) > 0.9).all()
    assert (np.abs(correlation - np.diag(np.diag(correlation))) < 0.3).all()


def test_a_constant_input_is_no_obstacle_and_has_no_effect(kind):
    X, Y = plant_rows(80)
    X[:, 1] = 0.1  # whose mean over 80 rows is not exactly 0.1
    moved = X.copy()
    moved[:, 1] += 55.0

    surrogate = trained(kind, X, Y)

    np.testing.assert_allclose(surrogate.predict(moved), surrogate.predict(X), rtol=1e-9, atol=0)


def test_a_constant_output_is_predicted_exactly_enough(kind):
    X, _ = plant_rows(80)

    predicted = trained(kind, X, np.full((80, 1), 0.3)).predict(X)

    np.testing.assert_allclose(predicted, 0.3, rtol=1e-14)


def test_one_row_is_learned_by_heart(kind):
    X, Y = plant_rows(1)

    surrogate = trained(kind, X, Y)

    np.testing.assert_allclose(surrogate.predict(X), Y, rtol=1e-14)


@pytest.mark.parametrize("offset", [1e9, -1e9])
def test_a_counter_that_stands_high_is_seen_as_finely_as_one_near_zero(kind, offset):
    rng = np.random.default_rng(5)
    steps = rng.integers(-8, 8, size=(200, 2)).astype(float)  # float32 cannot tell 1e9 from 1e9 + 8
    Y = (steps[:, :1] > 0) * 1.0 + 0.1 * steps[:, 1:]

    predicted = trained(kind, steps + offset, Y).predict(steps + offset)

    assert ((predicted - Y) ** 2).mean() < 0.3 * Y.var()  # 1 for a model that cannot tell the steps apart


# What it refuses


@pytest.mark.parametrize("X", [np.zeros((3, 5)), np.zeros((3, 3)), np.zeros(4), np.zeros((1, 1, 4)), 1.0])
def test_inputs_of_another_shape_are_refused_with_both_shapes(kind, models, X):
    with pytest.raises(ShapeError) as refusal:
        models(kind).predict(X)

    assert f"has shape {np.shape(X)} but (n, 4) is needed" in str(refusal.value)
    assert refusal.value.details["given"] == list(np.shape(X))


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_missing_input_is_refused_with_its_row_and_tag(kind, models, hole):
    X, _ = plant_rows(5)
    X[3, 1] = hole

    with pytest.raises(NotFinite, match="row 3, tag '给煤量'") as refusal:
        models(kind).predict(X)

    assert refusal.value.details == {"array": "X", "row": 3, "tag": "给煤量", "n_cells": 1}


def test_text_is_refused(kind, models):
    with pytest.raises(NotFinite, match="cannot be read as numbers"):
        models(kind).predict([["a", "b", "c", "d"]])


@pytest.mark.parametrize("place", ["X", "Y"])
def test_rows_with_gaps_are_not_trained_on(kind, place):
    X, Y = plant_rows(10)
    (X if place == "X" else Y)[4, 0] = np.nan

    with pytest.raises(NotFinite, match=f"{place} holds nan in row 4"):
        trained(kind, X, Y)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"kind": "magic"}, ParameterError, "no kind of surrogate 'magic'; there are linear"),
        ({"kind": None}, ParameterError, "no kind of surrogate None"),
        ({"seed": -1}, ParameterError, "seed must be a whole number from 0 to 4294967295, not -1"),
        ({"seed": 1.5}, ParameterError, "seed must be a whole number"),
        ({"n_jobs": 0}, ParameterError, "n_jobs must be a whole number from 1"),
        ({"inputs": INPUTS[:3]}, ShapeError, r"X has shape \(10, 4\) but \(n, 3\) is needed"),
        ({"outputs": ["a"] * 2}, TrainingError, "outputs holds 'a' more than once"),
        ({"outputs": []}, TrainingError, "outputs is empty"),
        ({"inputs": "load"}, TrainingError, "inputs must be a list of tags, not 'load'"),
        ({"Y": np.zeros((9, 3))}, ShapeError, r"X has shape \(10, 4\) but Y has \(9, 3\)"),
        ({"Y": np.zeros(10)}, ShapeError, r"Y has shape \(10,\) but \(n, 3\)"),
        ({"Y": np.full((10, 3), -1e31)}, TrainingError, "Y holds -1e.31 in row 0, tag 'efficiency'"),
        ({"X": np.zeros((0, 4)), "Y": np.zeros((0, 3))}, TrainingError, "no rows to train on"),
    ],
)
def test_training_names_what_does_not_fit(change, error, words):
    X, Y = plant_rows(10)
    given = {"kind": "linear", "X": X, "Y": Y, "inputs": INPUTS, "outputs": OUTPUTS} | change

    with pytest.raises(error, match=words):
        fit(given.pop("kind"), given.pop("X"), given.pop("Y"), **given)


def test_a_model_too_large_to_store_is_refused_when_it_is_trained(monkeypatch):
    monkeypatch.setattr("engine.surrogates.surrogate.LARGEST_MODEL", 20_000)

    with pytest.raises(TrainingError, match="fewer trees, or for more rows in a leaf"):
        trained("random_forest", *plant_rows(80))


# Storage


def test_a_stored_surrogate_predicts_the_same_bits(kind, models, tmp_path):
    X, _ = plant_rows(50, seed=3)
    original = models(kind)

    save(original, tmp_path / "model")
    loaded = load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.predict(X), original.predict(X))
    for name in ("kind", "params", "inputs", "outputs", "n_rows"):
        assert getattr(loaded, name) == getattr(original, name)
    for name in ("input_ranges", "output_ranges", "input_sd", "output_sd"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(original, name))


PREDICT_ELSEWHERE = """
import sys
import numpy as np
from engine.surrogates import load
X = np.load(sys.argv[2])
np.save(sys.argv[3], np.concatenate([load(path).predict(X) for path in sys.argv[4:]]))
heavy = {"sklearn", "onnxruntime", "onnx"} & sys.modules.keys()
assert not heavy, heavy
"""


def test_another_process_predicts_the_same_bits_without_the_training_libraries(models, tmp_path):
    X, _ = plant_rows(30, seed=4)
    np.save(tmp_path / "X.npy", X)
    for kind in KINDS:
        save(models(kind), tmp_path / kind)

    paths = [tmp_path / name for name in ("X.npy", "Y.npy", *KINDS)]
    subprocess.run([sys.executable, "-c", PREDICT_ELSEWHERE, "-", *paths], check=True, timeout=60)

    expected = np.concatenate([models(kind).predict(X) for kind in KINDS])
    np.testing.assert_array_equal(np.load(tmp_path / "Y.npy"), expected)

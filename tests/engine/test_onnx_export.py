import json

import numpy as np
import onnx
import onnxruntime
import pytest

from engine.surrogates import KINDS, NotExportable, fit, onnx_graphs, to_onnx
from engine.surrogates.blend import BlendForm, Member
from engine.surrogates.onnx_export import TOLERANCE, TOLERANCE_OF_PROCESSES, compared_rows, difference, tolerance

INPUTS, OUTPUTS = ("load", "给煤量", "flow", "valve"), ("efficiency", "NOx", "steam")
QUICK = {
    "linear": {"alpha": 0.5},
    "gaussian_process": {"max_rows": 100},
    "neural_network": {"n_units": 16, "n_members": 2, "n_epochs": 1},
    "random_forest": {"n_trees": 12},
    "extra_trees": {"n_trees": 12},
    "hist_gradient_boosting": {"n_iterations": 12},
    "auto": {"budget": 3},
}


def plant_rows(n=160):
    """Return rows in units that differ by many orders of magnitude; the last input and the last output are constant."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n, 4))
    Z[:, 3] = 1.0
    Y = np.stack([Z[:, 0] - Z[:, 1] + 0.1 * rng.normal(size=n), np.exp(Z[:, 2]), np.ones(n)], axis=1)
    return Z * [30.0, 0.4, 1e5, 1.0] + [200.0, 3.0, 2e6, 0.0], Y * [0.01, 1e6, 1e-9] + [0.9, 0.0, 0.0]


def trained(kind, n_outputs=3, **params):
    X, Y = plant_rows()
    params = QUICK.get(kind, {}) | params
    return fit(kind, X, Y[:, :n_outputs], inputs=INPUTS, outputs=OUTPUTS[:n_outputs], params=params)


def run(content, X):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(["Y"], {"X": X})[0]


def rows_at_thresholds(trees):
    """Return training rows of which one number is a threshold, or the next float64 on either side of it."""
    X, _ = plant_rows()
    splits = np.flatnonzero(trees.feature >= 0)[:150]
    rows = np.repeat(X[: len(splits)], 3, axis=0)
    at = np.stack([np.nextafter(trees.threshold[splits], -np.inf), trees.threshold[splits]], axis=1)
    at = np.column_stack([at, np.nextafter(at[:, 1], np.inf)]).ravel()
    rows[np.arange(len(rows)), np.repeat(trees.feature[splits], 3)] = at
    return rows


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_predicts_what_the_surrogate_predicts_within_and_far_beyond_the_rows(kind, n_outputs):
    surrogate = trained(kind, n_outputs)
    X, _ = plant_rows()
    rows = np.vstack([X, compared_rows(surrogate), X.mean(axis=0) + 50 * (X - X.mean(axis=0))])

    given = run(to_onnx(surrogate), rows)

    assert given.shape == (len(rows), n_outputs)
    assert difference(given, surrogate.predict(rows), surrogate.output_sd) <= tolerance(surrogate.form)


@pytest.mark.parametrize("kind", ["linear", "random_forest", "neural_network"])
@pytest.mark.parametrize("missing", ["refuse", "impute"])
def test_the_file_encodes_categories_and_fills_gaps_as_the_surrogate_does(kind, missing):
    X, Y = plant_rows()
    X[:, 1] = np.arange(len(X)) % 3
    if missing == "impute":
        X[::5, 0] = np.nan
    given = {"categories": {INPUTS[1]: ["gas", "煤", "oil"]}, "missing": missing, "params": QUICK.get(kind, {})}
    surrogate = fit(kind, X, Y, inputs=INPUTS, outputs=OUTPUTS, **given)

    content = to_onnx(surrogate)

    assert difference(run(content, X), surrogate.predict(X), surrogate.output_sd) <= TOLERANCE
    told = {each.key: each.value for each in onnx.load_model_from_string(content).metadata_props}
    assert json.loads(told["categories"]) == {INPUTS[1]: ["gas", "煤", "oil"]}


@pytest.mark.parametrize("kind", ["random_forest", "extra_trees", "hist_gradient_boosting"])
def test_trees_split_at_the_very_same_numbers(kind):
    surrogate = trained(kind)
    rows = rows_at_thresholds(surrogate.form)

    given = run(to_onnx(surrogate), rows)

    np.testing.assert_allclose(given, surrogate.predict(rows), rtol=1e-12, atol=0)


@pytest.mark.parametrize("smoothness", [0, 1, 2, 3])
def test_every_kernel_has_its_graph(smoothness):
    surrogate = trained("gaussian_process", smoothness=smoothness)
    rows = compared_rows(surrogate)

    assert difference(run(to_onnx(surrogate), rows), surrogate.predict(rows), surrogate.output_sd) <= 1e-6


def test_members_of_a_blend_that_learned_logarithms_are_carried_back_and_weighed():
    X, _ = plant_rows()
    linear, forest = trained("linear").form, trained("extra_trees").form
    is_log = np.array([False, True, False])
    weights = np.array([[0.3, 1e-9, 0.0], [0.7, 0.5, 1.0]])
    form = BlendForm((Member("linear", linear, is_log), Member("extra_trees", forest, np.zeros(3, bool))), weights)
    graph = onnx_graphs.Graph()

    content = graph.model(onnx_graphs.add_form(graph, form, "X"), 4, 3, {}).SerializeToString()

    np.testing.assert_allclose(run(content, X), form.predict(X), rtol=1e-9)  # exp of a million ends at 1e100
    assert form.predict(X)[:, 1].max() > 1e80


def test_the_file_is_sound_and_tells_what_it_takes_and_gives():
    surrogate = trained("extra_trees")

    model = onnx.load_model_from_string(to_onnx(surrogate))

    onnx.checker.check_model(model, full_check=True)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert tuple(json.loads(told["inputs"])) == INPUTS
    assert tuple(json.loads(told["outputs"])) == OUTPUTS
    assert json.loads(told["input_ranges"]) == surrogate.input_ranges.tolist()
    assert told["setpoint.kind"] == "extra_trees"


def test_the_same_surrogate_gives_the_same_bytes():
    surrogate = trained("extra_trees")

    assert to_onnx(surrogate) == to_onnx(surrogate)


def test_a_file_that_predicts_otherwise_does_not_leave(monkeypatch):
    surrogate = trained("linear")
    monkeypatch.setattr(onnx_graphs, "_scaled", lambda graph, scaling, X: X)

    with pytest.raises(NotExportable, match="this linear model predicts otherwise"):
        to_onnx(surrogate)


def test_a_form_without_a_graph_is_refused_by_name():
    with pytest.raises(NotExportable, match="a str cannot be written"):
        onnx_graphs.add_form(onnx_graphs.Graph(), "trees", "X")


def test_trees_beyond_what_a_file_holds_are_refused(monkeypatch):
    monkeypatch.setattr(onnx_graphs, "MOST_NODES", 100)

    with pytest.raises(NotExportable, match="more than 100 nodes"):
        to_onnx(trained("random_forest"))


def test_the_difference_counts_in_sizes_of_each_output():
    wanted = np.array([[1e6, 0.0], [-2e6, 0.0]])
    given = wanted + np.array([[0.0, 0.0], [2.0, 1e-3]])

    assert difference(given, wanted, np.array([1.0, 0.1])) == pytest.approx(1e-2)
    assert difference(given, wanted * [1, np.nan], np.ones(2)) == np.inf
    assert TOLERANCE < TOLERANCE_OF_PROCESSES

"""Imported models as surrogates: stored, asked and optimized over like those that were trained."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelFileError, ParameterError, ShapeError, TrainingError
from engine.exact import eligible
from engine.importance import model_importance
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable
from engine.surrogates import InputDeclaration, OnnxRefused, check_params, fit, import_onnx, load, save, to_onnx
from engine.surrogates.model_file import from_bytes, pack, to_bytes
from engine.validation import cross_validate
from tests.engine.test_onnx_import import AFFINE, DECLARED, W


@pytest.fixture(scope="module")
def imported():
    return import_onnx(AFFINE, inputs=DECLARED, outputs=["y", "z"])


def bowl():
    """Return a file that predicts (a - 1)^2 + (b + 0.5)^2."""
    center = numpy_helper.from_array(np.array([1.0, -0.5]), "c")
    nodes = [
        helper.make_node("Sub", ["X", "c"], ["d"]),
        helper.make_node("Mul", ["d", "d"], ["s"]),
        helper.make_node("ReduceSum", ["s", "axes"], ["Y"]),
    ]
    taken = [helper.make_tensor_value_info("X", TensorProto.DOUBLE, ["n", 2])]
    given = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, ["n", 1])]
    graph = helper.make_graph(nodes, "g", taken, given, [center, numpy_helper.from_array(np.array([1]), "axes")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def test_an_imported_model_tells_what_was_declared(imported):
    assert (imported.kind, imported.inputs, imported.outputs) == ("onnx", ("a", "b", "n"), ("y", "z"))
    assert imported.input_ranges.tolist() == [[0, 2], [-1, 1], [1, 9]]
    assert imported.form.is_integer.tolist() == [0, 0, 1]
    assert (imported.n_rows, dict(imported.params)) == (0, {})


def test_it_predicts_what_its_file_says_and_checks_what_it_is_given(imported):
    X = np.random.default_rng(0).normal(size=(20, 3))

    np.testing.assert_allclose(imported.predict(X), X @ W, rtol=1e-12)
    assert imported.predict(np.empty((0, 3))).shape == (0, 2)
    with pytest.raises(ShapeError):
        imported.predict(X[:, :2])


def test_without_measurements_inputs_vary_evenly_within_their_bounds(imported):
    even = np.random.default_rng(0).uniform([0, -1, 1], [2, 1, 9], (100_000, 3))

    np.testing.assert_allclose(imported.input_sd, even.std(axis=0), rtol=0.01)
    assert (imported.output_sd > 0).all()


def test_measurements_tell_how_far_tags_vary():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))

    surrogate = import_onnx(AFFINE, inputs=DECLARED, outputs=["y", "z"], X=X, Y=Y)

    np.testing.assert_allclose(surrogate.input_sd, X.std(axis=0))
    np.testing.assert_allclose(surrogate.output_ranges, np.stack([Y.min(axis=0), Y.max(axis=0)], axis=1))
    with pytest.raises(ShapeError, match="50 rows and Y has 49"):
        import_onnx(AFFINE, inputs=DECLARED, outputs=["y", "z"], X=X, Y=Y[1:])


def test_a_stored_model_is_the_same_after_loading(imported, tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 3))
    save(imported, tmp_path / "model")

    loaded = load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.predict(X), imported.predict(X))
    assert to_bytes(loaded) == to_bytes(imported)
    for name in ("kind", "inputs", "outputs", "n_rows"):
        assert getattr(loaded, name) == getattr(imported, name)


def described(surrogate, **changes):
    model = {
        "format": "setpoint.surrogate",
        "version": 2,
        "kind": surrogate.kind,
        "params": {},
        "inputs": surrogate.inputs,
        "outputs": surrogate.outputs,
        "n_rows": surrogate.n_rows,
        "choice": None,
    }
    summaries = {name: getattr(surrogate, name) for name in ("input_ranges", "output_ranges", "input_sd", "output_sd")}
    return pack(model | changes.pop("model", {}), surrogate.form.arrays() | summaries | changes)


def test_a_stored_file_that_is_hostile_or_no_file_is_refused(imported):
    for wrong, words in [
        ({"onnx": np.frombuffer(b"no such file", np.uint8)}, "not an ONNX file"),
        ({"onnx": imported.form.content[:0]}, "shape"),
        ({"onnx": np.zeros(3)}, "uint8 is needed"),
        ({"more": np.zeros(3)}, "more"),
        ({"model": {"n_rows": -1}}, "number of rows"),
        ({"model": {"kind": "linear", "n_rows": 1}}, "'center'"),
        ({"model": {"kind": ["onnx"], "n_rows": 1}}, "no kind of surrogate"),
    ]:
        with pytest.raises(ModelFileError, match=words):
            from_bytes(described(imported, **wrong))
    assert from_bytes(described(imported)).kind == "onnx"


def test_bytes_have_no_place_in_a_model_of_another_kind():
    X = np.random.default_rng(0).normal(size=(20, 1))
    linear = fit("linear", X, X, inputs=["a"], outputs=["y"])

    with pytest.raises(ModelFileError, match="uint8"):
        from_bytes(described(linear, center=np.zeros(1, np.uint8)))


def test_it_cannot_be_trained():
    X = np.random.default_rng(0).normal(size=(20, 1))

    with pytest.raises(ParameterError, match="kind 'onnx' are imported, not trained"):
        fit("onnx", X, X, inputs=["a"], outputs=["y"])
    with pytest.raises(ParameterError, match="imported, not trained"):
        check_params("onnx", {})
    with pytest.raises(ParameterError, match="imported, not trained"):
        cross_validate("onnx", X, X, [(np.arange(10), np.arange(10, 20))], inputs=["a"], outputs=["y"])


def test_an_optimization_over_it_finds_the_best_inputs():
    surrogate = import_onnx(
        bowl(), inputs=[InputDeclaration("a", -3, 3), InputDeclaration("b", -3, 3)], outputs=["cost"]
    )
    problem = Problem(
        variables=(Variable("a", -3, 3), Variable("b", -3, 3)), terms=(Term("minimize", "cost", scale=1.0),)
    )

    optimum = minimize(problem, surrogate, budget=600)

    assert [variable.value for variable in optimum.variables] == pytest.approx([1.0, -0.5], abs=1e-2)


def test_no_certificate_and_no_importance_can_be_read_from_it(imported):
    free = tuple(Variable(each.tag, each.lower, each.upper) for each in DECLARED)

    (reason,) = eligible(Problem(variables=free, terms=(Term("minimize", "y"),)), imported)

    assert "onnx" in reason
    with pytest.raises(Exception, match="onnx"):
        model_importance(imported, np.zeros((5, 3)))


def test_its_export_is_the_file_that_came_in(imported):
    assert to_onnx(imported) == AFFINE


def test_a_surrogate_that_was_exported_predicts_the_same_after_import():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    forest = fit("extra_trees", X, X**2, inputs=["a", "b"], outputs=["y", "z"], params={"n_trees": 10})
    declared = [InputDeclaration(tag, *ends) for tag, ends in zip("ab", forest.input_ranges.tolist(), strict=True)]

    imported = import_onnx(to_onnx(forest), inputs=declared, outputs=forest.outputs)

    np.testing.assert_allclose(imported.predict(X), forest.predict(X), rtol=1e-12)


def test_what_is_declared_must_fit_the_file_and_itself():
    for inputs, outputs, words in [
        (DECLARED[:2], ["y", "z"], "cannot be run with 2 inputs"),
        (DECLARED, ["y"], "gives 2 outputs, but 1"),
    ]:
        with pytest.raises(OnnxRefused, match=words):
            import_onnx(AFFINE, inputs=inputs, outputs=outputs)
    with pytest.raises(TrainingError, match="'y' more than once"):
        import_onnx(AFFINE, inputs=DECLARED, outputs=["y", "y"])

"""ONNX files from outside: what is let through, and what is refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelFileError, ParameterError
from engine.surrogates import onnx_import, onnx_sandbox, onnx_worker
from engine.surrogates.onnx_import import InputDeclaration, OnnxForm, OnnxRefused, of_file, probe_points

DECLARED = [InputDeclaration("a", 0.0, 2.0), InputDeclaration("b", -1.0, 1.0), InputDeclaration("n", 1, 9, "integer")]
PROBE = probe_points(DECLARED)


def model(nodes, initializers=(), *, inputs=("X",), shape=("n", 3), kind=TensorProto.DOUBLE, opset=20, out=("n", 2)):
    """Return the bytes of an ONNX model from ``inputs`` to "Y"."""
    taken = [helper.make_tensor_value_info(name, kind, list(shape)) for name in inputs]
    given = [helper.make_tensor_value_info("Y", kind, list(out))]
    graph = helper.make_graph(nodes, "g", taken, given, list(initializers))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


W = np.array([[1.0, 0.5], [2.0, -1.0], [0.0, 3.0]])
AFFINE = model([helper.make_node("MatMul", ["X", "W"], ["Y"])], [numpy_helper.from_array(W, "W")])


def test_a_file_predicts_what_its_arithmetic_says():
    form = of_file(AFFINE, DECLARED, 2)
    X = np.random.default_rng(0).normal(size=(1000, 3))

    np.testing.assert_allclose(form.predict(X), X @ W, rtol=1e-12)


def test_a_file_with_a_column_for_each_input_is_fed_column_by_column():
    nodes = [helper.make_node("Add", ["a", "b"], ["s"]), helper.make_node("Mul", ["s", "n"], ["Y"])]
    content = model(nodes, inputs=("a", "b", "n"), shape=("n", 1), kind=TensorProto.FLOAT, out=("n", 1))

    form = of_file(content, DECLARED, 1)

    np.testing.assert_allclose(form.predict([[1.0, 2.0, 3.0]] @ np.eye(3)), [[9.0]])


def test_a_stored_file_predicts_the_same_and_an_altered_one_is_refused():
    form = of_file(AFFINE, DECLARED, 2)
    again = OnnxForm.from_arrays(form.arrays(), 3, 2)
    altered = form.content.copy()
    altered[:20] ^= 0xFF

    np.testing.assert_array_equal(again.predict(PROBE), form.predict(PROBE))
    with pytest.raises(ModelFileError, match="refused"):
        OnnxForm.from_arrays(form.arrays() | {"onnx": altered}, 3, 2)
    with pytest.raises(ModelFileError, match="holds float64 but uint8"):
        OnnxForm.from_arrays(form.arrays() | {"onnx": altered.astype(np.float64)}, 3, 2)
    with pytest.raises(ModelFileError, match="0 or 1"):
        OnnxForm.from_arrays(form.arrays() | {"is_integer": np.array([0, 2, 1], np.int32)}, 3, 2)
    with pytest.raises(ModelFileError, match="gives 2 outputs, but 3"):
        OnnxForm.from_arrays(form.arrays(), 3, 3)


def test_the_probe_keeps_to_the_declared_bounds_and_types():
    assert (PROBE >= [0, -1, 1]).all()
    assert (PROBE <= [2, 1, 9]).all()
    assert (PROBE[:, 2] == np.round(PROBE[:, 2])).all()
    assert PROBE[:2].tolist() == [[0, -1, 1], [2, 1, 9]]


def external():
    proto = onnx.load_model_from_string(AFFINE)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return proto.SerializeToString()


def looping():
    body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("c", TensorProto.BOOL, [])])
    return model([helper.make_node("Loop", ["", "c"], ["Y"], body=body)])


def grown():
    """Return a small file that asks for 80 GB: an outer sum of two vectors of 100,000."""
    long = np.zeros((100_000, 1))
    tensors = [numpy_helper.from_array(long, "u"), numpy_helper.from_array(long.T.copy(), "v")]
    nodes = [
        helper.make_node("Add", ["u", "v"], ["uv"]),
        helper.make_node("ReduceSum", ["uv"], ["s"], keepdims=0),
        helper.make_node("MatMul", ["X", "W"], ["XW"]),
        helper.make_node("Add", ["XW", "s"], ["Y"]),
    ]
    return model(nodes, [*tensors, numpy_helper.from_array(W, "W")])


def mixing():
    nodes = [helper.make_node("ReduceMean", ["X"], ["m"], keepdims=1), helper.make_node("Sub", ["X", "m"], ["Y"])]
    return model(nodes, out=("n", 3))


def endless():
    return model(
        [helper.make_node("MatMul", ["X", "W"], ["p"]), helper.make_node("Log", ["p"], ["Y"])],
        [numpy_helper.from_array(W, "W")],
    )


@pytest.mark.parametrize(
    ("content", "n_outputs", "words"),
    [
        (b"", 2, "not an ONNX file"),
        (b"PK\x03\x04 something else", 2, "not an ONNX file"),
        (AFFINE[: len(AFFINE) // 2], 2, "not an ONNX file|not sound|stopped"),
        (external(), 2, "another file"),
        (looping(), 2, "operator Loop"),
        (model([helper.make_node("Custom", ["X"], ["Y"], domain="evil")]), 2, "operator evil.Custom"),
        (model([helper.make_node("ConstantOfShape", ["X"], ["Y"])]), 2, "operator ConstantOfShape"),
        (AFFINE, 3, "gives 2 outputs, but 3"),
        (grown(), 2, "memory|cannot be run|cannot load"),
        (mixing(), 3, "depends on the rows"),
        (endless(), 2, "no finite numbers"),
    ],
    ids=["empty", "zip", "cut", "external", "loop", "custom", "op", "outputs", "memory", "mixing", "infinite"],
)
def test_a_hostile_or_unfit_file_is_refused_with_its_reason(content, n_outputs, words):
    with pytest.raises(OnnxRefused, match=words):
        of_file(content, DECLARED, n_outputs)


def test_a_file_that_takes_other_inputs_is_refused():
    with pytest.raises(OnnxRefused, match="cannot be run with 2 inputs"):
        of_file(AFFINE, DECLARED[:2], 2)


def test_a_file_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(onnx_worker, "START_SECONDS", 0.05)

    with pytest.raises(OnnxRefused, match=r"not loaded within 0\.05 seconds"):
        of_file(AFFINE, DECLARED, 2)


def test_a_file_beyond_the_largest_is_not_even_read(monkeypatch):
    monkeypatch.setattr(onnx_import, "LARGEST_FILE", 10)

    with pytest.raises(OnnxRefused, match="at most 10"):
        of_file(AFFINE, DECLARED, 2)


def test_bounds_and_types_are_checked():
    for wrong in (("a", 1.0, 0.0), ("a", 0.0, float("inf")), ("a", 0.0, 1.0, "text")):
        with pytest.raises(ParameterError, match="'a'"):
            InputDeclaration(*wrong)


def test_every_operator_that_is_let_through_exists():
    known = {schema.name for schema in onnx.defs.get_all_schemas()}

    assert known >= onnx_sandbox.OPERATORS

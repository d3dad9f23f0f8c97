"""ONNX graphs of the forms of surrogates: the arithmetic of their ``predict``, node by node, in float64.

Notation, as in the forms' own modules:
    X: inputs, (n, d).    Y: outputs, (n, m).    Both in the units of the tags, scaling is part of the graph.

Only operators are used that onnxruntime has for double, all of the standard domain but TreeEnsemble of ai.onnx.ml 5.
Sums may be taken in another order than ours, comparisons are the same: the two predict alike but for rounding.
"""

import math
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engine.surrogates.arrays import Bools, Floats, Ints
from engine.surrogates.blend import LARGEST_LOG, BlendForm
from engine.surrogates.compiled import tree_attributes
from engine.surrogates.encoding import Encoding
from engine.surrogates.gaussian_process import SMOOTH, GaussianProcessForm
from engine.surrogates.linear import LinearForm
from engine.surrogates.neural_network import NetworkForm
from engine.surrogates.onnx_export import NotExportable
from engine.surrogates.scaling import Scaling
from engine.surrogates.trees import TreeEnsemble

OPSET, ML_OPSET, IR_VERSION = 20, 5, 10

MOST_NODES = 2_000_000
"""Nodes of trees in one graph: beyond it the file would near the 2 GB that a protocol buffer can hold."""


class Graph:
    """A graph that grows: nodes and constants, each value under a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.n_tree_nodes = 0

    def constant(self, values: Any) -> str:
        """Add an array, and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, *given: str, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output, and return the output's name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(given), [name], domain=domain, **attributes))
        return name

    def model(self, Y: str, n_inputs: int, n_outputs: int, told: dict[str, str]) -> ModelProto:
        """Return the model from "X" (n, n_inputs) to "Y" (n, n_outputs), which is the value of that name.

        Args:
            told: what is told of the model besides, by name.
        """
        nodes = [*self.nodes, helper.make_node("Identity", [Y], ["Y"])]
        taken = helper.make_tensor_value_info("X", TensorProto.DOUBLE, ["n", n_inputs])
        given = helper.make_tensor_value_info("Y", TensorProto.DOUBLE, ["n", n_outputs])
        graph = helper.make_graph(nodes, "surrogate", [taken], [given], self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="setpoint")
        helper.set_model_props(model, told)
        return model


def add_form(graph: Graph, form: Any, X: str) -> str:
    """Add the arithmetic of a form to the graph, and return the name of its predictions (n, m).

    Raises:
        NotExportable: there is no graph for such a form, or its trees are too many.
    """
    if isinstance(form, LinearForm):
        return _linear(graph, form, X)
    if isinstance(form, TreeEnsemble):
        return _trees(graph, form, X)
    if isinstance(form, GaussianProcessForm):
        return _gaussian_process(graph, form, X)
    if isinstance(form, NetworkForm):
        return _network(graph, form, X)
    if isinstance(form, BlendForm):
        return _blend(graph, form, X)
    raise NotExportable(f"a {type(form).__name__} cannot be written as an ONNX file", form=type(form).__name__)


def add_encoding(graph: Graph, encoding: Encoding | None, X: str) -> str:
    """Add the way from inputs (n, d) to the columns (n, D) that the form takes, and return the name of these."""
    if encoding is None:
        return X
    is_missing = graph.add("IsNaN", X)
    full = graph.add("Where", is_missing, graph.constant(encoding.fill), X)
    columns = []
    for j, tag in enumerate(encoding.inputs):
        column = graph.add("Gather", full, graph.constant(np.array([j])), axis=1)
        if tag in encoding.categories:
            places = graph.constant(np.arange(len(encoding.categories[tag]), dtype=np.float64))
            column = graph.add("Cast", graph.add("Equal", column, places), to=TensorProto.DOUBLE)  # (n, 1) = (c,)
        columns.append(column)
        if encoding.is_flagged[j]:
            flag = graph.add("Gather", is_missing, graph.constant(np.array([j])), axis=1)
            columns.append(graph.add("Cast", flag, to=TensorProto.DOUBLE))
    return graph.add("Concat", *columns, axis=1)


def _scaled(graph: Graph, scaling: Scaling, X: str) -> str:
    centered = graph.add("Sub", X, graph.constant(scaling.center))
    return graph.add("Div", centered, graph.constant(scaling.scale))


def _affine(graph: Graph, Z: str, W: Floats, b: Floats) -> str:
    return graph.add("Add", graph.add("MatMul", Z, graph.constant(W)), graph.constant(b))


def _linear(graph: Graph, form: LinearForm, X: str) -> str:
    return _affine(graph, _scaled(graph, form.scaling, X), form.coefficients, form.intercept)


def _network(graph: Graph, form: NetworkForm, X: str) -> str:
    Z = _scaled(graph, form.scaling, X)
    answers = []
    for W1, b1, W2, b2, W3, b3 in zip(*form.layers, strict=True):
        first = graph.add("Relu", _affine(graph, Z, W1, b1))
        second = graph.add("Relu", _affine(graph, first, W2, b2))
        answers.append(_affine(graph, second, W3, b3))
    return graph.add("Div", graph.add("Sum", *answers), graph.constant(np.float64(len(answers))))


def _trees(graph: Graph, form: TreeEnsemble, X: str) -> str:
    """Add trees: each leaf gives one number if each tree speaks to one output; else leaves are looked up in a table."""
    graph.n_tree_nodes += len(form.feature)
    if graph.n_tree_nodes > MOST_NODES:
        raise NotExportable(
            f"the trees have more than {MOST_NODES} nodes, which is more than is written as an ONNX file",
            allowed=MOST_NODES,
        )
    target = _output_of_trees(form)
    attributes = tree_attributes(form)
    if target is None:
        reached = graph.add("TreeEnsemble", X, domain="ai.onnx.ml", **attributes)
        leaf = graph.add("Cast", reached, to=TensorProto.INT64)
        values = graph.add("Gather", graph.constant(form.value), leaf, axis=0)  # (n, T, m)
        total = graph.add("ReduceSum", values, graph.constant(np.array([1])), keepdims=0)
    else:
        leaf_of = numpy_helper.to_array(attributes["leaf_weights"]).astype(np.intp)
        target_of = target[np.searchsorted(form.root, leaf_of, side="right") - 1]
        attributes |= {
            "n_targets": len(form.base),
            "leaf_targetids": target_of.tolist(),
            "leaf_weights": numpy_helper.from_array(form.value[leaf_of, target_of]),
        }
        total = graph.add("TreeEnsemble", X, domain="ai.onnx.ml", **attributes)
    return graph.add("Add", total, graph.constant(form.base))


def _output_of_trees(form: TreeEnsemble) -> Ints | None:
    """Return the one output that each tree adds to, shape (T,); None if a tree adds to several."""
    speaks = np.add.reduceat(form.value != 0, form.root, axis=0) > 0
    return np.argmax(speaks, axis=1) if (speaks.sum(axis=1) <= 1).all() else None


def _gaussian_process(graph: Graph, form: GaussianProcessForm, X: str) -> str:
    Z = _scaled(graph, form.scaling, X)
    columns = [graph.add("Gather", Z, graph.constant(np.array([j])), axis=1) for j in range(form.rows.shape[1])]
    differences = [
        graph.add("Sub", column, graph.constant(form.rows[None, :, j]))  # (n, 1) - (1, N)
        for j, column in enumerate(columns)
    ]
    outputs = []
    for j, lengths in enumerate(form.lengths):
        k = _kernel(graph, _squares(graph, differences, lengths), int(form.smoothness[0]))
        outputs.append(_affine(graph, k, form.weights[:, [j]], form.base[[j]]))
    return graph.add("Concat", *outputs, axis=1) if len(outputs) > 1 else outputs[0]


def _squares(graph: Graph, differences: list[str], lengths: Floats) -> str:
    """Add the squared distances, (n, N), input by input: the shorter way by products of rows loses digits."""
    total = ""
    for difference, length in zip(differences, lengths, strict=True):
        scaled = graph.add("Div", difference, graph.constant(length))
        square = graph.add("Mul", scaled, scaled)
        total = graph.add("Add", total, square) if total else square
    return total


def _kernel(graph: Graph, squares: str, smoothness: int) -> str:
    """Add the kernel of squared distances in length scales, as ``gaussian_process.kernel`` has it."""
    if smoothness == SMOOTH:
        return graph.add("Exp", graph.add("Div", squares, graph.constant(np.float64(-2))))
    t = graph.add("Mul", graph.add("Sqrt", squares), graph.constant(np.float64(math.sqrt(2 * smoothness + 1))))
    decay = graph.add("Exp", graph.add("Neg", t))
    if smoothness == 0:
        return decay
    polynomial = graph.add("Add", t, graph.constant(np.float64(1)))
    if smoothness == 2:
        third = graph.add("Div", graph.add("Mul", t, t), graph.constant(np.float64(3)))
        polynomial = graph.add("Add", polynomial, third)
    return graph.add("Mul", polynomial, decay)


def _blend(graph: Graph, form: BlendForm, X: str) -> str:
    zero, parts = graph.constant(np.float64(0)), []
    for member, weight in zip(form.members, form.weights, strict=True):
        P = _from_log(graph, add_form(graph, member.form, X), member.is_log)
        weighed = graph.add("Mul", P, graph.constant(weight))
        parts.append(graph.add("Where", graph.constant(weight > 0), weighed, zero))  # 0 times infinity is not 0
    return graph.add("Sum", *parts) if len(parts) > 1 else parts[0]


def _from_log(graph: Graph, P: str, is_log: Bools) -> str:
    """Add the way back from logarithms, where there are some, as ``blend.from_log`` has it."""
    if not is_log.any():
        return P
    where, zero = graph.constant(is_log), graph.constant(np.float64(0))
    ends = graph.constant(np.float64(-LARGEST_LOG)), graph.constant(np.float64(LARGEST_LOG))
    clipped = graph.add("Clip", graph.add("Where", where, P, zero), *ends)
    return graph.add("Where", where, graph.add("Exp", clipped), P)

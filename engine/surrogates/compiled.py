"""Finding the leaves of a tree ensemble with onnxruntime.

The trees become one ONNX operator, TreeEnsemble of ai.onnx.ml 5, in float64. Each tree has an output of its
own and each leaf its own index as its value, so that the operator answers with leaves and all arithmetic
stays with us (an index is exact in float64). The graph is made from the arrays in this process and never
stored.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engine.surrogates.arrays import Floats

if TYPE_CHECKING:
    from engine.surrogates.trees import TreeEnsemble

_LESS_OR_EQUAL = 0  # BRANCH_LEQ: true goes left
_SUM = 1
_NO_TRANSFORM = 0


def compile_trees(trees: "TreeEnsemble") -> Callable[[Floats], NDArray[np.intp]]:
    """Return a function from X (n, d) to leaves (n, T) that equals ``trees.leaves``, in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    graph = to_onnx(trees).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def leaves(X: Floats) -> NDArray[np.intp]:
        found: Floats = session.run(["leaf"], {"X": X})[0]
        return found.astype(np.intp)

    return leaves


def to_onnx(trees: "TreeEnsemble") -> ModelProto:
    """Return the trees as an ONNX model from X (n, d) to leaf (n, T), both double."""
    node = helper.make_node("TreeEnsemble", ["X"], ["leaf"], domain="ai.onnx.ml", **tree_attributes(trees))
    X = helper.make_tensor_value_info("X", TensorProto.DOUBLE, ["n", None])
    leaf = helper.make_tensor_value_info("leaf", TensorProto.DOUBLE, ["n", len(trees.root)])
    graph = helper.make_graph([node], "leaves", [X], [leaf])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def tree_attributes(trees: "TreeEnsemble") -> dict[str, Any]:
    """Return the operator's attributes. It numbers splits and leaves separately, each in our order.

    A tree that is a single leaf has no place in the operator: it becomes a split with that leaf on both
    sides.
    """
    is_split = trees.left >= 0
    is_stump = np.zeros_like(is_split)
    is_stump[trees.root] = ~is_split[trees.root]

    split = np.flatnonzero(is_split | is_stump)
    leaf = np.flatnonzero(~is_split)
    stump = np.flatnonzero(is_stump)
    leaves = np.concatenate([leaf, stump])  # a stump's second leaf is numbered after all others
    number = np.where(is_split, np.cumsum(is_split | is_stump), np.cumsum(~is_split)) - 1
    split_number = np.cumsum(is_split | is_stump) - 1
    tree = np.searchsorted(trees.root, leaves, side="right") - 1

    left = np.where(is_stump, np.arange(len(is_split)), trees.left)[split]
    right = np.where(is_stump, np.arange(len(is_split)), trees.right)[split]
    right_number = number[right]
    right_number[is_stump[split]] = len(leaf) + np.arange(len(stump))
    return {
        "n_targets": len(trees.root),
        "aggregate_function": _SUM,
        "post_transform": _NO_TRANSFORM,
        "tree_roots": split_number[trees.root].tolist(),
        "nodes_featureids": np.maximum(trees.feature[split], 0).tolist(),
        "nodes_splits": numpy_helper.from_array(trees.threshold[split]),
        "nodes_modes": numpy_helper.from_array(np.full(len(split), _LESS_OR_EQUAL, np.uint8)),
        "nodes_truenodeids": number[left].tolist(),
        "nodes_trueleafs": (~is_split[left]).astype(np.int64).tolist(),
        "nodes_falsenodeids": right_number.tolist(),
        "nodes_falseleafs": (~is_split[right]).astype(np.int64).tolist(),
        "leaf_targetids": tree.tolist(),
        "leaf_weights": numpy_helper.from_array(leaves.astype(np.float64)),
    }

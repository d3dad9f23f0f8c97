"""Finding the leaves of a tree ensemble with scikit-learn's own walk.

It walks one tree after the other, which large batches like: a tree stays in the processor's cache. It compares in
single precision, which our thresholds do not survive. So each number of a row is exchanged for its rank among the
thresholds of its input, which single precision holds exactly:

    x <= t_k    if and only if    (how many thresholds are below x) <= k,    for thresholds t_0 < t_1 < ...

The walk is made from the arrays in this process and never stored.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree._tree import NODE_DTYPE, Tree

from engine.surrogates.arrays import Floats

if TYPE_CHECKING:
    from engine.surrogates.trees import TreeEnsemble

_LEAF, _NO_FEATURE = -1, -2


def walk_trees(trees: "TreeEnsemble", n_inputs: int) -> Callable[[Floats], NDArray[np.intp]]:
    """Return a function from X (n, n_inputs) to leaves (n, T) that equals ``trees.leaves``, in one thread."""
    thresholds = [np.unique(trees.threshold[trees.feature == j]) for j in range(n_inputs)]
    nodes = _nodes(trees, thresholds)
    ends = np.append(trees.root[1:], len(nodes))
    depth = trees.depth()
    walks = [_tree(nodes[start:end], n_inputs, depth) for start, end in zip(trees.root, ends, strict=True)]

    def leaves(X: Floats) -> NDArray[np.intp]:
        ranks = np.empty(X.shape, dtype=np.float32)
        for j, ascending in enumerate(thresholds):
            ranks[:, j] = np.searchsorted(ascending, X[:, j])
        found = np.empty((len(walks), len(X)), dtype=np.intp)
        for i, walk in enumerate(walks):
            found[i] = walk.apply(ranks)
        found += trees.root[:, None]
        return np.ascontiguousarray(found.T)

    return leaves


def _nodes(trees: "TreeEnsemble", thresholds: list[Floats]) -> NDArray[Any]:
    """Return all nodes as scikit-learn has them, with ranks for thresholds; children are counted from the root."""
    is_leaf = trees.left < 0
    first = np.repeat(trees.root, np.diff(np.append(trees.root, len(is_leaf))))
    nodes = np.zeros(len(is_leaf), dtype=NODE_DTYPE)
    nodes["left_child"] = np.where(is_leaf, _LEAF, trees.left - first)
    nodes["right_child"] = np.where(is_leaf, _LEAF, trees.right - first)
    nodes["feature"] = np.where(is_leaf, _NO_FEATURE, trees.feature)
    for j, ascending in enumerate(thresholds):
        here = trees.feature == j
        nodes["threshold"][here] = np.searchsorted(ascending, trees.threshold[here])
    return nodes


def _tree(nodes: NDArray[Any], n_inputs: int, depth: int) -> Any:
    tree = Tree(n_inputs, np.array([1], dtype=np.intp), 1)
    values = np.zeros((len(nodes), 1, 1))
    tree.__setstate__({"max_depth": depth, "node_count": len(nodes), "nodes": nodes.copy(), "values": values})
    return tree

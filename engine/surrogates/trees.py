"""Tree ensembles in plain arrays: what a forest or a booster predicts with, and what is stored.

Notation:
    X: inputs, shape (n, d), in the units of the tags.
    T: number of trees. The nodes of all trees lie one after the other, n_nodes in all; a parent always comes
       before its children, so no walk can turn in a circle.
    leaf: index of the leaf that each row reaches in each tree, shape (n, T).
    y(x) = base + sum over the trees of value[leaf of x], shape (m,), in the units of the outputs.

A row goes left where x[feature] <= threshold. All numbers are float64 in the units of the tags: whatever the
training library scaled or rounded has been carried into thresholds and values (``scaling``).

The leaves are found by NumPy or by onnxruntime (``router``). Both only compare; the sums are always taken
here, in one thread and one order. So which of the two ran, how many rows were asked for at once, and the
version of onnxruntime cannot change a bit of a prediction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelFileError
from engine.surrogates.arrays import Bools, Floats
from engine.surrogates.params import MAX_DEPTH
from engine.surrogates.router import Router
from engine.surrogates.stored import ArraySpec, take

if TYPE_CHECKING:
    from engine.surrogates.routes import Routes

LEAF = -1
"""What ``feature``, ``left`` and ``right`` hold at a leaf."""

_CHUNK = 1 << 18
"""Pairs of row and tree that are routed at once: bounds the memory of a prediction."""

_Int32s = NDArray[np.int32]
_Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """A sum of regression trees.

    Attributes:
        root: index of each tree's first node, shape (T,), int32, ascending from 0.
        feature: input compared at each node, shape (n_nodes,), int32; LEAF at leaves.
        threshold: the largest value that goes left, shape (n_nodes,), unit of the input; 0 at leaves.
        left, right: index of the children, shape (n_nodes,), int32; LEAF at leaves.
        value: what a leaf adds, shape (n_nodes, m), units of the outputs; 0 elsewhere.
        base: what the sum starts from, shape (m,), units of the outputs.
        routes: which way to the leaves is the faster one, if that was measured (``routes.measure_routes``).
    """

    root: _Int32s
    feature: _Int32s
    threshold: Floats
    left: _Int32s
    right: _Int32s
    value: Floats
    base: Floats
    routes: "Routes | None" = field(default=None, repr=False)

    def predict(self, X: Floats) -> Floats:
        """Return predictions, shape (n, m), for finite X, shape (n, d)."""
        Y = np.empty((len(X), len(self.base)))
        step = max(1, _CHUNK // len(self.root))
        for start in range(0, len(X), step):
            rows = slice(start, start + step)
            Y[rows] = self._sums(self._router.leaves(X[rows]))
        return Y

    def leaves(self, X: Floats) -> _Indices:
        """Return the leaf of each row in each tree, shape (n, T), found with NumPy: the reference.

        All pairs of row and tree step down together. Leaves step onto themselves, so finished pairs need not
        be taken out at every level; every fourth is a fair price.
        """
        n, d = X.shape
        n_trees, walk = len(self.root), self._walk
        cells = X.ravel()
        row_start = np.repeat(np.arange(n) * d, n_trees)
        node = np.tile(self.root.astype(np.intp), n)
        leaf = node.copy()
        walking = np.arange(n * n_trees)
        for level in range(MAX_DEPTH):
            if level % 4 == 0:
                leaf[walking] = node
                onward = np.flatnonzero(~walk.is_leaf.take(node))
                if len(onward) == 0:
                    break
                walking, row_start, node = walking.take(onward), row_start.take(onward), node.take(onward)
            goes_right = cells.take(row_start + walk.feature.take(node)) > walk.threshold.take(node)
            node = walk.children.take(2 * node + goes_right)
        leaf[walking] = node
        return leaf.reshape(n, n_trees)

    def depth(self) -> int:
        """Return the number of splits on the longest way from a root to a leaf, at most MAX_DEPTH + 1."""
        level, nodes = 0, self.root[self.feature[self.root] != LEAF]
        while len(nodes) and level <= MAX_DEPTH:
            children = np.concatenate([self.left[nodes], self.right[nodes]])
            level, nodes = level + 1, children[self.feature[children] != LEAF]
        return level

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""
        names = ("root", "feature", "threshold", "left", "right", "value", "base")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "TreeEnsemble":
        """Return the ensemble of stored arrays.

        Raises:
            ModelFileError: the arrays are not those of sound trees: every node but the roots the child of one
                earlier node of the same tree, every split on an input that exists, all numbers finite, no
                tree deeper than MAX_DEPTH.
        """
        n_nodes = len(arrays["feature"]) if "feature" in arrays and arrays["feature"].ndim else 0
        per_node = ArraySpec(np.int32, (n_nodes,))
        specs = {
            "root": ArraySpec(np.int32, (-1,)),
            "feature": ArraySpec(np.int32, (-1,)),
            "threshold": ArraySpec(np.float64, (n_nodes,)),
            "left": per_node,
            "right": per_node,
            "value": ArraySpec(np.float64, (n_nodes, n_outputs)),
            "base": ArraySpec(np.float64, (n_outputs,)),
        }
        ensemble = cls(**take(arrays, specs))
        _check_trees(ensemble, n_inputs)
        return ensemble

    def _sums(self, leaf: _Indices) -> Floats:
        """Return base + the sum of the leaves' values, shape (n, m); each row summed on its own, in pairs."""
        sums = [self.value[:, j].take(leaf).sum(axis=1) for j in range(len(self.base))]
        totals: Floats = self.base + np.stack(sums, axis=1)
        return totals

    @cached_property
    def _walk(self) -> "_Walk":
        here = np.arange(len(self.feature))
        is_leaf = self.feature == LEAF
        children = np.stack([np.where(is_leaf, here, self.left), np.where(is_leaf, here, self.right)], axis=1)
        feature = np.where(is_leaf, 0, self.feature).astype(np.intp)
        return _Walk(feature, self.threshold, children.ravel().astype(np.intp), is_leaf)

    @cached_property
    def _router(self) -> Router:
        return Router(self)


@dataclass(frozen=True, eq=False)
class _Walk:
    """The trees in the form that is fastest to walk: children of node i at 2i and 2i+1; a leaf is its own."""

    feature: _Indices
    threshold: Floats
    children: _Indices
    is_leaf: Bools


def _check_trees(trees: TreeEnsemble, n_inputs: int) -> None:
    n_nodes, root = len(trees.feature), trees.root.astype(np.int64)
    _require(root[0] == 0 and (np.diff(root) > 0).all() and root[-1] < n_nodes, "tree starts do not ascend from 0")

    is_leaf = trees.feature == LEAF
    here = np.arange(n_nodes)
    end = np.repeat(np.append(root[1:], n_nodes), np.diff(np.append(root, n_nodes)))
    inner = ~is_leaf
    features = trees.feature[inner]
    _require(((features >= 0) & (features < n_inputs)).all(), "a split is on an input that does not exist")
    for child in (trees.left, trees.right):
        _require((child[is_leaf] == LEAF).all(), "a leaf has a child")
        _require(
            ((child[inner] > here[inner]) & (child[inner] < end[inner])).all(),
            "a child does not lie after its parent in the same tree",
        )
    times_reached = np.bincount(np.concatenate([trees.left[inner], trees.right[inner]]), minlength=n_nodes)
    times_reached[root] += 1
    _require((times_reached == 1).all(), "a node is the child of no node or of several")
    _require(trees.depth() <= MAX_DEPTH, f"a tree is deeper than {MAX_DEPTH} splits")


def _require(is_sound: bool | np.bool_, otherwise: str) -> None:
    if not is_sound:
        raise ModelFileError(f"the trees are not sound: {otherwise}")

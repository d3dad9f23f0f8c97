"""The choice between the ways to find the leaves of a tree ensemble: at once, or faster after a pause.

NumPy starts at once. onnxruntime is up to ten times faster on few rows, scikit-learn's walk by a half on thousands, but
both must first be imported and take the trees: half a second and more for a hundred usual ones. All give the same
leaves, so the choice is one of time alone. Which is the fastest for so many rows at once is told by what was measured
(``routes``), if it was.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.surrogates.arrays import Floats

if TYPE_CHECKING:
    from engine.surrogates.trees import TreeEnsemble

NUMPY, ONNXRUNTIME, SCIKIT_LEARN = "numpy", "onnxruntime", "scikit-learn"
WAYS = (NUMPY, ONNXRUNTIME, SCIKIT_LEARN)

Leaves = Callable[[Floats], NDArray[np.intp]]

# The price of a way, in walks (one row through one tree, which NumPy does 0.3 or 0.05 microseconds slower): half a
# second or more to import the library on a busy machine, unless it is there already, and some time for each node.
IMPORT_PRICE = {ONNXRUNTIME: 1_500_000, SCIKIT_LEARN: 20_000_000}
NODE_PRICE = {ONNXRUNTIME: 6.0, SCIKIT_LEARN: 2.0}
_LIBRARIES = {ONNXRUNTIME: "onnxruntime", SCIKIT_LEARN: "sklearn.tree"}

MOST_NODES = 2_000_000
"""Trees beyond this many nodes are not compiled: it would take about 0.8 GB for a moment."""


class Router:
    """Finds leaves with NumPy until another way has paid for itself, from then on with that.

    Nobody knows in advance how much will be predicted, so the rule is that of renting or buying skis: buy
    when the rent paid has reached the price. That never costs more than twice what foreknowledge would have
    cost.
    """

    def __init__(self, trees: "TreeEnsemble") -> None:
        self._trees = trees
        # threads that predict at once may miscount or compile twice: no harm, the leaves are the same
        self._walks_left = {way: _price(way, len(trees.feature)) for way in _LIBRARIES}
        self._made: dict[str, Leaves] = {NUMPY: trees.leaves}

    def leaves(self, X: Floats) -> NDArray[np.intp]:
        """Return the leaf of each row in each tree, shape (n, T), as ``TreeEnsemble.leaves`` does."""
        way = self._trees.routes.way(len(X)) if self._trees.routes else ONNXRUNTIME
        if way not in self._made:
            self._walks_left[way] -= len(X) * len(self._trees.root)
            if self._walks_left[way] >= 0 or len(self._trees.feature) > MOST_NODES:
                return self._trees.leaves(X)
            try:
                self._made[way] = make(way, self._trees, X.shape[1])
            except ImportError:  # it is but faster
                self._made[way] = self._trees.leaves
        return self._made[way](X)


def _price(way: str, n_nodes: int) -> float:
    return NODE_PRICE[way] * n_nodes + (0 if _LIBRARIES[way] in sys.modules else IMPORT_PRICE[way])


def make(way: str, trees: "TreeEnsemble", n_inputs: int) -> Leaves:
    """Return the function from X (n, n_inputs) to leaves (n, T) of this way.

    Raises:
        ImportError: the library is not there.
    """
    if way == ONNXRUNTIME:
        from engine.surrogates.compiled import compile_trees  # imports onnx and onnxruntime

        return compile_trees(trees)
    if way == SCIKIT_LEARN:
        from engine.surrogates.walked import walk_trees  # imports scikit-learn

        return walk_trees(trees, n_inputs)
    return trees.leaves

"""The choice between the two ways to find the leaves of a tree ensemble: at once, or faster after a pause.

NumPy starts at once. onnxruntime is two to six times faster on up to a few hundred rows, but must first be
imported and compile the trees: half a second for a hundred usual ones. Both give the same leaves, so the choice
is one of time alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.surrogates.arrays import Floats

if TYPE_CHECKING:
    from engine.surrogates.trees import TreeEnsemble

# The price of compiling, in walks (one row through one tree, which NumPy does 0.3 microseconds slower): half a
# second to import onnxruntime on a busy machine, and 2 microseconds for each node.
IMPORT_PRICE = 1_500_000
NODE_PRICE = 6

MOST_NODES = 2_000_000
"""Trees beyond this many nodes are not compiled: it would take about 0.8 GB for a moment."""


class Router:
    """Finds leaves with NumPy until compiling has paid for itself, from then on with onnxruntime.

    Nobody knows in advance how much will be predicted, so the rule is that of renting or buying skis: buy
    when the rent paid has reached the price. That never costs more than twice what foreknowledge would have
    cost.
    """

    def __init__(self, trees: "TreeEnsemble") -> None:
        self._trees = trees
        # threads that predict at once may miscount or compile twice: no harm, the leaves are the same
        self._walks_left = IMPORT_PRICE + NODE_PRICE * len(trees.feature)
        self._compiled: Callable[[Floats], NDArray[np.intp]] | None = None

    def leaves(self, X: Floats) -> NDArray[np.intp]:
        """Return the leaf of each row in each tree, shape (n, T), as ``TreeEnsemble.leaves`` does."""
        if self._compiled is None:
            self._walks_left -= len(X) * len(self._trees.root)
            if self._walks_left >= 0 or len(self._trees.feature) > MOST_NODES:
                return self._trees.leaves(X)
            from engine.surrogates.compiled import compile_trees  # imports onnx and onnxruntime

            self._compiled = compile_trees(self._trees)
        return self._compiled(X)

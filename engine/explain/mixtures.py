"""Exact contributions for tree ensembles, for any number of inputs.

Notation:
    x: a point, shape (d,).    b: a row of the background.    A pair is an x with a b.
    mixture: a row whose inputs are each taken from x or from b.
    A, B: for one leaf, the inputs that a mixture must take from x, and from b, to reach it; a and b in number.

A split sends x and b either the same way, or apart; if apart, a mixture goes with the one that it takes the input from.
So the mixtures reach a few leaves of a tree, each under a condition "A from x and B from b". In the game that pays a
leaf's value when its condition holds, the Shapley value of an input is known in closed form:

    in A:  value (a - 1)! b! / (a + b)!        in B:  -value a! (b - 1)! / (a + b)!        otherwise 0

and the contributions are the sum over leaves and trees, the mean over the background. All pairs go down all trees
together, level by level; where a pair parts, it goes on as two.

Sources:
    Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67 (interventional tree explanations); the closed form is
    the Shapley value of a game of unanimity with opponents, e.g. Grabisch and Roubens (1999), Int. J. Game Theory 28.
"""

from functools import lru_cache
from math import factorial

import numpy as np

from engine.surrogates.arrays import Floats, Ints
from engine.surrogates.trees import LEAF, TreeEnsemble

CHUNK = 1 << 14
"""Pairs times trees that are followed at once: bounds the memory, since every one may part many times."""

OPEN, FROM_X, FROM_B = 0, 1, 2


def tree_contributions(trees: TreeEnsemble, X: Floats, background: Floats) -> Floats:
    """Return what each input adds to the prediction of each x beyond the mean over the background.

    Args:
        trees: over the columns of X.
        X: points, shape (n, d).
        background: rows to compare with, shape (n_b, d), n_b >= 1.

    Returns:
        Shape (n, d, m), in the units of the outputs.
    """
    phi = np.zeros((len(X), X.shape[1], len(trees.base)))
    trees_at_once = max(1, CHUNK // len(background))
    for i, x in enumerate(X):
        for start in range(0, len(trees.root), trees_at_once):
            roots = trees.root[start : start + trees_at_once].astype(np.int64)
            phi[i] += _followed(trees, x, background, roots)
    return phi / len(background)


def _followed(trees: TreeEnsemble, x: Floats, background: Floats, roots: Ints) -> Floats:
    """Return the contributions of some trees, summed over the background, (d, m)."""
    phi = np.zeros((len(x), len(trees.base)))
    row = np.repeat(np.arange(len(background)), len(roots))
    node = np.tile(roots, len(background))
    side = np.zeros((len(row), len(x)), dtype=np.int8)  # where each input is taken from
    while len(node):
        is_leaf = trees.feature[node] == LEAF
        phi += _leaf_shares(trees.value[node[is_leaf]], side[is_leaf])
        row, node, side = row[~is_leaf], node[~is_leaf], side[~is_leaf]
        j = trees.feature[node]
        x_right, b_right = x[j] > trees.threshold[node], background[row, j] > trees.threshold[node]
        taken = side[np.arange(len(node)), j]
        parts = np.flatnonzero((taken == OPEN) & (x_right != b_right))
        goes_right = np.where(taken == FROM_B, b_right, x_right)  # those that part go with x here, and with b below
        with_b = side[parts]
        side[parts, j[parts]], with_b[np.arange(len(parts)), j[parts]] = FROM_X, FROM_B
        to = np.where(goes_right, trees.right[node], trees.left[node])
        to_b = np.where(b_right[parts], trees.right[node[parts]], trees.left[node[parts]])
        row, node = np.concatenate([row, row[parts]]), np.concatenate([to, to_b]).astype(np.int64)
        side = np.concatenate([side, with_b])
    return phi


def _leaf_shares(value: Floats, side: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> Floats:
    """Return the shares of the inputs in leaves of these values, (leaves, m), summed over the leaves, (d, m)."""
    in_a, in_b = side == FROM_X, side == FROM_B
    a, b = in_a.sum(axis=1), in_b.sum(axis=1)
    size = int(max(a.max(initial=0), b.max(initial=0))) + 1
    plus, minus = _weights(size)
    return np.asarray((in_a * plus[a, b][:, None] - in_b * minus[a, b][:, None]).T @ value)


@lru_cache(maxsize=64)
def _weights(size: int) -> tuple[Floats, Floats]:
    """Return the shares of an input in A and of one in B, by a and b, each of shape (size, size)."""
    plus, minus = np.zeros((size, size)), np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            whole = factorial(a + b)
            plus[a, b] = factorial(a - 1) * factorial(b) / whole if a else 0.0
            minus[a, b] = factorial(a) * factorial(b - 1) / whole if b else 0.0
    return plus, minus

"""Models as rows of a mixed-integer program: linear ones, tree ensembles, and networks of rectified linear units.

Notation
    u_j     input j as a column in [0, 1]              b_jk   1 where u_j <= threshold k of input j, else 0
    l       leaf of a tree: 1 in one leaf of each      h, a   a unit of a network, and whether it is at work

    trees       sum of the leaves of a tree = 1; left of a split <= b, right of it <= 1 - b; b_j1 <= b_j2 <= ... (1)
                u_j <= t + (1 - t) (1 - b),  u_j >= (t + EPSILON) (1 - b)                                        (2)
    networks    h >= z, h >= 0, h <= z - L (1 - a), h <= U a, with L <= z <= U by interval arithmetic             (3)

Rows (2) tie an input to its thresholds with a margin: a point within EPSILON above a threshold, as a share of the
input's span, is not looked at. What bounds and fixed inputs decide already is cut off the trees before.

Sources
    (1)  Misic (2020), Operations Research 68, 1605-1624.
    (3)  Fischetti and Jo (2018), Constraints 23, 296-309.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from engine.exact.columns import Column, Matrix, Sum
from engine.solvers.ranking import Floats
from engine.surrogates.linear import LinearForm
from engine.surrogates.neural_network import NetworkForm
from engine.surrogates.trees import LEAF, TreeEnsemble

EPSILON = 1e-6

Interval = tuple[float, float]


class Thresholds:
    """The binaries of every input: shared by all trees of all modules that compare it with the same number."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._binaries: dict[tuple[int, float], int] = {}

    def binary(self, column: Column, threshold: float) -> int:
        """Return the column of b for "value <= threshold", a threshold strictly within the input's bounds."""
        t = (threshold - column.low) / column.span
        key = (column.index, t)
        if key not in self._binaries:
            b = self._matrix.column(is_integer=True)
            self._binaries[key] = b
            self._matrix.row({column.index: 1.0, b: 1.0 - t}, upper=1.0)  # (2)
            self._matrix.row({column.index: 1.0, b: t + EPSILON}, lower=t + EPSILON)
        return self._binaries[key]

    def order(self) -> None:
        """Add the rows that order the thresholds of each input."""
        by_input: dict[int, list[tuple[float, int]]] = {}
        for (index, t), b in self._binaries.items():
            by_input.setdefault(index, []).append((t, b))
        for thresholds in by_input.values():
            thresholds.sort()
            for (_, smaller), (_, larger) in pairwise(thresholds):
                self._matrix.row({smaller: 1.0, larger: -1.0}, upper=0.0)

    def __len__(self) -> int:
        return len(self._binaries)


def add_linear(form: LinearForm, inputs: Sequence[Column]) -> list[Sum]:
    """Return the outputs of a linear model as sums over its inputs."""
    slopes = form.coefficients / form.scaling.scale[:, None]
    sums = []
    for j, intercept in enumerate(form.intercept):
        total = Sum(float(intercept - form.scaling.center @ slopes[:, j]))
        for column, slope in zip(inputs, slopes[:, j], strict=True):
            total.add_value(column, float(slope))
        sums.append(total)
    return sums


def add_trees(form: TreeEnsemble, inputs: Sequence[Column], matrix: Matrix, thresholds: Thresholds) -> list[Sum]:
    """Add the trees of an ensemble (1) and return its outputs as sums over their leaves."""
    sums = [Sum(float(base)) for base in form.base]
    for root in form.root:
        _add_tree(form, int(root), inputs, matrix, thresholds, sums)
    return sums


def _add_tree(
    form: TreeEnsemble,
    root: int,
    inputs: Sequence[Column],
    matrix: Matrix,
    thresholds: Thresholds,
    sums: list[Sum],
) -> None:
    def settled(node: int, bounds: Mapping[int, Interval]) -> int:
        """Return the node that is reached without a choice: where bounds decide a split, it is passed over."""
        while form.feature[node] != LEAF:
            j, t = int(form.feature[node]), float(form.threshold[node])
            low, high = bounds.get(j, (inputs[j].low, inputs[j].low + inputs[j].span))
            if high <= t:
                node = int(form.left[node])
            elif low > t:
                node = int(form.right[node])
            else:
                break
        return node

    def add(node: int, bounds: dict[int, Interval]) -> list[int]:
        """Add what is below a node and return its leaves."""
        node = settled(node, bounds)
        j = int(form.feature[node])
        if j == LEAF:
            leaf = matrix.column()
            for k, total in enumerate(sums):
                total.add(leaf, float(form.value[node, k]))
            return [leaf]
        t = float(form.threshold[node])
        low, high = bounds.get(j, (inputs[j].low, inputs[j].low + inputs[j].span))
        left = add(int(form.left[node]), bounds | {j: (low, t)})
        right = add(int(form.right[node]), bounds | {j: (float(np.nextafter(t, np.inf)), high)})
        b = thresholds.binary(inputs[j], t)
        matrix.row(dict.fromkeys(left, 1.0) | {b: -1.0}, upper=0.0)
        matrix.row(dict.fromkeys(right, 1.0) | {b: 1.0}, upper=1.0)
        return [*left, *right]

    leaves = add(root, {})
    matrix.row(dict.fromkeys(leaves, 1.0), lower=1.0, upper=1.0)


def add_network(form: NetworkForm, inputs: Sequence[Column], matrix: Matrix) -> list[Sum]:
    """Add the units of networks (3) and return their mean as sums over the units."""
    n_members, n_outputs = form.layers[5].shape
    totals = [Sum() for _ in range(n_outputs)]
    for member in range(n_members):
        W1, b1, W2, b2, W3, b3 = (layer[member] for layer in form.layers)
        scaled = []
        for j, column in enumerate(inputs):
            z = Sum(-float(form.scaling.center[j] / form.scaling.scale[j]))
            z.add_value(column, 1 / float(form.scaling.scale[j]))
            scaled.append(z)
        low = np.array([z.constant + sum(min(0.0, c) for c in z.coefficients.values()) for z in scaled])
        high = np.array([z.constant + sum(max(0.0, c) for c in z.coefficients.values()) for z in scaled])
        one, low, high = _units(scaled, low, high, W1, b1, matrix)
        two, low, high = _units(one, low, high, W2, b2, matrix)
        for k, total in enumerate(_affine(two, W3, b3)):
            totals[k] = totals[k].plus(total, 1 / n_members)
    return totals


def _units(
    inputs: Sequence[Sum], low: Floats, high: Floats, W: Floats, b: Floats, matrix: Matrix
) -> tuple[list[Sum], Floats, Floats]:
    """Add a layer of units and return them, with their bounds."""
    least = np.minimum(W * low[:, None], W * high[:, None]).sum(axis=0) + b
    most = np.maximum(W * low[:, None], W * high[:, None]).sum(axis=0) + b
    units = []
    for k, z in enumerate(_affine(inputs, W, b)):
        L, U = float(least[k]), float(most[k])
        if U <= 0:
            units.append(Sum())
        elif L >= 0:
            units.append(z)
        else:
            units.append(_unit(z, L, U, matrix))
    return units, np.maximum(least, 0), np.maximum(most, 0)


def _unit(z: Sum, L: float, U: float, matrix: Matrix) -> Sum:
    """Add one unit that may be at work or not: h = U times a column."""
    h, a = matrix.column(), matrix.column(is_integer=True)
    unit = Sum(0.0, {h: U})
    matrix.keep(unit.plus(z, -1.0), lower=0.0, scale=U - L)
    below = unit.plus(z, -1.0)
    below.add(a, -L)
    matrix.keep(below, upper=-L, scale=U - L)
    matrix.row({h: 1.0, a: -1.0}, upper=0.0)
    return unit


def _affine(inputs: Sequence[Sum], W: Floats, b: Floats) -> list[Sum]:
    found = []
    for k in range(W.shape[1]):
        total = Sum(float(b[k]))
        for each, weight in zip(inputs, W[:, k], strict=True):
            if weight:
                total = total.plus(each, float(weight))
        found.append(total)
    return found

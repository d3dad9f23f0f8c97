"""Tree ensembles as boxes: every tree cuts the space of the inputs into boxes and gives each of them a value.

Notation
    axis        a column of the program that trees compare with thresholds: an input, or an output that a link carries
    e_0 .. e_c  edges of an axis, in its own unit: its bounds, and between them every threshold that is still needed
    cell i      (e_i, e_i+1]; only the first cell of an untouched axis holds its lower edge too
    box         a range of cells on each axis: first <= cell <= last, shape (number of axes,) each
    partition   boxes of which every point of the space lies in at most one; those of a tree cover all of it. Boxes that
                are proved to hold nothing better than a known point are taken out, and two partitions can be merged
                into that of all their intersections, whose values are sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.exact.columns import Column
from engine.solvers.ranking import Floats, Truths
from engine.surrogates.trees import LEAF, TreeEnsemble

Cells = NDArray[np.int32]

_ROUNDING = 1e-9
"""Outputs are summed in another order than the models do it: their bounds are widened by this share of their span."""


class Leaves(NamedTuple):
    """The leaves of one tree that bounds leave over: values (n, m), and low < input <= high, (n, d), in its unit."""

    values: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Axis:
    """A column that trees compare with thresholds.

    Attributes:
        column: it.
        edges: ascending, shape (cells + 1,), in the unit of the column.
        is_closed: whether the lowest edge belongs to the first cell.
    """

    column: Column
    edges: Floats
    is_closed: bool = True

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.edges) - 1


@dataclass(frozen=True, eq=False)
class Partition:
    """Boxes and what they give.

    Attributes:
        values: shape (n, M), in the order of ``Forest.outputs``, in their units.
        first, last: shape (n, axes).
        costs: how much worse than the bound of the last relaxation a point in each box is at least, shape (n,), >= 0.
    """

    values: Floats
    first: Cells
    last: Cells
    costs: Floats

    def __len__(self) -> int:
        return len(self.values)

    def chosen(self, rows: Truths) -> "Partition":
        """Return the partition of some of the boxes."""
        return Partition(self.values[rows], self.first[rows], self.last[rows], self.costs[rows])


@dataclass(frozen=True, eq=False)
class Forest:
    """All trees of all modules over one set of axes.

    Attributes:
        axes: what the trees compare.
        partitions: one for each tree, or for each group of merged trees.
        outputs: the columns that the values add up to, M of them.
        base: what each sum starts from, shape (M,).
    """

    axes: tuple[Axis, ...]
    partitions: tuple[Partition, ...]
    outputs: tuple[Column, ...]
    base: Floats

    @property
    def n_leaves(self) -> int:
        """Number of boxes of all partitions."""
        return sum(map(len, self.partitions))

    def reach(self) -> tuple[Floats, Floats]:
        """Return bounds of each output, shape (M,) each: every partition takes one of its boxes."""
        low, high = self.base.copy(), self.base.copy()
        for partition in self.partitions:
            low += partition.values.min(axis=0)
            high += partition.values.max(axis=0)
        margin = _ROUNDING * (high - low)
        return low - margin, high + margin

    def sums(self, values: Mapping[int, float]) -> Floats:
        """Return the outputs at a point, shape (M,): NaN where a partition has no box for it; bounds hold it inside.

        Args:
            values: of the columns of the axes, by their index, in their units.
        """
        cells = [
            int(np.clip(np.searchsorted(axis.edges, values[axis.column.index]) - 1, 0, axis.n_cells - 1))
            for axis in self.axes
        ]
        total = self.base.copy()
        for partition in self.partitions:
            is_here = np.all((partition.first <= cells) & (partition.last >= cells), axis=1)
            total += partition.values[is_here.argmax()] if is_here.any() else np.nan
        return total


def read_leaves(form: TreeEnsemble, root: int, inputs: Sequence[Column]) -> Leaves:
    """Return the leaves of a tree that points within the bounds of its inputs can reach."""
    values, lows, highs = [], [], []
    low = [column.low for column in inputs]
    high = [column.low + column.span for column in inputs]
    waiting = [(root, low, high)]
    while waiting:
        node, low, high = waiting.pop()
        j = int(form.feature[node])
        if j == LEAF:
            values.append(form.value[node])
            lows.append(low)
            highs.append(high)
            continue
        t = float(form.threshold[node])
        is_low_in = low[j] == inputs[j].low  # a lower bound belongs to the box, a threshold does not
        if high[j] > t:
            waiting.append((int(form.right[node]), [*low[:j], max(low[j], t), *low[j + 1 :]], high))
        if low[j] < t or (is_low_in and low[j] == t):
            waiting.append((int(form.left[node]), low, [*high[:j], min(high[j], t), *high[j + 1 :]]))
    return Leaves(np.array(values), np.array(lows), np.array(highs))


def index(
    trees: Sequence[tuple[Leaves, Sequence[Column], Sequence[int]]], outputs: Sequence[Column], base: Floats
) -> Forest:
    """Return the forest of trees, each with the columns of its inputs and the places of its outputs in ``outputs``."""
    found: dict[int, tuple[Column, list[Floats]]] = {}
    for leaves, inputs, _ in trees:
        for j, column in enumerate(inputs):
            if column.span:
                edges = found.setdefault(column.index, (column, [np.array([column.low, column.low + column.span])]))[1]
                edges += [leaves.low[:, j], leaves.high[:, j]]
    axes = tuple(Axis(column, np.unique(np.concatenate(edges))) for column, edges in found.values())
    places = {axis.column.index: place for place, axis in enumerate(axes)}
    partitions = tuple(_indexed(leaves, inputs, axes, places, len(outputs), own) for leaves, inputs, own in trees)
    return _needed(Forest(axes, partitions, tuple(outputs), base))


def _indexed(
    leaves: Leaves,
    inputs: Sequence[Column],
    axes: Sequence[Axis],
    places: dict[int, int],
    n_outputs: int,
    own: Sequence[int],
) -> Partition:
    n = len(leaves.values)
    values = np.zeros((n, n_outputs))
    values[:, own] = leaves.values
    first = np.zeros((n, len(axes)), dtype=np.int32)
    last = np.repeat(np.array([[axis.n_cells - 1 for axis in axes]], dtype=np.int32), n, axis=0)
    for j, column in enumerate(inputs):
        if column.span:
            k = places[column.index]
            first[:, k] = np.searchsorted(axes[k].edges, leaves.low[:, j])
            last[:, k] = np.searchsorted(axes[k].edges, leaves.high[:, j]) - 1
    last = np.maximum(first, last)  # a box may be the lower bound alone: the first cell
    return Partition(values, first, last, np.zeros(n))


def trimmed(forest: Forest, first: Cells, last: Cells) -> Forest | None:
    """Return the forest within a box: boxes outside are left out, and edges that separate nothing any more.

    Whatever one partition has no box for, and no sum of values can reach, is cut off the others too.

    Args:
        forest: it.
        first, last: the box, shape (axes,) each.

    Returns:
        None if nothing is left.
    """
    partitions = list(forest.partitions)
    first, last, size = first.copy(), last.copy(), -1
    while size != (size := sum(map(len, partitions)) + int((last - first).sum())):
        for i, partition in enumerate(partitions):
            is_in = np.all((partition.first <= last) & (partition.last >= first), axis=1)
            if not is_in.any():
                return None
            inside = partition.chosen(is_in)
            inside = replace(inside, first=np.maximum(inside.first, first), last=np.minimum(inside.last, last))
            first, last = inside.first.min(axis=0), inside.last.max(axis=0)
            partitions[i] = inside
        _trim_links(replace(forest, partitions=tuple(partitions)), first, last)
        if (first > last).any():
            return None
    axes = tuple(
        replace(axis, edges=axis.edges[a : b + 2], is_closed=axis.is_closed and a == 0)
        for axis, a, b in zip(forest.axes, first, last, strict=True)
    )
    shifted = tuple(replace(each, first=each.first - first, last=each.last - first) for each in partitions)
    return _needed(replace(forest, axes=axes, partitions=shifted))


def _trim_links(forest: Forest, first: Cells, last: Cells) -> None:
    """Narrow a box, in place, to what the outputs that are axes can reach."""
    low, high = forest.reach()
    places = {column.index: m for m, column in enumerate(forest.outputs)}
    for k, axis in enumerate(forest.axes):
        m = places.get(axis.column.index)
        if m is not None:
            first[k] = max(first[k], np.searchsorted(axis.edges, low[m]) - 1)
            last[k] = min(last[k], np.searchsorted(axis.edges, high[m]) - 1)


def _needed(forest: Forest) -> Forest:
    """Return the forest without the edges at which no box begins or ends."""
    axes, keeps = [], []
    for k, axis in enumerate(forest.axes):
        is_edge = np.zeros(axis.n_cells + 1, dtype=bool)
        is_edge[[0, -1]] = True
        for partition in forest.partitions:
            is_edge[partition.first[:, k]] = True
            is_edge[partition.last[:, k] + 1] = True
        axes.append(replace(axis, edges=axis.edges[is_edge]))
        keeps.append((np.cumsum(is_edge) - 1).astype(np.int32))
    partitions = []
    for partition in forest.partitions:
        first, last = np.empty_like(partition.first), np.empty_like(partition.last)
        for k, new in enumerate(keeps):
            first[:, k], last[:, k] = new[partition.first[:, k]], new[partition.last[:, k] + 1] - 1
        partitions.append(replace(partition, first=first, last=last))
    return replace(forest, axes=tuple(axes), partitions=tuple(partitions))

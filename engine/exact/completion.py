"""What a box must cost at least together with the other trees: it is taken out if that is more than the gap.

A point in a box lies in one box of every other partition too, of those that meet it. So it costs at least what the box
costs, and of every other partition the cheapest box that meets it. With the reduced costs of a relaxation as costs this
takes out most of a forest when the bound is near the known point.

The sums over partitions are those that Chen et al. (2019; see ``engine.exact.merging``) bound merged boxes with.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.exact.boxes import Cells, Forest, Partition, trimmed
from engine.solvers.ranking import Floats, Truths

_ENOUGH = 0.02
"""A pass that takes out less than this share of the boxes is the last one."""

_CHUNK, _FIRST = 1 << 22, 8
"""Pairs of boxes that are compared at once, and boxes of a partition that are tried first, the cheapest."""


def completed(forest: Forest, gap: float, on_step: Callable[[], object] = lambda: None) -> Forest | None:
    """Return the forest without the boxes whose costs, completed by all other partitions, are more than the gap.

    Args:
        forest: with the costs of its boxes.
        gap: what a point may cost.
        on_step: called before each partition is looked at; what it raises ends the work.

    Returns:
        None if nothing is left.
    """
    found: Forest | None = forest
    size = float("inf")
    while found is not None and found.n_leaves < (1 - _ENOUGH) * size:
        size = found.n_leaves
        costs = completions(found, gap, on_step)
        ends = np.cumsum([len(each) for each in found.partitions])[:-1]
        kept = [p.chosen(c <= gap) for p, c in zip(found.partitions, np.split(costs, ends), strict=True)]
        if not all(map(len, kept)):
            return None
        first = np.zeros(len(found.axes), dtype=np.int32)
        last = np.array([axis.n_cells - 1 for axis in found.axes], dtype=np.int32)
        found = trimmed(replace(found, partitions=tuple(kept)), first, last)
    return found


def completions(forest: Forest, gap: float, on_step: Callable[[], object] = lambda: None) -> Floats:
    """Return what each box costs at least together with all partitions, shape (n_leaves,), in their order.

    Boxes that cost more than the gap may be given less than they cost, but more than the gap.
    """
    first = np.concatenate([each.first for each in forest.partitions])
    last = np.concatenate([each.last for each in forest.partitions])
    total = np.zeros(len(first))
    begin = 0
    for partition in forest.partitions:
        on_step()
        own = slice(begin, begin + len(partition))
        begin = own.stop
        total[own] += partition.costs
        others = total <= gap
        others[own] = False
        rows = np.flatnonzero(others)
        total[rows] += _cheapest(partition, first[rows], last[rows], gap - total[rows])
    return total


def _cheapest(partition: Partition, first: Cells, last: Cells, room: Floats) -> Floats:
    """Return the cost of the cheapest box of a partition that meets each of some boxes, infinity if none does.

    Where it is more than ``room``, anything above that may be returned.
    """
    order = np.argsort(partition.costs, kind="stable")
    costs, low, high = partition.costs[order], partition.first[order], partition.last[order]
    axes = np.flatnonzero((low.max(axis=0) > 0) | (high.min(axis=0) < high.max(axis=0)))
    found = np.full(len(first), np.inf)
    left = np.flatnonzero(costs[0] <= room)
    start, step = 0, _FIRST
    while start < len(costs) and len(left):
        some = slice(start, start + step)
        meets: Truths = np.ones((len(left), len(costs[some])), dtype=bool)
        for k in axes:
            meets &= (first[left, k, None] <= high[some, k]) & (last[left, k, None] >= low[some, k])
        hit = meets.any(axis=1)
        found[left[hit]] = costs[some][meets[hit].argmax(axis=1)]
        left = left[~hit]
        start += step
        if start < len(costs):
            left = left[costs[start] <= room[left]]
            step = max(_FIRST, min(2 * step, _CHUNK // max(1, len(left))))
    return found

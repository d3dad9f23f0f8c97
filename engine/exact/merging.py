"""Merging partitions: two trees become one whose boxes are the intersections of theirs.

The relaxation of one partition has no gap, that of two has. So merging tightens the bound, at the price of more boxes;
and what the bound proves worse than a known point need not be made: with reduced costs r >= 0 of the relaxation, a
point in box a of one partition and in box b of another is no better than bound + r_a + r_b.

Source
    Chen, Zhang, Si, Li, Boning and Hsieh (2019), Advances in Neural Information Processing Systems 32, merge the leaves
    of several trees into boxes, level by level. Bounding the intersections by reduced costs is ours.
"""

from collections.abc import Callable, Sequence

import numpy as np

from engine.exact.boxes import Partition
from engine.solvers.ranking import Floats

_CHUNK = 1 << 21
"""Pairs of boxes that are compared at once: bounds the memory."""

_CANDIDATES, _SAMPLE = 8, 64
"""Partners that are tried for a partition, by as many of the boxes of each."""


def merged(
    partitions: Sequence[Partition],
    costs: Sequence[Floats],
    gap: float,
    most: int,
    on_pair: Callable[[], object] = lambda: None,
) -> list[Partition]:
    """Return partitions merged in pairs, each with the partner that gives the fewest boxes.

    Args:
        partitions: what is merged; those of one box are all merged into one.
        costs: the reduced costs of the boxes of each, >= 0.
        gap: pairs of boxes whose reduced costs add up to more are left out.
        most: boxes of all partitions that there may be; pairs that would go beyond it are not merged.
        on_pair: called before each pair; what it raises ends the work.
    """
    order = sorted(range(len(partitions)), key=lambda i: len(partitions[i]))
    left = [(partitions[i], costs[i]) for i in order]
    done: list[Partition] = []
    room = most - sum(map(len, partitions))
    while left:
        on_pair()
        (one, cost), *left = left
        sizes = [_guess(one, cost, *other, gap) for other in left[:_CANDIDATES]]
        best = min(range(len(sizes)), key=lambda k: sizes[k] - len(left[k][0]), default=None)
        pair = None
        if best is not None:
            other, other_cost = left[best]
            before = len(one) + len(other)
            pair = _merge(one, cost, other, other_cost, gap, room + before)
        if pair is None or best is None:
            done.append(one)
            continue
        room -= len(pair) - before
        del left[best]
        done.append(pair)
    return done


def _guess(one: Partition, cost: Floats, other: Partition, other_cost: Floats, gap: float) -> float:
    """Return about how many boxes a pair would have."""
    few, few_others = _spread(len(one)), _spread(len(other))
    costs = cost[few, None] + other_cost[few_others]
    first = np.maximum(one.first[few, None], other.first[few_others])
    meets = (first <= np.minimum(one.last[few, None], other.last[few_others])).all(axis=2) & (costs <= gap)
    return float(meets.mean()) * len(one) * len(other)


def _spread(n: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.intp))


def _merge(
    one: Partition, cost: Floats, other: Partition, other_cost: Floats, gap: float, most: int
) -> Partition | None:
    """Return a pair as one partition; None if it has more boxes than ``most``."""
    found, n = [], 0
    step = max(1, _CHUNK // len(other))
    for start in range(0, len(one), step):
        a, b = np.nonzero(cost[start : start + step, None] + other_cost <= gap)
        a += start
        for k in range(one.first.shape[1]):
            meets = np.maximum(one.first[a, k], other.first[b, k]) <= np.minimum(one.last[a, k], other.last[b, k])
            a, b = a[meets], b[meets]
        n += len(a)
        if n > most:
            return None
        found.append((a, b))
    a, b = (np.concatenate(side) for side in zip(*found, strict=True))
    return Partition(
        one.values[a] + other.values[b],
        np.maximum(one.first[a], other.first[b]),
        np.minimum(one.last[a], other.last[b]),
    )

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
from numpy.typing import NDArray

from engine.exact.boxes import Partition

_CHUNK = 1 << 21
"""Pairs of boxes that are compared at once: bounds the memory."""

_CANDIDATES, _SAMPLE = 8, 64
"""Partners that are tried for a partition, by as many of the boxes of each."""


def merged(
    partitions: Sequence[Partition], gap: float, most: int, on_pair: Callable[[], object] = lambda: None
) -> list[Partition]:
    """Return partitions merged in pairs, each with the partner that gives the fewest boxes.

    Args:
        partitions: what is merged.
        gap: pairs of boxes whose costs add up to more are left out.
        most: boxes of all partitions that there may be; pairs that would go beyond it are not merged.
        on_pair: called before each pair; what it raises ends the work.
    """
    left = sorted(partitions, key=len)
    done: list[Partition] = []
    room = most - sum(map(len, left))
    while left:
        on_pair()
        one, *left = left
        sizes = [_guess(one, other, gap) - len(other) for other in left[:_CANDIDATES]]
        best = int(np.argmin(sizes)) if sizes else 0
        pair = _merge(one, left[best], gap, room + len(one) + len(left[best])) if sizes else None
        if pair is None:
            done.append(one)
        else:
            room -= len(pair) - len(one) - len(left.pop(best))
            done.append(pair)
    return done


def _guess(one: Partition, other: Partition, gap: float) -> float:
    """Return about how many boxes a pair would have."""
    a, b = _spread(len(one)), _spread(len(other))
    first = np.maximum(one.first[a, None], other.first[b])
    meets = (first <= np.minimum(one.last[a, None], other.last[b])).all(axis=2)
    meets &= one.costs[a, None] + other.costs[b] <= gap
    return float(meets.mean()) * len(one) * len(other)


def _spread(n: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.intp))


def _merge(one: Partition, other: Partition, gap: float, most: int) -> Partition | None:
    """Return a pair as one partition; None if it has more boxes than ``most``, or none."""
    found, n = [], 0
    step = max(1, _CHUNK // len(other))
    for start in range(0, len(one), step):
        a, b = np.nonzero(one.costs[start : start + step, None] + other.costs <= gap)
        a += start
        for k in range(one.first.shape[1]):
            meets = np.maximum(one.first[a, k], other.first[b, k]) <= np.minimum(one.last[a, k], other.last[b, k])
            a, b = a[meets], b[meets]
        n += len(a)
        if n > most:
            return None
        found.append((a, b))
    a, b = (np.concatenate(side) for side in zip(*found, strict=True))
    if n == 0:
        return None
    return Partition(
        one.values[a] + other.values[b],
        np.maximum(one.first[a], other.first[b]),
        np.minimum(one.last[a], other.last[b]),
        one.costs[a] + other.costs[b],
    )

"""NSGA-II: fronts of undominated points, spread by crowding distance.

Of parents and children together, whole fronts live on from the best. The front that does not fit whole loses one point
after the other, each time the one whose neighbors are nearest to each other by then: were all lost at once, a crowd
would lose all of its points and leave a hole. Parents win a contest of two: the better front, then the emptier
surroundings.

Sources
    Deb, Pratap, Agarwal and Meyarivan (2002), IEEE Trans. Evol. Comput. 6, 182-197.
    One after the other: Kukkonen and Deb (2006), IEEE Congress on Evolutionary Computation, 1179-1186.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.pareto import crowding_distance
from engine.solvers.multi import MultiObjectiveSolver, ranks
from engine.solvers.ranking import Floats


class NSGA2(MultiObjectiveSolver):
    """The usual choice for two objectives. See the module for the method."""

    name = "nsga2"
    ETA_CROSS, ETA_MUTATE = 15.0, 20.0

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        **MultiObjectiveSolver._LAYOUT,
        "rank": (np.int64, "n"),
        "crowding": (np.float64, "n"),
    }

    def _start(self, c: int) -> None:
        super()._start(c)
        self._rank = np.zeros(len(self._population), dtype=np.int64)
        self._crowding = np.zeros(len(self._population))

    def _survivors(self, F: Floats, v: Floats, n: int) -> NDArray[np.intp]:
        rank = ranks(F, v)
        F = np.where(np.isfinite(F), F, 0.0)
        order = np.argsort(rank, kind="stable")
        last = rank[order[n - 1]]
        alive, split = order[rank[order] < last], np.flatnonzero(rank == last)
        alive = np.concatenate([alive, split[thinned_out(F[split], n - len(alive))]])
        self._rank, self._crowding = rank[alive].astype(np.int64), np.zeros(n)
        for front in range(last + 1):
            members = np.flatnonzero(self._rank == front)
            self._crowding[members] = crowding_distance(F[alive[members]])
        return alive

    def _parents(self, n: int) -> NDArray[np.intp]:
        one, other = self._rng.integers(0, len(self._population), (2, n))
        is_better = (self._rank[one] < self._rank[other]) | (
            (self._rank[one] == self._rank[other]) & (self._crowding[one] >= self._crowding[other])
        )
        parents: NDArray[np.intp] = np.where(is_better, one, other)
        return parents

    def _is_sound(self) -> bool:
        return super()._is_sound() and bool((self._rank >= 0).all() and not np.isnan(self._crowding).any())


def _chain(order: list[int]) -> tuple[list[int], list[int]]:
    """Return who comes before and after each point; -1 where nobody does."""
    before, after = [-1] * len(order), [-1] * len(order)
    for low, high in pairwise(order):
        after[low], before[high] = high, low
    return before, after


def thinned_out(F: Floats, n: int) -> NDArray[np.intp]:
    """Return n points of a front, ascending: the others went one by one, each as the most crowded of its time.

    Crowding is that of ``crowding_distance`` among the points that are left; the ends of each objective go last.
    """
    span = F.max(axis=0) - F.min(axis=0)
    columns = (F / np.where(span > 0, span, np.inf)).T.tolist()
    chains = [_chain(np.argsort(column, kind="stable").tolist()) for column in columns]
    parts = list(zip(columns, *zip(*chains, strict=True), strict=True))

    def crowding(i: int) -> float:
        return sum(
            column[after[i]] - column[before[i]] if before[i] >= 0 <= after[i] else np.inf
            for column, before, after in parts
        )

    known = [crowding(i) for i in range(len(F))]
    waiting = [(distance, i) for i, distance in enumerate(known)]
    heapify(waiting)
    is_left = np.ones(len(F), dtype=np.bool_)
    n_left = len(F)
    while n_left > n:
        distance, i = heappop(waiting)
        if not is_left[i] or distance != known[i]:
            continue  # it is gone, or its neighbors have changed since
        is_left[i] = False
        n_left -= 1
        for _, before, after in parts:
            low, high = before[i], after[i]
            if low >= 0:
                after[low] = high
            if high >= 0:
                before[high] = low
            for j in (low, high):
                if j >= 0:
                    known[j] = crowding(j)
                    heappush(waiting, (known[j], j))
    return np.flatnonzero(is_left)

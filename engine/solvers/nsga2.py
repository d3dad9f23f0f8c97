"""NSGA-II: fronts of undominated points, spread by crowding distance.

Of parents and children together, whole fronts live on from the best; of the front that does not fit whole, those whose
neighbors are farthest away. Parents win a contest of two: the better front, then the emptier surroundings.

Source
    Deb, Pratap, Agarwal and Meyarivan (2002), IEEE Trans. Evol. Comput. 6, 182-197.
"""

from collections.abc import Mapping
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
        last = np.sort(rank)[n - 1]
        crowding = np.zeros(len(F))
        for front in range(last + 1):
            members = np.flatnonzero(rank == front)
            crowding[members] = crowding_distance(np.where(np.isfinite(F[members]), F[members], 0.0))
        alive = np.lexsort((-crowding, rank))[:n]
        self._rank, self._crowding = rank[alive].astype(np.int64), crowding[alive]
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

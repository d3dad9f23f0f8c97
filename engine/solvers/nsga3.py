"""NSGA-III: fronts of undominated points, spread along directions from the ideal point.

Notation
    R       reference directions, (r, p): all points of a simplex whose coordinates are multiples of 1/h
    z       ideal point: the best of each objective so far, (p,)
    E       extreme points: for each axis the point that is best in the others, (p, p)
    a       intercepts of the plane through the extreme points with the axes, from z, (p,)

Whole fronts live on from the best. Of the front that does not fit whole, points are taken one by one for the direction
that has fewest so far: the nearest to it if it has none, else any. Distances are those from the lines z + t R, with the
objectives scaled by a; where no plane can be laid, by the range of the first front.

Sources
    Deb and Jain (2014), IEEE Trans. Evol. Comput. 18, 577-601.
    Directions: Das and Dennis (1998), SIAM J. Optim. 8, 631-657.
"""

import itertools
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.solvers.multi import MultiObjectiveSolver, ranks
from engine.solvers.ranking import Floats

N_ASKED = 100
"""Directions that are wanted: the finest simplex with no more is taken."""


def reference_directions(p: int, n_most: int) -> Floats:
    """Return the finest simplex lattice of p coordinates with at most n_most points, (r, p); at least its corners."""
    h = 1
    while math.comb(h + p, p - 1) <= n_most:
        h += 1
    bars = itertools.combinations(range(h + p - 1), p - 1)
    parts = [np.diff([-1, *each, h + p - 1]) - 1 for each in bars]
    return np.array(parts, dtype=np.float64) / h


class NSGA3(MultiObjectiveSolver):
    """The usual choice for three objectives and more. See the module for the method."""

    name = "nsga3"
    ETA_CROSS, ETA_MUTATE = 30.0, 20.0

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        **MultiObjectiveSolver._LAYOUT,
        "ideal": (np.float64, "p"),
        "extremes": (np.float64, "q p"),
    }

    def _start(self, c: int) -> None:
        self._directions = reference_directions(self.n_objectives, max(self._wanted(), self.n_objectives))
        super()._start(c)
        self._ideal = np.full(self.n_objectives, np.inf)
        self._extremes = np.empty((0, self.n_objectives))

    def _wanted(self) -> int:
        return super()._size()

    def _size(self) -> int:
        return 2 * math.ceil(len(self._directions) / 2)

    def _parents(self, n: int) -> NDArray[np.intp]:
        one, other = self._rng.integers(0, len(self._population), (2, n))
        parents: NDArray[np.intp] = np.where(self._v[one] <= self._v[other], one, other)
        return parents

    def _survivors(self, F: Floats, v: Floats, n: int) -> NDArray[np.intp]:
        rank = ranks(F, v)
        order = np.argsort(rank, kind="stable")
        last = rank[order[n - 1]]
        alive, splits = order[rank[order] < last], order[rank[order] == last]
        first = np.flatnonzero((rank == 0) & (v == 0))
        if len(first):
            self._take_scale(F[first])
        if len(alive) + len(splits) == n or not len(first) or v[splits[0]] > 0:
            return order[:n]
        return np.concatenate([alive, self._niched(F, alive, splits, n - len(alive), F[first])])

    def _take_scale(self, first: Floats) -> None:
        """Update ideal and extreme points from the first front."""
        self._ideal = np.minimum(self._ideal, first.min(axis=0))
        points = np.concatenate([self._extremes, first])
        shifted = points - self._ideal
        shifted[shifted < 1e-3] = 0.0
        weight = np.full((self.n_objectives, self.n_objectives), 1e6)
        np.fill_diagonal(weight, 1.0)
        achieved = (shifted[None] * weight[:, None]).max(axis=2)
        self._extremes = points[achieved.argmin(axis=1)]

    def _intercepts(self, first: Floats) -> Floats:
        worst = first.max(axis=0) - self._ideal
        try:
            plane = np.linalg.solve(self._extremes - self._ideal, np.ones(self.n_objectives))
            intercepts: Floats = 1 / plane
        except np.linalg.LinAlgError:
            intercepts = worst
        is_sound = np.isfinite(intercepts).all() and (intercepts > 1e-6).all()
        intercepts = np.minimum(intercepts, worst) if is_sound else worst
        return np.where(intercepts > 1e-6, intercepts, 1.0)

    def _niched(
        self, F: Floats, alive: NDArray[np.intp], splits: NDArray[np.intp], n_left: int, first: Floats
    ) -> NDArray[np.intp]:
        """Return n_left of the front that is split, for the directions that have fewest."""
        scaled = (F - self._ideal) / self._intercepts(first)
        niche, distance = self._nearest_direction(scaled[np.concatenate([alive, splits])])
        counts = np.bincount(niche[: len(alive)], minlength=len(self._directions))
        niche, distance = niche[len(alive) :], distance[len(alive) :]
        order = np.lexsort((distance, niche))
        waiting: dict[int, list[int]] = {}
        for i in order.tolist():
            waiting.setdefault(int(niche[i]), []).append(i)
        taken: list[int] = []
        while len(taken) < n_left:
            open_niches = np.array(sorted(waiting))
            fewest = open_niches[counts[open_niches] == counts[open_niches].min()]
            for j in self._rng.permutation(fewest)[: n_left - len(taken)].tolist():
                candidates = waiting[j]
                taken.append(candidates.pop(0 if counts[j] == 0 else int(self._rng.integers(len(candidates)))))
                counts[j] += 1
                if not candidates:
                    del waiting[j]
        return splits[taken]

    def _nearest_direction(self, scaled: Floats) -> tuple[NDArray[np.intp], Floats]:
        unit = self._directions / np.linalg.norm(self._directions, axis=1, keepdims=True)
        along = scaled @ unit.T
        squares = (scaled**2).sum(axis=1, keepdims=True) - along**2
        niche = squares.argmin(axis=1)
        return niche, np.sqrt(np.maximum(squares[np.arange(len(scaled)), niche], 0))

    def _is_sound(self) -> bool:
        known = np.concatenate([self._ideal, self._extremes.ravel()])
        is_whole = len(self._extremes) in {0, self.n_objectives}
        return super()._is_sound() and is_whole and not np.isnan(known).any()

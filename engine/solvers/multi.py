"""What solvers for several objectives share: a population in which feasible, undominated points survive."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from engine.pareto import fronts, knee, nondominated
from engine.solvers.base import Best, Population, Solver
from engine.solvers.ranking import Floats
from engine.solvers.variation import cross, mutate

N_LEAST, PER_ROOT, N_MOST = 20, 0.632, 400  # 100 individuals at 25,000 evaluations


class MultiObjectiveSolver(Solver):
    """Minimizes several objectives at once: ``front()`` is its answer, and ``result()`` the knee of it.

    ``tell`` takes objectives of shape (k, p).
    """

    is_multi_objective = True

    ETA_CROSS: ClassVar[float]
    ETA_MUTATE: ClassVar[float]

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "population": (np.float64, "n c"),
        "F": (np.float64, "n p"),
        "v": (np.float64, "n"),
        "worst": (np.float64, "p"),
    }

    @abstractmethod
    def _survivors(self, F: Floats, v: Floats, n: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Return the n points that live on, as indices; also set what ``_parents`` needs of them."""

    @abstractmethod
    def _parents(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Return n parents, as indices of the population."""

    # What it promises

    def front(self) -> Population:
        """Return the feasible points that nothing dominates; if none is feasible, those that violate least.

        Points that equal each other are there once.
        """
        F, v = self._F, self._v
        known = np.isfinite(v)
        best = np.flatnonzero(known & (v == (v[known].min() if known.any() else 0)))
        best = best[nondominated(F[best])] if len(best) else best
        X = self.space.to_box(self._population[best])
        _, once = np.unique(np.column_stack([X, F[best]]), axis=0, return_index=True)
        kept = np.sort(once)
        return Population(X[kept], F[best][kept], v[best][kept])

    def reference(self) -> Floats:
        """Return the worst value of each objective in the first population, shape (p,); infinite before it was told."""
        worst: Floats = self._worst.copy()
        return worst

    def result(self) -> Best | None:
        """Return the knee of the front, with the sum of its objectives; None before a point could be computed."""
        front = self.front()
        if not len(front.X):
            return None
        i = knee(front.F)
        return Best(front.X[i], float(front.F[i].sum()), float(front.violation[i]))

    # Inside

    def _start(self, c: int) -> None:
        n = self._size()
        self._population = self._first_points(n)
        self._F = np.full((n, self.n_objectives), np.inf)
        self._v = np.full(n, np.inf)
        self._worst = np.full(self.n_objectives, np.inf)

    def _size(self) -> int:
        return 2 * math.ceil(min(N_MOST, max(N_LEAST, PER_ROOT * math.sqrt(self.budget))) / 2)

    def _propose(self) -> Floats:
        n = len(self._population)
        if self._evaluations == 0:
            return self._population.copy()
        parents = self._population[self._parents(2 * math.ceil(n / 2))]
        half = len(parents) // 2
        children = cross(self._rng, parents[:half], parents[half:], self.space, self.ETA_CROSS)
        return mutate(self._rng, children[:n], self.space, self.ETA_MUTATE)

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        f = f.reshape(len(U), self.n_objectives)
        if self._evaluations <= len(self._population):  # the first population, whole or cut
            self._population[: len(U)], self._F[: len(U)], self._v[: len(U)] = U, f, v
            known = f[np.isfinite(v)]
            self._worst = known.max(axis=0) if len(known) else np.full(self.n_objectives, np.inf)
            merged = self._population, self._F, self._v
        else:
            merged = (
                np.concatenate([self._population, U]),
                np.concatenate([self._F, f]),
                np.concatenate([self._v, v]),
            )
        alive = self._survivors(merged[1], merged[2], len(self._population))
        self._population, self._F, self._v = (each[alive] for each in merged)

    def _conclude(self, U: Floats, f: Floats, v: Floats) -> None:
        self._learn(U, f, v)

    def _remember(self, X: Floats, f: Floats, v: Floats) -> None:
        """Nothing: the population is the memory."""

    def _is_sound(self) -> bool:
        is_inside = ((self._population >= 0) & (self._population <= 1)).all()
        is_known = not (np.isnan(self._F).any() or np.isnan(self._v).any() or np.isnan(self._worst).any())
        return bool(len(self._population) and is_inside and is_known and (self._v >= 0).all())


def ranks(F: Floats, v: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the front of each point, those that could not be computed behind all others."""
    return fronts(np.where(np.isfinite(F), F, 0.0), v)

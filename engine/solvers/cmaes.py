"""CMA-ES with restarts: the update of the cmaes library, its populations drawn and ranked here.

Notation (in the unit cube; one free variable gets a second that does nothing, which the library needs)
    m, s    mean and step size of the distribution        C     its covariance, (c, c)
    B, D    C = B D^2 B'                                   l     population size, l0 = 4 + floor(3 ln c) at first
    z       standard normal draws, (l, c)

    U = m + s (z D) B', set on the face of the cube where it leaves it                                         (1)
    the library updates m, s and C from the points and their ranks                                            (2)

The library is told ranks, not objectives: feasible before infeasible, so that limits need no penalty, and the steps do
not depend on the unit of the objective.

A run ends when its distribution has shrunk to rounding, has lost its shape, or has not bettered itself for long. Then
another begins elsewhere with twice the population, or, as long as those have used fewer evaluations in all, with a
small one and a small step: the many small valleys and the one large one each get half of the budget (BIPOP).

Beyond DENSE dimensions the covariance is kept diagonal, so that a step costs no more than its points.

Variables with levels are rounded when they are asked for. The step in a direction with levels is kept from
shrinking below half a cell, or the search would stand still on one level.

Sources
    (2)     Hansen (2016), The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772; Nomura and Shibata (2024), cmaes: a
            simple yet practical Python library, arXiv:2402.01373. Diagonal: Ros and Hansen (2008), PPSN X, 296-305.
    BIPOP   Hansen (2009), GECCO Companion, 2389-2396; doubling: Auger and Hansen (2005), CEC, 1769-1776.
    levels  Hamano, Saito, Nomura and Shirakawa (2022), GECCO, 639-647 (CMA-ES with margin), simplified.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.solvers.base import Solver
from engine.solvers.ranking import Floats, best_first

DENSE = 100
FIRST_STEP = 0.3
SMALLEST_STEP, WORST_CONDITION = 1e-12, 1e14
STALE = (20, 30.0)  # generations without a better best point: 20 + 30 c / l
LARGEST_DOUBLING = 6


class CovarianceAdaptation(Solver):
    """CMA-ES with restarts. See the module for the method."""

    name = "cmaes"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "mean": (np.float64, "k"),
        "covariance": (np.float64, "r k"),
        "path_step": (np.float64, "k"),
        "path_covariance": (np.float64, "k"),
        "run": (np.float64, "eight"),
        "best_of_run": (np.float64, "two"),
    }

    # ``run`` holds: step size, generation of the library, population size, generations since the run's best point
    # was bettered, doublings so far, evaluations of large runs, of small runs, whether this run is small

    def _start(self, c: int) -> None:
        self._run, self._best_of_run = np.zeros(8), np.full(2, np.inf)
        start = np.full(self._k, 0.5)
        if len(self._starts):
            start[:c] = self._starts[0]
        self._begin(is_small=False, start=start)

    @property
    def _k(self) -> int:
        return max(2, self.space.c)

    def _propose(self) -> Floats:
        n = int(self._run[2])
        self._points = self._drawn(n).clip(0, 1)
        if self._evaluations == 0 and len(self._starts):
            self._points[: len(self._starts), : self.space.c] = self._starts[:n]
        return self._points[:, : self.space.c].copy()

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        order = best_first(f, v)
        self._run[5 + int(self._run[7])] += len(U)
        best = self._best_of_run
        is_better = (v[order[0]], f[order[0]]) < (best[1], best[0])
        if is_better:
            self._best_of_run = np.array([f[order[0]], v[order[0]]])
        self._run[3] = 0 if is_better else self._run[3] + 1
        self._update(self._points, order)
        if self._has_ended():
            self._restart()

    def _update(self, U: Floats, order: NDArray[np.intp]) -> None:
        library = self._library()
        library.tell([(U[i], float(rank)) for rank, i in enumerate(order)])
        self._mean, self._covariance = library._mean.clip(0, 1), np.atleast_2d(library._C)
        self._path_step, self._path_covariance = library._p_sigma, library._pc
        self._run[0], self._run[1] = min(library._sigma, 1e3), library._g

    def _library(self) -> Any:
        """Return the library's object in the state of this run; what it draws at random is not used."""
        from cmaes import CMA, SepCMA  # type: ignore[import-untyped]

        kind = CMA if self._is_dense() else SepCMA
        made = kind(self._mean.copy(), float(self._run[0]), population_size=int(self._run[2]), seed=0)
        made._C = self._covariance.copy() if self._is_dense() else self._covariance[0].copy()
        made._p_sigma, made._pc, made._g = self._path_step.copy(), self._path_covariance.copy(), int(self._run[1])
        return made

    def _is_dense(self) -> bool:
        return self._k <= DENSE

    def _drawn(self, n: int) -> Floats:
        """Return n draws from the distribution: (1) before it is cut to the cube."""
        z = self._rng.standard_normal((n, self._k))
        if self._is_dense():
            deviations, B = self._axes()
            steps = (z * deviations) @ B.T
        else:
            steps = z * np.sqrt(np.maximum(self._covariance[0], 1e-300))
        steps *= self._run[0]
        floor = self._least_deviation()
        if floor is not None:
            own = self._run[0] * np.sqrt(np.maximum(self._variances(), 1e-300))
            steps *= np.maximum(1.0, floor / own)
        drawn: Floats = self._mean + steps
        return drawn

    def _axes(self) -> tuple[Floats, Floats]:
        squares, B = np.linalg.eigh((self._covariance + self._covariance.T) / 2)
        return np.sqrt(np.maximum(squares, 1e-300)), B

    def _variances(self) -> Floats:
        return np.diag(self._covariance).copy() if self._is_dense() else self._covariance[0]

    def _least_deviation(self) -> Floats | None:
        """Return the deviation that each coordinate keeps, so that other levels stay in reach; None if all are real."""
        if self.space.is_real:
            return None
        cells = np.where(self.space.levels > 0, 1 / np.maximum(self.space.levels, 1), 0.0)
        least = np.zeros(self._k)
        least[: self.space.c] = np.where(self.space.is_choice, 1.0, 0.5) * cells
        return least

    def _has_ended(self) -> bool:
        deviations = self._axes()[0] if self._is_dense() else np.sqrt(np.maximum(self._covariance[0], 1e-300))
        patience = STALE[0] + STALE[1] * self.space.c / self._run[2]
        has_shrunk = self._run[0] * deviations.max() < SMALLEST_STEP
        has_no_shape = (deviations.max() / deviations.min()) ** 2 > WORST_CONDITION
        return bool(has_shrunk or has_no_shape or self._run[3] > patience or not np.isfinite(deviations).all())

    def _restart(self) -> None:
        is_small = bool(self._run[6] < self._run[5] and self._run[4] > 0)
        if not is_small:
            self._run[4] = min(self._run[4] + 1, LARGEST_DOUBLING)
        self._begin(is_small=is_small, start=self._rng.random(self._k))

    def _begin(self, *, is_small: bool, start: Floats) -> None:
        k = self._k
        usual = 4 + int(3 * math.log(k))
        size, step = usual * 2 ** int(self._run[4]), FIRST_STEP
        if is_small:
            share, shrunk = self._rng.random(2)
            size, step = int(usual * (size / usual / 2) ** (share**2)), FIRST_STEP * 10 ** (-2 * shrunk)
        self._mean = start.copy()
        self._covariance = np.eye(k) if self._is_dense() else np.ones((1, k))
        self._path_step, self._path_covariance = np.zeros(k), np.zeros(k)
        self._run[[0, 1, 2, 3, 7]] = step, 0, max(usual, size), 0, is_small
        self._best_of_run = np.array([np.inf, np.inf])

    def _is_sound(self) -> bool:
        shape = (self._k if self._is_dense() else 1, self._k)
        arrays = [self._mean, self._covariance.ravel(), self._path_step, self._path_covariance, self._run]
        is_inside = ((self._mean >= 0) & (self._mean <= 1)).all()
        is_whole = np.isfinite(np.concatenate(arrays)).all() and not np.isnan(self._best_of_run).any()
        is_run = (self._run >= 0).all() and self._run[0] > 0 and 2 <= self._run[2] <= 10**6 and self._run[7] in {0, 1}
        return bool(self._covariance.shape == shape and is_inside and is_whole and is_run)

"""Differential evolution that learns its own step sizes and shrinks its population over the budget (L-SHADE).

Notation (one row an individual, in the unit cube)
    N    individuals now, N0 at the start, 4 at the end      t    evaluations / budget
    X    population, (N, c)                                  A    archive: parents that were bettered, (<= 2.6 N, c)
    F    scale of the differences, (N,), in (0, 1]           CR   share of coordinates that change, (N,), in [0, 1]
    M_F, M_CR  memory of what succeeded, (H,) each; NaN in M_CR says "change one coordinate only", for good

For each individual i, with h drawn from the H places of the memory:
    CR_i = 0 if M_CR,h is NaN, else normal(M_CR,h, 0.1) cut to [0, 1]                                 (1)
    F_i  = Cauchy(M_F,h, 0.1), drawn again while <= 0, cut to 1                                       (2)
    V_i  = X_i + F_i (X_pbest - X_i) + F_i (X_r1 - X~_r2)                                             (3)
           pbest: any of the best p N; r1 from the population, r2 from population and archive, all different from i
    V_ij = the face of the cube where it would leave                                                  (4)
    U_ij = V_ij where a uniform draw is below CR_i, and for one j always; X_ij elsewhere              (5)
    X_i <- U_i if U_i is at least as good                                                             (6)
After the generation, with S the values of those that became strictly better, the oldest place of the memory becomes
    mean_L(S_F) and mean_L(S_CR), mean_L(S) = sum S^2 / sum S, or NaN in M_CR if it was NaN or S_CR is all 0   (7-9)
and the worst individuals go until N = N0 + (4 - N0) t                                                (10)

Four choices differ from the paper. The means are not weighted by gains in the objective, as in JADE: the method
then uses order alone, and gains across feasibility need no unit. A step that leaves the cube ends on its face and
not halfway to it, for the best set-point often lies exactly on a bound. p is 0.2. N0 grows with the square root of
the budget instead of the dimension, since budgets here are hundreds or thousands and not 10,000 a dimension.

A categorical coordinate has no differences: it takes that of pbest or of r1, or with probability F / 4 any value.

Sources
    (1-10)  Tanabe and Fukunaga (2014), IEEE Congress on Evolutionary Computation, 1658-1665, by its numbers.
    (3, 5)  Storn and Price (1997), J. Global Optimization 11, 341-359: differences and crossover;
            Zhang and Sanderson (2009), IEEE Trans. Evol. Comput. 13, 945-958 (JADE): pbest, archive, plain means.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.solvers.base import Solver
from engine.solvers.ranking import Floats, best_first, is_at_least_as_good, is_better

N_LEAST = 4  # i, pbest, r1 and r2 can still be four
N_FIRST = (12, 0.8)  # N0 = max(12, 0.8 sqrt(budget))
N_MEMORY = 5  # H
P_BEST = 0.2  # p
ANYTHING = 0.25
ARCHIVE = 2.6  # archived parents for each individual
SPREAD = 0.1  # of F and CR around their memory


class DifferentialEvolution(Solver):
    """Differential evolution, adaptive and paced by its budget. See the module for the method."""

    name = "de"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "population": (np.float64, "n c"),
        "f": (np.float64, "n"),
        "v": (np.float64, "n"),
        "archive": (np.float64, "a c"),
        "memory_F": (np.float64, "h"),
        "memory_CR": (np.float64, "h"),
    }

    def _start(self, c: int) -> None:
        self._population = self._first_points(self._first_size())
        self._f = np.full(len(self._population), np.inf)
        self._v = np.full(len(self._population), np.inf)
        self._archive = np.empty((0, c))
        self._memory_F = np.full(N_MEMORY, 0.5)
        self._memory_CR = np.full(N_MEMORY, 0.5)

    def _propose(self) -> Floats:
        if self._evaluations == 0:
            return self._population.copy()
        self._F, self._CR = self._draw_parameters()
        return self._crossover(self._mutants())

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        if self._evaluations == len(U):
            self._f, self._v = f, v
            return
        is_gain = is_better(f, v, self._f, self._v)
        takes = is_at_least_as_good(f, v, self._f, self._v)
        self._archive = np.concatenate([self._archive, self._population[is_gain]])
        self._population[takes], self._f[takes], self._v[takes] = U[takes], f[takes], v[takes]  # (6)
        if is_gain.any():
            self._remember_success(self._F[is_gain], self._CR[is_gain])
        self._shrink()

    def _is_sound(self) -> bool:
        points = np.concatenate([self._population, self._archive])
        F, CR = self._memory_F, self._memory_CR[~np.isnan(self._memory_CR)]
        is_inside = ((points >= 0) & (points <= 1)).all()
        is_memory = len(F) == N_MEMORY and ((F > 0) & (F <= 1)).all() and ((CR >= 0) & (CR <= 1)).all()
        is_whole = len(self._population) >= N_LEAST and not np.isnan(np.concatenate([self._f, self._v])).any()
        return bool(is_inside and is_memory and is_whole)

    def _draw_parameters(self) -> tuple[Floats, Floats]:
        n = len(self._population)
        h = self._rng.integers(0, N_MEMORY, n)
        noisy_CR = self._memory_CR[h] + SPREAD * self._rng.standard_normal(n)
        CR = np.where(np.isnan(noisy_CR), 0.0, np.clip(noisy_CR, 0, 1))  # (1)
        F = self._memory_F[h] + SPREAD * self._rng.standard_cauchy(n)  # (2)
        while (again := F <= 0).any():
            F[again] = self._memory_F[h[again]] + SPREAD * self._rng.standard_cauchy(again.sum())
        return np.minimum(F, 1), CR

    def _mutants(self) -> Floats:
        X, n = self._population, len(self._population)
        best = best_first(self._f, self._v)[: max(2, round(P_BEST * n))]
        r1, r2 = self._two_others(n, n + len(self._archive))
        others = np.concatenate([X, self._archive])
        F = self._F[:, None]
        towards = X[self._rng.choice(best, n)]
        V: Floats = (X + F * (towards - X) + F * (X[r1] - others[r2])).clip(0, 1)  # (3, 4)
        if self.space.is_choice.any():
            self._choose(V, towards, X[r1], F)
        return V

    def _choose(self, V: Floats, towards: Floats, others: Floats, F: Floats) -> None:
        """Set the categorical coordinates of the mutants, whose codes have no differences."""
        choices = np.flatnonzero(self.space.is_choice)
        which, anything = self._rng.random((2, len(V), len(choices)))
        heard = np.where(which < 0.5, towards[:, choices], others[:, choices])
        V[:, choices] = np.where(self._rng.random(which.shape) < ANYTHING * F, anything, heard)

    def _two_others(self, n: int, n_with_archive: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return r1 < n and r2 < n_with_archive, (n,) each, uniform under r1[i], r2[i] and i all being different."""
        i = np.arange(n)
        r1 = self._rng.integers(0, n - 1, n)
        r1 += r1 >= i  # draw from one fewer, and step over what is taken
        r2 = self._rng.integers(0, n_with_archive - 2, n)
        r2 += r2 >= np.minimum(i, r1)
        r2 += r2 >= np.maximum(i, r1)
        return r1, r2

    def _crossover(self, V: Floats) -> Floats:
        n, c = V.shape
        changes = self._rng.random((n, c)) < self._CR[:, None]
        changes[np.arange(n), self._rng.integers(0, c, n)] = True
        return np.where(changes, V, self._population)  # (5)

    def _remember_success(self, F: Floats, CR: Floats) -> None:
        is_single = np.isnan(self._memory_CR[0]) or CR.max() == 0
        mean_CR = np.nan if is_single else (CR**2).sum() / CR.sum()
        self._memory_F = np.append(self._memory_F[1:], (F**2).sum() / F.sum())  # (7-9)
        self._memory_CR = np.append(self._memory_CR[1:], mean_CR)

    def _shrink(self) -> None:
        size = round(self._first_size() + (N_LEAST - self._first_size()) * (self._evaluations / self.budget))  # (10)
        if size < len(self._population):
            keep = np.sort(best_first(self._f, self._v)[:size])
            self._population, self._f, self._v = self._population[keep], self._f[keep], self._v[keep]
        room = round(ARCHIVE * len(self._population))
        if len(self._archive) > room:
            self._archive = self._archive[self._rng.choice(len(self._archive), room, replace=False)]

    def _first_size(self) -> int:
        at_least, per_root = N_FIRST
        return max(at_least, round(per_root * math.sqrt(self.budget)))

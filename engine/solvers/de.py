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

Where limits are broken, the population may first break them by a level e, which falls to 0 over the budget:
    e = e0 min((1 - t / 0.8)^7, W) for t < 0.8, then 0;  e0: what half of the first population breaks at most     (11)
    "better" above: a violation up to e counts as 0, so that the objective decides
with W, which never grows, how wide the population is of how wide it was: the geometric mean over the real coordinates.
So it can walk along an equality, or from one feasible island to the next, where feasibility first would nail it to the
first feasible points that it met; and since e falls with W, it has the width to follow. Should it be left behind all
the same, where the violation has a lowest point that is not feasible, another population begins, with half as much of
it below the level. The best point that is returned is always feasible before infeasible.

Seven choices differ from the papers. The means are not weighted by gains in the objective, as in JADE: the method
then uses order alone, and gains across feasibility need no unit. A step that leaves the cube ends on its face and
not halfway to it, for the best set-point often lies exactly on a bound; but halfway while there is a level, since the
best of what breaks limits often lies on a bound too, from where no difference leads back. p is 0.2. N0 grows with the
square root of the budget instead of the dimension, since budgets here are hundreds or thousands and not 10,000 a
dimension. The level falls with W. Once there is one, M_CR takes no NaN, for along an equality no coordinate can change
alone, and the population halves: to follow the level down takes generations more than numbers.

A categorical coordinate has no differences: it takes that of pbest or of r1, or with probability F / 4 any value.

Sources
    (1-10)  Tanabe and Fukunaga (2014), IEEE Congress on Evolutionary Computation, 1658-1665, by its numbers.
    (11)    Takahama and Sakai (2010), IEEE Congress on Evolutionary Computation, 1-9 (epsilon-constrained method).
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
from engine.solvers.space import latin_hypercube

N_LEAST = 4  # i, pbest, r1 and r2 can still be four
N_FIRST = (12, 0.8)  # N0 = max(12, 0.8 sqrt(budget))
N_MEMORY = 5  # H
P_BEST = 0.2  # p
ANYTHING = 0.25
ARCHIVE = 2.6  # archived parents for each individual
LEVEL_SHARE = 0.5  # of the first population breaks no more than the level at the start
LEVEL_END, LEVEL_POWER = 0.8, 7  # share of the budget when the level becomes 0; how it falls until then
LEVEL_SIZE = 0.5  # of N0, once there is a level
LOST = 1000.0  # violations as large as this, in e0 times the width of the population, do not end within it
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
        "began": (np.int64, ""),  # evaluations before this population began
        "n_lost": (np.int64, ""),  # populations before this one
        "first_level": (np.float64, ""),  # e0
        "first_width": (np.float64, ""),
        "width": (np.float64, ""),  # W
    }

    def _start(self, c: int) -> None:
        self._began, self._n_lost = 0, 0
        self._begin(self._first_points(self._first_size()))

    def _begin(self, population: Floats) -> None:
        self._population = population
        self._f = np.full(len(self._population), np.inf)
        self._v = np.full(len(self._population), np.inf)
        self._archive = np.empty((0, self.space.c))
        self._first_level, self._first_width, self._width = 0.0, 1.0, 1.0
        self._memory_F = np.full(N_MEMORY, 0.5)
        self._memory_CR = np.full(N_MEMORY, 0.5)

    def _propose(self) -> Floats:
        if self._evaluations == self._began:
            return self._population.copy()
        self._F, self._CR = self._draw_parameters()
        return self._crossover(self._mutants())

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        if self._evaluations == self._began + len(U):
            self._f, self._v = f, v
            self._set_first_level()
            return
        new, old = self._counted(v), self._counted(self._v)
        is_gain = is_better(f, new, self._f, old)
        takes = is_at_least_as_good(f, new, self._f, old)
        self._archive = np.concatenate([self._archive, self._population[is_gain]])
        self._population[takes], self._f[takes], self._v[takes] = U[takes], f[takes], v[takes]  # (6)
        if is_gain.any():
            self._remember_success(self._F[is_gain], self._CR[is_gain])
        self._shrink()
        self._lower_level()

    def _is_sound(self) -> bool:
        points = np.concatenate([self._population, self._archive])
        F, CR = self._memory_F, self._memory_CR[~np.isnan(self._memory_CR)]
        is_inside = ((points >= 0) & (points <= 1)).all()
        is_memory = len(F) == N_MEMORY and ((F > 0) & (F <= 1)).all() and ((CR >= 0) & (CR <= 1)).all()
        is_whole = len(self._population) >= N_LEAST and not np.isnan(np.concatenate([self._f, self._v])).any()
        is_level = 0 <= self._first_level < np.inf and self._first_width > 0 and 0 <= self._width <= 1
        is_begun = 0 <= self._began <= self._evaluations and self._n_lost >= 0
        return bool(is_inside and is_memory and is_whole and is_level and is_begun)

    # Limits

    @property
    def _time(self) -> float:
        """Return t, of what was left of the budget when this population began."""
        return float((self._evaluations - self._began) / max(1, self.budget - self._began))

    @property
    def _level(self) -> float:
        left = max(0.0, 1 - self._time / LEVEL_END)
        return float(self._first_level * min(left**LEVEL_POWER, self._width))

    def _counted(self, v: Floats) -> Floats:
        """Return the violations as they count now (11)."""
        return np.where(v <= self._level, 0.0, v)

    def _set_first_level(self) -> None:
        """Set e0; 0 where that share is feasible, or could not even be computed."""
        share = LEVEL_SHARE / 2**self._n_lost
        level = float(np.sort(self._v)[int(share * len(self._v))])
        if np.isfinite(level) and level > 0:
            self._first_level, self._first_width = level, self._mean_width() or 1.0

    def _lower_level(self) -> None:
        if self._first_level > 0:
            self._width = min(self._width, self._mean_width() / self._first_width)
            if self._is_lost():
                self._began, self._n_lost = self._evaluations, self._n_lost + 1
                self._begin(latin_hypercube(self._rng, self._first_size(), self.space.c))

    def _is_lost(self) -> bool:
        least, widest = self._v.min(), self._population.std(axis=0).max()
        return bool(least > self._level and least > LOST * self._first_level * widest)

    def _mean_width(self) -> float:
        """Return the geometric mean of the deviations of the real coordinates; 1 if there are none."""
        deviations = self._population[:, self.space.levels == 0].std(axis=0)
        if not len(deviations):
            return 1.0
        return float(np.exp(np.log(np.maximum(deviations, 1e-300)).mean()))

    # A generation

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
        best = best_first(self._f, self._counted(self._v))[: max(2, round(P_BEST * n))]
        r1, r2 = self._two_others(n, n + len(self._archive))
        others = np.concatenate([X, self._archive])
        F = self._F[:, None]
        towards = X[self._rng.choice(best, n)]
        V: Floats = X + F * (towards - X) + F * (X[r1] - others[r2])  # (3)
        if self._level > 0:
            V = np.where(V < 0, X / 2, np.where(V > 1, (X + 1) / 2, V))
        V = V.clip(0, 1)  # (4)
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
        if self._first_level > 0:  # along an equality no coordinate can change alone
            is_single = False
        mean_CR = np.nan if is_single else (CR**2).sum() / max(CR.sum(), 1e-300)
        self._memory_F = np.append(self._memory_F[1:], (F**2).sum() / F.sum())  # (7-9)
        self._memory_CR = np.append(self._memory_CR[1:], mean_CR)

    def _shrink(self) -> None:
        first = self._first_size() * (LEVEL_SIZE if self._first_level > 0 else 1)
        size = max(N_LEAST, round(first + (N_LEAST - first) * self._time))  # (10)
        if size < len(self._population):
            keep = np.sort(best_first(self._f, self._counted(self._v))[:size])
            self._population, self._f, self._v = self._population[keep], self._f[keep], self._v[keep]
        room = round(ARCHIVE * len(self._population))
        if len(self._archive) > room:
            self._archive = self._archive[self._rng.choice(len(self._archive), room, replace=False)]

    def _first_size(self) -> int:
        at_least, per_root = N_FIRST
        return max(at_least, round(per_root * math.sqrt(self.budget - self._began)))

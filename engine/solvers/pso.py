"""Particle swarm with random informants and an inertia that falls over the budget.

Notation (one row a particle, in the unit cube)
    N   number of particles                          K   particles that each particle informs
    X   positions, (N, c)                            V   velocities, (N, c)
    P   best position that each particle found       G   best position that its informants found
    w   inertia; t = evaluations / budget            a   acceleration towards P and towards G
    L   links, (N, N): L[i, j] when i informs j; always L[i, i]

    V <- w V + a r1 (P - X) + a r2 (G - X),  r1, r2 ~ U(0, 1) for each coordinate               (1)
    X <- X + V                                                                                 (2)
    w  = w0 + (w1 - w0) t                                                                      (3)

Whenever a step did not better the best point of the swarm, the links are drawn anew: a swarm that succeeds keeps
its ways of talking, one that is stuck tries others. With a = 1.49618 the spread of a particle around its
attractors grows while w > 0.786 and shrinks below (Poli 2009), so that (3) turns from exploring to settling at a
known point of the budget. A step that leaves the cube ends on its face, with half the speed back (SPSO-2007).
P is replaced by equals too: on the flat pieces of a tree ensemble the swarm would otherwise stand still.

Each coordinate has its own r1 and r2, as in the original swarm. SPSO-2011 draws from a sphere instead, which makes it
indifferent to rotations; on tree ensembles, whose steps lie along the axes, that was clearly the worse of the two.

Sources
    (1, 2)  Kennedy and Eberhart (1995); a: Clerc and Kennedy (2002), IEEE Trans. Evol. Comput. 6, 58-73.
    (3)     Shi and Eberhart (1998), IEEE Int. Conf. Evol. Comput., 69-73.
    L       Clerc (2006), Particle Swarm Optimization, ISTE; Standard PSO 2006 and 2007.
    spread  Poli (2009), IEEE Trans. Evol. Comput. 13, 712-721.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.solvers.base import Solver
from engine.solvers.ranking import Floats, best_first, is_at_least_as_good, is_better
from engine.solvers.space import latin_hypercube

N_PARTICLES = (12, 0.3)  # N = max(12, 0.3 sqrt(budget))
N_INFORMED = 3  # K
INERTIA = (0.8, 0.3)  # w0, w1
ACCELERATION = 1.49618  # a: 0.72984 * 2.05, the constricted swarm of Clerc and Kennedy
ANYTHING = 0.25  # share of categorical coordinates that take any value, times w; the others follow P or G evenly
REBOUND = -0.5  # speed after a step against a face of the cube


class ParticleSwarm(Solver):
    """Particle swarm optimization, paced by its budget. See the module for the method."""

    name = "pso"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "position": (np.float64, "n c"),
        "velocity": (np.float64, "n c"),
        "best_position": (np.float64, "n c"),
        "best_f": (np.float64, "n"),
        "best_v": (np.float64, "n"),
        "links": (np.bool_, "n n"),
    }

    def _start(self, c: int) -> None:
        at_least, per_root = N_PARTICLES
        n = max(at_least, round(per_root * math.sqrt(self.budget)))
        self._position = self._first_points(n)
        self._velocity = (latin_hypercube(self._rng, n, c) - self._position) / 2
        self._best_position = self._position.copy()
        self._best_f = np.full(n, np.inf)
        self._best_v = np.full(n, np.inf)
        self._links = self._new_links()

    def _propose(self) -> Floats:
        if self._evaluations:
            self._move()
        return self._position.copy()

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        leader = best_first(self._best_f, self._best_v)[:1]
        best_before = self._best_f[leader], self._best_v[leader]

        takes = is_at_least_as_good(f, v, self._best_f, self._best_v)
        self._best_position[takes], self._best_f[takes], self._best_v[takes] = U[takes], f[takes], v[takes]

        if not is_better(self._best_f, self._best_v, *best_before).any():
            self._links = self._new_links()

    def _is_sound(self) -> bool:
        positions = np.concatenate([self._position, self._best_position])
        is_inside = ((positions >= 0) & (positions <= 1)).all()
        values = np.concatenate([self._best_f, self._best_v])
        is_whole = np.isfinite(self._velocity).all() and not np.isnan(values).any()
        return bool(len(positions) and is_inside and is_whole and self._links.diagonal().all())

    def _move(self) -> None:
        w = INERTIA[0] + (INERTIA[1] - INERTIA[0]) * (self._evaluations / self.budget)  # (3)
        r1, r2 = self._rng.random((2, *self._position.shape))
        to_own_best = self._best_position - self._position
        to_best_heard = self._best_position[self._best_informants()] - self._position
        velocity = w * self._velocity + ACCELERATION * (r1 * to_own_best + r2 * to_best_heard)  # (1)
        position = self._position + velocity  # (2)

        is_outside = (position < 0) | (position > 1)
        self._velocity = np.where(is_outside, REBOUND * velocity, velocity)
        self._position = np.minimum(np.maximum(position, 0.0), 1.0)
        if self.space.is_choice.any():
            self._choose(w)

    def _choose(self, w: float) -> None:
        """Set the categorical coordinates, which have no directions to move in: to what is heard, or to anything."""
        choices = np.flatnonzero(self.space.is_choice)
        own, heard = self._best_position[:, choices], self._best_position[self._best_informants()][:, choices]
        which, anything = self._rng.random((2, len(own), len(choices)))
        at_random = ANYTHING * w
        taken = np.where(which < at_random, anything, np.where(which < (1 + at_random) / 2, own, heard))
        self._position[:, choices] = taken
        self._velocity[:, choices] = 0.0

    def _best_informants(self) -> NDArray[np.intp]:
        """Return for each particle the one with the best P among those that inform it, shape (N,)."""
        n = len(self._best_f)
        rank = np.empty(n, dtype=np.intp)
        rank[best_first(self._best_f, self._best_v)] = np.arange(n)
        informants: NDArray[np.intp] = np.where(self._links, rank[:, None], n).argmin(axis=0)
        return informants

    def _new_links(self) -> NDArray[np.bool_]:
        n = len(self._position)
        links = np.zeros((n, n), dtype=np.bool_)
        flat = links.reshape(-1)
        flat[:: n + 1] = True  # each informs itself
        flat[self._rng.integers(0, n, (n, N_INFORMED)) + np.arange(0, n * n, n)[:, None]] = True
        return links

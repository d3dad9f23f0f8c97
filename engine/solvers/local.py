"""Multi-start descent: quasi-Newton steps on gradients by finite differences, asked for as whole populations.

Notation (in the unit cube, over the real variables alone)
    x, phi   where the descent is, and its value there       g   gradient, by differences of width h
    S, Y     the last steps and changes of gradient, MEMORY of them, from which L-BFGS knows the curvature
    p        direction of descent; t  step along it

    g_j = (phi(x + h e_j) - phi(x)) / h, or the central difference once forward ones no longer serve          (1)
    p from the two loops of L-BFGS, with p_j = 0 where x_j is on its face and p_j would leave                 (2)
    x <- clip(x + t p): t = 1 at first, then where a parabola through the last trial is lowest, until phi
         falls by ARMIJO t g'p at least; up to REFINES times more as long as the parabola promises a gain     (3)

phi is the violation while x breaks a limit, and the objective after that; a step that breaks a limit again is too long.

Differences are as narrow as double precision bears: WIDTHS[0] forward, then WIDTHS[1] central. Where most values do not
move by that at all they are coarse, as those of single precision are, and the wide central WIDTHS[2] see the slope.
Where even those see none, the surface is made of flat pieces, as a tree ensemble's is: this solver is not for it, and
``is_flat`` says that it has met one.

When no step helps any more, the descent begins anew: from the points that were given to begin with (the middle of the
cube if there are none), then by turns from any point and from one near the best so far. Variables with levels keep the
values of their start; each start draws them anew.

Sources
    (2)  Nocedal (1980), Math. Comp. 35, 773-782; projection: Bertsekas (1982), SIAM J. Control Optim. 20, 221-246.
    (3)  Nocedal and Wright (2006), Numerical Optimization, chapter 3.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.solvers.base import Solver
from engine.solvers.ranking import Floats, best_first

MEMORY = 100
WIDTHS = (1e-9, 1e-8, 1e-4)  # of differences: forward, central, and central where values are coarse
COARSE = 2
ARMIJO, TRIES, REFINES = 1e-4, 10, 3
LONGEST_FIRST, LONGEST = 0.1, 0.5  # steps with and without knowledge of the curvature, in the largest coordinate
ALIKE = (0.8, 1.25)  # a refined step within these of the last one is no other
WORTHWHILE = 1.02  # what a refined step has to promise, of what there is
PRECISION = 1e-15  # of what the descent has gained so far: a slope that promises less is rounding
NEAR = 0.05

_SAMPLE, _GRADIENT, _LINE, _START = range(4)


class Local(Solver):
    """Multi-start L-BFGS. See the module for the method."""

    name = "local"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "phase": (np.int64, ""),
        "waiting": (np.float64, "w c"),  # points to start from, best first
        "n_starts": (np.int64, ""),
        "n_flat": (np.int64, ""),  # gradients that were 0 everywhere
        # the descent
        "x": (np.float64, "c"),
        "f": (np.float64, ""),
        "v": (np.float64, ""),
        "g": (np.float64, "c"),
        "level": (np.int64, ""),  # of WIDTHS
        "least_level": (np.int64, ""),
        "fall": (np.float64, ""),  # of phi since the start
        "moves": (np.float64, "m c"),  # S; one more than Y until the gradient after a step is known
        "changes": (np.float64, "n c"),  # Y
        # the search along a line: the step that is tried, and the best of those that will do (0: none yet)
        "direction": (np.float64, "c"),
        "step": (np.float64, ""),
        "tries": (np.int64, ""),
        "good_step": (np.float64, ""),
        "good_f": (np.float64, ""),
        "good_v": (np.float64, ""),
    }
    _moves: Floats
    _changes: Floats

    @property
    def is_flat(self) -> bool:
        """Whether a gradient was 0 in every direction: the surface is made of flat pieces, at least there."""
        return self._n_flat > 0

    @property
    def is_between_descents(self) -> bool:
        """Whether one descent has ended and the next has not begun."""
        return self._phase == _START

    @property
    def n_descents(self) -> int:
        """Descents that have begun."""
        return self._n_starts

    def _start(self, c: int) -> None:
        self._phase, self._n_starts, self._n_flat = _SAMPLE, 0, 0
        self._waiting = self._starts.copy() if len(self._starts) else np.full((1, c), 0.5)
        self._x, self._f, self._v = np.full(c, 0.5), np.inf, np.inf
        self._g, self._level, self._least_level, self._fall = np.zeros(c), 0, 0, 0.0
        self._direction, self._step, self._tries = np.zeros(c), 1.0, 0
        self._good_step, self._good_f, self._good_v = 0.0, np.inf, np.inf
        self._forget()

    def _propose(self) -> Floats:
        if self._phase == _SAMPLE:
            return self._waiting.copy()
        if self._phase == _START:
            return self._x[None].copy()
        if self._phase == _LINE:
            return self._at(self._step)[None]
        return self._differences()

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite is looked for
            self._go_on(U, f, v)

    def _go_on(self, U: Floats, f: Floats, v: Floats) -> None:
        if self._phase == _GRADIENT:
            self._take_gradient(U, f, v)
        elif self._phase == _LINE:
            self._take_step(float(f[0]), float(v[0]))
        else:
            order = best_first(f, v)
            if self._phase == _SAMPLE:
                self._waiting = U[order]
            self._descend_from(U[order[0]], float(f[order[0]]), float(v[order[0]]))

    # One descent

    def _descend_from(self, x: Floats, f: float, v: float) -> None:
        self._x, self._f, self._v = x.copy(), f, v
        self._phase, self._level, self._fall = _GRADIENT, self._least_level, 0.0
        self._n_starts += 1
        self._forget()
        if not np.isfinite(f):
            self._begin_anew()

    @property
    def _phi(self) -> float:
        return self._v if self._v > 0 else self._f

    def _real(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.space.levels == 0)

    def _differences(self) -> Floats:
        """Return the points of (1), (r, c) or (2 r, c) for r real variables."""
        h = WIDTHS[self._level]
        real = self._real()
        moves = np.zeros((len(real), self.space.c))
        moves[np.arange(len(real)), real] = h
        if self._level:
            return np.concatenate([self._x + moves, self._x - moves]).clip(0, 1)
        inward = np.where(self._x + h > 1, -1.0, 1.0)
        return self._x + moves * inward

    def _take_gradient(self, U: Floats, f: Floats, v: Floats) -> None:
        g, is_coarse = self._gradient(U, v if self._v > 0 else f)
        if is_coarse and self._level != COARSE:
            self._level = COARSE
            self._forget_last_move()
        elif not g.any():
            self._n_flat += 1
            self._begin_anew()
        else:
            if len(self._moves) > len(self._changes):
                self._remember_curvature(g)
            self._g = g
            self._aim()

    def _gradient(self, U: Floats, phi: Floats) -> tuple[Floats, bool]:
        """Return the gradient from the values at ``_differences``, and whether most values did not move at all."""
        real = self._real()
        n = np.arange(len(real))
        if self._level:
            rise, width = phi[: len(n)] - phi[len(n) :], (U[: len(n)] - U[len(n) :])[n, real]
        else:
            rise, width = phi - self._phi, U[n, real] - self._x[real]
        g = np.zeros(self.space.c)
        g[real] = rise / width
        g[~np.isfinite(g)] = 0.0
        return g, bool(2 * np.count_nonzero(g) < len(n) or not g.any())

    def _aim(self) -> None:
        """Set the direction (2) and the first step."""
        is_stuck = ((self._x <= 0) & (self._g > 0)) | ((self._x >= 1) & (self._g < 0))
        p = -self._two_loops(np.where(is_stuck, 0.0, self._g))
        p[is_stuck | ((self._x <= 0) & (p < 0)) | ((self._x >= 1) & (p > 0))] = 0.0
        if not p @ self._g < 0:
            self._forget()
            p = np.where(is_stuck, 0.0, -self._g)
        size = float(np.abs(p).max())
        if size == 0 or -float(p @ self._g) <= PRECISION * self._fall:
            self._step_failed()
            return
        self._direction = p * (min(1.0, LONGEST / size) if len(self._moves) else LONGEST_FIRST / size)
        self._phase, self._step, self._tries = _LINE, 1.0, 0
        self._good_step, self._good_f, self._good_v = 0.0, np.inf, np.inf

    def _at(self, step: float) -> Floats:
        stepped: Floats = (self._x + step * self._direction).clip(0, 1)
        return stepped

    def _take_step(self, f: float, v: float) -> None:
        t, slope = self._step, float(self._g @ self._direction)
        self._tries += 1
        if v == 0 < self._v:
            self._good_step, self._good_f, self._good_v = t, f, v
            self._accept()
            return
        phi = v if self._v > 0 else f if v == 0 else np.inf
        falls = phi <= self._phi + ARMIJO * t * slope and phi < self._phi
        if falls and (v, f) < (self._good_v, self._good_f):
            self._good_step, self._good_f, self._good_v = t, f, v
        lowest = self._lowest_of_parabola(phi, slope)
        if not self._good_step:
            self._step = min(max(lowest, 0.1 * t), 0.5 * t)
            if self._tries >= TRIES:
                self._step_failed()
        elif falls and self._promises_more(lowest, slope):
            self._step = min(max(lowest, 0.1 * t), 4 * t)
        else:
            self._accept()

    def _lowest_of_parabola(self, phi: float, slope: float) -> float:
        """Return the step where the parabola is lowest that has slope at 0 and goes through phi at the step tried."""
        t = self._step
        bend = phi - self._phi - t * slope
        if not bend > 0:
            return 4 * t
        return -slope * t**2 / (2 * bend) if np.isfinite(bend) else t / 4

    def _promises_more(self, lowest: float, slope: float) -> bool:
        gain = self._phi - (self._good_v if self._v > 0 else self._good_f)
        is_other = not ALIKE[0] < lowest / self._step < ALIKE[1]
        promise = -slope * min(max(lowest, 0.1 * self._step), 4 * self._step) / 2
        return self._tries <= REFINES and is_other and promise > WORTHWHILE * gain

    def _accept(self) -> None:
        """Go to the best point of the line."""
        u, f, v = self._at(self._good_step), self._good_f, self._good_v
        if v == 0 < self._v:
            self._forget()  # from here on another function is followed
            self._fall = 0.0
        else:
            self._moves = np.concatenate([self._moves, (u - self._x)[None]])[-MEMORY:]
            self._fall += self._phi - (v if v > 0 else f)
        self._x, self._f, self._v, self._phase = u, f, v, _GRADIENT
        if self._level == COARSE:
            self._least_level = COARSE

    def _step_failed(self) -> None:
        """Look again with other differences; where those have been tried, begin anew."""
        self._forget_last_move()
        if self._level == 0 or (self._level == 1 and self._n_starts == 1):
            self._phase, self._level = _GRADIENT, self._level + 1
        else:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Go on from another point: one that was given, then by turns any point and one near the best."""
        number, c = self._n_starts, self.space.c
        if number < len(self._waiting):
            point = self._waiting[number]
        elif number % 2:
            point = self._best_of_all() + NEAR * self._rng.standard_normal(c)
        else:
            point = self._rng.random(c)
        levels = self.space.levels > 0
        if levels.any():
            point = np.where(levels, self._rng.random(c), point)
        self._x = point.clip(0, 1)
        self._phase, self._f, self._v = _START, np.inf, np.inf

    def _best_of_all(self) -> Floats:
        best = self.result()
        return self._x if best is None else self.space.to_cube(best.x[None])[0]

    # Curvature

    def _forget(self) -> None:
        self._moves, self._changes = np.empty((0, self.space.c)), np.empty((0, self.space.c))

    def _forget_last_move(self) -> None:
        """Drop the step whose change of gradient is not known, and would mix differences of two widths."""
        self._moves = self._moves[: len(self._changes)]

    def _remember_curvature(self, g: Floats) -> None:
        change = g - self._g
        self._changes = np.concatenate([self._changes, change[None]])[-MEMORY:]
        self._moves = self._moves[-len(self._changes) :]
        s, y = self._moves[-1], self._changes[-1]
        if not s @ y > 1e-10 * float(np.linalg.norm(s) * np.linalg.norm(y)):
            self._moves, self._changes = self._moves[:-1], self._changes[:-1]

    def _two_loops(self, g: Floats) -> Floats:
        if not len(self._changes):
            return g
        q, alphas = g.copy(), []
        for s, y in zip(self._moves[::-1], self._changes[::-1], strict=True):
            alphas.append((s @ q) / (s @ y))
            q -= alphas[-1] * y
        s, y = self._moves[-1], self._changes[-1]
        q *= (s @ y) / (y @ y)
        for s, y, alpha in zip(self._moves, self._changes, alphas[::-1], strict=True):
            q += s * (alpha - (y @ q) / (s @ y))
        return q

    # State

    def _is_sound(self) -> bool:
        points = np.concatenate([self._x[None], self._waiting])
        is_inside = len(self._waiting) > 0 and ((points >= 0) & (points <= 1)).all()
        return bool(is_inside and self._is_sound_descent() and self._is_sound_line())

    def _is_sound_descent(self) -> bool:
        n, m = len(self._changes), len(self._moves)
        is_whole = np.isfinite(np.concatenate([self._g, self._moves.ravel(), self._changes.ravel()])).all()
        are_bent = ((self._moves[:n] * self._changes).sum(axis=1) > 0).all() if n <= m else False
        is_pending = 0 <= m - n <= (self._phase == _GRADIENT)
        is_counted = self._phase in range(4) and 0 <= self._n_flat <= self._n_starts
        is_level = 0 <= self._level < len(WIDTHS) and 0 <= self._least_level < len(WIDTHS)
        is_value = self._v >= 0 and (np.isfinite([self._f, self._v]).all() or self._phase in {_SAMPLE, _START})
        return bool(
            is_whole and are_bent and is_pending and is_counted and is_level and is_value and 0 <= self._fall < np.inf
        )

    def _is_sound_line(self) -> bool:
        is_finite = np.isfinite(self._direction).all() and 0 < self._step < np.inf and 0 <= self._good_step < np.inf
        is_value = not np.isnan([self._good_f, self._good_v]).any() and self._good_v >= 0
        return bool(is_finite and is_value and 0 <= self._tries <= TRIES)

"""Multi-start descent: quasi-Newton steps on gradients by finite differences, asked for as whole populations.

Notation (in the unit cube, over the real variables alone)
    x, phi   where the descent is, and its value there       g   gradient, by differences of width h
    S, Y     the last steps and changes of gradient, MEMORY of them, from which L-BFGS knows the curvature
    p        direction of descent; t  step along it

    g_j = (phi(x + h e_j) - phi(x)) / h, or the central difference once forward ones no longer serve          (1)
    p from the two loops of L-BFGS, with p_j = 0 where x_j is on its face and p_j would leave                 (2)
    x <- clip(x + t p), t = 1, then shrunk by interpolation until phi falls by ARMIJO t g'p at least          (3)

phi is the violation while x breaks a limit, and the objective after that; a step that breaks a limit again is too long.
When no step helps any more, the descent begins anew: from the points that were given to begin with (the middle of the
cube if there are none), then by turns from any point and from one near the best so far. Variables with levels keep the
values of their start; each start draws them anew.

On a surface of flat pieces, such as a tree ensemble's, every gradient is 0: this solver is not for those, and
``is_flat`` says that it has met one.

Sources
    (2)  Nocedal (1980), Math. Comp. 35, 773-782; projection: Bertsekas (1982), SIAM J. Control Optim. 20, 221-246.
    (3)  Nocedal and Wright (2006), Numerical Optimization, chapter 3.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from engine.solvers.base import Solver
from engine.solvers.ranking import Floats, best_first

MEMORY = 10
WIDTHS = (1e-7, 1e-5)  # of forward and of central differences
ARMIJO, SHRINKS = 1e-4, 10
NEAR = 0.05

_SAMPLE, _GRADIENT, _LINE, _START = 0.0, 1.0, 2.0, 3.0


class Local(Solver):
    """Multi-start L-BFGS. See the module for the method."""

    name = "local"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "x": (np.float64, "c"),
        "g": (np.float64, "c"),
        "direction": (np.float64, "c"),
        "moves": (np.float64, "m c"),
        "changes": (np.float64, "n c"),
        "waiting": (np.float64, "w c"),
        "run": (np.float64, "eight"),
    }

    # ``run`` holds: phase, objective at x, violation at x, step t, shrinks of it so far, whether differences are
    # central, number of starts, gradients that were 0 everywhere

    @property
    def is_flat(self) -> bool:
        """Whether a gradient was 0 in every direction: the surface is made of flat pieces, at least there."""
        return bool(self._run[7] > 0)

    def _start(self, c: int) -> None:
        self._moves: Floats = np.empty((0, c))
        self._run = np.array([_SAMPLE, np.inf, np.inf, 1.0, 0, 0, 0, 0])
        self._x, self._g, self._direction = np.full(c, 0.5), np.zeros(c), np.zeros(c)
        self._forget()
        self._waiting = self._starts.copy() if len(self._starts) else np.full((1, c), 0.5)

    def _propose(self) -> Floats:
        phase = self._run[0]
        if phase == _SAMPLE:
            return self._waiting.copy()
        if phase == _START:
            return self._x[None].copy()
        if phase == _LINE:
            stepped: Floats = (self._x + self._run[3] * self._direction).clip(0, 1)
            return stepped[None]
        return self._differences()

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite is looked for
            self._go_on(U, f, v)

    def _go_on(self, U: Floats, f: Floats, v: Floats) -> None:
        phase = self._run[0]
        if phase == _SAMPLE:
            order = best_first(f, v)
            self._waiting = U[order]
            self._descend_from(U[order[0]], f[order[0]], v[order[0]])
        elif phase == _START:
            self._descend_from(U[0], f[0], v[0])
        elif phase == _GRADIENT:
            self._take_gradient(U, f, v)
        else:
            self._take_step(U[0], float(f[0]), float(v[0]))

    # One descent

    def _descend_from(self, x: Floats, f: float, v: float) -> None:
        self._x = x.copy()
        self._run[[0, 1, 2, 3, 4, 5]] = _GRADIENT, f, v, 1.0, 0, 0
        self._run[6] += 1
        self._forget()
        if not np.isfinite(f):
            self._begin_anew()

    def _real(self) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
        return np.flatnonzero(self.space.levels == 0)

    def _differences(self) -> Floats:
        """Return the points of (1), (r, c) or (2 r, c) for r real variables."""
        is_central = bool(self._run[5])
        h = WIDTHS[is_central]
        real = self._real()
        moves = np.zeros((len(real), self.space.c))
        moves[np.arange(len(real)), real] = h
        if is_central:
            return np.concatenate([self._x + moves, self._x - moves]).clip(0, 1)
        inward = np.where(self._x + h > 1, -1.0, 1.0)
        return self._x + moves * inward

    def _take_gradient(self, U: Floats, f: Floats, v: Floats) -> None:
        real = self._real()
        phi = self._phi(f, v)
        here = self._run[2] if self._run[2] > 0 else self._run[1]
        g = np.zeros(self.space.c)
        if self._run[5]:
            n = len(real)
            width = U[:n][np.arange(n), real] - U[n:][np.arange(n), real]
            g[real] = (phi[:n] - phi[n:]) / width
        else:
            width = U[np.arange(len(real)), real] - self._x[real]
            g[real] = (phi - here) / width
        g[~np.isfinite(g)] = 0.0
        self._run[7] += not g.any()
        if self._direction.any() and self._took_step():
            self._remember_curvature(g)
        self._g = g
        self._aim()

    def _aim(self) -> None:
        """Set the direction (2) and the first step."""
        is_stuck = ((self._x <= 0) & (self._g > 0)) | ((self._x >= 1) & (self._g < 0))
        p = -self._two_loops(np.where(is_stuck, 0.0, self._g))
        p[is_stuck | ((self._x <= 0) & (p < 0)) | ((self._x >= 1) & (p > 0))] = 0.0
        if not p @ self._g < 0:
            self._forget()
            p = np.where(is_stuck, 0.0, -self._g)
        size = float(np.abs(p).max())
        if size == 0:
            self._step_failed()
            return
        longest = 0.1 if not len(self._moves) else 0.5
        self._direction = p * min(1.0, longest / size) if len(self._moves) else p * (longest / size)
        self._run[[0, 3, 4]] = _LINE, 1.0, 0

    def _take_step(self, u: Floats, f: float, v: float) -> None:
        here, phi = self._value(self._run[1], self._run[2]), self._value(f, v)
        moved = u - self._x
        slope = float(self._g @ moved)
        was_feasible = self._run[2] == 0
        falls = (v == 0 and not was_feasible) or (
            (v == 0 or not was_feasible) and phi <= here + ARMIJO * min(slope, 0.0) and phi < here
        )
        if falls:
            if v == 0 and not was_feasible:
                self._forget()  # from here on another function is followed
            else:
                self._moves = np.concatenate([self._moves, moved[None]])[-MEMORY:]
            self._x, self._run[[0, 1, 2]] = u.copy(), (_GRADIENT, f, v)
            return
        t = self._run[3]
        bend = phi - here - slope
        shrunk = -slope * t / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.25 * t
        self._run[3], self._run[4] = min(max(shrunk, 0.1 * t), 0.5 * t), self._run[4] + 1
        if self._run[4] >= SHRINKS:
            self._step_failed()

    def _step_failed(self) -> None:
        """Look again with central differences; where those have been tried, begin anew."""
        if not self._run[5] and self._g.any():
            self._run[[0, 5]] = _GRADIENT, 1
            self._forget()
        else:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Go on from another point: one that was given, then by turns any point and one near the best."""
        number, c = int(self._run[6]), self.space.c
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
        self._run[[0, 1, 2, 5]] = _START, np.inf, np.inf, 0

    # Curvature

    def _forget(self) -> None:
        self._moves = np.empty((0, self.space.c))
        self._changes = np.empty((0, self.space.c))

    def _took_step(self) -> bool:
        return len(self._moves) > len(self._changes)

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

    # Values

    def _phi(self, f: Floats, v: Floats) -> Floats:
        """Return what is followed from x on: the violation where x breaks a limit, else the objective."""
        return v if self._run[2] > 0 else f

    def _value(self, f: float, v: float) -> float:
        return v if self._run[2] > 0 else f

    def _best_of_all(self) -> Floats:
        best = self.result()
        return self._x if best is None else self.space.to_cube(best.x[None])[0]

    def _is_sound(self) -> bool:
        points = np.concatenate([self._x[None], self._waiting])
        is_inside = ((points >= 0) & (points <= 1)).all()
        arrays = [self._g, self._direction, self._moves.ravel(), self._changes.ravel(), self._run[3:]]
        is_whole = np.isfinite(np.concatenate(arrays)).all() and not np.isnan(self._run).any()
        is_phase = (
            self._run[0] in {_SAMPLE, _GRADIENT, _LINE, _START} and self._run[5] in {0, 1} and len(self._waiting) > 0
        )
        return bool(is_inside and is_whole and is_phase and 0 <= len(self._moves) - len(self._changes) <= 1)

"""Search along the axes, for objectives that are sums of functions of one variable each.

Notation (in the unit cube)
    b          base point, at first the start or the middle              f(b)  its objective
    g_j(t)     f(b with t in place of b_j) - f(b), up to a constant for each j
    T, Y       points tried on each axis, ascending, and g_j there, (c, m) each

An objective is additive if f(u) - f(b) = sum of g_j(u_j) - g_j(b_j). It is then minimized a variable at a time, all of
them at once: a round asks for one new point on each axis, and then for the point that takes the best of every axis,
which becomes the base and also says whether the sum held. c + 2 points are enough to see that it does not, and
``is_over`` then says so.

On an axis the next point is the vertex of the parabola through the best point and its neighbors, while that is where
most can be expected, and else the middle of the interval where a parabola has to bend the least to come below the best:

    bend of an interval [t_1, t_2] = (sqrt(y_1) + sqrt(y_2))^2 / (t_2 - t_1)^2,  y = g - (least g) + small      (1)

so that wide intervals and low ones are looked at first, and many valleys do not keep it from finding the deepest.

This is no solver for all: ``engine.solvers.auto`` begins with it, and goes on with others once it is over.

Sources
    (1)  Langerman, Seront and Bersini (1994), STEP: the easiest way to optimize a function, IEEE Conf. Evol. Comput.,
         519-524; in a portfolio: Loshchilov, Schoenauer and Sebag (2013), GECCO Companion (HCMA), 1177-1184.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.solvers.base import Solver
from engine.solvers.ranking import Floats

ALIKE, STILL_ALIKE = 1e-9, 1e-8  # a sum and its parts, in what the first moves changed: at first, and later on
FIRST_MOVES = (0.2, 0.3)  # no two the same, or the terms that are no sum could cancel each other
MOST_ROUNDS, PATIENCE = 500, 60
SMALL = 1e-15  # of the range of an axis
HUGE = 1e150  # differences and products of smaller ones do not overflow
CLOSEST = 1e-12  # intervals as narrow as this are not divided
NOT_NEARER = 0.05  # than this share of an interval is the vertex taken, so that the best is closed in from both sides


class Axes(Solver):
    """A search of all axes at once. See the module for the method."""

    name = "axes"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "base": (np.float64, "c"),
        "base_f": (np.float64, ""),
        "moves": (np.float64, "c"),  # the first ones, inward
        "points": (np.float64, "c m"),  # T
        "values": (np.float64, "c m"),  # Y
        "scale": (np.float64, ""),
        "stale": (np.int64, ""),  # rounds since one gained
        "is_combining": (np.bool_, ""),
        "is_over": (np.bool_, ""),
    }

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to be had from this: the objective is no sum, or its axes are searched."""
        return self._is_over

    @property
    def was_additive(self) -> bool:
        """Whether the first points agreed with a sum."""
        return bool(self._points.shape[1] > 2)

    def _start(self, c: int) -> None:
        self._base = self._starts[0].copy() if len(self._starts) else np.full(c, 0.5)
        moves = self._rng.choice([-1.0, 1.0], c) * self._rng.uniform(*FIRST_MOVES, c)
        self._moves = np.where((self._base + moves < 0) | (self._base + moves > 1), -moves, moves)
        self._points, self._values = self._base[:, None].copy(), np.zeros((c, 1))
        self._base_f, self._scale, self._stale = float("inf"), 0.0, 0
        self._is_combining, self._is_over = False, False

    def _propose(self) -> Floats:
        if self._is_combining:
            return self._best_of_axes()[None]
        self._tried = self._next()
        U = np.tile(self._base, (len(self._base), 1))
        np.fill_diagonal(U, self._tried)
        if self._is_first():
            return np.concatenate([self._base[None], U, self._tried[None], self._starts[1:]])
        return U

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        if (v > 0).any() or (np.abs(f) > HUGE).any():
            self._is_over = True
        elif self._is_first():
            self._begin(f)
        elif self._is_combining:
            self._take_combined(U[0], float(f[0]))
        else:
            self._take_axes(f)

    def _is_first(self) -> bool:
        return bool(self._points.shape[1] == 1)

    # Rounds

    def _begin(self, f: Floats) -> None:
        c = len(self._base)
        g, together = f[1 : c + 1] - f[0], float(f[c + 1] - f[0])
        self._base_f, self._scale = float(f[0]), float(np.abs(g).sum())
        if self._scale == 0 or not abs(together - g.sum()) <= ALIKE * self._scale:
            self._is_over = True
        else:
            self._add(g)

    def _take_axes(self, f: Floats) -> None:
        before = self._values.min(axis=1)
        self._add(f - self._base_f + self._values_of_base())
        has_gained = (self._values.min(axis=1) < before).any()
        self._stale = 0 if has_gained else self._stale + 1
        self._is_combining = bool((self._best_of_axes() != self._base).any())
        self._is_over = self._points.shape[1] > MOST_ROUNDS or self._stale > PATIENCE

    def _take_combined(self, u: Floats, f: float) -> None:
        expected = float((self._values.min(axis=1) - self._values_of_base()).sum())
        self._is_combining = False
        self._base, before, self._base_f = u.copy(), self._base_f, f
        self._is_over = not abs(f - before - expected) <= STILL_ALIKE * self._scale

    def _add(self, g: Floats) -> None:
        """Put the points that were tried among those of their axes."""
        points = np.column_stack([self._points, self._tried])
        values = np.column_stack([self._values, g])
        order = np.argsort(points, axis=1, kind="stable")
        self._points, self._values = (np.take_along_axis(each, order, axis=1) for each in (points, values))

    def _best_of_axes(self) -> Floats:
        return _at(self._points, self._values.argmin(axis=1))

    def _values_of_base(self) -> Floats:
        return _at(self._values, (self._points == self._base[:, None]).argmax(axis=1))

    # The next point of each axis

    def _next(self) -> Floats:
        n_points = self._points.shape[1]
        if n_points == 1:
            return self._base + self._moves
        if n_points == 2:
            return self._opposite()
        divided, vertices, ends = self._divided(), self._vertices(), self._ends()
        if n_points == 3:
            ends = np.where(np.isnan(vertices), ends, vertices)
        return np.where(np.isnan(ends), divided, ends)

    def _opposite(self) -> Floats:
        """Return the second point of each axis: on the other side of the base, or farther inward from a face."""
        other = (self._base - self._moves).clip(0, 1)
        return np.where(other == self._base, self._base + 2 * self._moves, other)

    def _ends(self) -> Floats:
        """Return the face that was not looked at yet, the side that is lower first; NaN where both were."""
        lacks_low, lacks_high = self._points[:, 0] > 0, self._points[:, -1] < 1
        is_low_first = self._values[:, 0] <= self._values[:, -1]
        high = np.where(lacks_high, 1.0, np.nan)
        return np.where(lacks_low & (is_low_first | ~lacks_high), 0.0, high)

    def _divided(self) -> Floats:
        """Return a point in the interval of least bend (1): the vertex if the best point bounds it, else its middle."""
        T, i = self._points, self._values.argmin(axis=1)
        Y = self._values - _at(self._values, i)[:, None]
        roots = np.sqrt(Y + SMALL * Y.max(axis=1, keepdims=True))
        gaps = np.diff(T, axis=1)
        is_wide = gaps > CLOSEST
        bends = np.full(gaps.shape, np.inf)
        np.divide(roots[:, :-1] + roots[:, 1:], gaps, out=bends, where=is_wide)
        k = bends.argmin(axis=1)
        vertices = self._vertices()
        takes_vertex = ((k == i) | (k == i - 1)) & ~np.isnan(vertices)
        divided = np.where(takes_vertex, vertices, (_at(T, k) + _at(T, k + 1)) / 2)
        return np.where(is_wide.any(axis=1), divided, _at(T, i))

    def _vertices(self) -> Floats:
        """Return the lowest point of the parabola through the best point and its neighbors; NaN where there is none."""
        i = self._values.argmin(axis=1)
        is_inner = (i > 0) & (i < self._points.shape[1] - 1)
        j = np.where(is_inner, i, 1)
        (left, here, right), (y_left, y, y_right) = (
            (_at(each, j - 1), _at(each, j), _at(each, j + 1)) for each in (self._points, self._values)
        )
        a, b, y_a, y_b = left - here, right - here, y_left - y, y_right - y
        bend = y_a * b - y_b * a
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            step = (y_a * b**2 - y_b * a**2) / (2 * bend)
        is_step = is_inner & (bend > 0) & (np.abs(step) >= CLOSEST) & (a < step) & (step < b)
        step = np.sign(step) * np.maximum(np.abs(step), NOT_NEARER * np.minimum(-a, b))
        return np.where(is_step, here + step, np.nan)

    # State

    def _is_sound(self) -> bool:
        points = np.column_stack([self._base, self._points])
        is_inside = ((points >= 0) & (points <= 1)).all() and (np.diff(self._points, axis=1) >= 0).all()
        is_whole = np.isfinite(self._values).all() and 0 <= self._scale < np.inf and self._stale >= 0
        is_based = (self._points == self._base[:, None]).any(axis=1).all()
        is_begun = self._is_first() or (np.isfinite(self._base_f) and self._scale > 0)
        low, high = FIRST_MOVES
        are_moves = ((np.abs(self._moves) >= low) & (np.abs(self._moves) <= high)).all() and not np.isnan(self._base_f)
        return bool(is_inside and is_whole and is_based and is_begun and are_moves)


def _at(values: Floats, j: NDArray[np.intp]) -> Floats:
    """Return values[i, j[i]] of each row i."""
    taken: Floats = values[np.arange(len(values)), j]
    return taken

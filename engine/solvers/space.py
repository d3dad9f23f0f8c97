"""The space that a solver searches: real, integer, stepped and categorical variables, seen from the unit cube.

Notation
    d    number of variables                                   c   those that can take more than one value
    X    points in the units of the variables, (n, d)          U   the same in the unit cube, (n, c)
    L_j  levels of variable j: 0 if it is real

A real variable is linear in u. One with levels has its part of the cube cut into L_j cells of one width: every u in a
cell is the same value, so that evenly drawn u give every level its turn. The levels of a categorical variable are
codes 0, 1, ...; they have no order, which ``is_choice`` tells to those who would take differences.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.checks import floats
from engine.errors import ProblemError, ShapeError
from engine.solvers.ranking import Floats

MOST_LEVELS = 2**52
"""Beyond this, floating point does not tell neighbors in the cube apart."""


class Space:
    """A box, some of whose variables take only some values in it.

    Args:
        lower, upper: the box, shape (d,) each, finite; equal bounds fix a variable.
        steps: shape (d,), >= 0: distance of the levels, counted from the lower bound; 0 is a real variable. The last
            level is the largest that the upper bound allows. Default: all real.
        choices: shape (d,): True for a categorical variable, whose levels have no order. Default: none.

    Raises:
        ShapeError: these are not vectors of numbers of one length.
        ProblemError: a bound is not finite, a lower one is above its upper one, a step is negative or so small that
            there are more than MOST_LEVELS, a categorical variable has no step, or there is no variable.

    Attributes:
        lower, upper, steps, choices: as given.
        is_free: shape (d,): which variables can take more than one value; the first one if none can.
        levels: shape (c,): L_j of the free variables.
        is_choice: shape (c,): which of them are categorical.
    """

    def __init__(
        self, lower: ArrayLike, upper: ArrayLike, steps: ArrayLike | None = None, choices: ArrayLike | None = None
    ) -> None:
        self.lower, self.upper = _checked_box(lower, upper)
        d = len(self.lower)
        self.steps = _checked_steps(np.zeros(d) if steps is None else floats("steps", steps).copy(), d)
        self.choices = np.zeros(d, dtype=np.bool_) if choices is None else np.array(choices, dtype=np.bool_)
        if self.choices.shape != (d,):
            raise ShapeError(f"choices have shape {self.choices.shape}, but there are {d} variables")
        if (self.choices & (self.steps == 0)).any():
            raise ProblemError(
                f"variable {int(np.argmax(self.choices & (self.steps == 0)))} is categorical: give a step"
            )
        levels = self._levels()
        self.is_free = (self.lower < self.upper) & (levels != 1)
        if not self.is_free.any():
            self.is_free[0] = True  # a cube of no dimensions would be a special case everywhere
        self.levels = levels[self.is_free]
        self.is_choice: NDArray[np.bool_] = self.choices[self.is_free]
        # Kept because every population asks for them, and for 30 points looking them up takes as long as using them
        self._low, self._high = self.lower[self.is_free], self.upper[self.is_free]
        self._has_levels: NDArray[np.bool_] = self.levels > 0
        self._is_all_free, self._is_all_real = bool(self.is_free.all()), not self._has_levels.any()

    @property
    def c(self) -> int:
        """Number of free variables: the dimensions of the cube."""
        return len(self.levels)

    @property
    def is_real(self) -> bool:
        """Whether every free variable is real."""
        return self._is_all_real

    def to_box(self, U: Floats) -> Floats:
        """Return the points U of the unit cube, (n, c), as points X, (n, d), each variable at one of its values."""
        values = from_cube(U, self._low, self._high)
        if not self._is_all_real:
            has_levels = self._has_levels
            L, step = self.levels[has_levels], self.steps[self.is_free][has_levels]
            level = np.minimum(np.floor(U[:, has_levels] * L), L - 1)
            values[:, has_levels] = np.minimum(self._low[has_levels] + level * step, self._high[has_levels])
        if self._is_all_free:
            return values
        X = np.tile(self.lower, (len(U), 1))
        X[:, self.is_free] = values
        return X

    def to_cube(self, X: Floats) -> Floats:
        """Return points X, (n, d), as points U of the unit cube, (n, c): clipped to the box, levels at cell centers."""
        lower, upper = self.lower[self.is_free], self.upper[self.is_free]
        width = np.where(upper > lower, upper / 2 - lower / 2, 1.0)  # halves: their difference cannot overflow
        values = X[:, self.is_free].clip(lower, upper)
        U: Floats = ((values / 2 - lower / 2) / width).clip(0, 1)
        has_levels = self.levels > 0
        if has_levels.any():
            L, step = self.levels[has_levels], self.steps[self.is_free][has_levels]
            level = np.clip(np.round((values[:, has_levels] - lower[has_levels]) / step), 0, L - 1)
            U[:, has_levels] = (level + 0.5) / L
        return U

    def _levels(self) -> Floats:
        has_step = self.steps > 0
        levels = np.zeros(len(self.lower))
        with np.errstate(over="ignore"):
            span = (self.upper - self.lower)[has_step] / self.steps[has_step]
        levels[has_step] = np.floor(span * (1 + 1e-12) + 1e-9) + 1  # 0.3 / 0.1 is a little below 3
        if (levels > MOST_LEVELS).any():
            i = int(np.argmax(levels))
            raise ProblemError(
                f"variable {i} has a step of {self.steps[i]:g}, far too small for its bounds", variable=i
            )
        return levels


def latin_hypercube(rng: np.random.Generator, n: int, c: int) -> Floats:
    """Return n points in the unit cube of c dimensions with exactly one in each of the n strata of every axis.

    Source:
        McKay, Beckman and Conover (1979), Technometrics 21, 239-245.
    """
    strata = rng.permuted(np.tile(np.arange(n)[:, None], (1, c)), axis=0)
    return (strata + rng.random((n, c))) / n


def from_cube(U: Floats, lower: Floats, upper: Floats) -> Floats:
    """Return the points U of the unit cube, (n, c), in the box, never outside; 0 and 1 are the bounds exactly."""
    # Not lower + U * (upper - lower): that difference may overflow, and U = 1 may miss the upper bound
    X: Floats = lower * (1 - U) + upper * U
    return np.minimum(np.maximum(X, lower, out=X), upper, out=X)


def _checked_box(lower: ArrayLike, upper: ArrayLike) -> tuple[Floats, Floats]:
    low, high = floats("lower", lower).copy(), floats("upper", upper).copy()
    if low.ndim != 1 or low.shape != high.shape:
        raise ShapeError(f"bounds must be two vectors of one length, but have shapes {low.shape} and {high.shape}")
    if len(low) == 0:
        raise ProblemError("there is no variable: at least one is needed")
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        if not (np.isfinite(a) and np.isfinite(b)):
            raise ProblemError(f"variable {i} has bounds {a:g} and {b:g}: both must be finite", variable=i)
        if a > b:
            raise ProblemError(f"variable {i} has its lower bound {a:g} above its upper bound {b:g}", variable=i)
    return low, high


def _checked_steps(steps: Any, d: int) -> Floats:
    if steps.shape != (d,):
        raise ShapeError(f"steps have shape {steps.shape}, but there are {d} variables")
    wrong = ~(np.isfinite(steps) & (steps >= 0))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ProblemError(f"variable {i} has a step of {steps[i]:g}: it must be 0 or above, and finite", variable=i)
    checked: Floats = steps
    return checked

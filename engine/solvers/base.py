"""What every solver promises: ask for points, tell their values, and stop on the budget alone.

Notation
    d     number of variables                              k  points of one population
    X     points in the box, (k, d), in the units of the variables
    c     number of variables whose two bounds differ (the others are fixed and cost the search nothing)
    U     the same points in the unit cube over those variables, (k, c)
    f, v  objective and total violation of the points, (k,); engine.solvers.ranking says which is better

A solver works in the unit cube, sees f and v only through their order, and has all its randomness from one seeded
generator. So it takes the same steps, bit for bit, whatever the units of the variables' box (up to rounding of the
box itself), the unit of the objective and its offset are; and a run that is saved after any ``tell`` and goes on
elsewhere ends exactly as it would have.

    solver = SOLVERS["pso"](lower, upper, budget=2000, seed=1)
    while not solver.is_done:
        X = solver.ask()
        solver.tell(X, *evaluate(X))
    solver.result()
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from engine.checks import floats, whole_number
from engine.errors import EngineError, ParameterError, ProblemError, ShapeError
from engine.solvers.ranking import Floats, best_first, usable
from engine.solvers.state import SolverStateError, State, generator_from_json, generator_to_json

STATE_VERSION = 1

MOST_EVALUATIONS = 10**8
"""The largest budget. Populations grow with its root, and the links of a swarm with the square of that."""


class SolverMisuse(EngineError):  # noqa: N818  (an order of calls that makes no sense)
    """Points were asked for or told out of turn."""

    code = "solver.misuse"
    title = "Points were asked for or told out of turn."


@dataclass(frozen=True)
class Best:
    """The best point of a run.

    Attributes:
        x: the point, shape (d,), in the units of the variables, within the box.
        objective: its objective, finite.
        violation: its total violation; 0 means that it is feasible.
    """

    x: Floats
    objective: float
    violation: float


class Solver(ABC):
    """Minimizes an objective over a box with ``ask`` and ``tell``, until its budget is spent.

    Args:
        lower, upper: the box, shape (d,) each, finite; equal bounds fix a variable.
        budget: points to evaluate in all, 1 to MOST_EVALUATIONS. A solver may pace itself by it, so that a run of 500
            is not the beginning of a run of 5000.
        seed: of everything random, from 0; the same seed gives the same points, bit for bit.

    Raises:
        ShapeError: lower and upper are not two vectors of numbers, of one length.
        ProblemError: a bound is not finite, a lower bound is above its upper one, or there is no variable.
        ParameterError: budget or seed is not such a whole number.
    """

    name: ClassVar[str]

    # What a subclass keeps between two steps: attribute -> dtype and shape, where letters stand for lengths that
    # must agree. Saving, loading and checking a state follow from it.
    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]]

    def __init__(self, lower: ArrayLike, upper: ArrayLike, *, budget: int, seed: int = 0) -> None:
        self.lower, self.upper = _checked_box(lower, upper)
        self.budget = checked_budget(budget)
        self._rng = np.random.Generator(np.random.PCG64(checked_seed(seed)))
        self._evaluations = 0
        self._asked: tuple[Floats, Floats] | None = None  # X and U that wait for their values
        self._best: Best | None = None
        self._is_free = self.lower < self.upper
        if not self._is_free.any():
            self._is_free[0] = True  # a cube of no dimensions would be a special case everywhere
        self._start(int(self._is_free.sum()))

    # What a solver is

    @abstractmethod
    def _start(self, c: int) -> None:
        """Set every attribute of the layout for a run in c dimensions."""

    @abstractmethod
    def _propose(self) -> Floats:
        """Return the next population, (k, c), in the unit cube."""

    @abstractmethod
    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        """Take the values of the whole population that was proposed; what failed has f = v = inf."""

    @abstractmethod
    def _is_sound(self) -> bool:
        """Return whether the attributes of the layout, whose types and shapes fit, hold what a run can come to."""

    # What it promises

    @property
    def evaluations(self) -> int:
        """Points told so far."""
        return self._evaluations

    @property
    def is_done(self) -> bool:
        """Whether the budget is spent. Nothing else ends a run."""
        return self._evaluations >= self.budget

    def ask(self) -> Floats:
        """Return the next population, shape (k, d), within the box; the last one is cut to what the budget leaves.

        Raises:
            SolverMisuse: the budget is spent, or the last population has not been told yet.
        """
        if self._asked is not None:
            raise SolverMisuse("the last population was not told yet; tell its values before asking again")
        if self.is_done:
            raise SolverMisuse(f"the budget of {self.budget} evaluations is spent", budget=self.budget)
        U = self._propose()[: self.budget - self._evaluations]
        X = self._to_box(U)
        self._asked = X, U
        return X.copy()

    def tell(self, X: ArrayLike, objective: ArrayLike, total_violation: ArrayLike) -> None:
        """Take the values of the population that was asked for.

        Args:
            X: the population as ``ask`` returned it.
            objective: shape (k,); NaN or an infinity says that the point could not be computed.
            total_violation: shape (k,), >= 0, 0 where the point is feasible; likewise.

        Raises:
            SolverMisuse: nothing was asked for, or X is not what was.
            ShapeError: objective or total_violation is not of shape (k,).
            ParameterError: a violation is negative.
        """
        if self._asked is None:
            raise SolverMisuse("there is no population to tell: ask for one first")
        asked, U = self._asked
        if not np.array_equal(floats("X", X), asked):
            raise SolverMisuse("the points told are not the population that was asked for")
        f, v = _vector("objective", objective, len(U)), _vector("total_violation", total_violation, len(U))
        if (v < 0).any():
            raise ParameterError(f"a violation is at least 0, but {v.min():g} was told", violation=float(v.min()))
        f, v = usable(f, v)
        self._remember(asked, f, v)
        self._asked = None
        self._evaluations += len(U)
        if not self.is_done:  # a population that was cut is always the last, so _learn sees whole ones only
            self._learn(U, f, v)

    def result(self) -> Best | None:
        """Return the best point told so far, the earliest of equals; None before one could be computed."""
        return self._best

    # State

    def state_dict(self) -> State:
        """Return everything that the rest of the run depends on: copies of plain arrays, and JSON values.

        Raises:
            SolverMisuse: a population was asked for and not told yet.
        """
        if self._asked is not None:
            raise SolverMisuse("the state is complete after a tell, not between ask and tell")
        best = self._best or Best(np.full(len(self.lower), np.nan), np.inf, np.inf)
        return {
            "version": STATE_VERSION,
            "solver": self.name,
            "budget": self.budget,
            "evaluations": self._evaluations,
            "generator": generator_to_json(self._rng),
            "lower": self.lower.copy(),
            "upper": self.upper.copy(),
            "best_x": best.x.copy(),
            "best_value": np.array([best.objective, best.violation]),
        } | {name: np.array(getattr(self, f"_{name}"), dtype) for name, (dtype, _) in self._LAYOUT.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return a solver that goes on where ``state_dict`` was taken.

        Raises:
            SolverStateError: the state is of another solver or version, or damaged.
        """
        name, version = state.get("solver"), state.get("version")
        if repr((name, version)) != repr((cls.name, STATE_VERSION)):  # by their text: a damaged one may be an array
            raise SolverStateError(
                f"this is a state of solver {name!r}, version {version!r}, where"
                f" {cls.name!r}, version {STATE_VERSION}, is needed",
                solver=cls.name,
            )
        try:
            solver = cls(state["lower"], state["upper"], budget=state["budget"])
            solver._evaluations = whole_number("evaluations", state["evaluations"], 0, solver.budget)
            solver._rng = generator_from_json(state["generator"])
        except (KeyError, EngineError) as error:
            raise SolverStateError(f"the state is damaged: {error}") from error
        lengths = {"d": len(solver.lower), "c": int(solver._is_free.sum()), "two": 2}
        best_x = _saved_array(state, "best_x", np.float64, "d", lengths)
        objective, violation = _saved_array(state, "best_value", np.float64, "two", lengths).tolist()
        if math.isfinite(objective) and math.isfinite(violation):
            solver._best = Best(best_x, objective, violation)
        for name, (dtype, shape) in cls._LAYOUT.items():
            setattr(solver, f"_{name}", _saved_array(state, name, dtype, shape, lengths))
        if not solver._is_sound():
            raise SolverStateError("the state is damaged: it holds numbers that no run comes to")
        return solver

    # Inside

    def _to_box(self, U: Floats) -> Floats:
        X = np.tile(self.lower, (len(U), 1))
        X[:, self._is_free] = from_cube(U, self.lower[self._is_free], self.upper[self._is_free])
        return X

    def _remember(self, X: Floats, f: Floats, v: Floats) -> None:
        i = best_first(f, v)[0]
        if np.isfinite(f[i]) and (self._best is None or (v[i], f[i]) < (self._best.violation, self._best.objective)):
            self._best = Best(X[i].copy(), float(f[i]), float(v[i]))


def checked_budget(budget: Any) -> int:
    """Return the budget as an int; ParameterError if it is none from 1 to MOST_EVALUATIONS."""
    return whole_number("budget", budget, 1, MOST_EVALUATIONS)


def checked_seed(seed: Any) -> int:
    """Return the seed as an int; ParameterError if it is none from 0."""
    return whole_number("seed", seed, 0)


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
    X: Floats = (lower * (1 - U) + upper * U).clip(lower, upper)
    return X


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


def _vector(name: str, values: ArrayLike, n: int) -> Floats:
    vector = floats(name, values)
    if vector.shape != (n,):
        raise ShapeError(f"{name} has shape {vector.shape}, but {n} points were asked for", wanted=[n])
    return vector


def _saved_array(state: Mapping[str, Any], name: str, dtype: type, shape: str, lengths: dict[str, int]) -> Any:
    """Return a copy of a saved array whose type and shape are those of the layout."""
    array = state.get(name)
    letters = shape.split()
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(letters):
        raise SolverStateError(f"the state is damaged: {name} is not an array of {dtype.__name__} with axes {letters}")
    for letter, length in zip(letters, array.shape, strict=True):
        if lengths.setdefault(letter, length) != length:
            raise SolverStateError(f"the state is damaged: {name} has shape {array.shape}, which fits nothing else")
    return array.copy()

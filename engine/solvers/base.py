"""What every solver promises: ask for points, tell their values, and stop on the budget alone.

Notation
    d     number of variables                              k  points of one population
    X     points in the box, (k, d), in the units of the variables, each variable at a value that it may take
    c     number of variables that can take more than one value (the others cost the search nothing)
    U     the same points in the unit cube over those variables, (k, c); engine.solvers.space translates
    f, v  objective and total violation of the points, (k,); engine.solvers.ranking says which is better
    p     number of objectives; a solver for several is told f of shape (k, p)

A solver works in the unit cube, sees f and v through their order alone, or descents through ratios of differences, and
has all its randomness from one seeded generator. So it takes the same steps, bit for bit, whatever the units of the
variables' box (up to rounding of the box itself), the unit of the objective and its offset are; and a run that is
saved after any ``tell`` and goes on elsewhere ends exactly as it would have.

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
from engine.errors import EngineError, ParameterError, ShapeError
from engine.solvers.ranking import Floats, best_first, usable
from engine.solvers.space import Space, latin_hypercube
from engine.solvers.state import SolverStateError, State, generator_from_json, generator_to_json

STATE_VERSION = 4

MOST_EVALUATIONS = 10**8
"""The largest budget. Populations grow with its root, and the links of a swarm with the square of that."""


MOST_OBJECTIVES = 20
"""Beyond this, nearly no point dominates another, and a front is no help to anybody."""


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


@dataclass(frozen=True)
class Population:
    """Points with their values.

    Attributes:
        X: the points, shape (n, d), in the units of the variables.
        F: their objectives, shape (n, p).
        violation: their total violations, shape (n,).
    """

    X: Floats
    F: Floats
    violation: Floats


class Solver(ABC):
    """Minimizes an objective over a box with ``ask`` and ``tell``, until its budget is spent.

    Args:
        lower, upper, steps, choices: the space, as ``engine.solvers.space.Space`` takes it.
        budget: points to evaluate in all, 1 to MOST_EVALUATIONS. A solver may pace itself by it, so that a run of 500
            is not the beginning of a run of 5000.
        seed: of everything random, from 0; the same seed gives the same points, bit for bit.
        starts: points to begin with, shape (s, d), in the units of the variables, such as the operating point of now;
            each is moved to the nearest value that its variables may take.
        n_objectives: p: 1, or for solvers that are ``is_multi_objective`` from 2 to MOST_OBJECTIVES.

    Raises:
        ShapeError: the space or the starts are not arrays of numbers that fit each other.
        ProblemError: the space is none: a bound is not finite, a lower bound is above its upper one, ...
        ParameterError: budget, seed or n_objectives is not such a whole number.
    """

    name: ClassVar[str]
    is_multi_objective: ClassVar[bool] = False

    # What a subclass keeps between two steps: attribute -> dtype and shape, where letters stand for lengths that
    # must agree, and no letter for a number. Saving, loading and checking a state follow from it.
    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]]

    def __init__(
        self,
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        budget: int,
        seed: int = 0,
        steps: ArrayLike | None = None,
        choices: ArrayLike | None = None,
        starts: ArrayLike | None = None,
        n_objectives: int = 1,
    ) -> None:
        self.space = Space(lower, upper, steps, choices)
        self.budget = checked_budget(budget)
        allowed = (2, MOST_OBJECTIVES) if self.is_multi_objective else (1, 1)
        self.n_objectives = whole_number("n_objectives", n_objectives, *allowed)
        self._rng = np.random.Generator(np.random.PCG64(checked_seed(seed)))
        self._evaluations = 0
        self._asked: tuple[Floats, Floats] | None = None  # X and U that wait for their values
        self._best: Best | None = None
        self._starts = self.space.to_cube(_checked_starts(starts, len(self.space.lower)))
        self._start(self.space.c)

    # What a solver is

    @abstractmethod
    def _start(self, c: int) -> None:
        """Set every attribute of the layout for a run in c dimensions."""

    @abstractmethod
    def _propose(self) -> Floats:
        """Return the next population, (k, c), in the unit cube."""

    @abstractmethod
    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        """Take the values of all points proposed, f (k, p) if p > 1; what could not be computed has f = v = inf."""

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
        X = self.space.to_box(U)
        self._asked = X, U
        return X.copy()

    def tell(self, X: ArrayLike, objective: ArrayLike, total_violation: ArrayLike) -> None:
        """Take the values of the population that was asked for.

        Args:
            X: the population as ``ask`` returned it.
            objective: shape (k,), or (k, p) for several; NaN or an infinity says that the point could not be computed.
            total_violation: shape (k,), >= 0, 0 where the point is feasible; likewise.

        Raises:
            SolverMisuse: nothing was asked for, or X is not what was.
            ShapeError: objective or total_violation is not of this shape.
            ParameterError: a violation is negative.
        """
        if self._asked is None:
            raise SolverMisuse("there is no population to tell: ask for one first")
        asked, U = self._asked
        if not np.array_equal(floats("X", X), asked):
            raise SolverMisuse("the points told are not the population that was asked for")
        wanted = (len(U),) if self.n_objectives == 1 else (len(U), self.n_objectives)
        f, v = _shaped("objective", objective, wanted), _shaped("total_violation", total_violation, wanted[:1])
        if (v < 0).any():
            raise ParameterError(f"a violation is at least 0, but {v.min():g} was told", violation=float(v.min()))
        f, v = usable(f, v)
        self._remember(asked, f, v)
        self._asked = None
        self._evaluations += len(U)
        if self.is_done:  # a population that was cut is always the last, so _learn sees whole ones only
            self._conclude(U, f, v)
        else:
            self._learn(U, f, v)

    def result(self) -> Best | None:
        """Return the best point told so far, the earliest of equals; None before one could be computed."""
        return self._best

    def front(self) -> Population:
        """Return the points of which none is better than another in all objectives.

        Raises:
            SolverMisuse: the solver is for one objective.
        """
        raise SolverMisuse(f"{self.name} is for one objective and has no front")

    def reference(self) -> Floats:
        """Return the point from which the hypervolume of the front can be measured, shape (p,).

        Raises:
            SolverMisuse: the solver is for one objective.
        """
        raise SolverMisuse(f"{self.name} is for one objective and has no front")

    # State

    def state_dict(self) -> State:
        """Return everything that the rest of the run depends on: copies of plain arrays, and JSON values.

        Raises:
            SolverMisuse: a population was asked for and not told yet.
        """
        if self._asked is not None:
            raise SolverMisuse("the state is complete after a tell, not between ask and tell")
        best = self._best or Best(np.full(len(self.space.lower), np.nan), np.inf, np.inf)
        return {
            "version": STATE_VERSION,
            "solver": self.name,
            "budget": self.budget,
            "evaluations": self._evaluations,
            "generator": generator_to_json(self._rng),
            "n_objectives": self.n_objectives,
            "lower": self.space.lower.copy(),
            "upper": self.space.upper.copy(),
            "steps": self.space.steps.copy(),
            "choices": self.space.choices.copy(),
            "best_x": best.x.copy(),
            "best_value": np.array([best.objective, best.violation]),
            "starts": self._starts.copy(),
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
            space = {name: state[name] for name in ("lower", "upper", "steps", "choices")}
            solver = cls(**space, budget=state["budget"], n_objectives=state["n_objectives"])
            solver._evaluations = whole_number("evaluations", state["evaluations"], 0, solver.budget)
            solver._rng = generator_from_json(state["generator"])
        except (KeyError, EngineError) as error:
            raise SolverStateError(f"the state is damaged: {error}") from error
        lengths = {"d": len(solver.space.lower), "two": 2}
        best_x = _saved_array(state, "best_x", np.float64, "d", lengths)
        objective, violation = _saved_array(state, "best_value", np.float64, "two", lengths).tolist()
        if math.isfinite(objective) and math.isfinite(violation):
            solver._best = Best(best_x, objective, violation)
        solver._starts = _saved_array(state, "starts", np.float64, "s c", {"c": solver.space.c})
        if not ((solver._starts >= 0) & (solver._starts <= 1)).all():
            raise SolverStateError("the state is damaged: a start lies outside of the box")
        saved_arrays(solver, state)
        return solver

    # Inside

    def _conclude(self, U: Floats, f: Floats, v: Floats) -> None:  # noqa: B027  (few need it)
        """Take the values of the last population, which may be cut. The best point is kept without this."""

    def _first_points(self, n: int) -> Floats:
        """Return n points to begin with, (n, c): the starts, and a Latin hypercube for the rest."""
        U = latin_hypercube(self._rng, n, self.space.c)
        U[: len(self._starts)] = self._starts[:n]
        return U

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


def _checked_starts(starts: ArrayLike | None, d: int) -> Floats:
    points = np.empty((0, d)) if starts is None else floats("starts", starts)
    if points.ndim != 2 or points.shape[1] != d or not np.isfinite(points).all():
        raise ShapeError(f"starts have shape {points.shape}, but finite points of {d} variables are needed, (s, {d})")
    return points


def _shaped(name: str, values: ArrayLike, wanted: tuple[int, ...]) -> Floats:
    array = floats(name, values)
    if array.shape != wanted:
        raise ShapeError(
            f"{name} has shape {array.shape}, but {wanted[0]} points were asked for: {wanted} is needed",
            wanted=list(wanted),
        )
    return array


def saved_arrays(solver: Solver, state: Mapping[str, Any]) -> None:
    """Set the attributes of a solver's layout from a state.

    Raises:
        SolverStateError: one is missing, of another type or shape, or holds what no run comes to.
    """
    lengths = {"d": len(solver.space.lower), "c": solver.space.c, "p": solver.n_objectives, "two": 2, "eight": 8}
    for name, (dtype, shape) in solver._LAYOUT.items():
        setattr(solver, f"_{name}", _saved_array(state, name, dtype, shape, lengths))
    if not solver._is_sound():
        raise SolverStateError("the state is damaged: it holds numbers that no run comes to")


def _saved_array(state: Mapping[str, Any], name: str, dtype: type, shape: str, lengths: dict[str, int]) -> Any:
    """Return a copy of a saved array whose type and shape are those of the layout; a number if it has no axes."""
    array = state.get(name)
    letters = shape.split()
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(letters):
        raise SolverStateError(f"the state is damaged: {name} is not an array of {dtype.__name__} with axes {letters}")
    for letter, length in zip(letters, array.shape, strict=True):
        if lengths.setdefault(letter, length) != length:
            raise SolverStateError(f"the state is damaged: {name} has shape {array.shape}, which fits nothing else")
    return array.copy() if letters else array.item()

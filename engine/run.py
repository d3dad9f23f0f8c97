"""A run of a solver on a problem: what it has come to so far, and the state from which it goes on elsewhere."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import ParameterError
from engine.evaluator import Evaluator
from engine.fronts import Front, front_of, hypervolume_of
from engine.solvers import Best, SolverStateError, State, find_solver
from engine.solvers.ranking import Floats

Entry = TypeVar("Entry")

MOST_CURVE_POINTS = 300

_CURVE, _VOLUMES, _SECONDS, _RUN = "run_curve", "run_volumes", "run_seconds", "run_of"  # added to the solver's state


class Clock:
    """Seconds of a run, all its parts if it was resumed."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.before = 0.0

    def seconds(self) -> float:
        """Return the seconds until now."""
        return self.before + time.perf_counter() - self._began


def check_solver(solver: str, n_objectives: int) -> None:
    """See that a solver serves so many objectives.

    Raises:
        ParameterError: there is no such solver, or it does not.
    """
    if find_solver(solver).is_multi_objective != (n_objectives > 1) and solver != "auto":
        raise ParameterError(
            f"solver {solver!r} is for {'several objectives' if n_objectives == 1 else 'one objective'}, but the"
            f" problem has {n_objectives}",
            parameter="solver",
        )


def choose(solver: str, evaluator: Evaluator) -> str:
    """Return the name of the solver that serves a problem: the one asked for, or what "auto" stands for there.

    Raises:
        ParameterError: as ``check_solver``.
    """
    n_objectives = len(evaluator.problem.objectives)
    check_solver(solver, n_objectives)
    if solver == "auto" and n_objectives > 1:
        return "nsga2" if n_objectives == 2 else "nsga3"
    return solver


class Run:
    """A solver at work on a problem.

    Args:
        evaluator: the problem with its model.
        name: the solver.
        budget, seed: as ``minimize`` takes them.
        points: where it begins, (s, number of variables).
        clock: of the run.
        told: what else decides how the run goes, as JSON values.

    Attributes:
        solver: the solver.
        is_multi: whether there are several objectives.
        hypervolume: of the front so far; None with one objective.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        name: str,
        budget: int,
        seed: int,
        points: Floats,
        clock: Clock,
        told: Sequence[Any] = (),
    ) -> None:
        self._evaluator, self._clock = evaluator, clock
        n_objectives = len(evaluator.problem.objectives)
        self.is_multi = n_objectives > 1
        self.solver = find_solver(name)(
            evaluator.lower,
            evaluator.upper,
            budget=budget,
            seed=seed,
            steps=evaluator.steps,
            choices=evaluator.choices,
            starts=points,
            n_objectives=n_objectives,
        )
        self.hypervolume: float | None = None
        self._curve: list[tuple[int, float, float]] = []
        self._volumes: list[tuple[int, float]] = []
        self._fingerprint = _fingerprint(evaluator, name, budget, seed, points, told)

    def note(self) -> None:
        """Take down what the last population has come to."""
        best = self.solver.result()
        if best and (not self._curve or self._curve[-1][1:] != (best.objective, best.violation)):
            self._curve.append((self.solver.evaluations, best.objective, best.violation))
        if self.is_multi:
            self.hypervolume = hypervolume_of(self.solver.front(), self._reference())
            if self.hypervolume is not None:
                self._volumes.append((self.solver.evaluations, self.hypervolume))

    def finished_curve(self, best: Best) -> tuple[tuple[int, float, float], ...]:
        """Return the curve with an entry at the end, thinned."""
        if self._curve[-1][0] < self.solver.evaluations:
            self._curve.append((self.solver.evaluations, best.objective, best.violation))
        return _thinned(self._curve)

    def front(self, knee: Floats, n_recipes: int) -> Front | None:
        """Return the front with at most so many points; None with one objective."""
        if not self.is_multi:
            return None
        return front_of(
            self._evaluator, self.solver.front(), knee, n_recipes, _thinned(self._volumes), self._reference()
        )

    def state(self) -> State:
        """Return everything that the rest of the run depends on."""
        return self.solver.state_dict() | {
            _RUN: self._fingerprint,
            _SECONDS: self._clock.seconds(),
            _CURVE: np.array(self._curve, dtype=np.float64).reshape(-1, 3),
            _VOLUMES: np.array(self._volumes, dtype=np.float64).reshape(-1, 2),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a state of the same run.

        Raises:
            SolverStateError: it is damaged, or of another run.
        """
        if not isinstance(saved, Mapping):
            raise SolverStateError(f"a run is resumed from the state of one, not from {type(saved).__name__}")
        curve, volumes, seconds = saved.get(_CURVE), saved.get(_VOLUMES), saved.get(_SECONDS)
        if not _is_table(curve, 3) or not _is_table(volumes, 2) or not isinstance(seconds, float):
            raise SolverStateError("the state is damaged: it does not hold the curve and the time of a run")
        if saved.get(_RUN) != self._fingerprint:
            raise SolverStateError(
                "the state is of another run: its problem, model tags, solver, budget or seed differ"
            )
        self.solver = type(self.solver).from_state(saved)
        self._curve = [(int(n), float(f), float(v)) for n, f, v in curve]
        self._volumes = [(int(n), float(volume)) for n, volume in volumes]
        if self.solver.result() and not self._curve:
            raise SolverStateError("the state is damaged: it holds a best point, but not when it was found")
        self.hypervolume = self._volumes[-1][1] if self._volumes else None
        self._clock.before = seconds

    def _reference(self) -> Floats:
        """Return the point that the hypervolume is measured from: the worst corner of the first population's values."""
        return self.solver.reference()


def _is_table(saved: Any, n_columns: int) -> TypeGuard[NDArray[np.float64]]:
    is_table = isinstance(saved, np.ndarray) and saved.dtype == np.float64 and saved.ndim == 2
    return is_table and saved.shape[1] == n_columns and bool(np.isfinite(saved).all())


def _fingerprint(evaluator: Evaluator, name: str, budget: int, seed: int, points: Floats, told: Sequence[Any]) -> str:
    """Return a hash of everything that decides how the run goes, but for the numbers of model and envelope."""
    model = evaluator.model
    whole = [
        evaluator.problem.to_json(),
        list(model.inputs),
        list(model.outputs),
        name,
        budget,
        seed,
        points.tolist(),
        *told,
    ]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _thinned(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return at most MOST_CURVE_POINTS entries, the first and the last among them."""
    if len(entries) <= MOST_CURVE_POINTS:
        return tuple(entries)
    kept: NDArray[np.intp] = np.linspace(0, len(entries) - 1, MOST_CURVE_POINTS).round().astype(np.intp)
    return tuple(entries[i] for i in kept)

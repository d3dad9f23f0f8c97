"""Find the inputs that serve a problem best, on one budget of evaluations, resumable to the last bit."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from engine.errors import ProblemError
from engine.evaluator import Evaluator, Model, Report
from engine.problem import Problem
from engine.solvers import Best, Solver, SolverStateError, State, find_solver
from engine.solvers.base import checked_budget, checked_seed

MOST_CURVE_POINTS = 300

_CURVE, _SECONDS, _RUN = "run_curve", "run_seconds", "run"  # what a run adds to the state of its solver


@dataclass(frozen=True)
class Step:
    """How far a run is, after a population was evaluated.

    Attributes:
        evaluations: points evaluated so far, of ``budget``.
        objective: of the best point so far; None while no point could be computed.
        violation: its total violation; 0 means that it is feasible. None likewise.
        state: returns everything that the rest of the run depends on, to save and to ``resume`` from.
    """

    evaluations: int
    budget: int
    objective: float | None
    violation: float | None
    state: Callable[[], State] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Optimum(Report):
    """The answer of a run: the report on the best point, and how it was found.

    Every number of the report is what the model predicts for that point asked alone.

    Attributes:
        evaluations: points evaluated; always the budget.
        curve: (evaluations, best objective, its total violation), one entry each time that the best got better and
            one at the end, thinned to MOST_CURVE_POINTS. Between two entries nothing changed, unless thinned.
        solver, seed, budget: with the problem and the model, what it takes to repeat the run.
        seconds: how long it took, all its parts if it was resumed. The only thing in here that may differ.
    """

    evaluations: int
    curve: tuple[tuple[int, float, float], ...]
    solver: str
    seed: int
    budget: int
    seconds: float = field(compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values; a number that is not finite is null."""
        plain: dict[str, Any] = _jsonable(asdict(self))
        return plain


def minimize(
    problem: Problem,
    model: Model,
    *,
    solver: str = "pso",
    budget: int = 2000,
    seed: int = 0,
    on_step: Callable[[Step], object] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> Optimum:
    """Return the best point that the solver finds; the same arguments give the same answer to the last bit.

    Args:
        problem: what is wanted, over which inputs, within which limits.
        model: predicts; a Surrogate, or anything with ``inputs``, ``outputs`` and ``predict``. Its ``predict`` is
            called once for each population (and once with PROBE points when a scale is missing).
        solver: a key of SOLVERS.
        budget: points to evaluate, 1 to MOST_EVALUATIONS; the only thing that ends a run.
        seed: of everything random, from 0.
        on_step: called after each population. What it raises ends the run and comes out of here.
        resume: a state from an earlier ``Step.state()`` of the same run; it goes on from there.

    Raises:
        ProblemError: the problem does not fit the model, or the objective could not be computed at any point.
        ParameterError: solver, budget or seed is not one that is allowed.
        SolverStateError: ``resume`` is damaged or of another run.
        ShapeError: the model does not return one row of outputs for each row of inputs.
    """
    started = time.perf_counter()
    solver_type = find_solver(solver)
    budget, seed = checked_budget(budget), checked_seed(seed)
    evaluator = Evaluator(problem, model)
    run = _fingerprint(evaluator.problem, model, solver, budget, seed)
    if resume is None:
        search = solver_type(evaluator.lower, evaluator.upper, budget=budget, seed=seed)
        curve: list[tuple[int, float, float]] = []
        seconds_before = 0.0
    else:
        search, curve, seconds_before = _resumed(resume, solver, run)

    def seconds() -> float:
        return seconds_before + time.perf_counter() - started

    def state() -> State:
        return search.state_dict() | {
            _RUN: run,
            _SECONDS: seconds(),
            _CURVE: np.array(curve, dtype=np.float64).reshape(-1, 3),
        }

    while not search.is_done:
        X = search.ask()
        values = evaluator.evaluate(X)
        search.tell(X, values.objective, values.total_violation)
        best = search.result()
        _extend(curve, search.evaluations, best)
        if on_step:
            objective, violation = (best.objective, best.violation) if best else (None, None)
            on_step(Step(search.evaluations, search.budget, objective, violation, state))

    best = search.result()
    if best is None:
        raise _nothing_computed(evaluator, search)
    if curve[-1][0] < search.evaluations:
        curve.append((search.evaluations, best.objective, best.violation))
    return Optimum(
        **vars(evaluator.report(best.x)),
        evaluations=search.evaluations,
        curve=_thinned(curve),
        solver=solver,
        seed=seed,
        budget=search.budget,
        seconds=seconds(),
    )


def _resumed(saved: Mapping[str, Any], solver: str, run: str) -> tuple[Solver, list[tuple[int, float, float]], float]:
    if not isinstance(saved, Mapping):
        raise SolverStateError(f"a run is resumed from the state of one, not from {type(saved).__name__}")
    curve, seconds = saved.get(_CURVE), saved.get(_SECONDS)
    if not _is_curve(curve) or not isinstance(seconds, float):
        raise SolverStateError("the state is damaged: it does not hold the curve and the time of a run")
    if saved.get(_RUN) != run:
        raise SolverStateError("the state is of another run: its problem, model tags, solver, budget or seed differ")
    entries = [(int(n), float(f), float(v)) for n, f, v in curve]
    search = find_solver(solver).from_state(saved)
    if search.result() and not entries:
        raise SolverStateError("the state is damaged: it holds a best point, but not when it was found")
    return search, entries, seconds


def _is_curve(saved: Any) -> TypeGuard[NDArray[np.float64]]:
    is_table = isinstance(saved, np.ndarray) and saved.dtype == np.float64 and saved.ndim == 2
    return is_table and saved.shape[1] == 3 and bool(np.isfinite(saved).all())


def _fingerprint(problem: Problem, model: Model, solver: str, budget: int, seed: int) -> str:
    """Return a hash of everything that decides how the run goes, but for the model's numbers."""
    whole = [problem.to_json(), list(model.inputs), list(model.outputs), solver, budget, seed]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _extend(curve: list[tuple[int, float, float]], evaluations: int, best: Best | None) -> None:
    """Add an entry if the best point is new."""
    if best and (not curve or curve[-1][1:] != (best.objective, best.violation)):
        curve.append((evaluations, best.objective, best.violation))


def _thinned(curve: list[tuple[int, float, float]]) -> tuple[tuple[int, float, float], ...]:
    """Return the curve with at most MOST_CURVE_POINTS entries, the first and the last among them."""
    if len(curve) <= MOST_CURVE_POINTS:
        return tuple(curve)
    kept: NDArray[np.intp] = np.linspace(0, len(curve) - 1, MOST_CURVE_POINTS).round().astype(np.intp)
    return tuple(curve[i] for i in kept)


def _nothing_computed(evaluator: Evaluator, search: Solver) -> ProblemError:
    """Return the refusal of a problem without one point that can be computed, naming what failed at the center."""
    report = evaluator.report(evaluator.lower / 2 + evaluator.upper / 2)
    parts = [(f"terms[{i}]", term.of, term.cost) for i, term in enumerate(report.terms)]
    parts += [(f"limits[{i}]", limit.of, limit.value) for i, limit in enumerate(report.limits)]
    failed = [f"{path} ({of}) is {value}" for path, of, value in parts if not math.isfinite(value)]
    return ProblemError(
        f"none of {search.evaluations} points could be computed: the objective or a limit was not finite"
        + (f"; in the middle of the box, {', '.join(failed)}" if failed else ""),
        evaluations=search.evaluations,
        failed=failed,
    )


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _jsonable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""Find the inputs that serve a problem best, on one budget of evaluations, resumable to the last bit."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from engine.checks import whole_number
from engine.comparison import Comparison, compare
from engine.errors import ProblemError
from engine.evaluator import Evaluator, Model, Report
from engine.fronts import Front
from engine.problem import Problem
from engine.relaxation import Broken, broken
from engine.run import Clock, Run, choose
from engine.solvers import State
from engine.solvers.base import checked_budget, checked_seed
from engine.trust import Envelope


@dataclass(frozen=True)
class Step:
    """How far a run is, after a population was evaluated.

    Attributes:
        evaluations: points evaluated so far, of ``budget``.
        objective: of the best point so far; None while no point could be computed.
        violation: its total violation; 0 means that it is feasible. None likewise.
        hypervolume: of the front so far, where there are several objectives; see ``Front``.
        best: reports on the best point so far; None while no point could be computed.
        state: returns everything that the rest of the run depends on, to save and to ``resume`` from.
    """

    evaluations: int
    budget: int
    objective: float | None
    violation: float | None
    hypervolume: float | None
    best: Callable[[], Report] | None = field(repr=False, compare=False)
    state: Callable[[], State] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Optimum(Report):
    """The answer of a run: the report on the best point, and how it was found.

    Every number of the report is what the model predicts for that point asked alone. With several objectives the best
    point is the knee of the front.

    Attributes:
        evaluations: points evaluated; always the budget.
        curve: (evaluations, best objective, its total violation), one entry each time that the best got better and
            one at the end, thinned to MOST_CURVE_POINTS. Between two entries nothing changed, unless thinned.
        solver, seed, budget: with the problem and the model, what it takes to repeat the run.
        search: with several objectives the solver that ``auto`` chose; otherwise ``solver`` again.
        broken: where nothing feasible was found: what the nearest point breaks, and by how much.
        front: with several objectives, the points of which none is better than another in all of them.
        comparison: the answer beside the operating point of now, if one was given.
        seconds: how long it took, all its parts if it was resumed. The only thing in here that may differ.
    """

    evaluations: int
    curve: tuple[tuple[int, float, float], ...]
    solver: str
    search: str
    seed: int
    budget: int
    broken: tuple[Broken, ...]
    front: Front | None
    comparison: Comparison | None
    seconds: float = field(compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values; a number that is not finite is null."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain


def minimize(
    problem: Problem,
    model: Model,
    *,
    solver: str = "auto",
    budget: int = 2000,
    seed: int = 0,
    envelope: Envelope | None = None,
    starts: Sequence[Mapping[str, float]] = (),
    current: Mapping[str, float] | None = None,
    n_recipes: int = 20,
    on_step: Callable[[Step], object] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> Optimum:
    """Return the best point that the solver finds; the same arguments give the same answer to the last bit.

    Args:
        problem: what is wanted, over which inputs, within which limits.
        model: predicts; a Surrogate, or anything with ``inputs``, ``outputs`` and ``predict``. Its ``predict`` is
            called once for each population (and once with PROBE points when a scale is missing).
        solver: a key of SOLVERS. "auto" chooses by what is searched; see ``engine.solvers.auto``.
        budget: points to evaluate, 1 to MOST_EVALUATIONS; the only thing that ends a run.
        seed: of everything random, from 0.
        envelope: where the model is trusted, as a limit; None trusts it everywhere within the bounds.
        starts: points to begin with, each a value for every variable.
        current: the operating point of now, a value for every variable: where the search begins, and what the answer is
            compared with.
        n_recipes: points that a front is thinned to, from 1.
        on_step: called after each population. What it raises ends the run and comes out of here.
        resume: a state from an earlier ``Step.state()`` of the same run; it goes on from there.

    Raises:
        ProblemError: the problem does not fit the model, or the objective could not be computed at any point.
        ParameterError: solver, budget, seed or n_recipes is not one that is allowed.
        SolverStateError: ``resume`` is damaged or of another run.
        ShapeError: the model does not return one row of outputs for each row of inputs.
    """
    clock = Clock()
    budget, seed = checked_budget(budget), checked_seed(seed)
    n_recipes = whole_number("n_recipes", n_recipes, 1)
    evaluator = Evaluator(problem, model, envelope)
    points = evaluator.starts(starts, current or None)
    search = choose(solver, evaluator)
    run = Run(evaluator, search, budget, seed, points, clock, told=[solver, envelope is not None])
    if resume is not None:
        run.restore(resume)

    while not run.solver.is_done:
        X = run.solver.ask()
        values = evaluator.evaluate(X)
        run.solver.tell(X, values.objectives if run.is_multi else values.objective, values.total_violation)
        run.note()
        if on_step:
            best = run.solver.result()
            objective, violation = (best.objective, best.violation) if best else (None, None)
            told = partial(evaluator.report, best.x) if best else None
            on_step(Step(run.solver.evaluations, budget, objective, violation, run.hypervolume, told, run.state))

    best = run.solver.result()
    if best is None:
        raise _nothing_computed(evaluator, run.solver.evaluations)
    report = evaluator.report(best.x)
    return Optimum(
        **vars(report),
        evaluations=run.solver.evaluations,
        curve=run.finished_curve(best),
        solver=solver,
        search=search,
        seed=seed,
        budget=budget,
        broken=broken(report),
        front=run.front(best.x, n_recipes),
        comparison=compare(evaluator, report, current, seed=seed) if current else None,
        seconds=clock.seconds(),
    )


def _nothing_computed(evaluator: Evaluator, evaluations: int) -> ProblemError:
    """Return the refusal of a problem without one point that can be computed, naming what failed at the center."""
    report = evaluator.report(evaluator.lower / 2 + evaluator.upper / 2)
    parts = [(f"terms[{i}]", term.of, term.cost) for i, term in enumerate(report.terms)]
    parts += [(f"limits[{i}]", limit.of, limit.value) for i, limit in enumerate(report.limits)]
    failed = [f"{path} ({of}) is {value}" for path, of, value in parts if not math.isfinite(value)]
    return ProblemError(
        f"none of {evaluations} points could be computed: the objective or a limit was not finite"
        + (f"; in the middle of the box, {', '.join(failed)}" if failed else ""),
        evaluations=evaluations,
        failed=failed,
    )


def jsonable(value: Any) -> Any:
    """Return a value as JSON values; numbers that are not finite are null."""
    if isinstance(value, Mapping):
        return {name: jsonable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

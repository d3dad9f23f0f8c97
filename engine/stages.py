"""A run in stages: one search after the other on one budget, resumable within any of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.evaluator import Evaluator, Model, Report
from engine.optimize import Step, minimize
from engine.problem import Problem
from engine.solvers import SolverStateError, State
from engine.trust import Envelope

_STAGES = "process_stages"


@dataclass(frozen=True)
class ProcessStep:
    """How far a run over a process is, after a population was evaluated.

    Attributes:
        stage: what is being solved, for people: a module, and in which round.
        evaluations, budget: evaluations of one model by now in all stages, and those that there may be.
        objective, violation, hypervolume, best: of the best point of the stage so far, as in ``Step``.
        state: returns everything that the rest of the run depends on.
    """

    stage: str
    evaluations: int
    budget: int
    objective: float | None
    violation: float | None
    hypervolume: float | None
    best: Callable[[], Report] | None = field(repr=False, compare=False)
    state: Callable[[], State] = field(repr=False, compare=False)


class Stages:
    """Searches that follow each other.

    Args:
        solver, seed: of every search; each stage counts the seed up, so that no two draw the same.
        budget: of the whole run, for what is told of it.
        on_step: called after each population; what it raises ends the run.
        resume: a state of an earlier run of the same stages.

    Attributes:
        budget: as given; who finds that more is needed may raise it.
        evaluations: so far.

    Raises:
        SolverStateError: the state is not of a run in stages.
    """

    def __init__(
        self,
        *,
        solver: str,
        seed: int,
        budget: int,
        on_step: Callable[[ProcessStep], object] | None = None,
        resume: Mapping[str, Any] | None = None,
    ) -> None:
        self._solver, self._seed, self.budget, self._on_step = solver, seed, budget, on_step
        self._points: list[list[float]] = []
        self._known, self._inner = _read(resume)
        self.evaluations = 0

    def solve(
        self,
        stage: str,
        problem: Problem,
        model: Model,
        budget: int,
        *,
        envelope: Envelope | None = None,
        start: Mapping[str, float] | None = None,
    ) -> Report:
        """Return the best point of the next stage; of one that was finished before, what was found then.

        Args:
            stage: what it is, for people.
            problem, model, budget, envelope: as ``minimize`` takes them.
            start: where the search begins.
        """
        number = len(self._points)
        if number < len(self._known):
            found: Report = Evaluator(problem, model, envelope).report(self._known[number])
        else:
            found = minimize(
                problem,
                model,
                solver=self._solver,
                budget=budget,
                seed=self._seed + number,
                envelope=envelope,
                starts=[start] if start else [],
                on_step=self._teller(stage),
                resume=self._inner,
            )
            self._inner = None
        self.evaluations += budget
        self._points.append([variable.value for variable in found.variables])
        return found

    def _teller(self, stage: str) -> Callable[[Step], None] | None:
        on_step = self._on_step
        if on_step is None:
            return None
        before, points = self.evaluations, list(self._points)

        def tell(step: Step) -> None:
            on_step(
                ProcessStep(
                    stage=stage,
                    evaluations=before + step.evaluations,
                    budget=self.budget,
                    objective=step.objective,
                    violation=step.violation,
                    hypervolume=step.hypervolume,
                    best=step.best,
                    state=lambda: step.state() | {_STAGES: points},
                )
            )

        return tell


def _read(resume: Mapping[str, Any] | None) -> tuple[list[list[float]], State | None]:
    if resume is None:
        return [], None
    inner = dict(resume) if isinstance(resume, Mapping) else {}
    points = inner.pop(_STAGES, None)
    is_sound = isinstance(points, list) and all(
        isinstance(point, list) and all(isinstance(x, int | float) for x in point) for point in points
    )
    if not is_sound:
        raise SolverStateError("this is not the state of a run over a process")
    return [[float(x) for x in point] for point in points], inner

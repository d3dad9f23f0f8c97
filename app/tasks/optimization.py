"""Searching for the best inputs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any
from uuid import UUID

from app.libs.enums import TaskKind
from app.tasks import fan_out
from app.tasks.claim import CancelledError, Claim
from app.tasks.fan_out import WorthFanningOut
from app.tasks.starts import AnyStep, Found, Search, Starts, about, best_of, resumed, seed_of, stage_of, told
from app.viewModels import categories, optimizations, process_optimizations, task_parts
from engine.evaluator import Report
from engine.exact import certify
from engine.optimize import jsonable, minimize
from engine.problem import Problem
from engine.process_optimum import closed, optimize_process
from engine.solvers.state import State
from engine.trust import Envelope

PROOF_SECONDS = 300.0
_KEPT = ("inputs", "outputs", "objective", "is_feasible", "total_violation")
"""What is told of the best point of a search that was stopped."""


class Hunt:
    """An optimization that is carried out: what was asked, how it is searched, and how an answer is reported.

    Args:
        known: the texts of inputs that hold text.
    """

    def __init__(
        self,
        asked: optimizations.Optimization,
        search: Search,
        report: Callable[[Any], dict[str, Any]],
        known: categories.Known,
    ) -> None:
        self.asked, self.report, self._search, self._known = asked, report, search, known
        self._best: AnyStep | None = None

    @property
    def n_starts(self) -> int:
        """How often the search begins."""
        return int(self.asked.options.get("starts", 1))

    def search(self, seed: int, resume: State | None, on_step: Callable[[AnyStep], None] | None) -> Found:
        """Search, and remember what is the best so far."""

        def look(step: AnyStep) -> None:
            if self._best is None or _is_better(step, self._best):
                self._best = step
            if on_step:
                on_step(step)

        return self._search(seed, resume, look)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give what stops the work the best so far."""
        try:
            yield
        except CancelledError as cancelled:
            cancelled.so_far = self._so_far()
            raise

    def _so_far(self) -> dict[str, Any] | None:
        step = self._best
        if step is None or step.best is None:
            return None
        report = step.best()
        found = jsonable({name: getattr(report, name) for name in _KEPT})
        found |= {"evaluations": step.evaluations, **stage_of(step)}
        return {"optimization_id": str(self.asked.id), "best_so_far": categories.in_report(found, self._known)}


def _is_better(step: AnyStep, than: AnyStep) -> bool:
    """Whether a step has come at least as far; one of another stage is held to be what counts now."""
    if stage_of(step) != stage_of(than) or step.violation is None or than.violation is None:
        return step.violation is not None
    return (step.violation, step.objective) <= (than.violation, than.objective)


def optimize(claim: Claim) -> None:
    """Search for the best inputs on the whole budget, then hold the answer against what was measured.

    Several starts that take long together become tasks of their own; their whole is claimed again when they are done.
    """
    optimization_id = UUID(claim.payload["optimization_id"])
    hunt = _hunt(optimization_id, claim)
    with hunt.kept():
        _optimize(claim, optimization_id, hunt)


def _optimize(claim: Claim, optimization_id: UUID, hunt: Hunt) -> None:
    if hunt.n_starts == 1:
        answer, _ = resumed(hunt.search, hunt.asked.seed, claim.checkpoints.load(), teller(claim))
        found = hunt.report(answer)
    else:
        starts = Starts(claim, hunt.search, seed=hunt.asked.seed, n=hunt.n_starts)
        try:
            answers = starts.all()
        except WorthFanningOut:
            starts.save()
            claim.wait_for(lambda: _submit_starts(claim, optimization_id, starts.missing()))
            return
        best = best_of(answers)
        found = hunt.report(answers[best]) | {"starts": told(answers, hunt.asked.seed), "best_start": best}
    with claim.success() as result:
        result.update(optimizations.finish(optimization_id, found))
    if hunt.n_starts > 1:
        task_parts.discard_all(claim.lease)


def search_part(claim: Claim) -> None:
    """Search once of several times, and keep the state that the search has come to."""
    began = perf_counter()
    hunt = _hunt(UUID(claim.payload["optimization_id"]), claim)
    seed = seed_of(hunt.asked.seed, claim.payload["start"])
    with hunt.kept():
        _, state = resumed(hunt.search, seed, claim.checkpoints.load(), teller(claim))
    fan_out.store(claim, state or {}, seconds=perf_counter() - began)


def _submit_starts(claim: Claim, optimization_id: UUID, missing: list[int]) -> list[UUID]:
    payloads = [{"optimization_id": str(optimization_id), "start": k} for k in missing]
    return task_parts.submit(claim.lease, TaskKind.SEARCH, payloads, subject_id=optimization_id)


def _hunt(optimization_id: UUID, claim: Claim) -> Hunt:
    of = _of_process if optimizations.is_of_process(optimization_id) else _of_model
    return of(optimization_id, claim)


def _of_model(optimization_id: UUID, claim: Claim) -> Hunt:
    loaded = optimizations.load(optimization_id)
    asked = loaded.optimization

    def search(seed: int, resume: State | None, on_step: Callable[[AnyStep], None] | None) -> Found:
        return minimize(
            Problem.from_json(asked.problem),
            loaded.surrogate,
            solver=asked.solver,
            budget=asked.budget,
            seed=seed,
            envelope=loaded.envelope,
            current=asked.options.get("current"),
            n_recipes=asked.options.get("n_recipes", 20),
            on_step=on_step,
            resume=resume,
        )

    def report(optimum: Any) -> dict[str, Any]:
        proof = _certificate(asked, Problem.from_json(asked.problem), loaded.surrogate, loaded.envelope, optimum, claim)
        return optimizations.report(loaded, optimum) | {"certificate": proof}

    return Hunt(asked, search, report, categories.of(asked.model))


def _of_process(optimization_id: UUID, claim: Claim) -> Hunt:
    loaded = process_optimizations.load(optimization_id)
    asked = loaded.optimization

    def search(seed: int, resume: State | None, on_step: Callable[[AnyStep], None] | None) -> Found:
        return optimize_process(
            loaded.process,
            Problem.from_json(asked.problem),
            mode=asked.mode,
            solver=asked.solver,
            budget=asked.budget,
            seed=seed,
            envelopes=loaded.envelopes,
            current=asked.options["current"],
            closes_cuts=asked.options["closes_cuts"],
            n_recipes=asked.options["n_recipes"],
            on_step=on_step,
            resume=resume,
        )

    def report(optimum: Any) -> dict[str, Any]:
        envelope = loaded.process.envelope(loaded.envelopes)
        problem = Problem.from_json(asked.problem)
        problem = closed(loaded.process, problem) if asked.options["closes_cuts"] else problem
        proof = _certificate(asked, problem, loaded.process, envelope, optimum, claim)
        return process_optimizations.report(loaded, optimum) | {"certificate": proof}

    return Hunt(asked, search, report, categories.of_all(*(each.model for each in asked.modules)))


def _certificate(
    asked: optimizations.Optimization,
    problem: Problem,
    model: Any,
    envelope: Envelope | None,
    optimum: Report,
    claim: Claim,
) -> dict[str, Any] | None:
    """Return the proof of an answer, if one was asked for: it may take PROOF_SECONDS more."""
    if not asked.options.get("certify"):
        return None
    found = certify(
        problem,
        model,
        envelope=envelope,
        start={variable.tag: variable.value for variable in optimum.variables},
        time_limit=PROOF_SECONDS,
        on_wait=lambda seconds: claim.step(asked.budget / (asked.budget + 1), stage="proof", seconds=round(seconds)),
    )
    return found.to_json()


def teller(claim: Claim) -> Callable[[AnyStep], None]:
    """Return what tells a task how far its search is."""

    def tell(step: AnyStep) -> None:
        claim.checkpoints.save(step.state)
        claim.step(step.evaluations / (step.budget + 1), **about(step))  # the report is still to be made

    return tell

"""Searching for the best inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

from app.libs.enums import TaskKind
from app.tasks import fan_out
from app.tasks.claim import Claim
from app.tasks.fan_out import WorthFanningOut
from app.tasks.starts import AnyStep, Found, Search, Starts, about, best_of, resumed, seed_of, told
from app.viewModels import optimizations, process_optimizations, task_parts
from engine.evaluator import Report
from engine.exact import certify
from engine.optimize import minimize
from engine.problem import Problem
from engine.process_optimum import optimize_process
from engine.solvers.state import State
from engine.trust import Envelope

PROOF_SECONDS = 300.0


@dataclass(frozen=True)
class Hunt:
    """An optimization that is carried out: what was asked, how it is searched, and how an answer is reported."""

    asked: optimizations.Optimization
    search: Search
    report: Callable[[Any], dict[str, Any]]

    @property
    def n_starts(self) -> int:
        """How often the search begins."""
        return int(self.asked.options.get("starts", 1))


def optimize(claim: Claim) -> None:
    """Search for the best inputs on the whole budget, then hold the answer against what was measured.

    Several starts that take long together become tasks of their own; their whole is claimed again when they are done.
    """
    optimization_id = UUID(claim.payload["optimization_id"])
    hunt = _hunt(optimization_id, claim)
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
        proof = _certificate(asked, loaded.surrogate, loaded.envelope, optimum, claim)
        return optimizations.report(loaded, optimum) | {"certificate": proof}

    return Hunt(asked, search, report)


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
        proof = _certificate(asked, loaded.process, envelope, optimum, claim)
        return process_optimizations.report(loaded, optimum) | {"certificate": proof}

    return Hunt(asked, search, report)


def _certificate(
    asked: optimizations.Optimization, model: Any, envelope: Envelope | None, optimum: Report, claim: Claim
) -> dict[str, Any] | None:
    """Return the proof of an answer, if one was asked for: it may take PROOF_SECONDS more."""
    if not asked.options.get("certify"):
        return None
    found = certify(
        Problem.from_json(asked.problem),
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

"""Searching for the best inputs."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import structlog

from app.tasks.claim import Claim
from app.viewModels import optimizations, process_optimizations
from engine.evaluator import Report
from engine.exact import certify
from engine.optimize import Optimum, Step, minimize
from engine.problem import Problem
from engine.process_optimum import ProcessOptimum, optimize_process
from engine.solvers.state import SolverStateError, State
from engine.stages import ProcessStep
from engine.trust import Envelope

log = structlog.get_logger(__name__)

Found = TypeVar("Found", Optimum, ProcessOptimum)

PROOF_SECONDS = 300.0


def optimize(claim: Claim) -> None:
    """Search for the best inputs on the whole budget, then hold the answer against what was measured."""
    optimization_id = UUID(claim.payload["optimization_id"])
    search = _of_process if optimizations.is_of_process(optimization_id) else _of_model
    found = search(optimization_id, claim)
    with claim.success() as result:
        result.update(optimizations.finish(optimization_id, found))


def _of_model(optimization_id: UUID, claim: Claim) -> dict[str, Any]:
    search = optimizations.load(optimization_id)
    asked = search.optimization

    def searched(resume: State | None) -> Optimum:
        return minimize(
            Problem.from_json(asked.problem),
            search.surrogate,
            solver=asked.solver,
            budget=asked.budget,
            seed=asked.seed,
            envelope=search.envelope,
            current=asked.options.get("current"),
            n_recipes=asked.options.get("n_recipes", 20),
            on_step=teller(claim),
            resume=resume,
        )

    optimum = _resumed(searched, claim)
    proof = _certificate(asked, search.surrogate, search.envelope, optimum, claim)
    return optimizations.report(search, optimum) | {"certificate": proof}


def _of_process(optimization_id: UUID, claim: Claim) -> dict[str, Any]:
    search = process_optimizations.load(optimization_id)
    asked = search.optimization

    def searched(resume: State | None) -> ProcessOptimum:
        return optimize_process(
            search.process,
            Problem.from_json(asked.problem),
            mode=asked.mode,
            solver=asked.solver,
            budget=asked.budget,
            seed=asked.seed,
            envelopes=search.envelopes,
            current=asked.options["current"],
            closes_cuts=asked.options["closes_cuts"],
            n_recipes=asked.options["n_recipes"],
            on_step=teller(claim),
            resume=resume,
        )

    optimum = _resumed(searched, claim)
    envelope = search.process.envelope(search.envelopes)
    proof = _certificate(asked, search.process, envelope, optimum, claim)
    return process_optimizations.report(search, optimum) | {"certificate": proof}


def _resumed(search: Callable[[State | None], Found], claim: Claim) -> Found:
    """Search on from the checkpoint that an earlier attempt left, or from the beginning."""
    state = claim.checkpoints.load()
    if state is None:
        return search(None)
    try:
        return search(state)
    except SolverStateError as error:  # of another version of this program
        log.warning("checkpoint_of_another_run", error=str(error))
        return search(None)


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


def teller(claim: Claim) -> Callable[[Step | ProcessStep], None]:
    """Return what tells a task how far its search is."""

    def tell(step: Step | ProcessStep) -> None:
        stage = {"stage": step.stage} if isinstance(step, ProcessStep) else {}
        volume = {} if step.hypervolume is None else {"hypervolume": step.hypervolume}
        claim.checkpoints.save(step.state)
        claim.step(
            step.evaluations / (step.budget + 1),  # the report is still to be made
            evaluations=step.evaluations,
            best_objective=step.objective,
            best_violation=step.violation,
            **stage,
            **volume,
        )

    return tell

"""Searching for the best inputs."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from app.tasks.claim import Claim
from app.viewModels import optimizations, process_optimizations
from engine.optimize import Step, minimize
from engine.problem import Problem
from engine.process_optimum import optimize_process
from engine.stages import ProcessStep


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
    optimum = minimize(
        Problem.from_json(asked.problem),
        search.surrogate,
        solver=asked.solver,
        budget=asked.budget,
        seed=asked.seed,
        envelope=search.envelope,
        current=asked.options.get("current"),
        n_recipes=asked.options.get("n_recipes", 20),
        on_step=_teller(claim),
    )
    return optimizations.report(search, optimum)


def _of_process(optimization_id: UUID, claim: Claim) -> dict[str, Any]:
    search = process_optimizations.load(optimization_id)
    asked = search.optimization
    optimum = optimize_process(
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
        on_step=_teller(claim),
    )
    return process_optimizations.report(search, optimum)


def _teller(claim: Claim) -> Callable[[Step | ProcessStep], None]:
    """Return what tells a task how far its search is."""

    def tell(step: Step | ProcessStep) -> None:
        stage = {"stage": step.stage} if isinstance(step, ProcessStep) else {}
        volume = {} if step.hypervolume is None else {"hypervolume": step.hypervolume}
        claim.step(
            step.evaluations / (step.budget + 1),  # the report is still to be made
            evaluations=step.evaluations,
            best_objective=step.objective,
            best_violation=step.violation,
            **stage,
            **volume,
        )

    return tell

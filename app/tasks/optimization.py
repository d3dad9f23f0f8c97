"""Searching for the best inputs."""

from uuid import UUID

from app.tasks.claim import Claim
from app.viewModels import optimizations
from engine.optimize import Step, minimize
from engine.problem import Problem


def optimize(claim: Claim) -> None:
    """Search for the best inputs on the whole budget, then hold the answer against what was measured."""
    search = optimizations.load(UUID(claim.payload["optimization_id"]))
    asked = search.optimization

    def tell(step: Step) -> None:
        claim.step(
            step.evaluations / (step.budget + 1),  # the report is still to be made
            evaluations=step.evaluations,
            best_objective=step.objective,
            best_violation=step.violation,
        )

    optimum = minimize(
        Problem.from_json(asked.problem),
        search.surrogate,
        solver=asked.solver,
        budget=asked.budget,
        seed=asked.seed,
        on_step=tell,
    )
    found = optimizations.report(search, optimum)
    with claim.success() as result:
        result.update(optimizations.finish(asked.id, found))

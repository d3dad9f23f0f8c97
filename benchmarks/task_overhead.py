"""What heartbeat, events and checkpoints cost an optimization."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from app.extensions import db
from app.libs.enums import Queue, TaskKind
from app.libs.ids import new_id
from app.tasks.claim import Claim
from app.tasks.context import carry_next
from app.tasks.heart import Heart
from app.tasks.optimization import teller
from app.viewModels import task_queue
from benchmarks.cells import Parameters, Result, table
from benchmarks.site import Site, site
from engine.optimize import Step, minimize
from engine.problem import Problem, Term, Variable
from engine.surrogates import Surrogate, fit

TITLE = "What a task costs its work"

ROUNDS = 3
BUDGETS = {"pso": 1_500_000, "de": 1_500_000, "cmaes": 400_000}


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each solver; the short form measures one."""
    return [{"solver": solver} for solver in (BUDGETS if is_full else ("pso",))]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the seconds of one search, on its own and as a task, in turns."""
    forest = _forest()
    solver = parameters["solver"]

    def search(on_step: Callable[[Step], object] | None) -> float:
        tags = [f"x{i}" for i in range(7)]
        problem = Problem(tuple(Variable(tag, 0.0, 1.0) for tag in tags), {}, (Term("minimize", "y", scale=1.0),), ())
        began = time.perf_counter()
        minimize(problem, forest, solver=solver, budget=BUDGETS[solver], on_step=on_step)
        return time.perf_counter() - began

    with site() as at:
        rounds = [(search(None), _as_task(at, search)) for _ in range(ROUNDS)]
    return {"alone": [alone for alone, _ in rounds], "task": [task for _, task in rounds]}


def report(results: Sequence[Result]) -> str:
    """Return the table of what is added, the median of the rounds."""
    rows = []
    for result in results:
        alone, task = result.figures["alone"], result.figures["task"]
        added = [100 * (b / a - 1) for a, b in zip(alone, task, strict=True)]
        rows.append(
            (
                result.parameters["solver"],
                f"**{statistics.median(added):.1f} %** ({min(added):.1f} to {max(added):.1f})",
                "<= 3 %",
                f"{statistics.median(task):.1f} s against {statistics.median(alone):.1f} s",
            )
        )
    return "Heartbeat, progress events and checkpoints every five seconds, on a forest of 100 trees.\n\n" + table(
        ["solver", "time added", "wanted", "behind the median"], rows
    )


def _forest() -> Surrogate:
    rng = np.random.default_rng(0)
    X = rng.random((2000, 7))
    y = np.sin(5 * X).sum(axis=1, keepdims=True)
    tags = [f"x{i}" for i in range(7)]
    return fit("random_forest", X, y, inputs=tags, outputs=["y"], params={"n_trees": 100})


def _as_task(at: Site, search: Callable[[Callable[[Step], object]], float]) -> float:
    """Return the seconds of a search that runs as a task does."""
    took: list[float] = []

    def body(claim: Claim) -> None:
        took.append(search(teller(claim)))
        with claim.success():
            pass

    task_queue.submit(TaskKind.OPTIMIZE, project_id=at.project.id, subject_id=new_id(), payload={}, actor=at.actor)
    db.session.commit()
    with Heart() as heart:
        carry_next(Queue.OPTIMIZATION, body, heart)
    return took[0]

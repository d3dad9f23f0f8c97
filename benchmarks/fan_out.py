"""Whether more workers make one piece of work faster: trainings of several folds, split over worker processes."""

import io
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import func, select

from app.extensions import db
from app.libs.enums import EventType, TaskKind, TaskState
from app.models import Task, TaskEvent
from app.utils import sqlite
from app.utils.clock import now_ms
from benchmarks.cells import Parameters, Result, table
from benchmarks.site import Site, site
from tests.support.deployment import ROOT, environment
from tests.support.servers import serve, server_folder, wait_until

TITLE = "Work that is split over workers"

ROUNDS, N_FOLDS, N_ROWS = 3, 5, 3000
WANTED = {4: ">= 1.7", 1: "-"}
TRAINING = {
    "kind": "extra_trees",
    "params": {"n_trees": 60},
    "validation": {"scheme": "random", "n_folds": N_FOLDS},
}


@dataclass(frozen=True)
class Run:
    """How long the trainings took, and which share of that their workers were at work."""

    seconds: float
    busy: float


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each number of modules; the short form measures the many."""
    return [{"modules": n} for n in ((4, 1) if is_full else (4,))]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the seconds from the submit to the last model, with one worker and with two, in turns."""
    with site() as at:
        modules = _modules(at, parameters["modules"])
        rounds = [(_run(at, modules, 1), _run(at, modules, 2)) for _ in range(ROUNDS)]
        n_parts = _count(Task.kind == TaskKind.TRAIN_FOLD)
    return {
        "one": [one.seconds for one, _ in rounds],
        "two": [two.seconds for _, two in rounds],
        "busy": [two.busy for _, two in rounds],
        "parts": n_parts,
    }


def report(results: Sequence[Result]) -> str:
    """Return the table of how much faster two are, the median of the rounds."""
    rows = []
    for result in results:
        one, two, n = result.figures["one"], result.figures["two"], result.parameters["modules"]
        ratios = [a / b for a, b in zip(one, two, strict=True)]
        rows.append(
            (
                f"{n} module{'s' * (n > 1)} x {N_FOLDS} folds",
                f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})",
                WANTED[n],
                f"{statistics.median(two):.1f} s against {statistics.median(one):.1f} s",
                f"{100 * statistics.median(result.figures['busy']):.0f} %",
                f"{result.figures['parts'] / (4 * ROUNDS):.1f}",
            )
        )
    return (
        f"Forests of {TRAINING['params']['n_trees']} trees on {N_ROWS} rows, from the submit to the last model; each"
        " worker is a process, with one thread.\n\n"
        + table(
            [
                "training",
                "2 workers against 1",
                "wanted",
                "behind the median",
                "share of its time that each of 2 is at work",
                "folds that were tasks",
            ],
            rows,
        )
    )


def _modules(at: Site, n: int) -> list[str]:
    """Make a process of n modules without links, and return their ids."""
    rng = np.random.default_rng(0)
    columns = {f"x{i}": rng.random(N_ROWS) for i in range(8)}
    columns |= {f"y{k}": np.sin(5 * columns[f"x{k}"]) + columns["x7"] for k in range(n)}
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    file.seek(0)
    client, headers = at.app.test_client(), {"Authorization": f"Bearer {at.token}"}
    project = f"/api/v1/projects/{at.project.id}"
    form = {"name": "history", "file": (file, "history.parquet")}
    task = client.post(f"{project}/datasets", data=form, headers=headers).json
    with _workers(at, 1):
        wait_until(lambda: _count(Task.state == TaskState.SUCCEEDED) == 1, "the import")
    dataset_id = client.get(f"/api/v1/tasks/{task['id']}", headers=headers).json["result"]["dataset_id"]
    inputs = [{"tag": f"x{i}", "role": "control"} for i in range(8)]
    modules = [{"name": f"m{k}", "dataset_id": dataset_id, "inputs": inputs, "outputs": [f"y{k}"]} for k in range(n)]
    made = client.post(f"{project}/processes", json={"name": "unit", "modules": modules}, headers=headers).json
    return [module["id"] for module in made["modules"]]


def _run(at: Site, modules: Sequence[str], n_workers: int) -> Run:
    """Train a model of each module with so many workers, which have done the same before: imports are not measured."""
    with _workers(at, n_workers):
        _train(at, modules, TRAINING)
        began, began_ms = time.perf_counter(), now_ms()
        _train(at, modules, TRAINING)
        seconds = time.perf_counter() - began
    return Run(seconds, _seconds_at_work(began_ms) / (n_workers * seconds))


def _seconds_at_work(since_ms: int) -> float:
    """Return how long workers had tasks in their hands: from each claim to the state after it, added up."""
    told = select(TaskEvent.task_id, TaskEvent.at, TaskEvent.data).join(Task, Task.id == TaskEvent.task_id)
    states = told.where(TaskEvent.type == EventType.STATE, Task.created_at >= since_ms)
    with sqlite.reading(), db.engine.connect() as connection:
        rows = connection.execute(states.order_by(TaskEvent.task_id, TaskEvent.number)).all()
    return (
        sum(
            after.at - claimed.at
            for claimed, after in pairwise(rows)
            if claimed.data["state"] == TaskState.RUNNING and claimed.task_id == after.task_id
        )
        / 1000
    )


def _train(at: Site, modules: Sequence[str], asked: dict[str, Any]) -> None:
    client, headers = at.app.test_client(), {"Authorization": f"Bearer {at.token}"}
    for module_id in modules:
        answer = client.post(f"/api/v1/modules/{module_id}/models", json=asked, headers=headers)
        assert answer.status_code == 202, answer.json
    unfinished = Task.ended_at.is_(None)  # asked for seldom: looking takes a processor from the work
    wait_until(lambda: not _count(unfinished), "the trainings to end", deadline_s=1200, pause_s=0.1)
    assert not _count(Task.state == TaskState.FAILED), "a training has failed"


def _count(condition: Any) -> int:
    with sqlite.reading(), db.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(Task).where(condition)).scalar_one()


@contextmanager
def _workers(at: Site, n: int) -> Iterator[None]:
    """Run so many worker processes, of one child and one thread each. They split what takes more than a second."""
    env = environment(at.settings) | {"OMP_NUM_THREADS": "1", "SETPOINT_TASK_FAN_OUT_SECONDS": "1"}
    with ExitStack() as running:
        for k in range(n):
            folder = running.enter_context(server_folder())
            pid = folder / "worker.pid"
            command = [sys.executable, "-m", "celery", "--app", "wsgi:celery", "--workdir", ROOT, "worker"]
            command += ["--concurrency", "1", "--hostname", f"w{k}@%h", "--pidfile", pid]
            running.enter_context(serve(command, folder=folder, env=env, is_ready=pid.exists))
        yield

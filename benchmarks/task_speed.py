"""A task that does nothing, against a hand-written Celery task with the same durable writes."""

import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import ModuleType

from sqlalchemy import text

from app.extensions import db
from app.utils import sqlite
from benchmarks.report import Row
from benchmarks.site import Site, site
from tests.support.deployment import ROOT, environment
from tests.support.servers import serve, server_folder, wait_until

ROUNDS, TASKS_A_ROUND, TASKS_AT_ONCE = 5, 20, 200

OURS = (
    "SELECT count(*) FROM tasks WHERE state = 'succeeded'",
    "SELECT max(json_extract(result, '$.claimed_ns')) FROM tasks",
)
THEIRS = ("SELECT count(*) FROM handwritten WHERE state = 'done'", "SELECT max(claimed_ns) FROM handwritten")
"""Statements: how many are done, and when the last one was claimed."""


@dataclass(frozen=True)
class Tasks:
    """One way of having tasks: how to submit one, how many are done, and when the last one was claimed."""

    submit: Callable[[], object]
    n_done: Callable[[], int]
    last_claimed_ns: Callable[[], int]

    def latency_ms(self) -> float:
        """Return the milliseconds from submitting a task to its claim."""
        return self._submit(1)[0] / 1e6

    def per_second(self) -> float:
        """Return how many tasks a second are submitted and done, one worker working while they are submitted."""
        return TASKS_AT_ONCE / (self._submit(TASKS_AT_ONCE)[1] / 1e9)

    def _submit(self, n: int) -> tuple[int, int]:
        """Submit so many; return the nanoseconds from the beginning to the last claim, and to the last end."""
        n_before, began = self.n_done(), time.time_ns()
        for _ in range(n):
            self.submit()
        wait_until(lambda: self.n_done() == n_before + n, "the worker")
        ended = time.time_ns()
        return self.last_claimed_ns() - began, ended - began


def measure() -> list[Row]:
    """One worker process each, both waiting on the same Valkey and writing to the same SQLite file, in turns."""
    with site() as at, _workers(at) as by_hand:
        ours = Tasks(at.submit, *_asking(OURS))
        theirs = Tasks(partial(_submit_next, by_hand.submit, count()), *_asking(THEIRS))
        for tasks in (ours, theirs):
            tasks.latency_ms()  # both workers are warm from here on
        delays = [(_latency(ours), _latency(theirs)) for _ in range(ROUNDS)]
        rates = [(ours.per_second(), theirs.per_second()) for _ in range(ROUNDS)]
        by_hand.engine.dispose()
    return [
        _row("submitting a task: from the transaction to the claim", delays, "<= 1.3", "ms"),
        _row("tasks/s of a kind that does nothing", rates, ">= 0.6", "tasks/s"),
    ]


@contextmanager
def _workers(at: Site) -> Iterator[ModuleType]:
    """Run a worker of each way; yield the hand-written module."""
    with ExitStack() as running:
        with db.engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE handwritten (id INTEGER PRIMARY KEY, state TEXT, claimed_ns INTEGER)")
            )
        env = environment(at.settings)
        os.environ.update({name: env[name] for name in ("SETPOINT_DATABASE_URL", "SETPOINT_REDIS_URL")})
        for module, queue in (("benchmarks.noop_worker", "default"), ("benchmarks.handwritten_celery", "handwritten")):
            folder = running.enter_context(server_folder())
            pid = folder / "worker.pid"
            command = [sys.executable, "-m", "celery", "--app", f"{module}:celery", "--workdir", ROOT, "worker"]
            command += ["--concurrency", "1", "--queues", queue, "--pidfile", pid]
            running.enter_context(serve(command, folder=folder, env=env, is_ready=pid.exists))
        yield importlib.import_module("benchmarks.handwritten_celery")


def _submit_next(submit: Callable[[int], None], numbers: Iterator[int]) -> None:
    submit(next(numbers))


def _latency(tasks: Tasks) -> float:
    return statistics.median(tasks.latency_ms() for _ in range(TASKS_A_ROUND))


def _asking(how: tuple[str, str]) -> list[Callable[[], int]]:
    """Return functions that ask the database; cheaply, since it is asked while the worker works."""

    def ask(statement: str) -> int:
        with sqlite.reading(), db.engine.connect() as connection:
            return connection.execute(text(statement)).scalar_one()

    return [partial(ask, statement) for statement in how]


def _row(what: str, turns: list[tuple[float, float]], wanted: str, unit: str) -> Row:
    mine, theirs = (statistics.median(values) for values in zip(*turns, strict=True))
    return Row(
        f"{what}, against hand-written Celery with the same writes",
        [mine / theirs for mine, theirs in turns],
        wanted,
        f"{mine:.1f} against {theirs:.1f} {unit}",
    )

"""From submitting a task to its claim, against a hand-written Celery task with the same durable writes."""

import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from sqlalchemy import select, text

from app.extensions import db
from app.models import Task
from app.utils import sqlite
from benchmarks.report import Row
from benchmarks.site import Site, site
from tests.support.deployment import ROOT, environment
from tests.support.servers import serve, server_folder, wait_until

ROUNDS, TASKS_A_ROUND = 5, 20


def measure() -> list[Row]:
    """One worker process each, both waiting on the same Valkey and writing to the same SQLite file, in turns."""
    with site() as ours, ExitStack() as running:
        with db.engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE handwritten (id INTEGER PRIMARY KEY, state TEXT, claimed_ns INTEGER)")
            )
        env = environment(ours.settings)
        os.environ.update({name: env[name] for name in ("SETPOINT_DATABASE_URL", "SETPOINT_REDIS_URL")})
        by_hand = importlib.import_module("benchmarks.handwritten_celery")
        for module, queue in (("benchmarks.noop_worker", "default"), ("benchmarks.handwritten_celery", "handwritten")):
            folder = running.enter_context(server_folder())
            pid = folder / "worker.pid"
            command = [sys.executable, "-m", "celery", "--app", f"{module}:celery", "--workdir", ROOT, "worker"]
            command += ["--concurrency", "1", "--queues", queue, "--pidfile", pid]
            running.enter_context(serve(command, folder=folder, env=env, is_ready=pid.exists))
        _our_latency(ours), _their_latency(by_hand.submit, 0)  # both workers are warm from here on
        turns = [
            (
                statistics.median(_our_latency(ours) for _ in range(TASKS_A_ROUND)),
                statistics.median(
                    _their_latency(by_hand.submit, 1 + turn * TASKS_A_ROUND + k) for k in range(TASKS_A_ROUND)
                ),
            )
            for turn in range(ROUNDS)
        ]
        by_hand.engine.dispose()
    ours_ms, theirs_ms = (statistics.median(values) for values in zip(*turns, strict=True))
    return [
        Row(
            "submitting a task: from the transaction to the claim, against hand-written Celery with the same writes",
            [mine / theirs for mine, theirs in turns],
            "<= 1.5",
            f"{ours_ms:.1f} ms against {theirs_ms:.1f} ms",
        )
    ]


def _our_latency(ours: Site) -> float:
    began = time.time_ns()
    task_id = ours.submit().id

    def result() -> dict | None:
        with sqlite.reading(), db.engine.connect() as connection:
            return connection.execute(select(Task.result).where(Task.id == task_id)).scalar()

    wait_until(lambda: result() is not None, "our worker")
    return (result()["claimed_ns"] - began) / 1e6


def _their_latency(submit: Callable[[int], None], number: int) -> float:
    began = time.time_ns()
    submit(number)
    statement = text("SELECT claimed_ns FROM handwritten WHERE id = :id")

    def noted() -> int | None:
        with sqlite.reading(), db.engine.connect() as connection:
            return connection.execute(statement, {"id": number}).scalar()

    wait_until(lambda: noted() is not None, "the hand-written worker")
    return (noted() - began) / 1e6

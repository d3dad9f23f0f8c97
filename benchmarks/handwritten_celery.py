"""A Celery task as one writes it by hand, with one committed insert before it and one committed update at its start."""

import os
import time

from celery import Celery
from sqlalchemy import create_engine, event, text

engine = create_engine(os.environ["SETPOINT_DATABASE_URL"])
celery = Celery("handwritten", broker=os.environ["SETPOINT_REDIS_URL"])
celery.conf.update(
    task_default_queue="handwritten", task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1
)


@event.listens_for(engine, "connect")
def prepare(connection, _record) -> None:
    """As safe as ours: the same journal, the same waiting, the same care for the disk."""
    connection.execute("PRAGMA busy_timeout = 30000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def submit(number: int) -> None:
    """One committed insert, then the message."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO handwritten (id, state) VALUES (:id, 'queued')"), {"id": number})
    work.apply_async((number,))


@celery.task
def work(number: int) -> None:
    """One committed update at the start; then the work would begin."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE handwritten SET state = 'running' WHERE id = :id"), {"id": number})
    claimed = time.time_ns()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE handwritten SET state = 'done', claimed_ns = :claimed WHERE id = :id"),
            {"id": number, "claimed": claimed},
        )

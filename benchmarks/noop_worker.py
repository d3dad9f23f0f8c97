"""Setpoint's Celery application with work that does nothing but tell when it was claimed."""

import time

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.libs.enums import TaskKind
from app.tasks import queues
from wsgi import celery  # noqa: F401 (the worker's application)

committed: list[int] = []


@event.listens_for(Session, "after_commit", insert=True)
def note(_session: Session) -> None:
    """The first commit of a task is its claim."""
    committed.append(time.time_ns())


def tell_claim(claim) -> None:
    """Give back when the claim was committed, which is what the other side notes too."""
    claimed_ns = committed[-1]
    with claim.success() as result:
        result["claimed_ns"] = claimed_ns


queues.WORK[TaskKind.IMPORT] = tell_claim

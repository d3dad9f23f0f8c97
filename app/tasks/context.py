"""ContextTask: every Celery task runs in the application's context, and here a task's life is recorded.

A task that serves a queue declares ``claims=Queue....``. It is then called with the ``Claim`` of the queue's next row,
and not at all when nothing waits. Whatever happens to it is written down here, in one place.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import nullcontext

import structlog
from flask import current_app, has_app_context
from flask_celeryext.app import AppContextTask
from sqlalchemy.exc import InterfaceError, OperationalError

from app.extensions import db
from app.libs.enums import Queue, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.tasks.claim import CancelledError, Claim
from app.tasks.heart import Heart
from app.tasks.outages import outage_of
from app.utils import sqlite
from app.viewModels import task_limits, task_queue
from app.viewModels.task_queue import LeaseLostError
from engine.errors import EngineError

log = structlog.get_logger(__name__)
QUICK_S = 1.0
"""For so long one message carries tasks."""


class ContextTask(AppContextTask):
    """A Celery task in the application's context; an open context is kept when it is called eagerly."""

    abstract = True
    claims: Queue | None = None

    def __call__(self, *args, **kwargs):
        """Run the body; for a queue's task, run it for the next row of that queue."""
        if self.claims is None:
            return super().__call__(*args, **kwargs)
        if (self.request.delivery_info or {}).get("redelivered"):
            # somebody may still be at work for this message, and by its id the wrong process could be killed
            self.app.send_task(self.name, queue=self.claims.value, retry=False)
            return None
        with nullcontext() if has_app_context() else self.app.flask_app.app_context():
            _carry_while_quick(self.claims, super().__call__, message_id=self.request.id)


def _carry_while_quick(queue: Queue, body: Callable[[Claim], None], *, message_id: str | None) -> None:
    """Carry the next task, and the ones after it until a second has gone: a message costs more than a short task does.

    No longer: by its message a task's process is killed, and only one that had it for many seconds is. So whatever is
    killed is the last task that the message carried.
    """
    began = time.monotonic()
    with Heart() as heart:
        while carry_next(queue, body, heart, message_id=message_id):
            if not message_id or time.monotonic() - began > QUICK_S:
                return
            db.session.remove()


def carry_next(queue: Queue, body: Callable[[Claim], None], heart: Heart, *, message_id: str | None = None) -> bool:
    """Claim the queue's next task and carry it to its end, whichever that is.

    Args:
        heart: keeps the task's lease.
        message_id: of the message that brought us here; None when somebody called us, whose process is not ours to end.

    Returns:
        Whether there was one and it is out of our hands; not if it was lost, or an outage keeps it from its end.
    """
    lease_ms = current_app.config["SETTINGS"].task_lease_seconds * 1000
    with sqlite.writing():
        worker = f"{socket.gethostname()}:{os.getpid()}"
        lease = task_queue.claim(queue, worker=worker, lease_ms=lease_ms, message_id=message_id)
    if lease is None:
        return False
    with structlog.contextvars.bound_contextvars(task_id=str(lease.task_id), kind=lease.kind.value):
        log.info("task_started", attempt=lease.attempt)
        try:
            limit = task_limits.memory_bytes(lease.kind) if message_id else None
            with Claim(lease, heart, lease_ms=lease_ms, memory_limit=limit) as claim, sqlite.reading():
                body(claim)
            if not claim.has_ended:
                raise RuntimeError(f"{lease.kind} returned without an end")
            if claim.waits:
                log.info("task_waits")
                return True
            claim.checkpoints.discard()
            log.info("task_succeeded")
            return True
        except CancelledError as cancelled:
            return _end_stopped(lease, cancelled.so_far)
        except LeaseLostError:
            db.session.rollback()
            log.warning("task_lost")
            return False
        except AppError as error:
            return _end(lease, TaskState.FAILED, _problem_of(error.error, error.detail, error.details))
        except EngineError as error:
            told = problem(code=error.code, title=error.title, status=422, detail=str(error), details=error.details)
            return _end(lease, TaskState.FAILED, told)
        except Exception as error:
            if outage := outage_of(error):
                log.warning("task_interrupted", exc_info=True)
                _excuse(lease, outage)
                return False
            _end(lease, TaskState.FAILED, _problem_of(ErrorCode.TASK_CRASHED, ErrorCode.TASK_CRASHED.title, {}))
            log.exception("task_crashed")
            raise


def _end(lease: task_queue.Lease, state: TaskState, error: dict | None = None) -> bool:
    """End the task; return whether it was still ours."""
    db.session.rollback()
    try:
        with sqlite.writing():
            task_queue.end(lease, state, error=error)
            db.session.commit()
    except LeaseLostError:
        log.warning("task_lost")
        return False
    log.info(f"task_{state.value}", code=error and error["code"])
    return True


def _excuse(lease: task_queue.Lease, outage: str) -> None:
    """End nothing: the lease runs out, and the task is queued again, as often as it takes."""
    db.session.rollback()
    try:
        with sqlite.writing():
            task_queue.excuse(lease, f"{outage}; the task goes on when that is over.")
            db.session.commit()
    except (LeaseLostError, OperationalError, InterfaceError):
        db.session.rollback()
        log.warning("task_not_excused")  # the attempt counts; nobody could write that it should not


def _end_stopped(lease: task_queue.Lease, so_far: dict | None) -> bool:
    """End a task that was told to stop; return whether it was still ours."""
    db.session.rollback()
    try:
        with sqlite.writing():
            state = task_queue.end_stopped(lease, result=so_far)
            db.session.commit()
    except LeaseLostError:
        log.warning("task_lost")
        return False
    log.info(f"task_{state.value}")
    return True


def _problem_of(error: ErrorCode, detail: str, details: dict) -> dict:
    return problem(code=error.code, title=error.title, status=error.status, detail=detail, details=details)

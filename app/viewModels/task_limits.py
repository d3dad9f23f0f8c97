"""What a task may take, by its kind, and how one that takes more is stopped whatever it is doing."""

from collections.abc import Mapping
from typing import Any

import structlog
from flask import current_app
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from sqlalchemy import select

from app.extensions import celery_ext, db
from app.libs.enums import EventType, TaskKind, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import problem
from app.models import Task
from app.utils.clock import now_ms
from app.viewModels import task_log

log = structlog.get_logger(__name__)

_IS_RUNNING = Task.__table__.c.state == TaskState.RUNNING


def memory_bytes(kind: TaskKind) -> int | None:
    """Return how much memory the process that works on such a task may have; None without a limit."""
    found: Mapping[str, int] = current_app.config["SETTINGS"].memory_limits
    return found[kind] * 1024**2 if kind in found else None


def stop_overdue() -> int:
    """Tell tasks that have run for too long to stop. Returns how many."""
    n_stopped = 0
    for kind, seconds in current_app.config["SETTINGS"].time_limits.items():
        overdue = select(Task.id).where(
            Task.kind == kind, Task.state == TaskState.RUNNING, Task.started_at < now_ms() - seconds * 1000
        )
        for task_id in db.session.scalars(overdue).all():
            error = time_error(seconds)
            fact = (EventType.STATE, {"state": TaskState.STOPPING.value, "error": error})
            n_stopped += task_log.append(
                task_id, [fact], _IS_RUNNING, state=TaskState.STOPPING, stopping_since=now_ms(), error=error
            )
    db.session.commit()
    return n_stopped


def kill_stubborn(*, grace_s: int) -> int:
    """Kill the process of every task that was told to stop and has not for so long. Returns how many were tried.

    The kill goes to the worker's main process, which can end its child whatever native code that is in. The task stays
    ``stopping`` until its lease has run out: only then is it certain that nothing computes any more.
    """
    statement = select(Task.id, Task.message_id, Task.worker).where(
        Task.state == TaskState.STOPPING, Task.stopping_since < now_ms() - grace_s * 1000, Task.message_id.is_not(None)
    )
    stubborn = db.session.execute(statement).all()
    db.session.commit()
    for task in stubborn:
        log.warning("task_killed", task_id=str(task.id), worker=task.worker)
        kill(task.message_id)
    return len(stubborn)


def kill(message_id: str) -> None:
    """Have the process killed that works on what this message brought, if there is one. Nobody waits for it."""
    try:
        celery_ext.celery.control.revoke(message_id, terminate=True, signal="SIGKILL")
    except (BrokerError, RedisError) as error:
        log.warning("kill_not_sent", error=str(error))


def time_error(seconds: int) -> dict[str, Any]:
    """Return the problem of a task that ran into its time limit."""
    return _error(ErrorCode.TASK_TIME_LIMIT, f"It ran for more than the {seconds} s that its kind may take.", seconds)


def memory_error(n_bytes: int, limit: int) -> dict[str, Any]:
    """Return the problem of a task that ran into its memory limit."""
    had, may = n_bytes // 1024**2, limit // 1024**2
    return _error(ErrorCode.TASK_MEMORY_LIMIT, f"Its process had {had} MB of the {may} MB that its kind may take.", may)


def _error(code: ErrorCode, detail: str, limit: int) -> dict[str, Any]:
    return problem(code=code.code, title=code.title, status=code.status, detail=detail, details={"limit": limit})

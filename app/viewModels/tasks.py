"""Tasks, as those who asked for them see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import EventType, TaskKind, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Task
from app.utils.clock import now_ms
from app.utils.paging import Page, ordering, page_of
from app.viewModels import task_log
from app.viewModels.access import seen_by, visible
from app.viewModels.locks import lock

SORT_FIELDS = {"created_at": Task.created_at, "ended_at": Task.ended_at, "state": Task.state}
EVENTS_A_PAGE = 1000


def get(task_id: UUID, *, actor: Actor) -> Task:
    """Return a task.

    Raises:
        AppError: TASK_NOT_FOUND.
    """
    return visible(Task, task_id, to=actor, needs=Scope.TASK_READ)


def page(
    *,
    actor: Actor,
    page: int,
    per_page: int,
    sort: str = "-created_at",
    project_id: UUID | None = None,
    kind: TaskKind | None = None,
    state: TaskState | None = None,
    subject_id: UUID | None = None,
) -> Page:
    """Return one page of the tasks that the actor may see, newest first unless sorted otherwise."""
    named = {"project_id": project_id, "kind": kind, "state": state, "subject_id": subject_id}
    wanted = {name: value for name, value in named.items() if value is not None}
    statement = seen_by(select(Task).filter_by(**wanted), Task, actor)
    return page_of(
        db.session,
        statement.order_by(ordering(sort, SORT_FIELDS), Task.id.desc()),
        page=page,
        per_page=per_page,
    )


def cancel(task_id: UUID, *, actor: Actor) -> Task:
    """Cancel a task. One that waits ends at once; one at work is told to stop and ends when it has.

    Raises:
        AppError: TASK_NOT_FOUND, SCOPE_MISSING, TASK_ENDED.
    """
    task = visible(Task, task_id, to=actor, needs=Scope.TASK_WRITE)
    lock(task)  # a worker may be about to claim or to end it, or somebody else to cancel it
    if TaskState(task.state).has_ended:
        raise AppError(ErrorCode.TASK_ENDED, f"It is {task.state}.", state=task.state)
    if task.state == TaskState.QUEUED:
        _become(task, TaskState.CANCELLED, by=actor, ended_at=now_ms())
    elif task.state == TaskState.RUNNING:
        _become(task, TaskState.STOPPING, by=actor)
    db.session.commit()
    db.session.refresh(task)
    return task


def events(task_id: UUID, *, after: int, actor: Actor) -> list[dict[str, Any]]:
    """Return a task's events with numbers above ``after``, at most EVENTS_A_PAGE of them.

    Raises:
        AppError: TASK_NOT_FOUND.
    """
    get(task_id, actor=actor)
    return task_log.after(task_id, after, limit=EVENTS_A_PAGE)


def _become(task: Task, state: TaskState, *, by: Actor, **changes: Any) -> None:
    fact = (EventType.STATE, {"state": state.value, "by": by.username})
    task_log.append(task.id, [fact], state=state, **changes)

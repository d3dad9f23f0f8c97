"""Tasks, as those who asked for them see them."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import EventType, Priority, TaskKind, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Task
from app.utils import sqlite
from app.utils.clock import now_ms
from app.utils.paging import Page, ordering, page_of
from app.viewModels import (
    callbacks,
    submissions,
    task_line,
    task_log,
    task_needs,
    task_retention,
    task_subjects,
    wake_ups,
)
from app.viewModels.access import seen_by, visible
from app.viewModels.locks import lock
from app.viewModels.submissions import Submission

SORT_FIELDS = {"created_at": Task.created_at, "ended_at": Task.ended_at, "state": Task.state}
EVENTS_A_PAGE = 1000
_CHILDREN = select(Task).where(Task.parent_id == bindparam("of_task")).order_by(Task.id)


def get(task_id: UUID, *, actor: Actor) -> Task:
    """Return a task, with those that it is made of.

    Raises:
        AppError: TASK_NOT_FOUND.
    """
    task = _placed(visible(Task, task_id, to=actor, needs=Scope.TASK_READ))
    task.children = []
    if TaskKind(task.kind).may_have_parts:
        task.children = list(db.session.scalars(_CHILDREN, {"of_task": task_id}))
    return task


def which_visible(task_ids: Collection[UUID], actor: Actor) -> set[UUID]:
    """Return those of the tasks that the actor may see."""
    return set(db.session.scalars(seen_by(select(Task.id).where(Task.id.in_(task_ids)), Task, actor)))


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
    parent_id: UUID | None = None,
) -> Page:
    """Return one page of the tasks that the actor may see, newest first unless sorted otherwise.

    Parts of a task are left out unless they are asked for by their kind or their parent.
    """
    named = {
        "project_id": project_id,
        "kind": kind,
        "state": state,
        "subject_id": subject_id,
        "parent_id": parent_id,
    }
    wanted = {name: value for name, value in named.items() if value is not None}
    statement = seen_by(select(Task).filter_by(**wanted), Task, actor)
    if kind is None and parent_id is None:
        statement = statement.where(Task.kind.not_in([each for each in TaskKind if each.is_part]))
    ordered = statement.order_by(ordering(sort, SORT_FIELDS), Task.id.desc())
    found = page_of(db.session, ordered, page=page, per_page=per_page)
    places = task_line.positions(found.items)
    for task in found.items:
        task.position = places.get(task.id)
    return found


def submitted(submission: Submission, *, actor: Actor) -> Task | None:
    """Return the task that this very request made before, if its key says that it did.

    Raises:
        AppError: TASK_KEY_REUSED, TASK_NOT_FOUND (the actor may no longer see it).
    """
    with sqlite.reading():
        task = submissions.known(submission, actor=actor)
        found = get(task.id, actor=actor) if task else None
        db.session.commit()
    return found


def retry(task_id: UUID, *, actor: Actor) -> Task:
    """Queue a failed or cancelled task again. It goes on from its last checkpoint, if it left one.

    What it was to wait for must have succeeded by then, or be tried again first; it waits for that as before.

    Raises:
        AppError: TASK_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, TASK_NOT_ENDED, TASK_NOT_REPEATABLE (it succeeded,
            what it worked on is gone, another task has taken its place, or it ended longer ago than tasks are kept),
            TASK_NEED_FAILED, TASK_LIMIT.
    """
    task = visible(Task, task_id, to=actor, needs=Scope.TASK_WRITE)
    needs = task_needs.unfinished(task_needs.again(task.id), project_id=task.project_id)  # held before the task is
    lock(task)
    if not TaskState(task.state).has_ended:
        raise AppError(ErrorCode.TASK_NOT_ENDED, f"It is {task.state}.", state=task.state)
    if task.state == TaskState.SUCCEEDED:
        raise AppError(ErrorCode.TASK_NOT_REPEATABLE, "It succeeded.", state=task.state)
    if task.ended_at < task_retention.oldest_kept():
        raise AppError(ErrorCode.TASK_NOT_REPEATABLE, "It ended too long ago and is about to be removed.")
    if TaskKind(task.kind).is_part:
        detail = f"It is a part of task {task.parent_id}; try that again."
        raise AppError(ErrorCode.TASK_NOT_REPEATABLE, detail, parent_id=str(task.parent_id))
    if task.kind == TaskKind.IMPORT:
        raise AppError(ErrorCode.TASK_NOT_REPEATABLE, "Its upload is gone with it; upload the file again.")
    if not task_subjects.is_there(task):
        raise AppError(ErrorCode.TASK_NOT_REPEATABLE, "What it was to make has been deleted.")
    if task.parent_id is None:
        who = "You have" if task.created_by == actor.id else "Its owner has"
        submissions.check_limits(project_id=task.project_id, user_id=task.created_by, who=who)
    queue_again(task, by=actor, needs=needs)
    db.session.commit()
    db.session.refresh(task)
    return _placed(task)


def queue_again(task: Task, *, by: Actor, needs: Sequence[UUID] = ()) -> None:
    """Let a task that has ended be done again, after those that it needs, in the caller's transaction."""
    _become(
        task,
        TaskState.QUEUED,
        by=by,
        error=None,
        result=None,
        ended_at=None,
        started_at=None,
        stopping_since=None,
        idle_attempts=0,
        turn=task_line.next_turn(task.queue, Priority(task.priority), task.created_by),
        waits_for=len(needs),
    )
    task_needs.replace(task.id, needs)
    callbacks.wait_again(task.id)
    if not needs:
        wake_ups.owe(task.id, task.queue)


def cancel(task_id: UUID, *, actor: Actor) -> Task:
    """Cancel a task, with those that it is made of. One that waits ends at once; one at work, when it has let go.

    Raises:
        AppError: TASK_NOT_FOUND, SCOPE_MISSING, TASK_ENDED.
    """
    task = visible(Task, task_id, to=actor, needs=Scope.TASK_WRITE)
    lock(task)  # a worker may be about to claim or to end it, or somebody else to cancel it
    if TaskState(task.state).has_ended:
        raise AppError(ErrorCode.TASK_ENDED, f"It is {task.state}.", state=task.state)
    if task.state == TaskState.QUEUED:
        task_needs.stop(task.id, by=actor.username)
    elif task.state == TaskState.RUNNING:
        _become(task, TaskState.STOPPING, by=actor, stopping_since=now_ms())
    db.session.commit()
    db.session.refresh(task)
    return task


def events(task_id: UUID, *, after: int, actor: Actor) -> list[dict[str, Any]]:
    """Return a task's events with numbers above ``after``, at most EVENTS_A_PAGE of them.

    Raises:
        AppError: TASK_NOT_FOUND.
    """
    visible(Task, task_id, to=actor, needs=Scope.TASK_READ)
    return task_log.after(task_id, after, limit=EVENTS_A_PAGE)


def _placed(task: Task) -> Task:
    """Return the task with its place in the line and when it will probably begin and end."""
    task.position = task_line.positions([task]).get(task.id)
    told = task_line.forecast(task, task.position)
    task.forecast = told and told.to_json()
    return task


def _become(task: Task, state: TaskState, *, by: Actor, **changes: Any) -> None:
    fact = (EventType.STATE, {"state": state.value, "by": by.username})
    task_log.append(task.id, [fact], state=state, **changes)

"""Tasks that wait for others: set free when those succeed, ended when one of them does not.

A task may be made of others, its children. It waits for them in the line, so that it occupies no worker. What ends it
ends them, and what ends one of them badly ends it and the others: it is ``stopping``, on no worker, until the last
child that was at work has let go.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, or_, select

from app.extensions import db
from app.libs.enums import EventType, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.models import Task, TaskNeed
from app.utils.clock import now_ms
from app.viewModels import task_log

_NEEDS, _TASKS = TaskNeed.__table__, Task.__table__
_WAITING = select(_NEEDS.c.task_id).where(_NEEDS.c.needs_id == bindparam("ended_id"))
_IS_QUEUED, _IS_RUNNING = _TASKS.c.state == TaskState.QUEUED, _TASKS.c.state == TaskState.RUNNING
_STOPS_ALONE = (_TASKS.c.state == TaskState.STOPPING, _TASKS.c.lease_until.is_(None))
_UNFINISHED = _TASKS.c.state.in_([state for state in TaskState if not state.has_ended])


@dataclass(frozen=True)
class Freed:
    """A task that needs to wait no longer."""

    id: UUID
    queue: str


def unfinished(needs: Collection[UUID], *, project_id: UUID) -> list[UUID]:
    """Return those of the tasks that are to be waited for; none of them ends before the caller's transaction does.

    Raises:
        AppError: TASK_NOT_FOUND (the project has no such task), TASK_NEED_FAILED (one has ended badly).
    """
    if not needs:
        return []
    statement = select(Task.id, Task.state).where(Task.id.in_(needs), Task.project_id == project_id)
    states = dict(db.session.execute(statement.order_by(Task.id).with_for_update()).all())
    for needed in needs:
        if needed not in states:
            raise AppError(ErrorCode.TASK_NOT_FOUND, f"The project has no task {needed} to wait for.", id=str(needed))
        if states[needed] in (TaskState.FAILED, TaskState.CANCELLED):
            detail = f"Task {needed}, which is to be waited for, is {states[needed]}."
            raise AppError(ErrorCode.TASK_NEED_FAILED, detail, needs=str(needed), state=states[needed])
    return [task_id for task_id, state in states.items() if not TaskState(state).has_ended]


def again(task_id: UUID) -> list[UUID]:
    """Return what a task that is tried again needs: what it had to wait for, and those of its parts at work."""
    of_others = or_(_TASKS.c.parent_id.is_(None), _TASKS.c.parent_id != task_id)
    statement = select(_TASKS.c.id).join(_NEEDS, _NEEDS.c.needs_id == _TASKS.c.id).where(_NEEDS.c.task_id == task_id)
    at_work = [child.id for child in db.session.connection().execute(_children_at_work(task_id))]
    return [*db.session.connection().execute(statement.where(of_others)).scalars(), *at_work]


def record(task_id: UUID, needs: Sequence[UUID]) -> None:
    """Note in the caller's transaction which tasks this one waits for."""
    if needs:
        rows = [{"task_id": task_id, "needs_id": needed} for needed in needs]
        db.session.connection().execute(_NEEDS.insert(), rows)


def replace(task_id: UUID, needs: Sequence[UUID]) -> None:
    """Note in the caller's transaction which tasks this one waits for now, in place of those that it has waited for."""
    db.session.connection().execute(_NEEDS.delete().where(_NEEDS.c.task_id == task_id))
    record(task_id, needs)


def add(task_id: UUID, needs: Sequence[UUID]) -> None:
    """Let a task of the caller's transaction wait for these too."""
    record(task_id, needs)
    counted = _TASKS.update().where(_TASKS.c.id == task_id)
    db.session.connection().execute(counted.values(waits_for=_TASKS.c.waits_for + len(needs)))


def settle(ended_id: UUID, state: TaskState) -> list[Freed]:
    """Tell those that wait for a task how it ended, in the transaction that ends it.

    Returns:
        The tasks that wait for nothing more: they are owed a wake-up. Where the task did not succeed, everything that
        waits for it, and for that, ends in this transaction too: cancelled with what was cancelled, failed otherwise.
        What has children at work ends after those.
    """
    waiting = _waiting_for(ended_id)
    if not waiting:
        return []
    parent_id = db.session.scalar(select(_TASKS.c.parent_id).where(_TASKS.c.id == ended_id))
    if state is TaskState.SUCCEEDED:
        found = [freed for task_id in waiting if (freed := _count_down(task_id, is_part=task_id == parent_id))]
    else:
        found = []
        for task_id in waiting:
            stop(task_id, error=_need_error(ended_id, state))
    if parent_id in waiting:
        _close(parent_id, ended_id)
    return found


def stop(task_id: UUID, *, error: dict[str, Any] | None = None, **told: Any) -> bool:
    """End a task that waits, in the caller's transaction: at once, or as soon as its children have let go.

    Args:
        error: why, if it was not asked for.
        told: what else is told of it.

    Returns:
        Whether it was still waiting.
    """
    has_children = _has_unfinished_children(task_id)
    state = TaskState.STOPPING if has_children else _end_of(error)
    changes = {"stopping_since": now_ms()} if has_children else {"ended_at": now_ms()}
    fact = (EventType.STATE, {"state": state.value, **told, **({"error": error} if error else {})})
    if not task_log.append(task_id, [fact], _IS_QUEUED, state=state, error=error, **changes):
        return False
    if has_children:
        _stop_children(task_id)
        _close(task_id)
    else:
        settle(task_id, state)
    return True


def close_stopped() -> int:
    """End what was told to stop while it waited, in the caller's transaction. Returns how many were looked at.

    Usually the last child does it. Where two ended at one moment, or one could not be told, this does.
    """
    left = db.session.scalars(
        select(Task.id).where(Task.state == TaskState.STOPPING, Task.lease_until.is_(None)).order_by(Task.id)
    ).all()
    for task_id in left:
        _stop_children(task_id)
        _close(task_id)
    return len(left)


def _waiting_for(task_id: UUID) -> list[UUID]:
    return list(db.session.connection().execute(_WAITING, {"ended_id": task_id}).scalars())


def _count_down(task_id: UUID, *, is_part: bool) -> Freed | None:
    connection = db.session.connection()
    counted = _TASKS.update().where(_TASKS.c.id == task_id, _TASKS.c.waits_for > 0)
    n_counted = connection.execute(counted.values(waits_for=_TASKS.c.waits_for - 1)).rowcount
    if is_part and n_counted:
        _tell_progress(task_id)
    is_free = (_TASKS.c.id == task_id, _TASKS.c.waits_for == 0, _TASKS.c.state == TaskState.QUEUED)
    row = connection.execute(select(_TASKS.c.id, _TASKS.c.queue).where(*is_free)).one_or_none()
    return Freed(row.id, row.queue) if row else None


def _tell_progress(task_id: UUID) -> None:
    """Tell that one more part of a task is done. What is left to the task itself counts as one more."""
    row = select(_TASKS.c.progress, _TASKS.c.waits_for).where(_TASKS.c.id == task_id)
    before, n_left = db.session.connection().execute(row).one()
    done = before + (1 - before) / (n_left + 2)
    fact = (EventType.PROGRESS, {"done": round(done, 4), "parts_left": n_left})
    task_log.append(task_id, [fact], _IS_QUEUED, progress=done)


def _children_at_work(task_id: UUID, without: UUID | None = None) -> Select:
    found = select(_TASKS.c.id, _TASKS.c.state).where(_TASKS.c.parent_id == task_id, _UNFINISHED)
    return found if without is None else found.where(_TASKS.c.id != without)


def _has_unfinished_children(task_id: UUID, without: UUID | None = None) -> bool:
    return db.session.connection().execute(_children_at_work(task_id, without).limit(1)).first() is not None


def _stop_children(task_id: UUID) -> None:
    """Tell the children of a task to stop. One whose row somebody is changing is told by the next sweep."""
    children = _children_at_work(task_id).order_by(_TASKS.c.id).with_for_update(skip_locked=True)
    for child in db.session.connection().execute(children).all():
        if child.state == TaskState.QUEUED:
            stop(child.id)
        elif child.state == TaskState.RUNNING:
            fact = (EventType.STATE, {"state": TaskState.STOPPING.value})
            task_log.append(child.id, [fact], _IS_RUNNING, state=TaskState.STOPPING, stopping_since=now_ms())


def _close(task_id: UUID, ended_child: UUID | None = None) -> None:
    """End a task that was told to stop while it waited, unless a child of it is still at work."""
    # locked before the children are looked at: of two that end at one moment, the second sees that it is the last
    told = select(_TASKS.c.error).where(_TASKS.c.id == task_id, *_STOPS_ALONE).with_for_update()
    task = db.session.connection().execute(told).one_or_none()
    if task is None or _has_unfinished_children(task_id, ended_child):
        return
    state = _end_of(task.error)
    fact = (EventType.STATE, {"state": state.value, **({"error": task.error} if task.error else {})})
    task_log.append(task_id, [fact], *_STOPS_ALONE, state=state, ended_at=now_ms())
    settle(task_id, state)


def _end_of(error: dict[str, Any] | None) -> TaskState:
    """Return how a task ends that was stopped for this: as what it needed did."""
    is_cancelled = error is None or error["details"].get("state") == TaskState.CANCELLED.value
    return TaskState.CANCELLED if is_cancelled else TaskState.FAILED


def _need_error(needed_id: UUID, how: TaskState) -> dict[str, Any]:
    """Return the problem of a task that waited in vain."""
    code = ErrorCode.TASK_NEED_FAILED
    return problem(
        code=code.code,
        title=code.title,
        status=code.status,
        detail=f"It waited for task {needed_id}, which is {how.value}.",
        details={"needs": str(needed_id), "state": how.value},
    )

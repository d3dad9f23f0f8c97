"""Tasks that wait for others: set free when those succeed, ended when one of them does not."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select

from app.extensions import db
from app.libs.enums import EventType, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.models import Task, TaskNeed
from app.utils.clock import now_ms
from app.viewModels import task_log

_NEEDS, _TASKS = TaskNeed.__table__, Task.__table__
_WAITING = select(_NEEDS.c.task_id).where(_NEEDS.c.needs_id == bindparam("ended_id"))


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


def record(task_id: UUID, needs: Sequence[UUID]) -> None:
    """Note in the caller's transaction which tasks this one waits for."""
    if needs:
        rows = [{"task_id": task_id, "needs_id": needed} for needed in needs]
        db.session.connection().execute(_NEEDS.insert(), rows)


def settle(ended_id: UUID, state: TaskState) -> list[Freed]:
    """Tell those that wait for a task how it ended, in the transaction that ends it.

    Returns:
        The tasks that wait for nothing more: they are owed a wake-up. Where the task did not succeed, everything that
        waits for it, and for that, ends in this transaction too: cancelled with what was cancelled, failed otherwise.
    """
    waiting = _waiting_for(ended_id)
    if state is TaskState.SUCCEEDED:
        return [freed for freed in map(_count_down, waiting) if freed]
    left = [(task_id, ended_id) for task_id in waiting]
    while left:
        task_id, needed_id = left.pop()
        if _end(task_id, needed_id, state):
            left += [(next_id, task_id) for next_id in _waiting_for(task_id)]
    return []


def _waiting_for(task_id: UUID) -> list[UUID]:
    return list(db.session.connection().execute(_WAITING, {"ended_id": task_id}).scalars())


def _count_down(task_id: UUID) -> Freed | None:
    connection = db.session.connection()
    counted = _TASKS.update().where(_TASKS.c.id == task_id, _TASKS.c.waits_for > 0)
    connection.execute(counted.values(waits_for=_TASKS.c.waits_for - 1))
    is_free = (_TASKS.c.id == task_id, _TASKS.c.waits_for == 0, _TASKS.c.state == TaskState.QUEUED)
    row = connection.execute(select(_TASKS.c.id, _TASKS.c.queue).where(*is_free)).one_or_none()
    return Freed(row.id, row.queue) if row else None


def _end(task_id: UUID, needed_id: UUID, how: TaskState) -> bool:
    """End a task that waited in vain. Whether it was still waiting."""
    state = TaskState.CANCELLED if how is TaskState.CANCELLED else TaskState.FAILED
    code = ErrorCode.TASK_NEED_FAILED
    error = problem(
        code=code.code,
        title=code.title,
        status=code.status,
        detail=f"It waited for task {needed_id}, which is {how.value}.",
        details={"needs": str(needed_id), "state": how.value},
    )
    fact = (EventType.STATE, {"state": state.value, "error": error})
    return task_log.append(
        task_id, [fact], _TASKS.c.state == TaskState.QUEUED, state=state, ended_at=now_ms(), error=error
    )

"""How long tasks are kept: those that ended long ago go, with their events and checkpoints. What they made stays.

The rows that a task has made refer to it until then. They hold all that it takes to know where they come from, so with
the task only its course is gone.
"""

from collections.abc import Sequence
from uuid import UUID

from flask import current_app
from sqlalchemy import ColumnElement, Row, delete, exists, select
from sqlalchemy.orm import aliased

from app.extensions import db
from app.libs.enums import TaskState
from app.models import Task, TaskEvent, TaskNeed
from app.utils import sqlite
from app.utils.clock import now_ms
from app.viewModels import checkpoint_objects

DAY_MS = 86_400_000
TASKS_AT_ONCE = 20
EVENTS_AT_ONCE = 1000
"""Of one task in one transaction: the events of a long run are very many, and nobody shall wait while they go."""

_ENDED = [state.value for state in TaskState if state.has_ended]
_other = aliased(Task)
_IS_PART_OF_UNFINISHED = exists().where(_other.id == Task.parent_id, _other.ended_at.is_(None))
_IS_NEEDED = exists().where(TaskNeed.needs_id == Task.id, TaskNeed.task_id == _other.id, _other.ended_at.is_(None))
"""What an unfinished task is made of, or waited for, it may still ask about."""


def oldest_kept() -> int:
    """Return the moment (Unix ms) from which on a task must have ended to be kept."""
    return now_ms() - current_app.config["SETTINGS"].task_keep_days * DAY_MS


def remove_old() -> int:
    """Remove the tasks that ended before the oldest moment kept, a few in each transaction. Returns how many."""
    before, n_removed, last = oldest_kept(), 0, UUID(int=0)
    while found := _next(before, after=last):
        last = found[-1].id
        for task in found:
            _shorten(task, before)
        n_removed += _remove([task.id for task in found], before)
    return n_removed


def _old(before: int) -> tuple[ColumnElement, ...]:
    return Task.state.in_(_ENDED), Task.ended_at < before, ~_IS_PART_OF_UNFINISHED, ~_IS_NEEDED


def _next(before: int, *, after: UUID) -> Sequence[Row]:
    statement = select(Task.id, Task.last_event).where(Task.id > after, *_old(before))
    with sqlite.reading():
        found = db.session.execute(statement.order_by(Task.id).limit(TASKS_AT_ONCE)).all()
        db.session.commit()
    return found


def _shorten(task: Row, before: int) -> None:
    """Delete the events of a task but for the last few."""
    for number in range(EVENTS_AT_ONCE, task.last_event, EVENTS_AT_ONCE):
        with sqlite.writing():
            if _held([task.id], before):
                db.session.execute(delete(TaskEvent).where(TaskEvent.task_id == task.id, TaskEvent.number <= number))
            db.session.commit()


def _remove(task_ids: Sequence[UUID], before: int) -> int:
    with sqlite.writing():
        held = _held(task_ids, before)
        db.session.execute(delete(Task).where(Task.id.in_([task.id for task in held])))
        db.session.commit()
    checkpoint_objects.discard(*(task.checkpoint_key for task in held if task.checkpoint_key))
    return len(held)


def _held(task_ids: Sequence[UUID], before: int) -> Sequence[Row]:
    """Return those of the tasks that are old still, with their checkpoints; nobody tries them again meanwhile."""
    statement = select(Task.id, Task.checkpoint_key).where(Task.id.in_(task_ids), *_old(before))
    return db.session.execute(statement.with_for_update(skip_locked=True)).all()

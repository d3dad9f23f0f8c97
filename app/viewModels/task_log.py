"""The numbered log of a task: written in the transaction that makes a fact true, told to the world after its commit."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Update, bindparam, event, select
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from app.extensions import db, socketio
from app.libs.enums import EventType, TaskState
from app.models import Task, TaskEvent
from app.utils.clock import now_ms


class Head(NamedTuple):
    """How long a task's log is, and what state the task is in."""

    last_event: int
    state: TaskState


Fact = tuple[EventType, dict[str, Any]]
NEWS = "task_news"
"""Under which all events of a transaction are told to the other processes, in one message."""

# Every fact of every task passes here, so statements are made on the tables: on the classes they cost thrice as much.
_TASKS, _EVENTS = Task.__table__, TaskEvent.__table__
_NOTHING: Mapping[str, Any] = {}
_LAST_EVENT = select(_TASKS.c.last_event).where(_TASKS.c.id == bindparam("task_id"))


def begin(task: Task, facts: Sequence[Fact]) -> None:
    """Add a new task with the first facts of its log to the caller's transaction."""
    task.last_event = len(facts)
    task.created_at = now_ms()
    row = {column.name: vars(task).get(column.name, _initial(column)) for column in _TASKS.columns}
    db.session.connection().execute(_TASKS.insert(), row)
    for name, value in row.items():
        set_committed_value(task, name, value)
    make_transient_to_detached(task)  # it is in the database as it is here, and nothing of it needs to be read back
    db.session.add(task)
    add(task.id, facts, last=len(facts))


def _initial(column: Column) -> Any:
    return column.default.arg if column.default is not None and column.default.is_scalar else None


def append(
    task_id: UUID,
    facts: Sequence[Fact],
    *conditions: ColumnElement[bool],
    given: Mapping[str, Any] = _NOTHING,
    **changes: Any,
) -> bool:
    """Number the facts and add them to the log, and change the task's row with them, in the caller's transaction.

    Nothing is written, and False returned, unless the task meets ``conditions``: one conditional update decides.
    The events go out to whoever follows the task once the transaction is committed.

    Args:
        conditions: made once, not for each call: for each set of them the statement is kept.
        given: values of the parameters in the conditions.
        changes: column -> value.
    """
    connection = db.session.connection()
    can_return = connection.dialect.update_returning
    advance = _advance(conditions, tuple(changes), can_return)
    values = {f"new_{name}": value for name, value in changes.items()}
    changed = connection.execute(advance, {"of_task": task_id, "n_facts": len(facts), **values, **given})
    if can_return:
        last = changed.scalar()
    else:  # MariaDB
        last = connection.execute(_LAST_EVENT, {"task_id": task_id}).scalar_one() if changed.rowcount else None
    if last is None:
        return False
    add(task_id, facts, last=last)
    return True


@lru_cache(maxsize=64)
def _advance(conditions: tuple[ColumnElement[bool], ...], columns: tuple[str, ...], can_return: bool) -> Update:
    """Return the statement of ``append``: to write it down anew each time costs more than to carry it out."""
    changes = {name: bindparam(f"new_{name}") for name in columns}
    advance = _TASKS.update().where(_TASKS.c.id == bindparam("of_task"), *conditions)
    advance = advance.values(last_event=_TASKS.c.last_event + bindparam("n_facts"), **changes)
    return advance.returning(_TASKS.c.last_event) if can_return else advance


def after(task_id: UUID, number: int, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the events with a number above this one, in order, as they are told."""
    statement = (
        select(TaskEvent)
        .where(TaskEvent.task_id == task_id, TaskEvent.number > number)
        .order_by(TaskEvent.number)
        .limit(limit)
    )
    return [as_told(row.__dict__) for row in db.session.scalars(statement)]


def attempts(task_id: UUID) -> list[dict[str, Any]]:
    """Return when each attempt at a task began, with its worker, and when it was given up for lost, if it was."""
    statement = select(TaskEvent.at, TaskEvent.data).where(
        TaskEvent.task_id == task_id, TaskEvent.type == EventType.STATE
    )
    found: list[dict[str, Any]] = []
    for at, data in db.session.execute(statement.order_by(TaskEvent.number)):
        if "attempt" in data:
            found.append({"attempt": data["attempt"], "worker": data["worker"], "began_at": at, "lost_at": None})
        elif "lost_worker" in data and found:
            found[-1]["lost_at"] = at
    return found


def begins(task_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return when the work on each of these tasks began: the first attempt since somebody has asked for the task."""
    statement = select(TaskEvent.task_id, TaskEvent.at, TaskEvent.data).where(
        TaskEvent.task_id.in_(task_ids), TaskEvent.type == EventType.STATE
    )
    found: dict[UUID, int] = {}
    for task_id, at, data in db.session.execute(statement.order_by(TaskEvent.number)):
        if "attempt" in data:
            found.setdefault(task_id, at)
        elif data["state"] == TaskState.QUEUED and "by" in data:  # tried again by hand
            found.pop(task_id, None)
    return found


def heads(task_ids: Sequence[UUID]) -> dict[UUID, Head]:
    """Return how long the logs of these tasks are. A task that is gone is left out."""
    statement = select(_TASKS.c.id, _TASKS.c.last_event, _TASKS.c.state).where(_TASKS.c.id.in_(task_ids))
    return {row.id: Head(row.last_event, TaskState(row.state)) for row in db.session.connection().execute(statement)}


def as_told(row: dict[str, Any]) -> dict[str, Any]:
    """Return an event as clients get it."""
    return {
        "task_id": str(row["task_id"]),
        "number": row["number"],
        "type": str(row["type"]),
        "at": row["at"],
        "data": row["data"],
    }


def add(task_id: UUID, facts: Sequence[Fact], *, last: int) -> None:
    """Add facts of which the last has this number, for a caller who has just set the task's ``last_event`` to it."""
    at = now_ms()
    rows = [
        {"task_id": task_id, "number": last - len(facts) + k, "type": kind, "at": at, "data": data}
        for k, (kind, data) in enumerate(facts, start=1)
    ]
    db.session.connection().execute(_EVENTS.insert(), rows)
    db.session.info.setdefault("untold", []).extend(rows)


@event.listens_for(Session, "after_commit")
def _tell(session: Session) -> None:
    if untold := session.info.pop("untold", []):
        socketio.emit(NEWS, [as_told(row) for row in untold])


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("untold", None)

"""A user's list of tasks, as it changes."""

from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, or_, select

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import TaskState
from app.models import Task
from app.viewModels.access import seen_by

NEWEST = 200  # so many are looked at even when they have ended: they may have begun and ended between two looks
_ACTIVE = [state.value for state in TaskState if not state.has_ended]
_SHOWN = ("kind", "state", "progress", "last_event", "project_id", "subject_id", "created_by", "created_at", "ended_at")


class TaskList:
    """What of the tasks that a user may see was told already. Read it again, and it gives what has changed since."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[int, bool]] = {}  # task -> number of its last event, and whether it has ended
        self._is_new = True

    def changes(self, actor: Actor) -> list[dict[str, Any]]:
        """Return the tasks that have changed since the last call, and nothing at the first one."""
        rows = _rows(actor, [task_id for task_id, (_, has_ended) in self._known.items() if not has_ended])
        before, was_new, self._is_new = self._known, self._is_new, False
        self._known = {row["id"]: (row["last_event"], TaskState(row["state"]).has_ended) for row in rows}
        changed = [row for row in rows if before.get(row["id"]) != self._known[row["id"]]]
        return [] if was_new else [_as_told(row) for row in changed]


def _rows(actor: Actor, active_before: list[UUID]) -> list[RowMapping]:
    """Return all tasks that can change, those that could before, and the newest."""
    statement = seen_by(select(Task.id, *(getattr(Task, name) for name in _SHOWN)), Task, actor)
    changing = statement.where(or_(Task.state.in_(_ACTIVE), Task.id.in_(active_before)))
    newest = statement.order_by(Task.id.desc()).limit(NEWEST)
    found = [row for asked in (newest, changing) for row in db.session.execute(asked).mappings()]
    return list({row["id"]: row for row in found}.values())


def _as_told(row: RowMapping) -> dict[str, Any]:
    shown = {name: str(row[name]) if isinstance(row[name], UUID) else row[name] for name in _SHOWN}
    return {"task_id": str(row["id"]), **shown}

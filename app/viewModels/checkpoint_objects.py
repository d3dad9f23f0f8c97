"""The objects that tasks go on from: the newest one of each unfinished task, and of those that may be tried again."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from app.extensions import db, object_store
from app.models import Task
from app.utils.clock import now_ms
from app.viewModels.dataset_objects import discard

__all__ = ["discard", "key", "sweep"]

PREFIX = "checkpoints/"


def key(task_id: UUID, fence: int, number: int) -> str:
    """Return where the attempt with this fence keeps its checkpoint of this number: two never write to one place."""
    return f"{PREFIX}{task_id}/{fence}-{number}"


def sweep(*, older_than: timedelta) -> int:
    """Delete checkpoints that no task would go on from, and return how many."""
    oldest = now_ms() - int(older_than.total_seconds() * 1000)
    found = [stat.key for stat in object_store.list(PREFIX) if stat.modified_ms < oldest]
    named = set(db.session.scalars(select(Task.checkpoint_key).where(Task.checkpoint_key.is_not(None))))
    db.session.commit()
    abandoned = [each for each in found if each not in named]
    discard(*abandoned)
    return len(abandoned)

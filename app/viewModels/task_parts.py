"""Parts of one long computation, each a task of its own: submitted by the task that they are parts of, and read by it.

What a part has found goes to the object store, under a key that no other worker writes to; its result in the database
names the key and the sha256 that counts. Parts are there for their whole: once that has succeeded, they are deleted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.extensions import db, object_store
from app.libs.enums import TaskKind, TaskState
from app.models import Task
from app.utils.clock import now_ms
from app.viewModels import task_queue
from app.viewModels.dataset_objects import discard
from app.viewModels.task_queue import Lease

PREFIX = "parts/"


@dataclass(frozen=True)
class Part:
    """A part that was submitted: what of the whole it is, how it has ended if it has, and where its finding is."""

    task_id: UUID
    payload: Mapping[str, Any]
    state: TaskState
    result: Mapping[str, Any] | None


def key(lease: Lease) -> str:
    """Return where the attempt at a part with this lease keeps what it has found."""
    return f"{PREFIX}{lease.parent_id}/{lease.task_id}-{lease.fence}"


def submit(lease: Lease, kind: TaskKind, payloads: Iterable[Mapping[str, Any]], *, subject_id: UUID) -> list[UUID]:
    """Add parts of a claimed task to the caller's transaction. Returns their tasks."""
    return [task_queue.submit_part(lease, kind, subject_id=subject_id, payload=dict(each)).id for each in payloads]


def of(lease: Lease) -> list[Part]:
    """Return the parts of a claimed task, in the order in which they were submitted."""
    statement = select(Task.id, Task.payload, Task.state, Task.result).where(Task.parent_id == lease.task_id)
    rows = db.session.execute(statement.order_by(Task.id)).all()
    return [Part(row.id, row.payload, TaskState(row.state), row.result) for row in rows]


def discard_all(lease: Lease) -> None:
    """Delete what the parts of a task have found."""
    discard(*(stat.key for stat in object_store.list(f"{PREFIX}{lease.task_id}/")))


def sweep(*, older_than: timedelta) -> int:
    """Delete what was found for tasks that have succeeded or are gone, and return how many objects that were."""
    oldest = now_ms() - int(older_than.total_seconds() * 1000)
    found = [stat.key for stat in object_store.list(PREFIX) if stat.modified_ms < oldest]
    wanted = {UUID(each.split("/")[1]) for each in found}
    may_be_read = select(Task.id).where(Task.id.in_(wanted), Task.state != TaskState.SUCCEEDED)
    needed = {str(task_id) for task_id in db.session.scalars(may_be_read)}
    db.session.commit()
    abandoned = [each for each in found if each.split("/")[1] not in needed]
    discard(*abandoned)
    return len(abandoned)

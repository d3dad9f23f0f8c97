"""Tasks: the truth about long work, its numbered events, and the wake-ups still to be sent."""

from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.libs.enums import Priority, TaskState
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, Key, Millis, Word
from app.utils.clock import now_ms


class Task(InProject, Created, db.Model):
    """A unit of long work. Celery only wakes workers; what is to be done and what became of it stands here.

    ``fence`` grows with every claim. A worker writes under the number that it claimed with; one that lost its lease
    holds an old number, and its writes change nothing.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index(None, "queue", "state", "priority", "turn", "id"),  # the next runnable row of a queue
        Index(None, "state", "lease_until"),  # leases that were lost
        Index(None, "created_by", "state"),  # how many unfinished ones somebody has
        UniqueConstraint("created_by", "idempotency_key"),
    )
    not_found = ErrorCode.TASK_NOT_FOUND

    id: Mapped[Id]
    kind: Mapped[Word]
    queue: Mapped[Word]
    state: Mapped[Word] = mapped_column(default=TaskState.QUEUED)
    priority: Mapped[int] = mapped_column(default=Priority.NORMAL.value)  # higher goes first
    turn: Mapped[int] = mapped_column(default=0)  # then users take turns, round by round
    waits_for: Mapped[int] = mapped_column(default=0)  # how many tasks must succeed before it may start
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    payload: Mapped[Json]  # what the work needs to know; ids, never data
    subject_id: Mapped[UUID] = mapped_column(index=True)  # the model, optimization or data set that it makes

    idempotency_key: Mapped[str | None] = mapped_column(String(200))  # the client's name for the submit
    request_sha256: Mapped[str | None] = mapped_column(String(64))  # what was asked under it

    progress: Mapped[float] = mapped_column(default=0.0)  # 0 to 1
    result: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))  # a problem document
    last_event: Mapped[int] = mapped_column(default=0)

    fence: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    idle_attempts: Mapped[int] = mapped_column(default=0)  # those in a row that left no checkpoint
    checkpoint_key: Mapped[Key | None]  # the object from which the next attempt goes on
    worker: Mapped[str | None] = mapped_column(String(200))
    message_id: Mapped[Word | None]  # the message that woke the worker; by it, its process can be killed
    lease_until: Mapped[Millis | None]

    started_at: Mapped[Millis | None]
    stopping_since: Mapped[Millis | None]
    ended_at: Mapped[Millis | None] = mapped_column(index=True)

    position = None  # not stored: the place in the line, where somebody asks
    forecast = None  # not stored: when it will probably begin and end
    children = None  # not stored: the tasks that it is made of, where one task is asked for


class TaskNeed(db.Model):
    """A task that another one waits for."""

    __tablename__ = "task_needs"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    needs_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True, index=True)


class TaskEvent(db.Model):
    """A numbered fact in a task's life. Numbers run 1, 2, 3, ... without a gap."""

    __tablename__ = "task_events"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[Word]
    at: Mapped[Millis] = mapped_column(default=now_ms)
    data: Mapped[Json]


class OutboxMessage(db.Model):
    """A wake-up that is owed to a queue. Written with the task, deleted once it was sent."""

    __tablename__ = "outbox"

    id: Mapped[Id]
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    queue: Mapped[Word]
    created_at: Mapped[Millis] = mapped_column(BigInteger, default=now_ms, index=True)

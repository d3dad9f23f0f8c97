"""Callbacks: addresses that are told how a task has ended."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.enums import CallbackState
from app.models.columns import Id, JsonList, Millis, Word
from app.models.task import Task
from app.utils import outward
from app.utils.clock import now_ms

LONGEST_URL = 2000


class Callback(db.Model):
    """An address to tell of a task's end. ``next_at`` is the next try, or the one that is being made."""

    __tablename__ = "callbacks"
    __table_args__ = (Index(None, "state", "next_at"),)

    id: Mapped[Id]
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(String(LONGEST_URL))
    state: Mapped[Word] = mapped_column(default=CallbackState.WAITING)
    n_tried: Mapped[int] = mapped_column(default=0)  # since the task has ended
    next_at: Mapped[Millis | None]
    give_up_at: Mapped[Millis | None]
    attempts: Mapped[JsonList] = mapped_column(default=list)  # the log: when, the status or the error, how long
    created_at: Mapped[Millis] = mapped_column(default=now_ms)

    task: Mapped[Task] = relationship()

    @property
    def origin(self) -> str:
        """What of the address may be shown to everybody who may see the task."""
        return outward.origin(self.url)

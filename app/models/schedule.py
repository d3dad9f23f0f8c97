"""Schedules: work that is submitted by the clock, and what came of each of its times."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.libs.enums import Priority, ScheduleAction
from app.libs.error_codes import ErrorCode
from app.models.callback import LONGEST_URL
from app.models.columns import Created, Id, Json, Millis, Name, Word
from app.utils import outward
from app.utils.clock import now_ms

LONGEST_CRON, LONGEST_ZONE = 200, 100


class Schedule(Created, db.Model):
    """What to submit for a module or a process, and when. ``next_run_at`` is null while it is paused."""

    __tablename__ = "schedules"
    not_found = ErrorCode.SCHEDULE_NOT_FOUND

    id: Mapped[Id]
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))  # in whose name it submits
    name: Mapped[Name]
    cron: Mapped[str] = mapped_column(String(LONGEST_CRON))
    time_zone: Mapped[str] = mapped_column(String(LONGEST_ZONE))
    action: Mapped[Word]
    module_id: Mapped[UUID | None] = mapped_column(ForeignKey("modules.id", ondelete="CASCADE"), index=True)
    process_id: Mapped[UUID | None] = mapped_column(ForeignKey("processes.id", ondelete="CASCADE"), index=True)
    request: Mapped[Json]  # the body that submits it by hand, with its defaults filled in
    priority: Mapped[int] = mapped_column(default=Priority.NORMAL.value)
    callback_url: Mapped[str | None] = mapped_column(String(LONGEST_URL))

    next_run_at: Mapped[Millis | None] = mapped_column(index=True)
    paused_at: Mapped[Millis | None]
    paused_because: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))  # a problem document; null: by hand

    @property
    def train(self) -> dict[str, Any] | None:
        """The training that it submits."""
        return {"module_id": self.module_id, **self.request} if self.action == ScheduleAction.TRAIN else None

    @property
    def optimize(self) -> dict[str, Any] | None:
        """The optimization of a process that it submits."""
        return {"process_id": self.process_id, **self.request} if self.action == ScheduleAction.OPTIMIZE else None

    @property
    def callback_origin(self) -> str | None:
        """What of the address may be shown to everybody who may see the schedule."""
        return outward.origin(self.callback_url) if self.callback_url else None


class ScheduleRun(db.Model):
    """What came of a time at which a schedule was due. There is one for each time, however many look at once."""

    __tablename__ = "schedule_runs"

    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[Millis] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[Millis | None]  # where several times were missed together: the last of them
    at: Mapped[Millis] = mapped_column(default=now_ms)
    outcome: Mapped[Word]
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    error: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))  # a problem document

"""Optimizations: what was asked, and the best inputs found. They outlive their tasks."""

from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, Name, Word
from app.models.model import Model
from app.models.task import Task


class Optimization(InProject, Created, db.Model):
    """A search for the best inputs of a model. ``result`` is there once it has ended well."""

    __tablename__ = "optimizations"
    not_found = ErrorCode.OPTIMIZATION_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), index=True)
    problem: Mapped[Json]  # complete: bounds, scales and fixed inputs filled in
    solver: Mapped[Word]
    budget: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    result: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))

    model: Mapped[Model] = relationship()
    task: Mapped[Task | None] = relationship()

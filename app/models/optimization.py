"""Optimizations: what was asked, and the best inputs found. They outlive their tasks."""

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, Name, Word
from app.models.model import Model
from app.models.outcome import Outcome
from app.models.process import Process


class Optimization(InProject, Created, Outcome, db.Model):
    """A search for the best inputs of a model, or of a process. ``result`` is there once it has ended well."""

    __tablename__ = "optimizations"
    not_found = ErrorCode.OPTIMIZATION_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    model_id: Mapped[UUID | None] = mapped_column(ForeignKey("models.id"), index=True)  # of a model
    process_id: Mapped[UUID | None] = mapped_column(ForeignKey("processes.id"), index=True)  # or of a process,
    mode: Mapped[Word | None]  # with the way in which its layers are solved
    problem: Mapped[Json]  # complete: bounds, scales and fixed inputs filled in
    options: Mapped[Json] = mapped_column(default=dict)  # trust, certificate, operating point to compare with, ...
    solver: Mapped[Word]
    budget: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)

    model: Mapped[Model | None] = relationship()
    process: Mapped[Process | None] = relationship()
    modules: Mapped[list["OptimizationModel"]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class OptimizationModel(db.Model):
    """The model that stands for a module in the optimization of a process."""

    __tablename__ = "optimization_models"

    optimization_id: Mapped[UUID] = mapped_column(ForeignKey("optimizations.id", ondelete="CASCADE"), primary_key=True)
    module_name: Mapped[Name] = mapped_column(primary_key=True)
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), index=True)

    model: Mapped[Model] = relationship()

"""Processes: graphs of modules."""

from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, JsonList, Name
from app.models.dataset import Dataset


class Process(InProject, Created, db.Model):
    """A plant as a graph of modules: the layers."""

    __tablename__ = "processes"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    not_found = ErrorCode.PROCESS_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(String(2000), default="")

    modules: Mapped[list["Module"]] = relationship(back_populates="process", order_by="Module.created_at, Module.id")


class Module(InProject, Created, db.Model):
    """One part of the plant: input tags -> output tags, learned from a data set.

    ``inputs`` is a list of {"tag", "role"} and, for role ``link``, {"source", "source_tag"}: a module's name and tag.
    """

    __tablename__ = "modules"
    __table_args__ = (UniqueConstraint("process_id", "name"),)
    not_found = ErrorCode.MODULE_NOT_FOUND

    id: Mapped[Id]
    process_id: Mapped[UUID] = mapped_column(ForeignKey("processes.id"))
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), index=True)
    name: Mapped[Name]
    inputs: Mapped[JsonList]
    outputs: Mapped[JsonList]
    horizon: Mapped[int] = mapped_column(default=0)  # rows that the outputs lie ahead of the inputs
    last_model_number: Mapped[int] = mapped_column(default=0)  # the number of a deleted model is not given again
    production_model_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("models.id", use_alter=True, ondelete="SET NULL")
    )

    process: Mapped[Process] = relationship(back_populates="modules")
    dataset: Mapped[Dataset] = relationship()
    production_model: Mapped["Model | None"] = relationship(  # noqa: F821 (models.model imports this file)
        foreign_keys=production_model_id, post_update=True
    )
    unset_production_model = None  # not stored: the model that a change has just taken out of production

"""Analyses: what was asked about a model, and what was found. They outlive their tasks."""

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, Name, Word
from app.models.model import Model
from app.models.outcome import Outcome


class Analysis(InProject, Created, Outcome, db.Model):
    """A question to a model that takes a while: which inputs matter, and how it depends on them."""

    __tablename__ = "analyses"
    not_found = ErrorCode.ANALYSIS_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    kind: Mapped[Word]
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), index=True)
    params: Mapped[Json]

    model: Mapped[Model] = relationship()

"""Columns that tables share, and how they are spelled."""

from typing import Annotated
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from app.libs.error_codes import ErrorCode
from app.libs.ids import new_id
from app.utils.clock import now_ms

Id = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
Millis = Annotated[int, mapped_column(BigInteger)]
Name = Annotated[str, mapped_column(String(200))]
Word = Annotated[str, mapped_column(String(40))]
Key = Annotated[str, mapped_column(String(300))]
Json = Annotated[dict, mapped_column(JSON)]
JsonList = Annotated[list, mapped_column(JSON)]


class InProject:
    """A row of a project: who may see it is decided there. ``not_found`` is said to whoever may not."""

    not_found: ErrorCode

    @declared_attr
    def project_id(cls) -> Mapped[UUID]:  # noqa: N805 (called with the class)
        return mapped_column(ForeignKey("projects.id"), index=True)


class Created:
    """When a row was made, and by whom."""

    created_at: Mapped[Millis] = mapped_column(default=now_ms)

    @declared_attr
    def created_by(cls) -> Mapped[UUID]:  # noqa: N805 (called with the class)
        return mapped_column(ForeignKey("users.id"))

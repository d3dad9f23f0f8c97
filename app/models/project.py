"""Projects: what users share, and who is in them."""

from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.enums import MemberRole
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, Millis, Name, Word
from app.models.user import User


class Project(Created, db.Model):
    """Data sets, processes, models and tasks belong to one. Archived, it can only be read."""

    __tablename__ = "projects"
    not_found = ErrorCode.PROJECT_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(String(2000), default="")
    archived_at: Mapped[Millis | None]

    memberships: Mapped[list["Membership"]] = relationship(
        back_populates="project", cascade="all, delete-orphan", passive_deletes=True
    )


class Membership(db.Model):
    """A user's role in a project."""

    __tablename__ = "memberships"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[Word] = mapped_column(default=MemberRole.VIEWER)

    project: Mapped[Project] = relationship(back_populates="memberships")
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

"""People, and the sessions in which they are signed in."""

from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.libs.enums import Role
from app.models.columns import Id, Millis, Name, Word
from app.utils.clock import now_ms


class User(db.Model):
    """A person with an account. Users are deactivated, not deleted: what they did stays theirs."""

    __tablename__ = "users"

    id: Mapped[Id]
    username: Mapped[Name] = mapped_column(unique=True)
    password_hash: Mapped[str] = mapped_column(String(100))
    role: Mapped[Word] = mapped_column(default=Role.VIEWER)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Millis] = mapped_column(default=now_ms)


class LoginSession(db.Model):
    """A family of tokens that began with one sign-in. Only the newest refresh token of it is good."""

    __tablename__ = "login_sessions"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    refresh_id: Mapped[UUID]
    created_at: Mapped[Millis] = mapped_column(default=now_ms)
    expires_at: Mapped[Millis]
    ended_at: Mapped[Millis | None]

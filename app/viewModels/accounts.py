"""Signing in and out, and what people do with their own account.

A sign-in begins a session: a family of refresh tokens of which only the newest is good, and of access tokens that are
good while the session is. Whether it is stands in the database and is read at every request, so that ending a session
acts at once and everywhere.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from flask import current_app
from flask_jwt_extended import create_access_token, create_refresh_token
from sqlalchemy import bindparam, select, update

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Role
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.models import LoginSession, User
from app.utils import sqlite
from app.utils.clock import now_ms
from app.viewModels import users
from app.viewModels.passwords import hash_password, is_password

_USERS, _SESSIONS = User.__table__.c, LoginSession.__table__.c
_SIGNED_IN = (  # on the tables, not the classes: it runs at every request, and so it costs a third
    select(_USERS.username, _USERS.role)
    .where(_USERS.id == _SESSIONS.user_id)
    .where(_USERS.id == bindparam("user_id"), _USERS.is_active)
    .where(_SESSIONS.id == bindparam("session_id"), _SESSIONS.ended_at.is_(None))
    .where(_SESSIONS.expires_at > bindparam("now"))
)


@dataclass(frozen=True)
class Tokens:
    """What a sign-in gives. ``expires_in`` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 (the name of a scheme, not a secret)


def actor_of(user_id: UUID, session_id: UUID) -> Actor | None:
    """Return the user behind an access token, or None when the session has ended or the user is deactivated."""
    given = {"user_id": user_id, "session_id": session_id, "now": now_ms()}
    with sqlite.reading():
        row = db.session.connection().execute(_SIGNED_IN, given).one_or_none()
    if not sqlite.is_only_reading():
        db.session.commit()  # what follows may be slow before it writes, or needs the write lock from its begin
    return row and Actor(id=user_id, username=row.username, role=Role(row.role), session_id=session_id)


def signed_in(session_ids: Collection[UUID | None]) -> dict[UUID, Actor]:
    """Return who is behind these sessions. One that has ended, or whose user is deactivated, is left out."""
    statement = (
        select(_SESSIONS.id, _SESSIONS.user_id, _USERS.username, _USERS.role)
        .where(_USERS.id == _SESSIONS.user_id, _USERS.is_active)
        .where(_SESSIONS.id.in_(set(session_ids) - {None}), _SESSIONS.ended_at.is_(None))
        .where(_SESSIONS.expires_at > now_ms())
    )
    rows = db.session.connection().execute(statement)
    return {row.id: Actor(row.user_id, row.username, Role(row.role), row.id) for row in rows}


def register(*, username: str, password: str) -> User:
    """Make one's own account, with the role of a viewer.

    Raises:
        AppError: REGISTRATION_CLOSED, USERNAME_TAKEN, PASSWORD_UNFIT.
    """
    if current_app.config["SETTINGS"].registration != "open":
        raise AppError(ErrorCode.REGISTRATION_CLOSED)
    return users.create(username=username, password=password, role=Role.VIEWER)


def login(*, username: str, password: str) -> Tokens:
    """Begin a session.

    Raises:
        AppError: LOGIN_FAILED, the same for a wrong name, a wrong password and a deactivated user.
    """
    with sqlite.reading():  # hashing takes long: the write lock must not be held meanwhile
        user = db.session.scalar(select(User).where(User.username == users.normalized(username)))
        db.session.commit()
    proved = user and user.password_hash
    if not is_password(password, proved):
        raise AppError(ErrorCode.LOGIN_FAILED)
    db.session.refresh(user, with_for_update=True)  # a lot can have happened while the hash was computed
    if user.password_hash != proved or not user.is_active:
        db.session.rollback()
        raise AppError(ErrorCode.LOGIN_FAILED)
    session = LoginSession(id=new_id(), user_id=user.id, refresh_id=new_id(), expires_at=_session_end())
    db.session.add(session)
    db.session.commit()
    return _tokens(session)


def refresh(*, user_id: UUID, session_id: UUID, refresh_id: UUID) -> Tokens:
    """Exchange the newest refresh token of a session for new tokens. An older one ends the session: it was stolen.

    Raises:
        AppError: SESSION_ENDED, REFRESH_REUSED.
    """
    session = db.session.get(LoginSession, session_id)
    user = db.session.get(User, user_id)
    if session is None or session.ended_at or session.expires_at <= now_ms() or not user.is_active:
        raise AppError(ErrorCode.SESSION_ENDED)
    fresh_id = new_id()
    rotated = db.session.execute(
        update(LoginSession)
        .where(
            LoginSession.id == session_id,
            LoginSession.refresh_id == refresh_id,
            LoginSession.ended_at.is_(None),
        )
        .values(refresh_id=fresh_id, expires_at=_session_end())
    )
    if not rotated.rowcount:
        session.ended_at = now_ms()
        db.session.commit()
        raise AppError(ErrorCode.REFRESH_REUSED)
    db.session.commit()
    return _tokens(session, fresh_id)


def logout(actor: Actor) -> None:
    """End the session in which this request was made, with every token of it."""
    _end_sessions(LoginSession.id == actor.session_id)
    db.session.commit()


def change_password(actor: Actor, *, password: str, new_password: str) -> None:
    """Set another password. Every other session of the user ends.

    Raises:
        AppError: PASSWORD_WRONG (the present one), PASSWORD_UNFIT (the new one).
    """
    with sqlite.reading():
        user = db.session.get(User, actor.id)
        db.session.commit()
    if not is_password(password, user.password_hash):
        raise AppError(ErrorCode.PASSWORD_WRONG)
    user.password_hash = hash_password(new_password)
    _end_sessions(LoginSession.user_id == actor.id, LoginSession.id != actor.session_id)
    db.session.commit()


def _end_sessions(*conditions) -> None:
    db.session.execute(
        update(LoginSession).where(*conditions, LoginSession.ended_at.is_(None)).values(ended_at=now_ms())
    )


def _session_end() -> int:
    return now_ms() + current_app.config["SETTINGS"].refresh_token_days * 86_400_000


def _tokens(session: LoginSession, refresh_id: UUID | None = None) -> Tokens:
    settings = current_app.config["SETTINGS"]
    life = timedelta(minutes=settings.access_token_minutes)
    identity, claims = str(session.user_id), {"sid": str(session.id)}
    return Tokens(
        access_token=create_access_token(identity, expires_delta=life, additional_claims=claims),
        refresh_token=create_refresh_token(
            identity,
            expires_delta=timedelta(days=settings.refresh_token_days),
            additional_claims=claims | {"rid": str(refresh_id or session.refresh_id)},
        ),
        expires_in=int(life.total_seconds()),
    )

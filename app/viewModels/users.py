"""People, as an administrator sees them."""

import secrets
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Role
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import LoginSession, User
from app.utils.clock import now_ms
from app.utils.paging import Page, ordering, page_of
from app.viewModels.passwords import hash_password

LONGEST_NAME = 200
SORT_FIELDS = {"username": User.username, "created_at": User.created_at, "role": User.role}


def normalized(username: str) -> str:
    """Return the spelling under which a name is kept: names that differ in case or outer space are the same."""
    return username.strip().casefold()


def one_time_password() -> str:
    """Return a random password for somebody to sign in with and then change."""
    return secrets.token_urlsafe(15)


def create(*, username: str, password: str, role: Role) -> User:
    """Make an account.

    Raises:
        AppError: INVALID_INPUT (the name), USERNAME_TAKEN, PASSWORD_UNFIT.
    """
    name = normalized(username)
    if not 1 <= len(name) <= LONGEST_NAME:  # some letters become two without their case
        detail = f"A user name has 1 to {LONGEST_NAME} characters without outer space; this one has {len(name)}."
        raise AppError(ErrorCode.INVALID_INPUT, detail, path="username")
    user = User(username=name, password_hash=hash_password(password), role=role)
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        raise AppError(ErrorCode.USERNAME_TAKEN, f"There is a user {user.username!r} already.") from error
    return user


def find(username: str) -> User:
    """Return the user of this name.

    Raises:
        AppError: USER_NOT_FOUND.
    """
    user = db.session.scalar(select(User).where(User.username == normalized(username)))
    if user is None:
        raise AppError(ErrorCode.USER_NOT_FOUND, f"There is no user {username!r}.")
    return user


def get(user_id: UUID) -> User:
    """Return the user with this id.

    Raises:
        AppError: USER_NOT_FOUND.
    """
    user = db.session.get(User, user_id)
    if user is None:
        raise AppError(ErrorCode.USER_NOT_FOUND, id=str(user_id))
    return user


def acting(user_id: UUID) -> Actor | None:
    """Return a user as one who asks, for work in that user's name; None once the user was deactivated."""
    user = db.session.get(User, user_id, populate_existing=True)
    return Actor(user.id, user.username, Role(user.role)) if user is not None and user.is_active else None


def page(*, page: int, per_page: int, sort: str = "username", is_active: bool | None = None) -> Page:
    """Return one page of users."""
    statement = select(User).order_by(ordering(sort, SORT_FIELDS), User.id)
    if is_active is not None:
        statement = statement.where(User.is_active == is_active)
    return page_of(db.session, statement, page=page, per_page=per_page)


def change(user_id: UUID, *, role: Role | None = None, is_active: bool | None = None) -> User:
    """Give a user another role, deactivate or activate one. Deactivated, a user loses access at once.

    Raises:
        AppError: USER_NOT_FOUND, USER_LAST_ADMIN.
    """
    admins = _lock_active_admins()
    user = get(user_id)
    if role is not None:
        user.role = role
    if is_active is not None:
        user.is_active = is_active
    if admins == [user_id] and not (user.role == Role.ADMIN and user.is_active):
        db.session.rollback()
        raise AppError(ErrorCode.USER_LAST_ADMIN)
    if not user.is_active:
        _end_sessions(user)
    db.session.commit()
    return user


def set_password(user_id: UUID, password: str) -> None:
    """Set a user's password, as an administrator does when it was forgotten. All the user's sessions end.

    Raises:
        AppError: USER_NOT_FOUND, PASSWORD_UNFIT.
    """
    password_hash = hash_password(password)  # takes long: no transaction is open meanwhile
    user = get(user_id)
    user.password_hash = password_hash
    _end_sessions(user)
    db.session.commit()


def _lock_active_admins() -> list[UUID]:
    """Return who they are, in an order, so that two who demote each other wait instead of both succeeding."""
    admins = select(User.id).where(User.role == Role.ADMIN, User.is_active).order_by(User.id)
    return list(db.session.scalars(admins.with_for_update()))


def _end_sessions(user: User) -> None:
    db.session.execute(
        update(LoginSession)
        .where(LoginSession.user_id == user.id, LoginSession.ended_at.is_(None))
        .values(ended_at=now_ms())
    )

"""Callbacks: who is to be told of a task's end, how that can be believed, and what came of it."""

import hashlib
import hmac
from uuid import UUID

from flask import current_app
from sqlalchemy import select, update

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import CallbackState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Callback, Project, Task
from app.models.callback import LONGEST_URL
from app.utils import outward
from app.utils.clock import now_ms
from app.viewModels.access import visible

__all__ = ["LONGEST_URL", "check", "key", "log_of", "record", "signature", "wait_again"]


def allows_private() -> bool:
    """Whether this server may call addresses that only it and its neighbors can reach."""
    return current_app.config["SETTINGS"].callback_private_addresses == "allow"


def check(url: str) -> None:
    """Refuse an address that cannot be called. Its name is looked up: hold no transaction.

    Raises:
        AppError: CALLBACK_REFUSED.
    """
    try:
        outward.check(url, allows_private=allows_private())
    except outward.AddressRefused as error:
        raise AppError(ErrorCode.CALLBACK_REFUSED, str(error), path="callback_url") from error


def record(task_id: UUID, url: str) -> None:
    """Note in the caller's transaction, which submits the task, whom to tell of its end."""
    row = {"id": new_id(), "task_id": task_id, "url": url, "state": CallbackState.WAITING, "n_tried": 0}
    db.session.connection().execute(Callback.__table__.insert(), row | {"attempts": [], "created_at": now_ms()})


def wait_again(task_id: UUID) -> None:
    """Let those who are told of a task's end wait for the next one, in the caller's transaction, which begins it."""
    again = update(Callback).where(Callback.task_id == task_id)
    db.session.execute(again.values(state=CallbackState.WAITING, n_tried=0, next_at=None, give_up_at=None))


def log_of(task_id: UUID, *, actor: Actor) -> list[Callback]:
    """Return the callbacks of a task, with every try.

    Raises:
        AppError: TASK_NOT_FOUND.
    """
    task = visible(Task, task_id, to=actor, needs=Scope.TASK_READ)
    return list(db.session.scalars(select(Callback).where(Callback.task_id == task.id).order_by(Callback.id)))


def key(project_id: UUID, *, actor: Actor) -> str:
    """Return the key with which the callbacks of a project's tasks are signed, for those who may submit some.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING.
    """
    return _key(visible(Project, project_id, to=actor, needs=Scope.TASK_WRITE).id)


def signature(project_id: UUID, timestamp: int, body: bytes) -> str:
    """Return what proves that a body left this server at that time (Unix s): the HMAC of both under the key."""
    return hmac.new(_key(project_id).encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def _key(project_id: UUID) -> str:
    """Each project's own, made from the server's secret: nothing is stored, and no project knows another's."""
    secret = current_app.config["SETTINGS"].secret_key.encode()
    return hmac.new(secret, b"setpoint.callbacks:" + project_id.bytes, hashlib.sha256).hexdigest()

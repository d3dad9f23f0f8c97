"""What a Socket.IO client can say: connect with a token, ``subscribe`` to a task, ``unsubscribe``.

    subscribe {"task_id": "...", "after": 17}  ->  {"ok": true} or {"ok": false, "problem": {...}}

After that the client is told ``task_event`` for every event with a number above ``after`` (0: from the beginning), or
``unsubscribed`` once it may not follow the task any more.
"""

from contextlib import suppress
from typing import Any
from uuid import UUID

from flask import current_app, request
from flask_socketio import ConnectionRefusedError

from app.extensions import socketio
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.utils import sqlite
from app.utils.paging import LARGEST_NUMBER
from app.viewModels import accounts, task_log, tasks, tokens


@socketio.on("connect")
def connect(auth: Any = None) -> None:
    """Admit a client that brings an access token: ``auth: {"token": "..."}``."""
    try:
        actor = tokens.actor_of_access_token(str(auth.get("token", "")) if isinstance(auth, dict) else "")
    except AppError as error:
        raise ConnectionRefusedError(error.detail, _told(error)) from error
    _actors()[request.sid] = actor


@socketio.on("disconnect")
def disconnect(_reason: str | None = None) -> None:
    """Forget the client."""
    _actors().pop(request.sid, None)


@socketio.on("subscribe")
def subscribe(message: Any) -> dict[str, Any]:
    """Follow a task's events from a number on."""
    known = _actors().get(request.sid)
    try:
        task_id, after = _parse(message)
        _check(known, task_id)
    except AppError as error:
        return {"ok": False, "problem": _told(error)}
    app = current_app._get_current_object()

    def fetch(number: int) -> list[dict[str, Any]]:
        with app.app_context(), sqlite.reading():
            return task_log.after(task_id, number, limit=tasks.EVENTS_A_PAGE)

    def may_follow() -> bool:
        with app.app_context(), sqlite.reading(), suppress(AppError):
            _check(known, task_id)
            return True
        return False

    room = task_log.room(task_id)
    socketio.server.manager.follow(request.sid, room, after=after, fetch=fetch, may_follow=may_follow)
    return {"ok": True}


@socketio.on("unsubscribe")
def unsubscribe(message: Any) -> dict[str, Any]:
    """Stop following a task."""
    try:
        task_id, _after = _parse(message)
    except AppError as error:
        return {"ok": False, "problem": _told(error)}
    socketio.server.manager.unfollow(request.sid, task_log.room(task_id))
    return {"ok": True}


def _actors() -> dict[str, Actor]:
    return current_app.extensions.setdefault("socket_actors", {})


def _check(known: Actor | None, task_id: UUID) -> None:
    """Refuse a client whose session has ended, or who may not see the task."""
    actor = known and accounts.actor_of(known.id, known.session_id)
    if actor is None:
        raise AppError(ErrorCode.SESSION_ENDED)
    tasks.get(task_id, actor=actor)


def _parse(message: Any) -> tuple[UUID, int]:
    try:
        task_id, after = UUID(str(message["task_id"])), int(message.get("after", 0))
        if not 0 <= after <= LARGEST_NUMBER:
            raise ValueError(after)
        return task_id, after
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise AppError(
            ErrorCode.INVALID_INPUT,
            'Send {"task_id": "<uuid>", "after": <number>}.',
            given=repr(message)[:200],
        ) from error


def _told(error: AppError) -> dict[str, Any]:
    code = error.error
    return problem(code=code.code, title=code.title, status=code.status, detail=error.detail, details=error.details)

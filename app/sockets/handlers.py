"""What a Socket.IO client can say, each answered with ``{"ok": true}`` or ``{"ok": false, "problem": {...}}``.

    connect             auth: {"token": "..."}
    authenticate        {"token": "..."}                   a fresh one, before the old one expires or within a minute
    subscribe           {"task_id": "...", "after": 17}    then it is told ``task_event`` for every event above 17
    unsubscribe         {"task_id": "..."}
    subscribe_tasks                                        then ``task_changed`` whenever a task of its list changes
    unsubscribe_tasks

It is told ``unsubscribed`` with a reason, and the number of the last event, when the task or the right to follow ends,
and ``tasks_unsubscribed`` with a reason in place of further ``task_changed``.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from flask import current_app, request
from flask_socketio import ConnectionRefusedError

from app.extensions import socketio
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.sockets.clients import Clients, room
from app.sockets.courier import Courier
from app.utils import sqlite
from app.utils.paging import LARGEST_NUMBER
from app.viewModels import tasks, tokens

MOST_FOLLOWED = 200  # tasks, over one connection


@socketio.on("connect")
def connect(auth: Any = None) -> None:
    """Admit a client that brings an access token."""
    try:
        _clients().admit(request.sid, tokens.actor_of_access_token(_token(auth)))
    except AppError as error:
        raise ConnectionRefusedError(error.detail, _told(error)) from error


@socketio.on("disconnect")
def disconnect(_reason: str | None = None) -> None:
    """Forget the client."""
    _clients().forget(request.sid)


def answers(event: str) -> Callable:
    """Register a handler; what it raises at a client becomes its answer. Handlers only read."""

    def decorate(handler: Callable[[Any], dict[str, Any] | None]) -> Callable:
        @socketio.on(event)
        @wraps(handler)
        def answered(message: Any = None) -> dict[str, Any]:
            try:
                with sqlite.reading():
                    return {"ok": True, **(handler(message) or {})}
            except AppError as error:
                return {"ok": False, "problem": _told(error)}

        return answered

    return decorate


@answers("authenticate")
def authenticate(message: Any) -> dict[str, Any]:
    """Take a fresh token in place of the one that the client connected with."""
    actor = tokens.actor_of_access_token(_token(message))
    _clients().renew(request.sid, actor)
    return {"expires_at": actor.expires_at}


@answers("subscribe")
def subscribe(message: Any) -> None:
    """Follow a task's events from a number on."""
    actor = _clients().actor_of(request.sid)
    task_id, after = _parse(message)
    tasks.get(task_id, actor=actor)
    if len(set(_courier().followed_by(request.sid)) - {task_id}) >= MOST_FOLLOWED:
        raise AppError(ErrorCode.TOO_MANY_REQUESTS, f"A connection follows at most {MOST_FOLLOWED} tasks.")
    _courier().follow(request.sid, task_id, after)


@answers("unsubscribe")
def unsubscribe(message: Any) -> None:
    """Stop following a task."""
    task_id, _after = _parse(message)
    _courier().unfollow(request.sid, task_id)


@answers("subscribe_tasks")
def subscribe_tasks(_message: Any = None) -> None:
    """Be told of every change in the user's list of tasks."""
    _clients().watch_tasks(request.sid, _clients().actor_of(request.sid))


@answers("unsubscribe_tasks")
def unsubscribe_tasks(_message: Any = None) -> None:
    """Stop being told of them."""
    socketio.server.leave_room(request.sid, room(_clients().actor_of(request.sid).id))


def _clients() -> Clients:
    return current_app.extensions["socket_clients"]


def _courier() -> Courier:
    return current_app.extensions["task_courier"]


def _token(message: Any) -> str:
    return str(message.get("token", "")) if isinstance(message, dict) else ""


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

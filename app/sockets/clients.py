"""Who is connected, and whether they still may be: tokens expire, sessions end, members leave while a connection lives.

A thread looks at all clients once a second, with one question to the database for all sessions and one for each user.
"""

import threading
import time
from collections import defaultdict
from typing import Any
from uuid import UUID

import structlog
from flask import Flask

from app.libs.actor import Actor
from app.libs.enums import EndReason
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.sockets.courier import Courier
from app.sockets.delivery import FeedingManager
from app.utils.clock import now_ms
from app.viewModels import accounts, task_stream, tasks
from app.viewModels.task_lists import TaskList

LOOK_S = 1.0
QUIET_S = 5.0  # how often lists are looked at while no event is heard: Redis may be away
SIGN_IN_WITHIN_S = 60.0  # who is not signed in for so long is disconnected
NAME_WITHIN_S = 10.0  # a connection that never said who it is, is closed after so long
LIST_EVENT, LIST_END_EVENT = "task_changed", "tasks_unsubscribed"

log = structlog.get_logger(__name__)


class Client:
    """A connected client: whom it speaks for, and since when it speaks for nobody."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.out_since: float | None = None


class Clients:
    """The Socket.IO clients of this process."""

    def __init__(self, app: Flask, manager: FeedingManager, courier: Courier) -> None:
        self._app = app
        self._manager = manager
        self._courier = courier
        self._clients: dict[str, Client] = {}
        self._lists: dict[UUID, TaskList] = {}  # of the users of whom somebody watches the list
        self._heard, self._listed_at = 0, 0.0
        self._nameless: dict[str, float] = {}  # connections without a client, and since when
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to look after the clients."""
        threading.Thread(target=self._look_forever, name="socket-clients", daemon=True).start()

    def admit(self, sid: str, actor: Actor) -> None:
        """Let a client in."""
        self._clients[sid] = Client(actor)

    def renew(self, sid: str, actor: Actor) -> None:
        """Take a fresh token of the same user.

        Raises:
            AppError: TOKEN_INVALID.
        """
        client = self._clients[sid]
        if actor.id != client.actor.id:
            raise AppError(ErrorCode.TOKEN_INVALID, "It is another user's; connect anew with it.")
        client.actor, client.out_since = actor, None

    def actor_of(self, sid: str) -> Actor:
        """Return whom a client speaks for.

        Raises:
            AppError: TOKEN_EXPIRED, SESSION_ENDED.
        """
        client = self._clients.get(sid)
        if client and client.actor.expires_at is not None and client.actor.expires_at <= now_ms():
            raise AppError(ErrorCode.TOKEN_EXPIRED)
        actor = client and accounts.actor_of(client.actor.id, client.actor.session_id)
        if actor is None:
            raise AppError(ErrorCode.SESSION_ENDED)
        return actor

    def forget(self, sid: str) -> None:
        """Forget a client that has gone."""
        self._clients.pop(sid, None)
        for task_id in self._courier.followed_by(sid):
            self._courier.unfollow(sid, task_id)

    def watch_tasks(self, sid: str, actor: Actor) -> None:
        """Tell a client of every change of a task that its user may see, from now on."""
        with self._lock:
            known = self._lists.get(actor.id)
            if known is None:
                known = self._lists[actor.id] = TaskList()
                known.changes(actor)
        self._manager.enter_room(sid, "/", room(actor.id))

    def look(self) -> None:
        """Let go of everybody who may follow no more, and tell those who watch a list what has changed in it."""
        self._close_nameless()
        clients = dict(self._clients)
        if not clients:
            return
        signed_in = accounts.signed_in([client.actor.session_id for client in clients.values()])
        allowed: dict[Actor, list[str]] = defaultdict(list)
        for sid, client in clients.items():
            actor = signed_in.get(client.actor.session_id)
            if client.actor.expires_at is not None and client.actor.expires_at <= now_ms():
                self._shut_out(sid, client, EndReason.TOKEN_EXPIRED)
            elif actor is None:
                self._shut_out(sid, client, EndReason.SESSION_ENDED)
            else:
                allowed[actor].append(sid)
        for actor, sids in allowed.items():
            self._look_at_rights(actor, sids)
        self._tell_lists(allowed)
        for sid in self._courier.sids() - set(self._clients):
            self.forget(sid)  # it went while it was subscribing

    def _look_at_rights(self, actor: Actor, sids: list[str]) -> None:
        followed = {sid: set(self._courier.followed_by(sid)) for sid in sids}
        wanted = set().union(*followed.values())
        lost = wanted - tasks.which_visible(wanted, actor) if wanted else set()
        for sid, task_ids in followed.items():
            for task_id in task_ids & lost:
                self._courier.unfollow(sid, task_id, EndReason.NOT_FOUND)

    def _shut_out(self, sid: str, client: Client, reason: EndReason) -> None:
        for task_id in self._courier.followed_by(sid):
            self._courier.unfollow(sid, task_id, reason)
        if room(client.actor.id) in self._manager.get_rooms(sid, "/"):
            self._manager.leave_room(sid, "/", room(client.actor.id))
            self._manager.put(sid, self._manager.pack(LIST_END_EVENT, {"reason": reason.value}))
        client.out_since = client.out_since or time.monotonic()
        if time.monotonic() - client.out_since > SIGN_IN_WITHIN_S:
            self._manager.server.disconnect(sid)

    def _tell_lists(self, present: dict[Actor, Any]) -> None:
        n_heard, now = self._manager.n_heard, time.monotonic()
        if n_heard == self._heard and now - self._listed_at < QUIET_S:
            return
        self._heard, self._listed_at = n_heard, now
        with self._lock:
            for actor in {actor.id: actor for actor in present}.values():
                if actor.id in self._lists and any(self._manager.get_participants("/", room(actor.id))):
                    for change in self._lists[actor.id].changes(actor):
                        self._manager.emit_here(LIST_EVENT, change, room(actor.id))
                else:
                    self._lists.pop(actor.id, None)

    def _close_nameless(self) -> None:
        server, now = self._manager.server, time.monotonic()
        named = {self._manager.eio_sid_from_sid(sid, "/") for sid in self._clients}
        open_now = {eio_sid for eio_sid, connection in list(server.eio.sockets.items()) if not connection.closed}
        self._nameless = {eio_sid: self._nameless.get(eio_sid, now) for eio_sid in open_now - named}
        for eio_sid, since in self._nameless.items():
            if now - since > NAME_WITHIN_S:
                server.eio.disconnect(eio_sid)

    def _look_forever(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            try:
                task_stream.in_context(self._app, self.look)
            except Exception:
                log.warning("look_failed", exc_info=True)  # the database is away; it will be back


def room(user_id: UUID) -> str:
    """Return the room in which the changes of a user's task list are told."""
    return f"user:{user_id}"

"""Delivery of task events: every subscriber gets every event once, in order, however the messages come.

Emits of several processes may reach this one out of order, twice or, while Redis restarts, not at all. So each
subscription keeps the number that it has told last. An event that comes too early makes it read what is missing from
the log; one that it has told already is dropped.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import socketio as library

from app.viewModels.task_feed import Feeds
from app.viewModels.task_log import SOCKET_EVENT

Send = Callable[[dict[str, Any]], None]
Fetch = Callable[[int], list[dict[str, Any]]]
Ask = Callable[[], bool]

END_EVENT = "unsubscribed"
RIGHTS_LAST_S = 1.0  # after this, whether the client may still follow is asked again


class Subscription:
    """One client following one task.

    Args:
        after: number of the last event that the client has.
        fetch: gives the next events of the log after a number, some at a time, and none at its end.
        send: tells the client of one event.
        may_follow: whether the client still has the right to.
    """

    def __init__(self, after: int, *, fetch: Fetch, send: Send, may_follow: Ask) -> None:
        self._last = after
        self._fetch = fetch
        self._send = send
        self._may_follow = may_follow
        self._asked_at = time.monotonic()
        self._lock = threading.Lock()

    def is_allowed(self) -> bool:
        """Whether the client may still follow. Sessions end and members leave while a connection lives."""
        if time.monotonic() - self._asked_at < RIGHTS_LAST_S:
            return True
        self._asked_at = time.monotonic()
        return self._may_follow()

    def offer(self, event: dict[str, Any]) -> None:
        """Tell the client of an event, and before it of those that it has missed."""
        with self._lock:
            if event["number"] == self._last + 1:
                self._tell(event)
            elif event["number"] > self._last:
                self._catch_up()

    def catch_up(self) -> None:
        """Tell the client everything in the log that it has not been told."""
        with self._lock:
            self._catch_up()

    def _catch_up(self) -> None:
        while events := self._fetch(self._last):
            for event in events:
                self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        self._send(event)
        self._last = event["number"]


class OrderedDelivery(library.Manager):
    """A client manager that hands task events to subscriptions, not to rooms as they come."""

    feeds: Feeds

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._subscriptions: dict[tuple[str, str], Subscription] = {}

    def follow(self, sid: str, room: str, *, after: int, fetch: Fetch, may_follow: Ask) -> None:
        """Let a client follow a room's events from the one after ``after``: first what is in the log, then live."""

        def send(event: dict[str, Any]) -> None:
            super(OrderedDelivery, self).emit(SOCKET_EVENT, event, namespace="/", room=sid)

        subscription = Subscription(after, fetch=fetch, send=send, may_follow=may_follow)
        self._subscriptions[sid, room] = subscription
        self.enter_room(sid, "/", room)  # from here on live events are offered; they wait for the lock
        subscription.catch_up()

    def unfollow(self, sid: str, room: str) -> None:
        """End a subscription. Ending one that is not there changes nothing."""
        self._subscriptions.pop((sid, room), None)
        self.leave_room(sid, "/", room)

    def emit(self, event: str, data: Any, namespace: str, room: str | None = None, **kwargs: Any) -> None:
        """Emit locally; a task event goes through the subscriptions of its room, of which some may have to end."""
        if event != SOCKET_EVENT:
            super().emit(event, data, namespace, room=room, **kwargs)
            return
        self.feeds.offer(data)
        for key in [key for key in list(self._subscriptions) if key[1] == room]:
            subscription = self._subscriptions.get(key)
            if subscription and subscription.is_allowed():
                subscription.offer(data)
            elif subscription:
                self.unfollow(*key)
                super().emit(END_EVENT, {"task_id": data["task_id"]}, namespace="/", room=key[0])

    def disconnect(self, sid: str, namespace: str, **kwargs: Any) -> Any:
        """Forget a client and its subscriptions."""
        for key in [key for key in list(self._subscriptions) if key[0] == sid]:
            self._subscriptions.pop(key, None)
        return super().disconnect(sid, namespace, **kwargs)


class LocalManager(OrderedDelivery):
    """Delivery within one process, for tests."""


class QueueManager(library.RedisManager, OrderedDelivery):
    """Delivery across processes. RedisManager hands what it receives to the next ``emit`` in line: ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_listening = False
        self._beginning = threading.Lock()

    def initialize(self) -> None:
        """Begin to listen: at the first client, of whichever kind. The second time nothing happens."""
        with self._beginning:
            if not self._is_listening:
                self._is_listening = True
                super().initialize()

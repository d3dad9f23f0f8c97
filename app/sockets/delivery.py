"""Client managers of python-socketio that hand task events to feeds, and let the courier write to single clients."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import engineio
import socketio as library
import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.viewModels.task_feed import Feeds
from app.viewModels.task_log import NEWS

PUBLISH_S = 2.0  # for so long an answer of Redis is waited for
SILENT_S = 2.0  # for so long it is not asked again after it did not answer

log = structlog.get_logger(__name__)


class FeedingManager(library.Manager):
    """Hands task events to the feeds of this process, not to rooms as they come."""

    feeds: Feeds
    on_first_client: Callable[[], None]
    n_heard = 0  # events of any task

    def emit(self, event: str, data: Any, namespace: str, room: str | None = None, **kwargs: Any) -> None:
        """Emit to the clients of this process."""
        if event == NEWS:
            self.n_heard += len(data)
            for told in data:
                self.feeds.offer(told)
        else:
            super().emit(event, data, namespace, room=room, **kwargs)

    def emit_here(self, event: str, data: Any, room: str) -> None:
        """Emit to the clients of this process that are in a room, and tell no other process."""
        library.Manager.emit(self, event, data, "/", room=room)

    def pack(self, event: str, data: dict[str, Any]) -> list[engineio.packet.Packet]:
        """Return the message as it goes over the wire."""
        packet = self.server.packet_class(library.packet.EVENT, namespace="/", data=[event, data])
        return [engineio.packet.Packet(engineio.packet.MESSAGE, packet.encode())]  # events are JSON, never binary

    def put(self, sid: str, packed: list[engineio.packet.Packet]) -> None:
        """Put a packed message into the client's queue."""
        connection = self._connection(sid)
        for packet in packed if connection else []:
            with suppress(engineio.exceptions.EngineIOError):  # it has just been closed
                connection.send(packet)

    def n_unsent(self, sid: str) -> int | None:
        """Return how many messages wait in the client's queue; None if it is gone."""
        connection = self._connection(sid)
        return connection.queue.qsize() if connection else None

    def cut(self, sid: str) -> None:
        """Close the client's connection, whether or not it takes anything."""
        environ = self.server.environ.get(self.eio_sid_from_sid(sid, "/"), {})
        if raw := environ.get("gunicorn.socket"):
            with suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)  # wakes the threads that read from it and write to it

    def _connection(self, sid: str) -> Any:
        connection = self.server.eio.sockets.get(self.eio_sid_from_sid(sid, "/"))
        return connection if connection and not connection.closed else None


class LocalManager(FeedingManager):
    """Delivery within one process, for tests."""

    def initialize(self) -> None:
        """Nothing needs to be listened to."""
        super().initialize()
        self.on_first_client()


class QueueManager(library.RedisManager, FeedingManager):
    """Delivery across processes. RedisManager hands what it receives to the next ``emit`` in line: ours."""

    def __init__(self, url: str, *, channel: str) -> None:
        super().__init__(url, channel=channel)
        self._is_listening = False
        self._beginning = threading.Lock()
        limits = {"socket_timeout": PUBLISH_S, "socket_connect_timeout": PUBLISH_S, "retry": Retry(NoBackoff(), 0)}
        self._out = Redis.from_url(url, **limits)
        self._silent_until = 0.0

    def _publish(self, data: dict[str, Any]) -> None:
        """Tell the other processes. While Redis is away nobody waits for it: they find events in the log themselves."""
        if time.monotonic() < self._silent_until:
            return
        try:
            self._out.publish(self.channel, self.json.dumps(data))
        except RedisError as error:
            self._silent_until = time.monotonic() + SILENT_S
            log.warning("events_not_told", error=str(error))

    def initialize(self) -> None:
        """Begin to listen: at the first client, of whichever kind. The second time nothing happens."""
        with self._beginning:
            if not self._is_listening:
                self._is_listening = True
                super().initialize()
                self.on_first_client()

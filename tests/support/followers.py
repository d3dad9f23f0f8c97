"""Light clients that follow a task live, and are cut off again and again."""

import http.client
import json
import random
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import websocket
from flask import Flask

from app.extensions import db
from app.libs.enums import EventType, TaskState
from app.viewModels import task_queue
from app.viewModels.task_queue import Lease

SOCKET_PATH = "/socket.io/?EIO=4&transport=websocket"
LOST = (OSError, http.client.HTTPException, websocket.WebSocketException)


def write(app: Flask, lease: Lease, n_events: int, *, at_once: int = 5, text: str = "") -> None:
    """Write so many events to the log, a few at a time, and then the task's end: three events more."""
    numbers = list(range(n_events))
    draw = random.Random(1)
    with app.app_context():
        while numbers:
            n_now = draw.randint(1, at_once)
            facts = [(EventType.METRIC, {"value": number, "text": text}) for number in numbers[:n_now]]
            task_queue.write(lease, facts)
            db.session.commit()
            del numbers[:n_now]
        task_queue.end(lease, TaskState.SUCCEEDED, result={})
        db.session.commit()


@dataclass
class Client:
    """Follows a task, and is cut off after every few events until it has been told the end."""

    url: str
    token: str
    task_id: str
    seed: int = 0
    shortest: int = 10  # so many events before a cut, at least and at most
    longest: int = 100
    told: list[int] = field(default_factory=list)
    n_cuts: int = 0
    reason: str = ""

    def run(self) -> None:
        """Follow to the end, with a pause after every cut; one that is dropped as too slow goes on."""
        draw = random.Random(self.seed)
        while self.reason in ("", "stream.too_slow"):
            self.reason = ""
            with suppress(*LOST):
                self.read(at_most=draw.randint(self.shortest, self.longest))
            time.sleep(draw.uniform(0, 0.2))

    @property
    def last(self) -> int:
        """The number of the event that was told last."""
        return self.told[-1] if self.told else 0

    def keep(self, event: dict[str, Any]) -> None:
        """Note an event."""
        self.told.append(event["number"])


class SocketClient(Client):
    """Socket.IO over a WebSocket, message by message."""

    def read(self, at_most: int) -> None:
        """Connect, and read so many events unless the end comes first."""
        connection = connect(self.url, self.token)
        try:
            say(connection, "subscribe", {"task_id": self.task_id, "after": self.last})
            for _ in range(at_most):
                name, data = hear(connection)
                if name == "task_event":
                    self.keep(data)
                elif name == "unsubscribed":
                    self.reason = data["reason"]
                    return
            self.n_cuts += 1
        finally:
            cut(connection.sock)
            connection.shutdown()


class EventSource(Client):
    """Server-sent events, line by line."""

    def read(self, at_most: int) -> None:
        """Connect, and read so many events unless the end comes first."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream", "Last-Event-ID": self.last}
        try:
            connection.request("GET", f"/api/v1/tasks/{self.task_id}/events", headers=headers)
            self.read_lines(connection.getresponse(), at_most)
            self.n_cuts += not self.reason
        finally:
            cut(connection.sock)
            connection.close()

    def read_lines(self, answer: http.client.HTTPResponse, at_most: int) -> None:
        """Read so many events unless the end comes first."""
        while at_most > 0 and not self.reason and (line := answer.readline()):
            if line.startswith(b"data: ") and line.endswith(b"\n"):
                event = json.loads(line[6:])
                at_most -= 1
                if "number" in event:
                    self.keep(event)
                else:
                    self.reason = event["reason"]


def connect(url: str, token: str, **options: Any) -> websocket.WebSocket:
    """Return a connection that has been let in."""
    connection = websocket.create_connection(url.replace("http", "ws") + SOCKET_PATH, timeout=60, **options)
    connection.recv()
    connection.send("40" + json.dumps({"token": token}))
    assert connection.recv().startswith("40")
    return connection


def say(connection: websocket.WebSocket, name: str, data: dict[str, Any]) -> None:
    """Send a message."""
    connection.send("42" + json.dumps([name, data]))


def hear(connection: websocket.WebSocket) -> list[Any]:
    """Return the next message, and answer the server's pings on the way."""
    while not (said := connection.recv()).startswith("42"):
        if said == "2":
            connection.send("3")
        elif not said:
            raise OSError("closed")
    return json.loads(said[2:])


def cut(raw: socket.socket | None) -> None:
    """Let the connection be reset when it is closed, as if the network had broken."""
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

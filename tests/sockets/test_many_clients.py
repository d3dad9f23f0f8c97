"""Many clients at once on two gunicorn workers, cut off at random: every one gets every number once, in order.

``FANOUT=200,50,10000`` takes 200 Socket.IO clients, 50 readers of server-sent events and 10,000 events.
"""

import http.client
import json
import os
import random
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import websocket
from flask_jwt_extended import create_access_token

from app.extensions import db
from app.libs.enums import EventType, Queue, TaskKind, TaskState
from app.libs.ids import new_id
from app.models import LoginSession
from app.sockets.courier import PATIENCE_S
from app.viewModels import accounts, task_queue
from tests.conftest import PASSWORD
from tests.support.deployment import deployment
from tests.support.servers import wait_until

N_SOCKETS, N_READERS, N_EVENTS = (int(n) for n in os.environ.get("FANOUT", "24,8,600").split(","))
DEADLINE_S = 120 + (N_SOCKETS + N_READERS) * N_EVENTS / 1000
LOST = (OSError, http.client.HTTPException, websocket.WebSocketException)


@pytest.fixture(scope="module")
def server(migrated_app):
    settings = replace(migrated_app.config["SETTINGS"], web_threads=400)
    with deployment(settings, web_workers=2, celery=False) as url:
        yield url


@pytest.fixture
def lease(app, project, engineer):
    """A task in a worker's hands."""
    with app.app_context():
        task_queue.submit(TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer)
        db.session.commit()
        return task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=3_600_000)


@pytest.fixture
def token(app, engineer):
    """A token that outlives the longest test."""
    with app.app_context():
        accounts.login(username=engineer.username, password=PASSWORD)
        session_id = db.session.query(LoginSession.id).filter_by(user_id=engineer.id).scalar()
        life, claims = timedelta(hours=3), {"sid": str(session_id)}
        return create_access_token(str(engineer.id), expires_delta=life, additional_claims=claims)


def write(app, lease, n_events, *, at_once=5, text=""):
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
    seed: int
    told: list[int] = field(default_factory=list)
    n_cuts: int = 0
    reason: str = ""

    def run(self):
        draw = random.Random(self.seed)
        while not self.reason:
            with suppress(*LOST):
                self.read(at_most=draw.randint(N_EVENTS // 20, N_EVENTS // 3))
            time.sleep(draw.uniform(0, 0.2))

    @property
    def last(self):
        return self.told[-1] if self.told else 0

    def keep(self, event):
        self.told.append(event["number"])


class SocketClient(Client):
    """Socket.IO over a WebSocket, message by message."""

    def read(self, at_most):
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

    def read(self, at_most):
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream", "Last-Event-ID": self.last}
        try:
            connection.request("GET", f"/api/v1/tasks/{self.task_id}/events", headers=headers)
            self.read_lines(connection.getresponse(), at_most)
            self.n_cuts += not self.reason
        finally:
            cut(connection.sock)
            connection.close()

    def read_lines(self, answer, at_most):
        while at_most > 0 and not self.reason and (line := answer.readline()):
            if line.startswith(b"data: ") and line.endswith(b"\n"):
                event = json.loads(line[6:])
                at_most -= 1
                if "number" in event:
                    self.keep(event)
                else:
                    self.reason = event["reason"]


def connect(url, token, **options):
    connection = websocket.create_connection(
        url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket", timeout=60, **options
    )
    connection.recv()
    connection.send("40" + json.dumps({"token": token}))
    assert connection.recv().startswith("40")
    return connection


def say(connection, name, data):
    connection.send("42" + json.dumps([name, data]))


def hear(connection):
    """Return the next message, and answer the server's pings on the way."""
    while not (said := connection.recv()).startswith("42"):
        if said == "2":
            connection.send("3")
        elif not said:
            raise OSError("closed")
    return json.loads(said[2:])


def cut(raw):
    """Let the connection be reset when it is closed, as if the network had broken."""
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_clients_cut_off_at_random_get_every_number_once_in_order(app, server, lease, token):
    kinds = [SocketClient] * N_SOCKETS + [EventSource] * N_READERS
    clients = [kind(server, token, str(lease.task_id), seed) for seed, kind in enumerate(kinds)]
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]

    for thread in threads:
        thread.start()
    write(app, lease, N_EVENTS)
    wait_until(lambda: all(client.reason for client in clients), "the end at every client", deadline_s=DEADLINE_S)

    everything = list(range(1, N_EVENTS + 5))
    assert [client for client in clients if client.told != everything] == []
    assert {client.reason for client in clients} == {"task.ended"}
    assert min(client.n_cuts for client in clients) >= 1


def test_a_client_that_takes_nothing_slows_nobody_and_is_told_or_cut_and_can_go_on(app, server, lease, token):
    stuck = connect(server, token, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    say(stuck, "subscribe", {"task_id": str(lease.task_id), "after": 0})
    lively = SocketClient(server, token, str(lease.task_id), 0)
    following = threading.Thread(target=lambda: lively.read(at_most=10**9), daemon=True)
    following.start()

    write(app, lease, 1800, at_once=100, text="x" * 12_000)  # more than the buffers of sockets hold
    wait_until(lambda: lively.reason, "the end at the lively client")
    over = time.monotonic() + PATIENCE_S + 1
    wait_until(lambda: time.monotonic() > over, "the end of the patience with the other")
    stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    heard = []
    with suppress(*LOST):
        while not heard or heard[-1][0] != "unsubscribed":
            heard.append(hear(stuck))
    stuck.shutdown()
    numbers = [data["number"] for name, data in heard if name == "task_event"]
    again = SocketClient(server, token, str(lease.task_id), 0, told=list(numbers))
    again.read(at_most=10**9)

    assert lively.told == list(range(1, 1805))
    assert len(numbers) < 1804
    assert [data["reason"] for name, data in heard if name == "unsubscribed"] in ([], ["stream.too_slow"])
    assert again.told == list(range(1, 1805))

"""Events that many clients follow live: deliveries a second, against bare Flask-SocketIO."""

import selectors
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

from flask_socketio import SocketIO
from websocket import WebSocket

from app.extensions import db
from app.libs.enums import EventType, Queue
from app.viewModels import task_queue
from benchmarks.report import Row
from benchmarks.site import Site, site
from tests.support.deployment import ROOT, deployment, environment
from tests.support.followers import connect, hear, say
from tests.support.servers import accepts, free_port, serve, server_folder

ROUNDS, N_CLIENTS, N_EVENTS, AT_ONCE = 5, 200, 400, 10
N_THREADS = 400  # every client holds one
PATIENCE_S = 120.0
MARK = b'"task_event"'


def measure() -> list[Row]:
    """Emit as much to as many clients, in turns; a web process each. Our events are in the log before they are told."""
    with site() as at, _bare(at) as bare_url, _served(at) as our_url:
        emitter = SocketIO(message_queue=at.settings.redis_url, channel="bare")
        turns = [
            (_ours(at, our_url), _deliveries_per_second(bare_url, at.token, "bare", lambda: _emit(emitter), n_before=1))
            for _ in range(ROUNDS)
        ]
    mine, theirs = (statistics.median(values) for values in zip(*turns, strict=True))
    return [
        Row(
            f"live events to {N_CLIENTS} clients: deliveries/s against bare Flask-SocketIO, which keeps nothing",
            [ours / bare for ours, bare in turns],
            ">= 0.7",
            f"{mine:.0f} against {theirs:.0f} deliveries/s",
        )
    ]


def _served(at: Site) -> AbstractContextManager[str]:
    return deployment(replace(at.settings, web_threads=N_THREADS), web_workers=1, celery=False)


@contextmanager
def _bare(at: Site) -> Iterator[str]:
    """Serve the bare one under the same gunicorn configuration."""
    port = free_port()
    bind = {"SETPOINT_WEB_BIND": f"127.0.0.1:{port}", "SETPOINT_WEB_THREADS": str(N_THREADS)}
    command = [sys.executable, "-c", "from gunicorn.app.wsgiapp import run; run()", "--chdir", ROOT]
    command += ["--config", ROOT / "gunicorn.py", "benchmarks.bare_socketio:app"]
    with (
        server_folder() as folder,
        serve(command, folder=folder, env=environment(at.settings) | bind, is_ready=lambda: accepts(port)),
    ):
        yield f"http://127.0.0.1:{port}"


def _ours(at: Site, url: str) -> float:
    task = at.submit()
    lease = task_queue.claim(Queue.DEFAULT, worker="benchmark", lease_ms=600_000)
    if lease is None or lease.task_id != task.id:
        raise RuntimeError(f"task {task.id} is not the next in line")

    def write() -> None:
        for first in range(0, N_EVENTS, AT_ONCE):
            task_queue.write(lease, [(EventType.METRIC, {"value": first + k}) for k in range(AT_ONCE)])
            db.session.commit()

    return _deliveries_per_second(url, at.token, str(task.id), write, n_before=2)


def _emit(emitter: SocketIO) -> None:
    for value in range(N_EVENTS):
        told = {"task_id": "bare", "number": value, "type": "metric", "at": time.time_ns(), "data": {"value": value}}
        emitter.emit("task_event", told, to="bare")


def _deliveries_per_second(url: str, token: str, task_id: str, emit: Callable[[], None], *, n_before: int) -> float:
    """Let all clients follow the task; return their deliveries a second, once they have what was there before."""
    with ExitStack() as open_sockets:
        clients = []
        for _ in range(N_CLIENTS):
            client = open_sockets.enter_context(_closing(connect(url, token)))
            say(client, "subscribe", {"task_id": task_id, "after": 0})
            for _ in range(n_before):
                hear(client)
            clients.append(client)
        began = time.perf_counter()
        emit()
        _count_down(clients, N_EVENTS)
        return N_CLIENTS * N_EVENTS / (time.perf_counter() - began)


@contextmanager
def _closing(client: WebSocket) -> Iterator[WebSocket]:
    try:
        yield client
    finally:
        client.shutdown()


def _count_down(clients: list[WebSocket], n_events: int) -> None:
    """Read what the clients get until each has so many events; cheaply, since it is the server that is measured."""
    left = {client.sock: n_events for client in clients}
    tails = dict.fromkeys(left, b"")
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for each in left:
            selector.register(each, selectors.EVENT_READ)
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} clients still wait for events")
            for key, _ in selector.select(timeout=1.0):
                data = tails[key.fileobj] + key.fileobj.recv(1 << 16)
                tails[key.fileobj] = data[-len(MARK) + 1 :]
                left[key.fileobj] -= data.count(MARK)
                if not left[key.fileobj]:
                    selector.unregister(key.fileobj)
                    del left[key.fileobj]

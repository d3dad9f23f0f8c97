"""Many clients at once on two gunicorn workers, cut off at random: every one gets every number once, in order.

``FANOUT=200,50,10000`` takes 200 Socket.IO clients, 50 readers of server-sent events and 10,000 events.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from app.sockets.courier import PATIENCE_S
from tests.support.deployment import deployment
from tests.support.followers import LOST, EventSource, SocketClient, connect, hear, say, write
from tests.support.servers import wait_until

N_SOCKETS, N_READERS, N_EVENTS = (int(n) for n in os.environ.get("FANOUT", "24,8,600").split(","))
DEADLINE_S = 120 + (N_SOCKETS + N_READERS) * N_EVENTS / 1000


@pytest.fixture(scope="module")
def server(migrated_app):
    settings = replace(migrated_app.config["SETTINGS"], web_threads=400)
    with deployment(settings, web_workers=2, celery=False) as url:
        yield url


def test_clients_cut_off_at_random_get_every_number_once_in_order(app, server, lease, token):
    kinds = [SocketClient] * N_SOCKETS + [EventSource] * N_READERS
    cuts = {"shortest": N_EVENTS // 20, "longest": N_EVENTS // 3}
    clients = [kind(server, token, str(lease.task_id), seed, **cuts) for seed, kind in enumerate(kinds)]
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
    never_cut = {"shortest": 10**9, "longest": 10**9}
    lively = SocketClient(server, token, str(lease.task_id), **never_cut)
    threading.Thread(target=lively.run, daemon=True).start()

    write(app, lease, 1800, at_once=100, text="x" * 12_000)  # more than the buffers of sockets hold
    wait_until(lambda: lively.reason == "task.ended", "the end at the lively client", deadline_s=DEADLINE_S)
    over = time.monotonic() + PATIENCE_S + 1
    wait_until(lambda: time.monotonic() > over, "the end of the patience with the other")
    stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    heard = []
    with suppress(*LOST):
        while not heard or heard[-1][0] != "unsubscribed":
            heard.append(hear(stuck))
    stuck.shutdown()
    numbers = [data["number"] for name, data in heard if name == "task_event"]
    again = SocketClient(server, token, str(lease.task_id), told=list(numbers), **never_cut)
    again.run()

    assert lively.told == list(range(1, 1805))
    assert len(numbers) < 1804
    assert [data["reason"] for name, data in heard if name == "unsubscribed"] in ([], ["stream.too_slow"])
    assert again.told == list(range(1, 1805))

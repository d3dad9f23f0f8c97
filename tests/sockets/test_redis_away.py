"""While Redis is away nobody is woken, and every event is found in the log."""

import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.support.deployment import deployment
from tests.support.followers import EventSource, SocketClient, write
from tests.support.redis import valkey_server
from tests.support.servers import wait_until


@pytest.fixture
def cut_off(migrated_app):
    """A server with a Redis of its own, and what stops that Redis."""
    with ExitStack() as running, ExitStack() as redis:
        settings = replace(migrated_app.config["SETTINGS"], redis_url=redis.enter_context(valkey_server()))
        url = running.enter_context(deployment(settings, web_workers=1, celery=False))
        yield url, redis.close


def test_clients_are_told_everything_while_redis_is_away(app, cut_off, lease, token):
    server, stop_redis = cut_off
    clients = [kind(server, token, str(lease.task_id)) for kind in (SocketClient, EventSource)]
    for client in clients:
        threading.Thread(target=lambda client=client: client.read(at_most=10**9), daemon=True).start()
    wait_until(lambda: all(len(client.told) == 2 for client in clients), "the first events")

    stop_redis()
    write(app, lease, 50)
    wait_until(lambda: all(client.reason for client in clients), "the end at every client")

    assert [client.told for client in clients] == [list(range(1, 55))] * 2
    assert {client.reason for client in clients} == {"task.ended"}

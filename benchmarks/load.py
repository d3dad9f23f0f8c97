"""A load generator on the loopback interface: a few kept-alive connections, as fast as answers come."""

import socket
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit


def requests_per_second(url: str, headers: Mapping[str, str], *, n_connections: int = 4, seconds: float = 3.0) -> float:
    """Return how many GET requests a second the server answers, each with status 200."""
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    end = time.perf_counter() + seconds
    counts = [0] * n_connections

    def ask(k: int) -> None:
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < end:
                connection.sendall(request)
                _read_answer(connection)
                counts[k] += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(k,)) for k in range(n_connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def _read_answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {head[:80]!r}")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += _receive(connection)


def _receive(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65536)):
        raise RuntimeError("the server closed the connection")
    return data

"""A TCP proxy that cuts each connection after a random number of bytes, as bad networks do."""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class CuttingProxy:
    """Forwards connections to a server, and counts how many it has cut."""

    def __init__(self, url: str, *, seed: int, longest: int) -> None:
        self._target = urlsplit(url)
        self._random = random.Random(seed)
        self._longest = longest
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.n_cut = 0

    def serve(self) -> None:
        """Accept connections until closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._join, args=[client], daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _join(self, client: socket.socket) -> None:
        with client, socket.create_connection((self._target.hostname, self._target.port)) as server:
            back = threading.Thread(target=_pump, args=[client, server], daemon=True)
            back.start()
            if _pump(server, client, at_most=self._random.randint(300, self._longest)):
                self.n_cut += 1
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, at_most: int | None = None) -> bool:
    """Carry bytes over until one side closes. Returns whether ``at_most`` ended it."""
    carried = 0
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            part = data if at_most is None else data[: at_most - carried]
            sink.sendall(part)
            carried += len(part)
            if carried == at_most:
                return True
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
    return False


@contextmanager
def cutting_proxy(url: str, *, seed: int, longest: int = 5000) -> Iterator[CuttingProxy]:
    """Run a proxy before a server."""
    proxy = CuttingProxy(url, seed=seed, longest=longest)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()

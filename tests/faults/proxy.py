"""A TCP proxy in front of a server, which can be told to refuse, to cut, and to answer 503 in the server's place."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CUT_AFTER = 2000


@dataclass
class Proxy:
    """Where to connect to, and how it behaves: "pass", "refuse", "unavailable" (HTTP 503) or "cut" (mid-body)."""

    port: int
    mode: str = "pass"
    n_hit: int = 0
    open_sockets: list[socket.socket] = field(default_factory=list)

    def behave(self, mode: str) -> None:
        """Behave so from now on; connections that are open are cut unless all passes."""
        self.mode, self.n_hit = mode, 0
        if mode != "pass":
            for each in list(self.open_sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(target_port: int) -> Iterator[Proxy]:
    """Pass connections on to a port of this machine until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    state = Proxy(listener.getsockname()[1])
    threading.Thread(target=_accept, args=(listener, target_port, state), daemon=True).start()
    try:
        yield state
    finally:
        listener.close()
        state.behave("refuse")


def _accept(listener: socket.socket, target_port: int, state: Proxy) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, target_port, state), daemon=True).start()


def _serve(client: socket.socket, target_port: int, state: Proxy) -> None:
    if state.mode != "pass":
        state.n_hit += 1
    if state.mode == "refuse":
        client.close()
        return
    if state.mode == "unavailable":
        with suppress(OSError):
            client.recv(65536)
            client.sendall(UNAVAILABLE)
        client.close()
        return
    try:
        server = socket.create_connection(("127.0.0.1", target_port))
    except OSError:
        client.close()
        return
    state.open_sockets += [client, server]
    back = threading.Thread(target=_pump, args=(server, client, state), daemon=True)
    back.start()
    _pump(client, server, state)
    back.join()
    for each in (client, server):
        state.open_sockets.remove(each)
        each.close()


def _pump(source: socket.socket, sink: socket.socket, state: Proxy) -> None:
    n_bytes = 0
    with suppress(OSError):
        while data := source.recv(65536):
            n_bytes += len(data)
            if state.mode == "cut" and n_bytes > CUT_AFTER:
                break
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)

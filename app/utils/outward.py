"""Requests that this server makes to addresses which somebody else has named.

Such an address may be meant to reach what only this server can: its own machine, its neighbors, a cloud's metadata. So
a name is resolved here, every address that it has is looked at, and the connection goes to one of those that were
looked at: a name that leads elsewhere the next time it is asked for (DNS rebinding) changes nothing. Redirects are not
followed, a proxy of the environment is not asked, and of the answer no more than its head is read.
"""

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

CONNECT_S = 5
WHOLE_S = 15
"""Within which the whole exchange must be over, however slowly the other side speaks."""

_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[!-~]+")  # no spaces, no line breaks, no letters that need an encoding
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class AddressRefused(Exception):  # noqa: N818 (it is an answer)
    """This address is not one that this server calls. The message can be shown."""


class NoAnswer(Exception):  # noqa: N818
    """There was no answer. The message can be shown: it says no more than what kind of failure it was."""


@dataclass(frozen=True)
class Address:
    """A URL in its parts."""

    is_tls: bool
    host: str
    port: int
    path: str


def check(url: str, *, allows_private: bool = False) -> None:
    """Refuse a URL that ``post`` would refuse now.

    Raises:
        AddressRefused: it is not one of http or https, or does not lead to public addresses alone.
    """
    address = parse(url)
    _resolve(address, allows_private)


def post(url: str, body: bytes, headers: dict[str, str], *, allows_private: bool = False) -> int:
    """Send a body and return the status of the answer.

    Raises:
        AddressRefused: as ``check``.
        NoAnswer: nobody answered as HTTP does, or not in time.
    """
    address = parse(url)
    connection = _Connection(address, _resolve(address, allows_private))
    try:
        with _cut_off(connection, WHOLE_S):
            connection.request("POST", address.path, body=body, headers=headers | {"Connection": "close"})
            return connection.getresponse().status
    except TimeoutError as error:
        raise NoAnswer("It took too long.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"The connection failed ({type(error).__name__}).") from error
    finally:
        connection.close()


def parse(url: str) -> Address:
    """Return the parts of a URL.

    Raises:
        AddressRefused: it is not one that can be called.
    """
    try:
        parts = urlsplit(url if _PRINTABLE.fullmatch(url) else "")
        port = parts.port
    except ValueError as error:
        raise AddressRefused("It is not a URL.") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise AddressRefused("It must be a URL of http or https in ASCII, without spaces.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("It must not hold a user name or a password.")
    return Address(parts.scheme == "https", parts.hostname, port or _PORTS[parts.scheme], _path(parts))


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL: what may be shown to those who do not know the rest."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet can reach, and one machine's."""
    found = ip_address(address)
    inner = _inner(found) if isinstance(found, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    if isinstance(found, IPv6Address) and found not in _GLOBAL_UNICAST:
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _resolve(address: Address, allows_private: bool) -> list[str]:
    """Return the IP addresses of a host, all of which may be called.

    One message for all refusals: whoever asks shall not learn what names there are inside.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused("Its host does not lead to a public address.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not (allows_private or all(map(is_public, addresses))):
        raise AddressRefused("Its host does not lead to a public address.")
    return addresses


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were looked at. The host's name goes into the head and the check of
    the certificate, and is not resolved again."""

    def __init__(self, address: Address, ips: list[str]) -> None:
        super().__init__(address.host, address.port, timeout=CONNECT_S)
        self.default_port = _PORTS["https" if address.is_tls else "http"]  # which the head then leaves out
        self._ips = ips
        self._tls = ssl.create_default_context() if address.is_tls else None

    def connect(self) -> None:
        self.sock = self._reach()
        self.sock.settimeout(CONNECT_S)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock.do_handshake()  # only now: here it can be cut off

    def _reach(self) -> socket.socket:
        failed: OSError = OSError()
        for ip in self._ips[:2]:
            try:
                return socket.create_connection((ip, self.port), timeout=CONNECT_S)
            except OSError as error:
                failed = error
        raise failed


@contextlib.contextmanager
def _cut_off(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Cut a connection that is not done after so long: a time-out of the socket starts anew with every byte."""
    is_late = threading.Event()

    def cut() -> None:
        is_late.set()
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if is_late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if is_late.is_set():  # a head that was cut off can look like a whole one
        raise TimeoutError

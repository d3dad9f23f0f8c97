"""The promises of every object store. ``tests/utils/object_store/test_contract.py`` holds each to them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from app.utils.object_store.errors import ObjectLinkInvalid, ObjectNotFound
from app.utils.object_store.links import SignedLink
from app.utils.object_store.streams import Readable


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a put has stored: ``sha256`` in hex, known because every byte passed by."""

    key: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a store knows of an object without reading it; ``modified_ms`` is Unix milliseconds."""

    key: str
    n_bytes: int
    modified_ms: int


class ObjectStore(ABC):
    """Named, immutable streams of bytes.

    An object appears whole or not at all: a reader sees the bytes of one put, never a part or a mixture.
    Safe to share between threads and to carry into a forked process. Making one touches neither disk nor
    network.

    Every method raises ObjectStoreUnavailable when the store cannot do its work, and InvalidObjectKey
    for a key that `keys.check_key` refuses.
    """

    @abstractmethod
    def prepare(self) -> None:
        """Make the folder or bucket if it is not there yet."""

    @abstractmethod
    def ping(self) -> None:
        """Return when the store answers and takes our credentials; raise within a few seconds if not."""

    @abstractmethod
    def put(self, key: str, stream: Readable, *, size_limit: int | None = None) -> ObjectInfo:
        """Store the rest of the stream under the key, in bounded memory, in place of what was there.

        Raises:
            ObjectTooLarge: the stream is longer than ``size_limit`` bytes.
            Whatever the stream raises, unchanged. In both cases the store is as it was before.
        """

    @abstractmethod
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[BinaryIO]:
        """Read the object from byte ``offset`` on, at most ``length`` bytes, forward only.

        As with a file, a range that reaches past the end gives what there is, and that may be nothing.

        Raises:
            ObjectNotFound: there is no such object.
        """

    @abstractmethod
    def stat(self, key: str) -> ObjectStat:
        """Return size and time of the object, or raise ObjectNotFound."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield the objects whose key begins with the prefix, in the order of their keys."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; nothing happens if it is not there."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Store the source's bytes under the target too, or raise ObjectNotFound."""

    @abstractmethod
    def local_file(self, key: str) -> AbstractContextManager[Path]:
        """Lend the object as a file, only for reading and only inside the ``with`` block.

        Raises:
            ObjectNotFound: there is no such object.
        """

    @abstractmethod
    def signed_url(self, key: str, expires_in: timedelta, file_name: str) -> str:
        """Return a URL that gives the object as a download, without further rights, until it expires.

        It begins with a slash when our own server answers it (see `unsign`). Whether the object exists
        is seen only when the URL is used.

        Raises:
            ValueError: ``expires_in`` is not between one second and seven days.
        """

    def unsign(self, token: str) -> SignedLink:
        """Return what the token of a URL on our own server gives access to.

        Raises:
            ObjectLinkInvalid: it was not made here, was altered, or has expired.
        """
        raise ObjectLinkInvalid("links to this object store do not lead through this server")

    def sweep_temporary(self, older_than: timedelta) -> int:
        """Remove what killed puts have left behind, return how many. Never touches an object."""
        return 0

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object now."""
        try:
            self.stat(key)
        except ObjectNotFound:
            return False
        return True

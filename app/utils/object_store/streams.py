"""Streams on their way into a store and out of it."""

import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from app.utils.object_store.errors import ObjectTooLarge

BUFFER_BYTES = 256 * 1024


class Readable(Protocol):
    """Anything with ``read(size)`` that returns bytes, none at the end: a file, an upload, a response."""

    def read(self, size: int, /) -> bytes: ...


class MeasuredReader:
    """Counts and hashes what is read through it, and stops a stream that is longer than allowed."""

    def __init__(self, source: Readable, size_limit: int | None = None) -> None:
        self._source = source
        self._size_limit = size_limit
        self._sha256 = hashlib.sha256()
        self.n_bytes = 0

    @property
    def sha256(self) -> str:
        """The hash of what was read so far, in hex."""
        return self._sha256.hexdigest()

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end; a source, a socket for one, may answer short."""
        chunks: list[bytes] = []
        missing = size
        while missing and (chunk := self._source.read(missing)):
            self._measure(chunk)
            chunks.append(chunk)
            missing -= len(chunk)
        return b"".join(chunks)

    def _measure(self, chunk: bytes) -> None:
        self.n_bytes += len(chunk)
        if self._size_limit is not None and self.n_bytes > self._size_limit:
            raise ObjectTooLarge(self._size_limit)
        self._sha256.update(chunk)


class Window(io.RawIOBase):
    """At most ``length`` bytes of a source, forward only.

    ``in_our_words`` is entered around every read, so that what breaks while reading is told like what breaks
    while opening.
    """

    def __init__(
        self, source: Readable, length: int | None, in_our_words: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._source = source
        self._left = length
        self._in_our_words = in_our_words

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = len(buffer) if self._left is None else min(len(buffer), self._left)
        with self._in_our_words():
            data = self._source.read(size) if size else b""
        buffer[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
        return len(data)


def open_window(
    source: Readable, length: int | None, in_our_words: Callable[[], AbstractContextManager[None]]
) -> BinaryIO:
    """Return a buffered `Window`; closing it leaves the source open."""
    return io.BufferedReader(Window(source, length, in_our_words), BUFFER_BYTES)


def check_range(offset: int, length: int | None) -> None:
    """Raise ValueError unless both are counts of bytes."""
    if offset < 0 or (length is not None and length < 0):
        raise ValueError(f"offset and length must not be negative, got {offset} and {length}")

"""Objects in a folder: what one machine needs, and nothing to install."""

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from app.utils.object_store.errors import ObjectNotFound, ObjectStoreUnavailable
from app.utils.object_store.interface import ObjectInfo, ObjectStat, ObjectStore
from app.utils.object_store.keys import check_key, check_prefix
from app.utils.object_store.links import LinkSigner, SignedLink
from app.utils.object_store.streams import MeasuredReader, Readable, check_range, open_window

CHUNK_BYTES = 1024 * 1024
LINKS_URL = "/api/v1/objects"  # where the server answers links that `signed_url` made


class FolderObjectStore(ObjectStore):
    """A store in ``root``::

        root/objects/3f/datasets+0192a7+original   the object "datasets/0192a7/original"
        root/temporary/...                         puts under way

    The whole key is one file name under a folder taken from its hash, so no key can lead out of the
    root, "a" and "a/b" can both exist, and no folder grows too long. Symbolic links below the root are
    refused; the root itself may be one.
    """

    def __init__(self, root: Path, *, signing_key: str) -> None:
        self.root = Path(root).resolve()
        self._objects = self.root / "objects"
        self._temporary = self.root / "temporary"
        self._links = LinkSigner(signing_key)

    def __repr__(self) -> str:
        return f"FolderObjectStore({str(self.root)!r})"

    def prepare(self) -> None:
        with self._in_our_words():
            _make_folder(self._objects)
            _make_folder(self._temporary)

    def ping(self) -> None:
        with self._temporary_file():  # shows that the folder can be written
            pass

    def put(self, key: str, stream: Readable, *, size_limit: int | None = None) -> ObjectInfo:
        path = self._path(key)
        measured = MeasuredReader(stream, size_limit)
        with self._temporary_file() as (file, written):
            while chunk := measured.read(CHUNK_BYTES):
                with self._in_our_words():  # not around the read: an error of the stream is not ours
                    _write_all(file, chunk)
            with self._in_our_words():
                _publish(file, written, path)
        return ObjectInfo(key, measured.n_bytes, measured.sha256)

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        check_range(offset, length)
        with self._in_our_words(key):
            file = io.FileIO(self._path(key), opener=_open_plain)
        with file, open_window(file, length, self._in_our_words) as stream:
            file.seek(offset)
            yield stream

    def stat(self, key: str) -> ObjectStat:
        with self._in_our_words(key):
            status = self._path(key).lstat()
        return ObjectStat(key, status.st_size, status.st_mtime_ns // 1_000_000)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        check_prefix(prefix)
        with self._in_our_words():
            keys = sorted(path.name.replace("+", "/") for path in self._objects.glob("*/*"))
        for key in keys:
            if key.startswith(prefix):
                with suppress(ObjectNotFound):  # deleted since
                    yield self.stat(key)

    def delete(self, key: str) -> None:
        with self._in_our_words():
            self._path(key).unlink(missing_ok=True)

    def copy(self, source: str, target: str) -> None:
        check_key(target)
        with self.open(source) as stream:
            self.put(target, stream)

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        self.stat(key)
        yield self._path(key)

    def signed_url(self, key: str, expires_in: timedelta, file_name: str) -> str:
        return f"{LINKS_URL}/{self._links.sign(check_key(key), expires_in, file_name)}"

    def unsign(self, token: str) -> SignedLink:
        return self._links.unsign(token)

    def sweep_temporary(self, older_than: timedelta) -> int:
        oldest = time.time() - older_than.total_seconds()
        n_removed = 0
        with self._in_our_words():
            for path in self._temporary.glob("*"):
                with suppress(FileNotFoundError):  # its put has just ended
                    if path.lstat().st_mtime < oldest:
                        path.unlink()
                        n_removed += 1
        return n_removed

    def _path(self, key: str) -> Path:
        name = check_key(key).replace("/", "+")
        return self._without_links(self._objects / hashlib.sha256(key.encode()).hexdigest()[:2] / name)

    def _without_links(self, path: Path) -> Path:
        if path.resolve() != path:
            raise ObjectStoreUnavailable(f"{path} leads over a symbolic link; {self} follows none")
        return path

    @contextmanager
    def _temporary_file(self) -> Iterator[tuple[io.FileIO, Path]]:
        """A new file in the store's own file system, gone at the end unless `_publish` has moved it."""
        self.prepare()
        with self._in_our_words():
            descriptor, name = tempfile.mkstemp(dir=self._without_links(self._temporary))
        try:
            with io.FileIO(descriptor, "w") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    @contextmanager
    def _in_our_words(self, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if key is not None and isinstance(error, FileNotFoundError):
                raise ObjectNotFound(key) from error
            raise ObjectStoreUnavailable(
                f"the object store in {self.root} failed: {error.strerror or error}"
            ) from error


def _publish(file: io.FileIO, written: Path, path: Path) -> None:
    """Give the written file its name. After a crash the object is there whole, or not at all."""
    os.fsync(file.fileno())
    _make_folder(path.parent)
    os.replace(written, path)
    _sync_folder(path.parent)


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _write_all(file: io.FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:  # a raw write may take less than it is given
        left = left[file.write(left) :]


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make the names in the folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Objects in a bucket of any S3-compatible store, through the minio client."""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Object
from minio.error import MinioException, S3Error
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, MaxRetryError

from app.utils.object_store.errors import ObjectNotFound, ObjectStoreUnavailable
from app.utils.object_store.interface import ObjectInfo, ObjectStat, ObjectStore
from app.utils.object_store.keys import check_key, check_prefix
from app.utils.object_store.links import check_expiry, content_disposition
from app.utils.object_store.s3_http import S3Http
from app.utils.object_store.streams import MeasuredReader, Readable, check_range, open_window

PART_BYTES = 10 * 1024 * 1024  # S3 takes 10,000 parts: objects up to 100 GB; a put holds three at its peak
CHUNK_BYTES = 1024 * 1024
PROBE_TIMEOUT_S = 2.0
N_RETRIES = 2


class S3ObjectStore(ObjectStore):
    """A store in one bucket.

    A put that was killed leaves no object, but its parts may go on taking room on the server: give the bucket
    a lifecycle rule that aborts incomplete multipart uploads after a day.

    Making one raises ValueError when the endpoint or the region cannot be one.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        secure: bool = True,
        region: str = "us-east-1",
        timeout_s: float = 60.0,
    ) -> None:
        self.url = f"{'https' if secure else 'http'}://{endpoint}/{bucket}"
        self._bucket = bucket
        self._region = region
        self._timeout_s = timeout_s
        self._account = {
            "endpoint": endpoint,
            "access_key": access_key,
            "secret_key": secret_key,
            "secure": secure,
            "region": region,  # given, or the client would ask the server for it
        }
        self._pooled = os.getpid(), self._new_client(timeout_s, N_RETRIES)

    def __repr__(self) -> str:
        return f"S3ObjectStore({self.url!r})"

    def prepare(self) -> None:
        with self._in_our_words():
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket, location=self._region)

    def ping(self) -> None:
        probe = self._new_client(PROBE_TIMEOUT_S, n_retries=0)  # a new connection: an open one proves less
        with self._in_our_words():
            is_there = probe.bucket_exists(self._bucket)
        if not is_there:
            raise ObjectStoreUnavailable(f"there is no bucket at {self.url}")

    def put(self, key: str, stream: Readable, *, size_limit: int | None = None) -> ObjectInfo:
        check_key(key)
        measured = MeasuredReader(stream, size_limit)
        with self._in_our_words():
            self._client.put_object(
                self._bucket,
                key,
                measured,  # type: ignore[arg-type]  # all that the client calls is read(size)
                length=-1,
                part_size=PART_BYTES,
                num_parallel_uploads=1,  # more would hold more parts in memory
            )
        return ObjectInfo(key, measured.n_bytes, measured.sha256)

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        check_range(offset, length)
        check_key(key)
        with (
            closing(self._get(key, offset, length)) as source,
            open_window(source, length, self._in_our_words) as stream,
        ):
            yield stream

    def stat(self, key: str) -> ObjectStat:
        check_key(key)
        with self._in_our_words(key):
            found = self._client.stat_object(self._bucket, key)
        return _to_stat(key, found)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        check_prefix(prefix)
        with self._in_our_words():
            for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                if not found.is_dir:
                    yield _to_stat(found.object_name, found)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._in_our_words():
            self._client.remove_object(self._bucket, key)

    def copy(self, source: str, target: str) -> None:
        check_key(target)
        if source == target:
            self.stat(source)  # S3 refuses to copy an object onto itself
            return
        with self._in_our_words(check_key(source)):
            self._client.copy_object(self._bucket, target, CopySource(self._bucket, source))

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        with tempfile.NamedTemporaryFile(prefix="setpoint-") as file:
            with self.open(key) as stream:
                shutil.copyfileobj(stream, file, CHUNK_BYTES)
            file.flush()
            yield Path(file.name)

    def signed_url(self, key: str, expires_in: timedelta, file_name: str) -> str:
        return self._client.presigned_get_object(
            self._bucket,
            check_key(key),
            expires=check_expiry(expires_in),
            response_headers={"response-content-disposition": content_disposition(file_name)},
        )

    @property
    def _client(self) -> Minio:
        """The client of this process: a fork must not share its parent's connections."""
        if self._pooled[0] != os.getpid():
            self._pooled = os.getpid(), self._new_client(self._timeout_s, N_RETRIES)
        return self._pooled[1]

    def _new_client(self, timeout_s: float, n_retries: int) -> Minio:
        return Minio(**self._account, http_client=S3Http(timeout_s=timeout_s, n_retries=n_retries))

    def _get(self, key: str, offset: int, length: int | None) -> io.BytesIO | BaseHTTPResponse:
        """Return a stream that begins at ``offset``."""
        if length == 0:  # which a request cannot express
            self.stat(key)
            return io.BytesIO()
        with self._in_our_words(key):
            try:
                response = self._client.get_object(self._bucket, key, offset=offset, length=length or 0)
            except S3Error as error:
                if error.code == "InvalidRange":  # past the end
                    return io.BytesIO()
                raise
            if offset and "Content-Range" not in response.headers:  # a server that knows no ranges
                _skip(response, offset)
        return response

    @contextmanager
    def _in_our_words(self, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if key is not None and error.code == "NoSuchKey":
                raise ObjectNotFound(key) from error
            raise ObjectStoreUnavailable(
                f"the object store at {self.url} refused: {error.code}, {error.message}"
            ) from error
        except (MinioException, HTTPError, ParseError) as error:
            reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise ObjectStoreUnavailable(f"the object store at {self.url} failed: {reason}") from error


def _to_stat(key: str, found: Object) -> ObjectStat:
    return ObjectStat(key, found.size, int(found.last_modified.timestamp() * 1000))


def _skip(stream: Readable, n_bytes: int) -> None:
    while n_bytes and (chunk := stream.read(min(n_bytes, CHUNK_BYTES))):
        n_bytes -= len(chunk)

"""Handing out stored files: by a link that carries its own right, or to somebody who may read them."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.extensions import object_store
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.utils.object_store import ObjectLinkInvalid, ObjectNotFound

CHUNK = 256 * 1024


@dataclass(frozen=True)
class Download:
    """A stored file on its way out, in chunks."""

    file_name: str
    n_bytes: int
    chunks: Iterator[bytes]


def of_object(key: str, file_name: str) -> Download:
    """Return the download of a stored object.

    Raises:
        AppError: OBJECT_NOT_FOUND.
    """
    try:
        n_bytes = object_store.stat(key).n_bytes
    except ObjectNotFound as error:
        raise AppError(ErrorCode.OBJECT_NOT_FOUND) from error
    return Download(file_name, n_bytes, _chunks(key))


def of_link(token: str) -> Download:
    """Return the download that a signed link stands for.

    Raises:
        AppError: LINK_INVALID, OBJECT_NOT_FOUND.
    """
    try:
        link = object_store.unsign(token)
    except ObjectLinkInvalid as error:
        raise AppError(ErrorCode.LINK_INVALID, str(error)) from error
    return of_object(link.key, link.file_name)


def _chunks(key: str) -> Iterator[bytes]:
    with object_store.open(key) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk

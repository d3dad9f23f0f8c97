"""A file as it comes in, and what can be said of it without parsing it."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import BinaryIO, Protocol, Self

from flask import current_app

from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from engine.tables import HEAD_BYTES, FileFormat, sniff

LONGEST_NAME = 200


class IncomingFile(Protocol):
    """A name that is not to be trusted, and bytes that can be read twice."""

    filename: str | None
    stream: BinaryIO


@dataclass(frozen=True)
class Content:
    """What a file is, by its name, its first bytes, its size and its sha256."""

    file_name: str
    file_format: FileFormat
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, file: IncomingFile) -> Self:
        """Look at a file. Its stream is at its beginning again afterwards.

        Raises:
            AppError: TOO_LARGE.
            TableError: the name or the first bytes are not those of a table.
        """
        stream, file_name = file.stream, tidy_name(file.filename or "")
        n_bytes = stream.seek(0, 2)
        _check_size(n_bytes)
        stream.seek(0)
        file_format = sniff(stream.read(HEAD_BYTES), file_name)
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        return cls(file_name, file_format, n_bytes, sha256)


def tidy_name(given: str) -> str:
    """Return a file's name without folders and control characters, short enough to keep; its ending stays."""
    name = re.sub(r"[\x00-\x1f\x7f]", "", PureWindowsPath(given).name).strip()
    path = PurePath(name)
    return path.stem[: LONGEST_NAME - len(path.suffix)] + path.suffix if len(name) > LONGEST_NAME else name


def _check_size(n_bytes: int) -> None:
    largest = current_app.config["SETTINGS"].upload_max_bytes
    if n_bytes > largest:
        detail = f"The file has {n_bytes} bytes; this server takes {largest}."
        raise AppError(ErrorCode.TOO_LARGE, detail, n_bytes=n_bytes, largest=largest)

"""Which encoding a text file is in, and where it breaks.

UTF-8 is all but impossible to hit by chance, so a file that is valid UTF-8 is UTF-8. Otherwise the choice is
between GB18030, in which most Chinese characters are two bytes above 0x7f, and Windows-1252, in which the
signs of plant headings (degree, superscripts, umlauts) are single bytes among ASCII. The whole file is looked
at, since the first sign may come late.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from engine.errors import BadEncoding

CHUNK_BYTES = 1 << 20
_SAMPLE_RUNS = 10_000  # runs of bytes above 0x7f that are looked at, to tell GB18030 from Windows-1252

# What plants write beyond ASCII in western Europe. Anything else in a supposed Windows-1252 file is damage.
_WESTERN = frozenset("ÄÖÜäöüßÀÁÂÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕØÙÚÛàáâãåæçèéêëìíîïñòóôõøùúû°²³¹µ±·×÷§½¼¾€–—‘’“”…\xa0ªº«»™®©")


@dataclass(frozen=True)
class Break:
    """The first place where a file is not text in an encoding."""

    offset: int  # bytes before it
    found: bytes
    line: int  # from 1
    why: str


def guess_encoding(path: Path) -> str:
    """Return the encoding of a text file.

    Raises:
        BadEncoding: it is text in none of the encodings that are tried; details hold the bytes and the line.
    """
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(codecs.BOM_UTF8):
        return _checked(path, "utf-8-sig")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(path, "utf-16")
    not_utf_8 = find_break(path, "utf-8")
    if not_utf_8 is None:
        return "utf-8"
    runs = list(islice(_runs_beyond_ascii(path), _SAMPLE_RUNS))
    is_in_pairs = 2 * sum(len(run) % 2 == 0 for run in runs) >= len(runs)
    is_western = set(b"".join(runs).decode("cp1252", errors="replace")) <= _WESTERN
    if is_in_pairs and find_break(path, "gb18030") is None:
        return "gb18030"
    if is_western and not is_in_pairs and find_break(path, "cp1252") is None:
        return "cp1252"
    raise _refusal(not_utf_8, "utf-8, and not in gb18030 or cp1252 either; save it as UTF-8 or name its encoding")


def check_encoding(path: Path, encoding: str) -> None:
    """See that a file is text in this encoding from its first to its last byte.

    Raises:
        BadEncoding: it is not; the message shows the bytes and the line.
    """
    broken = find_break(path, encoding)
    if broken:
        raise _refusal(broken, encoding)


def find_break(path: Path, encoding: str) -> Break | None:
    """Return the first place where a file is not text in this encoding, None if it is."""
    decoder = codecs.getincrementaldecoder(encoding)()
    start = lines = 0
    for chunk in _chunks(path):
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            if not isinstance(error, UnicodeDecodeError):  # UTF-16 without its mark
                return Break(0, chunk[:4], 1, str(error))
            before = error.object[: error.start].decode(encoding, errors="ignore")
            offset = start - len(pending) + error.start
            found = error.object[error.start : max(error.end, error.start + 4)]
            return Break(offset, found, lines + before.count("\n") + 1, error.reason)
        if "\0" in text:
            line = lines + text[: text.index("\0")].count("\n") + 1
            return Break(start + chunk.find(b"\0"), b"\0", line, "a zero byte, as in binary or UTF-16 files")
        start += len(chunk)
        lines += text.count("\n")
    return None


def _checked(path: Path, encoding: str) -> str:
    check_encoding(path, encoding)
    return encoding


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the file piece by piece, and an empty piece at its end."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
    yield b""


def _runs_beyond_ascii(path: Path) -> Iterator[bytes]:
    for chunk in _chunks(path):
        yield from re.findall(rb"[\x80-\xff]+", chunk)


def _refusal(broken: Break, encoding: str) -> BadEncoding:
    found = broken.found.hex(" ")
    return BadEncoding(
        f"line {broken.line} holds the bytes {found} (byte {broken.offset} of the file), "
        f"which are not text in {encoding} ({broken.why})",
        line=broken.line,
        offset=broken.offset,
        bytes=found,
        encoding=encoding.split(",")[0],
    )

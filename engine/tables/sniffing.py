"""The check of a file that needs only its name and its first bytes."""

from pathlib import PurePath
from typing import Literal

from engine.errors import EmptyTable, UnknownFormat, UnreadableFile

FileFormat = Literal["csv", "xlsx", "parquet"]

EXTENSIONS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MAGIC: dict[FileFormat, bytes] = {"xlsx": b"PK\x03\x04", "parquet": b"PAR1"}
HEAD_BYTES = 512
"""As many first bytes as ``sniff`` wants to see; fewer only if the file is shorter."""

_BINARY = {
    b"PK\x03\x04": "a ZIP or Excel file",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old (.xls) or encrypted Excel file",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip file",
    b"7z\xbc\xaf": "a 7-Zip file",
    b"Rar!": "a RAR file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite format 3": "an SQLite database",
    b"{\\rtf": "an RTF document",
    b"<?xml": "an XML document",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def sniff(head: bytes, file_name: str) -> FileFormat:
    """Tell the format of a table from its name, and see that its first bytes do not contradict.

    Args:
        head: the first HEAD_BYTES of the file.
        file_name: as the user calls it; only the ending counts.

    Raises:
        UnknownFormat: the ending is not that of a table.
        EmptyTable: the file has no bytes.
        UnreadableFile: the first bytes are those of something else.
    """
    ending = PurePath(file_name).suffix.lower()
    if ending not in EXTENSIONS:
        wanted = ", ".join(EXTENSIONS)
        hint = "; save it as .xlsx" if ending in (".xls", ".xlsb", ".ods") else ""
        raise UnknownFormat(
            f"{file_name!r} ends in {ending or 'nothing'!r}, but {wanted} are what can be read{hint}",
            file_name=file_name,
            endings=list(EXTENSIONS),
        )
    if not head:
        raise EmptyTable(f"{file_name!r} is empty: it has 0 bytes", file_name=file_name)
    file_format = EXTENSIONS[ending]
    problem = _contradiction(head, file_format)
    if problem:
        raise UnreadableFile(
            f"{file_name!r} ends in {ending}, but {problem}", file_name=file_name, head=head[:8].hex(" ")
        )
    return file_format


def _contradiction(head: bytes, file_format: FileFormat) -> str | None:
    wanted = MAGIC.get(file_format)
    found = next((what for magic, what in _BINARY.items() if head.lstrip().startswith(magic)), None)
    if wanted is not None:
        if head.startswith(wanted):
            return None
        return f"its first bytes are {head[:4].hex(' ')}" + (f", those of {found}" if found else "")
    if found:
        return f"its first bytes are those of {found}"
    if b"\0" in head and not head.startswith(_UTF_16_MARKS):
        return "it holds zero bytes, so it is not text (or is UTF-16 without a byte-order mark)"
    return None

"""The check of a ZIP archive that keeps a small file from filling the memory.

What an archive says about its sizes must be plausible, and then it must be true: every member is unpacked here
first, piece by piece and into nothing, and refused once it goes on beyond its size. Readers trust the archive and
would unpack all of it at once.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine.errors import UnreadableFile, ZipBomb
from engine.tables.limits import MAX_MEMBERS, MAX_RATIO, MAX_UNPACKED_BYTES, RATIO_FREE_BYTES

_PIECE_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30
_IS_ENCRYPTED = 0x1


class GuardedZip:
    """A ZIP archive whose members unpack to what it says, and to no more than is accepted for all of them.

    Args:
        path: the archive.

    Raises:
        ZipBomb: the archive itself says that it is too large.
        UnreadableFile: it is damaged, encrypted or packed in a way that spreadsheets do not use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.members = {member.filename: member for member in archive.infolist()}
                n_members = len(archive.infolist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnreadableFile(f"the file is no sound ZIP archive: {error}") from error
        if n_members > MAX_MEMBERS or n_members > len(self.members):
            message = f"the archive has {n_members} members, some of one name or more than {MAX_MEMBERS}"
            raise ZipBomb(message, members=n_members)
        for member in self.members.values():
            _check_ratio(member)
        declared = sum(member.file_size for member in self.members.values())
        if declared > MAX_UNPACKED_BYTES:
            message = f"the archive says that it unpacks to {declared} bytes; {MAX_UNPACKED_BYTES} are accepted"
            raise ZipBomb(message, unpacked=declared, accepted=MAX_UNPACKED_BYTES)

    def unpack(self, name: str) -> Iterator[bytes]:
        """Yield a member piece by piece.

        Raises:
            ZipBomb: it unpacks to more than the archive says.
            UnreadableFile: it is damaged, encrypted or packed in an unusual way.
        """
        member = self.members[name]
        if member.flag_bits & _IS_ENCRYPTED or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableFile(f"{name} in the archive is encrypted or packed in an unusual way", member=name)
        n_unpacked = 0
        for piece in self._pieces(member):
            n_unpacked += len(piece)
            if n_unpacked > member.file_size:
                raise ZipBomb(
                    f"{name} in the archive says that it unpacks to {member.file_size} bytes, but there are more",
                    member=name,
                    declared=member.file_size,
                )
            yield piece

    def _pieces(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                _skip_local_header(file, member)
                if member.compress_type == zipfile.ZIP_STORED:
                    yield from _packed(file, member.compress_size)
                else:
                    yield from _inflated(_packed(file, member.compress_size))
        except (zlib.error, OSError, ValueError) as error:
            message = f"{member.filename} in the archive is damaged: {error}"
            raise UnreadableFile(message, member=member.filename) from error


def _check_ratio(member: zipfile.ZipInfo) -> None:
    if member.file_size > RATIO_FREE_BYTES and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise ZipBomb(
            f"{member.filename} in the archive unpacks from {member.compress_size} to {member.file_size} bytes; "
            f"a ratio of {MAX_RATIO} is accepted",
            member=member.filename,
            packed=member.compress_size,
            unpacked=member.file_size,
            accepted_ratio=MAX_RATIO,
        )


def _skip_local_header(file: BinaryIO, member: zipfile.ZipInfo) -> None:
    """Move to the packed bytes: the lengths of name and extra field stand in front of them once more."""
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    if len(header) < _LOCAL_HEADER_BYTES or not header.startswith(b"PK\x03\x04"):
        raise ValueError("there is no member where the directory says")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)


def _packed(file: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    while n_bytes > 0:
        piece = file.read(min(_PIECE_BYTES, n_bytes))
        if not piece:
            raise ValueError("it ends too early")
        n_bytes -= len(piece)
        yield piece


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        while piece and not inflater.eof:
            yield inflater.decompress(piece, _PIECE_BYTES)
            piece = inflater.unconsumed_tail
    while not inflater.eof:
        piece = inflater.decompress(b"", _PIECE_BYTES)
        if not piece:
            raise ValueError("it ends too early")
        yield piece

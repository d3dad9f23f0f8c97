"""The one door through which files become tables."""

from collections.abc import Callable
from pathlib import Path

from engine.errors import UnknownFormat
from engine.tables.columns import settle
from engine.tables.csv_files import read_csv
from engine.tables.layout import RawTable
from engine.tables.parquet_files import read_parquet
from engine.tables.reading import OnProgress, Reading, Table
from engine.tables.sniffing import FileFormat
from engine.tables.xlsx_files import read_xlsx

_READERS: dict[str, Callable[[Path, Reading, OnProgress], RawTable]] = {
    "csv": read_csv,
    "xlsx": read_xlsx,
    "parquet": read_parquet,
}
_AS_GIVEN = Reading()
_SHARE_OF_CELLS = 0.6  # the rest of the time goes into finding the types of the columns


def read_table(
    path: Path | str, file_format: FileFormat, reading: Reading = _AS_GIVEN, on_progress: OnProgress = lambda done: None
) -> Table:
    """Read a table that somebody gave, guessing what ``reading`` leaves open.

    Holds the cells once as text and then once as numbers, not the file itself.

    Args:
        on_progress: called with the share that is done, 0 to 1, about once a second or more often (not while the
            cells of a workbook are unpacked); what it raises stops the reading and comes out of here.

    Raises:
        TableError: a subclass says what is wrong, and its message and details where: EmptyTable, MissingHeader,
            RaggedRow, DuplicateTag, BadEncoding, ZipBomb, TooLarge, UnreadableFile, WrongTagType, InvalidReading.
        OSError: the file is not there or may not be read.
    """
    if file_format not in tuple(_READERS):
        raise UnknownFormat(f"there is no table format {file_format!r}; there are {', '.join(_READERS)}")
    raw = _READERS[file_format](Path(path), reading, lambda done: on_progress(_SHARE_OF_CELLS * done))
    return settle(raw, lambda done: on_progress(_SHARE_OF_CELLS + (1 - _SHARE_OF_CELLS) * done))

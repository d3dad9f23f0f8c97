"""Where the names, the units and the data of a table begin, judged by its first rows."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal

import polars as pl

from engine.errors import DuplicateTag, EmptyTable, InvalidReading, MissingHeader, RaggedRow, TooLarge
from engine.tables.limits import MAX_COLUMNS, MAX_HEADING
from engine.tables.reading import BAD_VALUES, Note, Reading
from engine.tables.times import looks_like_time

HEAD_ROWS = 200
"""Rows that are enough to judge the layout."""

_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_MAX_UNIT = 30  # characters
_NO_UNIT = frozenset(("-", "--", "---"))


@dataclass(frozen=True)
class Row:
    """A row near the top of a file: its first and its last line, both from 1, and its cells."""

    first_line: int
    last_line: int
    cells: Sequence[str]

    @property
    def filled(self) -> list[str]:
        """The cells that are not blank, stripped."""
        return [stripped for cell in self.cells if (stripped := cell.strip())]


@dataclass(frozen=True)
class Layout:
    """What the first rows of a table are.

    Attributes:
        header_row: line of the names.
        headings: the names, stripped; "" where there is none.
        has_unit_row: whether the next row holds units.
        units: the units by column, from 0.
        data_line: the line after the header and the units.
    """

    header_row: int
    headings: tuple[str, ...]
    has_unit_row: bool
    units: Mapping[int, str]
    data_line: int

    def notes(self, reading: Reading) -> list[Note]:
        """Return what was guessed beyond ``reading``."""
        notes = []
        if reading.header_row is None and self.header_row > 1:
            notes.append(
                Note(
                    "header_row",
                    f"row {self.header_row} is taken as the names of the columns; the rows above are left out",
                    {"header_row": self.header_row},
                )
            )
        if reading.unit_row is None and self.has_unit_row:
            units = {self.headings[column] or f"column_{column + 1}": unit for column, unit in self.units.items()}
            notes.append(Note("unit_row", "the row under the names is taken as units, not as data", {"units": units}))
        return notes


@dataclass(frozen=True)
class RawTable:
    """What a file holds before its columns are given types.

    Attributes:
        headings: stripped; "" where there is none.
        columns: String where the file has text, else the type that the file gives; one a heading.
        reading: the options with the guesses about the file filled in.
        notes: what was guessed about the file.
        units: by column, from 0.
    """

    headings: tuple[str, ...]
    columns: list[pl.Series]
    reading: Reading
    notes: list[Note]
    units: Mapping[int, str] = field(default_factory=dict)


def find_layout(rows: Sequence[Row], reading: Reading) -> Layout:
    """Find the names and the units among the first rows.

    Raises:
        EmptyTable: all rows are blank.
        MissingHeader: the first row holds values.
        RaggedRow: the unit row has another number of cells than the header.
        DuplicateTag, TooLarge: the names cannot be used.
        InvalidReading: the row that is to be the header is not there.
    """
    rows = [row for row in rows if row.filled]
    if not rows:
        raise EmptyTable("the table has nothing in it, or begins far below its first row")
    bad_words = {word.lower() for word in (BAD_VALUES if reading.bad_values is None else reading.bad_values)}
    at = _find_header(rows, reading, bad_words)
    header, below = rows[at], rows[at + 1 :]
    headings = check_headings(header.cells)
    has_unit_row = reading.unit_row
    if has_unit_row is None:
        has_unit_row = bool(below) and _is_unit_row(below[0], below[1:], bad_words)
    if not has_unit_row or not below:
        return Layout(header.first_line, headings, has_unit_row, {}, header.last_line + 1)
    cells = below[0].cells
    if len(cells) != len(headings):
        raise ragged_row(below[0].first_line, len(cells), len(headings), header.first_line)
    units = {column: cell.strip() for column, cell in enumerate(cells) if cell.strip() not in {"", *_NO_UNIT}}
    return Layout(header.first_line, headings, True, units, below[0].last_line + 1)


def check_headings(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the headings stripped.

    Raises:
        DuplicateTag: two columns have one name; details give the columns of each such name, from 1.
        TooLarge: there are too many, or one is too long.
    """
    if len(cells) > MAX_COLUMNS:
        raise TooLarge(f"the table has {len(cells)} columns, more than {MAX_COLUMNS}", columns=len(cells))
    headings = tuple(cell.strip().strip("\ufeff") for cell in cells)
    for column, heading in enumerate(headings, start=1):
        if len(heading) > MAX_HEADING:
            raise TooLarge(
                f"the heading of column {column} has {len(heading)} characters, more than {MAX_HEADING}: "
                f"{heading[:60]}...",
                column=column,
            )
    counts = Counter(heading for heading in headings if heading)
    twice = {
        name: [column for column, heading in enumerate(headings, start=1) if heading == name]
        for name, count in counts.items()
        if count > 1
    }
    if twice:
        shown = "; ".join(f"{name!r} in columns {', '.join(map(str, at))}" for name, at in list(twice.items())[:5])
        raise DuplicateTag(f"{len(twice)} name(s) stand over several columns: {shown}", tags=twice)
    return headings


def ragged_row(line: int, found: int, wanted: int, header_row: int) -> RaggedRow:
    """Return the error for a row with the wrong number of cells."""
    return RaggedRow(
        f"line {line} has {found} cell{'s' if found != 1 else ''}, but the header in line {header_row} has {wanted}",
        line=line,
        found=found,
        wanted=wanted,
        header_row=header_row,
    )


def _find_header(rows: Sequence[Row], reading: Reading, bad_words: Collection[str]) -> int:
    if reading.header_row is not None:
        for at, row in enumerate(rows):
            if row.first_line <= reading.header_row <= row.last_line:
                return at
        raise InvalidReading(
            f"header_row is {reading.header_row}, but no row near the top of the file begins there and has names",
            option="header_row",
        )
    # Lines with a single cell at their left, above something wider with names, are titles
    at = 0
    while at + 1 < len(rows) and len(rows[at].filled) == 1 and rows[at].cells[0].strip():
        at += 1
    if len(rows[at].filled) == 1 or _holds_values(rows, at, bad_words):
        at = 0
    if _holds_values(rows, at, bad_words):
        row = rows[at]
        shown = ", ".join(repr(cell) for cell in row.filled[:3])
        raise MissingHeader(
            f"line {row.first_line} begins with {shown}: values, where the names of the columns are needed",
            line=row.first_line,
            cells=row.filled[:3],
        )
    return at


def _holds_values(rows: Sequence[Row], at: int, bad_words: Collection[str]) -> bool:
    """Whether the row is data: all of it values, or half of it and each cell of the kind of the cell below."""
    kinds = [_kind(cell, bad_words) for cell in rows[at].cells]
    n_values, n_filled = sum(kind in ("number", "time") for kind in kinds), sum(kind != "blank" for kind in kinds)
    if n_values == n_filled:
        return True
    below = [_kind(cell, bad_words) for cell in rows[at + 1].cells] if at + 1 < len(rows) else []
    return 2 * n_values >= n_filled and kinds == below


def _is_unit_row(row: Row, below: Sequence[Row], bad_words: Collection[str]) -> bool:
    """Whether the row is text of the length of units, over at least one column of numbers or times."""
    cells = [cell.strip() for cell in row.cells]
    if any(_kind(cell, bad_words) in ("number", "time") or len(cell) > _MAX_UNIT for cell in cells):
        return False
    if any(cell.lower() in bad_words and cell not in _NO_UNIT for cell in cells):
        return False
    columns = zip_longest(*(row.cells for row in below), fillvalue="")
    for cell, column in zip(cells, columns, strict=False):
        kinds = {_kind(value, bad_words) for value in column} - {"blank", "bad"}
        if cell and cell not in _NO_UNIT and kinds and kinds <= {"number", "time"}:
            return True
    return False


def _kind(cell: str, bad_words: Collection[str]) -> Literal["blank", "bad", "number", "time", "text"]:
    cell = cell.strip()
    if not cell:
        return "blank"
    if _NUMBER.fullmatch(cell):
        return "number"
    if cell.lower() in bad_words:
        return "bad"
    return "time" if looks_like_time(cell) else "text"

"""XLSX workbooks: which sheet, and its cells with the types that the spreadsheet gives them.

Before the reader gets the file, all of it is unpacked into nothing (zip_guard), and the places of its cells are
noted on the way: the reader makes room for the rectangle around all cells of a sheet, so that two cells far apart
would fill any memory.
"""

import re
from dataclasses import replace
from pathlib import Path

import fastexcel
import polars as pl

from engine.errors import EmptyTable, InvalidReading, TooLarge, UnreadableFile
from engine.tables.foreign import refusing
from engine.tables.layout import HEAD_ROWS, RawTable, Row, find_layout
from engine.tables.limits import MAX_SHEET_CELLS, MIN_SHEET_FILL, SPARSE_FREE_CELLS
from engine.tables.reading import Note, OnProgress, Reading
from engine.tables.zip_guard import GuardedZip

_WHOLE = 2.0**53  # beyond, float64 no longer counts


def read_xlsx(path: Path, reading: Reading, on_progress: OnProgress) -> RawTable:
    """Read a sheet of a workbook: the one that is named, or the first that holds anything.

    Raises:
        TableError: a subclass says what is wrong and in which row of the sheet.
    """
    if path.stat().st_size == 0:
        raise EmptyTable("the file is empty: it has 0 bytes")
    n_errors = _check_archive(path)
    on_progress(0.3)
    with refusing("the workbook"):
        workbook = fastexcel.read_excel(path)
    sheet, text = _find_sheet(workbook, reading.sheet)
    on_progress(0.7)
    head = [[cell or "" for cell in row] for row in text.head(HEAD_ROWS).rows()]
    layout = find_layout([Row(at, at, cells) for at, cells in enumerate(head, start=1)], reading)
    columns, n_blank = _read_columns(workbook, sheet, text, layout.data_line - 1)
    on_progress(1.0)
    if not columns or not len(columns[0]):
        message = f"sheet {sheet!r} has a header in row {layout.header_row}, but no rows under it"
        raise EmptyTable(message, sheet=sheet)
    notes = layout.notes(reading)
    if reading.sheet is None and len(workbook.sheet_names) > 1:
        others = [name for name in workbook.sheet_names if name != sheet]
        notes.insert(
            0, Note("sheet", f"sheet {sheet!r} is read, the others are not", {"sheet": sheet, "others": others})
        )
    if n_blank:
        notes.append(Note("blank_rows", f"{n_blank} rows without any value were left out", {"rows": n_blank}))
    if n_errors:
        message = f"{n_errors} cells of the workbook hold an error such as #N/A, a missing value here"
        notes.append(Note("error_cells", message, {"cells": n_errors}))
    filled = replace(reading, sheet=sheet, header_row=layout.header_row, unit_row=layout.has_unit_row)
    return RawTable(layout.headings, columns, filled, notes, layout.units)


def _find_sheet(workbook: fastexcel.ExcelReader, wanted: str | None) -> tuple[str, pl.DataFrame]:
    """Return the name of a sheet and all its cells as text, from its first row on."""
    if wanted is not None and wanted not in workbook.sheet_names:
        names = ", ".join(map(repr, workbook.sheet_names))
        raise InvalidReading(f"there is no sheet {wanted!r}; there are {names}", option="sheet")
    for name in [wanted] if wanted is not None else workbook.sheet_names:
        with refusing(f"sheet {name!r}"):
            sheet = workbook.load_sheet(
                name, header_row=None, skip_rows=0, dtypes="string", whitespace_as_null=True
            ).to_polars()
        if sheet.height:
            return name, sheet
    raise EmptyTable(f"nothing is in {f'sheet {wanted!r}' if wanted else 'any sheet of the workbook'}")


def _read_columns(
    workbook: fastexcel.ExcelReader, sheet: str, text: pl.DataFrame, skip_rows: int
) -> tuple[list[pl.Series], int]:
    """Return the columns below the header, and the number of rows that were left out as blank.

    As text, the reader rounds numbers to nine digits. So they are read once more, as numbers.
    """
    text = text.slice(skip_rows)
    if not text.height:
        return [], 0
    with refusing(f"sheet {sheet!r}"):
        numbers = workbook.load_sheet(sheet, header_row=None, skip_rows=skip_rows, dtypes="float").to_polars()
    is_filled = text.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    columns = [
        _with_every_digit(words.filter(is_filled), values.filter(is_filled))
        for words, values in zip(text.get_columns(), numbers.get_columns(), strict=True)
    ]
    return columns, int((~is_filled).sum())


def _with_every_digit(text: pl.Series, numbers: pl.Series) -> pl.Series:
    """Return a column as numbers if it holds nothing else, or as text in which its numbers have all their digits."""
    is_number = numbers.is_not_null() & ~text.is_in(["true", "false"]).fill_null(False)
    is_whole = (numbers == numbers.floor()) & (numbers.abs() < _WHOLE)
    if is_number.sum() == text.count():
        return numbers.cast(pl.Int64) if is_whole.all() and text.count() else numbers
    whole = numbers.set(~is_whole, None).cast(pl.Int64).cast(pl.String)
    return numbers.cast(pl.String).zip_with(~is_whole.fill_null(False), whole).zip_with(is_number, text)


# Before the reader: the archive, and the rectangle around the cells


def _check_archive(path: Path) -> int:
    """See that unpacking the workbook fits into memory; return the number of cells that hold an error."""
    archive = GuardedZip(path)
    if "[Content_Types].xml" not in archive.members:
        raise UnreadableFile("the file is a ZIP archive, but no Excel workbook")
    n_errors = 0
    for name in archive.members:
        extent = SheetExtent(name)  # any member may be a sheet: the workbook itself says which
        for piece in archive.unpack(name):
            extent.feed(piece)
        extent.check()
        n_errors += extent.n_errors
    return n_errors


class SheetExtent:
    """The rectangle around the cells of a sheet, from its XML piece by piece. It is never too small.

    A cell or row may leave out its place, and then comes right after the one before it. Where any does, the rectangle
    is as large as the last place that is given and all rows, or the most cells of a row, after it.
    """

    _ATTRIBUTE = rb"""\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*')"""
    _TAG = re.compile(rb"<(?:\w+:)?(?:c|row)[\s/>]")
    _ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
    _PLACE = re.compile(
        rb"<(?:\w+:)?(?:c|row)(?:" + _ATTRIBUTE + rb""")*?\s+r\s*=\s*["']([A-Za-z]*)([0-9]+)""",
    )
    _PLAIN_COLUMN = re.compile(rb'<c r="([A-Z]+)[0-9]+"')
    _PLAIN_ROW = re.compile(rb'<row r="([0-9]+)"')
    _PLAIN_ROW_OF_CELL = re.compile(rb'<c r="[A-Z]+([0-9]+)"')
    _MAX_TAG = 1 << 20

    def __init__(self, name: str) -> None:
        self._name = name
        self._tail = b""  # of a tag that is not closed yet
        self._last_row = self._last_column = 0
        self._n_rows = self._widest_row = self._in_row = 0
        self._n_tags = self._n_places = 0
        self.n_errors = 0

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return self._n_tags - self._n_rows

    @property
    def n_rows(self) -> int:
        """The number of rows of the rectangle."""
        return self._last_row + (self._n_rows if self._n_places < self._n_tags else 0)

    @property
    def n_columns(self) -> int:
        """The number of columns of the rectangle."""
        return self._last_column + (self._widest_row if self._n_places < self._n_tags else 0)

    def feed(self, xml: bytes) -> None:
        """Take the next piece of the member."""
        xml = self._tail + xml
        cut = xml.rfind(b"<")
        xml, self._tail = (xml[:cut], xml[cut:]) if cut >= 0 else (xml, b"")
        if len(self._tail) > self._MAX_TAG:
            if self._name.endswith((".xml", ".rels")):
                raise UnreadableFile(f"{self._name} in the archive has a tag or text that does not end")
            self._tail = b""
        self._measure(xml)

    def check(self) -> None:
        """See that the rectangle fits into memory and is not all but empty.

        Raises:
            TooLarge: it does not, or it is.
        """
        self._measure(self._tail)
        self._tail = b""
        n_spanned = self.n_rows * self.n_columns
        is_sparse = n_spanned > SPARSE_FREE_CELLS and self.n_cells < MIN_SHEET_FILL * n_spanned
        if n_spanned > MAX_SHEET_CELLS or is_sparse:
            raise TooLarge(
                f"{self._name} in the workbook spans {self.n_rows} rows and {self.n_columns} columns "
                f"with {self.n_cells} cells in them; {MAX_SHEET_CELLS} cells are accepted, "
                f"and at least {MIN_SHEET_FILL:.0%} of them filled",
                rows=self.n_rows,
                columns=self.n_columns,
                cells=self.n_cells,
            )

    def _measure(self, xml: bytes) -> None:
        self.n_errors += xml.count(b' t="e"')
        if self._measure_plain(xml):
            return
        places = self._PLACE.findall(xml)
        self._n_places += len(places)
        self._reach({letters for letters, _ in places}, {digits for _, digits in places})
        rows = self._ROW.split(xml)
        for index, row in enumerate(rows):
            n_cells = len(self._TAG.findall(row))
            self._in_row = n_cells + (self._in_row if index == 0 else 0)
            self._widest_row = max(self._widest_row, self._in_row)
            self._n_tags += n_cells
        self._n_rows += len(rows) - 1
        self._n_tags += len(rows) - 1

    def _measure_plain(self, xml: bytes) -> bool:
        """Measure XML as Excel itself writes it, which is ten times as fast; False if it is not so."""
        columns, rows = self._PLAIN_COLUMN.findall(xml), self._PLAIN_ROW.findall(xml)
        if xml.count(b"<c") != len(columns) or xml.count(b"<row") != len(rows) or b":c" in xml or b":row" in xml:
            return False
        self._reach(set(columns), {*rows, *self._PLAIN_ROW_OF_CELL.findall(xml)})
        self._n_rows += len(rows)
        self._n_tags += len(columns) + len(rows)
        self._n_places += len(columns) + len(rows)
        self._in_row = xml.count(b"<c", xml.rfind(b"<row")) if rows else self._in_row + len(columns)
        return True

    def _reach(self, columns: set[bytes], rows: set[bytes]) -> None:
        """Widen the rectangle to these columns and rows."""
        self._last_column = max([self._last_column, *map(_column_number, columns)])
        self._last_row = max([self._last_row, *(int(digits[:12]) for digits in rows)])


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper()[:8]:
        number = 26 * number + letter - ord("A") + 1
    return number

"""Delimited text: its delimiter, its shape, its cells as text.

The file is read once, piece by piece, into columns of text. A piece without a quote is split by Polars after its
delimiters were counted; from the first quote on, Python's csv module reads, which knows on which line it is. Both
read such text alike, so the way makes no difference to the table.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import polars as pl

from engine.errors import EmptyTable, TooLarge, UnreadableFile
from engine.tables.encodings import check_encoding, guess_encoding
from engine.tables.layout import HEAD_ROWS, Layout, RawTable, Row, find_layout, ragged_row
from engine.tables.limits import MAX_CELLS
from engine.tables.reading import Note, OnProgress, Reading

DELIMITERS = ("\t", ";", "|", ",")
"""What is tried, the surest first: commas also stand in numbers and texts."""

_NAMES = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}
_HEAD_CHARACTERS = 4 << 20
_PIECE_CHARACTERS = 16 << 20
_PIECE_CELLS = 1_000_000


def read_csv(path: Path, reading: Reading, on_progress: OnProgress) -> RawTable:
    """Read delimited text.

    Raises:
        TableError: a subclass says what is wrong and on which line.
    """
    if path.stat().st_size == 0:
        raise EmptyTable("the file is empty: it has 0 bytes")
    if reading.encoding is None:
        encoding = guess_encoding(path)
    else:
        encoding = reading.encoding
        check_encoding(path, encoding)
    lines = _head_lines(path, encoding)
    delimiter = reading.delimiter or guess_delimiter(lines)
    layout = find_layout(_head_rows(lines, delimiter), reading)
    columns, n_blank = _read_columns(path, encoding, delimiter, layout, on_progress)
    notes = _notes(reading, encoding, delimiter) + layout.notes(reading)
    if n_blank:
        notes.append(Note("blank_rows", f"{n_blank} rows without any value were left out", {"rows": n_blank}))
    filled = replace(
        reading,
        encoding=encoding,
        delimiter=delimiter,
        header_row=layout.header_row,
        unit_row=layout.has_unit_row,
    )
    return RawTable(layout.headings, columns, filled, notes, layout.units)


def guess_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that cuts most lines into the same number of cells, more than one."""
    scores = {}
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in _lenient_rows(lines, delimiter) if row)
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        scores[delimiter] = (width > 1, count)
    best = max(scores.values())
    if not best[0]:  # a single column: what does not cut it
        return max(reversed(DELIMITERS), key=lambda delimiter: scores[delimiter][1])
    return next(delimiter for delimiter in DELIMITERS if scores[delimiter] == best)


def _notes(reading: Reading, encoding: str, delimiter: str) -> list[Note]:
    notes = []
    if reading.encoding is None:
        notes.append(Note("encoding", f"the text is read as {encoding}", {"encoding": encoding}))
    if reading.delimiter is None:
        name = _NAMES[delimiter]
        notes.append(Note("delimiter", f"cells are separated by a {name}", {"delimiter": delimiter}))
    return notes


# The first lines


def _head_lines(path: Path, encoding: str) -> list[str]:
    with path.open(encoding=encoding) as file:
        text = file.read(_HEAD_CHARACTERS)
        is_whole = not file.read(1)
    lines = list(io.StringIO(text))
    if not is_whole:
        if len(lines) < 2:
            raise TooLarge(f"line 1 is longer than {_HEAD_CHARACTERS} characters", line=1)
        del lines[-1]  # it may be cut
    return lines[: 2 * HEAD_ROWS]


def _head_rows(lines: Sequence[str], delimiter: str) -> list[Row]:
    rows = []
    first_line = 1
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in islice(reader, HEAD_ROWS):
            rows.append(Row(first_line, reader.line_num, cells))
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise _unreadable(first_line, error) from error
    return rows


def _lenient_rows(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    except csv.Error:
        return  # the rows so far are enough for a guess; reading says what is wrong


# All of it


def _read_columns(
    path: Path, encoding: str, delimiter: str, layout: Layout, on_progress: OnProgress
) -> tuple[list[pl.Series], int]:
    """Return the columns as text, null where blank, and the number of rows that were left out as blank."""
    pieces, n_rows, n_blank, wanted = [], 0, 0, len(layout.headings)
    for piece, n_skipped in _pieces(path, encoding, delimiter, layout, on_progress):
        is_blank = piece.select(pl.all_horizontal(pl.all().is_null())).to_series()
        pieces.append(piece.filter(~is_blank) if is_blank.any() else piece)
        n_blank += n_skipped + int(is_blank.sum())
        n_rows += pieces[-1].height
        if n_rows * wanted > MAX_CELLS:
            raise TooLarge(f"the table has more than {MAX_CELLS} cells", columns=wanted)
    if not n_rows:
        raise EmptyTable(f"the table has a header in line {layout.header_row}, but no rows under it")
    return pl.concat(pieces).get_columns(), n_blank


def _pieces(
    path: Path, encoding: str, delimiter: str, layout: Layout, on_progress: OnProgress
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield the rows of data piece by piece, each with the number of blank lines that were left out of it."""
    n_bytes = path.stat().st_size
    with path.open("rb") as binary, io.TextIOWrapper(binary, encoding=encoding) as file:
        n_before = sum(1 for _ in islice(file, layout.data_line - 1))
        while lines := file.readlines(_PIECE_CHARACTERS):
            text = "".join(lines)
            if '"' in text:
                for piece in _quoted_pieces(chain(lines, file), n_before, delimiter, layout):
                    yield piece
                    on_progress(binary.tell() / n_bytes)
                return
            yield _plain_piece(lines, text, n_before, delimiter, layout)
            on_progress(binary.tell() / n_bytes)
            n_before += len(lines)


def _plain_piece(
    lines: list[str], text: str, n_before: int, delimiter: str, layout: Layout
) -> tuple[pl.DataFrame, int]:
    wanted = len(layout.headings)
    is_blank = [False] * len(lines)
    for index, line in enumerate(lines):
        found = line.count(delimiter) + 1
        if found != wanted or wanted == 1:
            is_blank[index] = not line.strip()
            if found != wanted and not is_blank[index]:
                raise ragged_row(n_before + index + 1, found, wanted, layout.header_row)
    n_blank = sum(is_blank)
    if n_blank:
        text = "".join(line for line, blank in zip(lines, is_blank, strict=True) if not blank)
    schema = {str(column): pl.String for column in range(wanted)}
    if not text:
        return pl.DataFrame(schema=schema), n_blank
    source = io.BytesIO(text.encode())
    return pl.read_csv(source, has_header=False, separator=delimiter, quote_char=None, schema=schema), n_blank


def _quoted_pieces(
    lines: Iterable[str], n_before: int, delimiter: str, layout: Layout
) -> Iterator[tuple[pl.DataFrame, int]]:
    wanted = len(layout.headings)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    n_blank = 0
    first_line = n_before + 1
    try:
        for cells in reader:
            if len(cells) != wanted:
                if any(cell.strip() for cell in cells):
                    raise ragged_row(first_line, len(cells), wanted, layout.header_row)
                n_blank += 1
            else:
                rows.append(cells)
            first_line = n_before + reader.line_num + 1
            if len(rows) * wanted >= _PIECE_CELLS:
                yield _frame(rows, wanted), n_blank
                rows, n_blank = [], 0
    except csv.Error as error:
        raise _unreadable(first_line, error) from error
    yield _frame(rows, wanted), n_blank


def _frame(rows: list[list[str]], n_columns: int) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * n_columns
    series = (pl.Series(str(number), column, dtype=pl.String) for number, column in enumerate(columns))
    return pl.DataFrame([text.set(text == "", None) for text in series])


def _unreadable(line: int, error: csv.Error) -> UnreadableFile:
    problem = str(error)
    if "unexpected end" in problem:
        what = "a quote is opened and never closed"
    elif "field limit" in problem:
        what = f"a cell has more than {csv.field_size_limit()} characters; perhaps a quote is not closed"
    elif "expected after" in problem:
        what = "text follows a closing quote"
    else:
        what = problem
    return UnreadableFile(f"the row that begins on line {line} cannot be read: {what}", line=line)

"""Parquet, the form in which tables are kept, and the ways to get parts of it."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.checks import floats
from engine.errors import ShapeError, TooLarge, UnknownTag, WrongTagType
from engine.tables.foreign import refusing
from engine.tables.layout import RawTable, check_headings
from engine.tables.limits import MAX_CELLS
from engine.tables.reading import OnProgress, Reading


def read_parquet(path: Path, reading: Reading, on_progress: OnProgress) -> RawTable:
    """Read a Parquet file that somebody gave.

    Raises:
        UnreadableFile: it is damaged or not a Parquet file.
        TooLarge: it promises more cells than are accepted.
        DuplicateTag: two names are the same without the white space around them.
    """
    with refusing("the Parquet file"):
        names = _scan(path).collect_schema().names()
        n_rows = count_rows(path)
    headings = check_headings(names)
    if n_rows * len(names) > MAX_CELLS:
        message = f"the table has {n_rows} rows of {len(names)} columns, more than {MAX_CELLS} cells"
        raise TooLarge(message, rows=n_rows, columns=len(names))
    with refusing("the Parquet file"):
        columns = _scan(path).collect().get_columns()
    on_progress(1.0)
    return RawTable(headings, columns, reading, [])


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a table, compressed, in the form that the other functions here read."""
    frame.write_parquet(path, compression="zstd", statistics=True)


def load_parquet(path: Path) -> pl.DataFrame:
    """Return the frame that ``write_parquet`` wrote."""
    return pl.read_parquet(path, memory_map=False)  # the file may go while the table is used


def count_rows(path: Path) -> int:
    """Return the number of rows, from the end of the file alone."""
    return int(_scan(path).select(pl.len()).collect().item())


def read_tags(path: Path) -> dict[str, str]:
    """Return the type of each tag in the order of the columns: real, integer, text, time or boolean."""
    return {tag: type_name(kind) for tag, kind in _scan(path).collect_schema().items()}


def read_rows(
    path: Path, offset: int = 0, limit: int = 100, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return a page of rows as values that go to JSON: times as Unix ms in UTC, missing values as None.

    Reads no more of the file than these rows and columns need.

    Raises:
        UnknownTag: there is no such column.
    """
    frame = _scan(path)
    if columns is not None:
        frame = _select(frame, columns)
    page = frame.slice(offset, limit).collect()
    plain = [
        column.dt.epoch("ms") if column.dtype == pl.Datetime else _without_nan(column) for column in page.get_columns()
    ]
    return pl.DataFrame(plain).to_dicts()


def columns_to_numpy(source: pl.DataFrame | Path, tags: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return tags as float64 arrays of shape (n,): NaN where a value is missing, times as Unix ms in UTC.

    Booleans are 0 and 1.

    Raises:
        UnknownTag: the table does not have the tag.
        WrongTagType: the tag holds text.
    """
    different = list(dict.fromkeys(tags))
    schema = source.schema if isinstance(source, pl.DataFrame) else _scan(source).collect_schema()
    _check_known(different, schema)
    for tag in different:
        if schema[tag] == pl.String:
            raise WrongTagType(f"{tag!r} holds text, but numbers are needed", tag=tag, type="text")
    frame = source if isinstance(source, pl.DataFrame) else _select(_scan(source), different).collect()
    return {tag: _as_floats(frame[tag]) for tag in different}


def category_places(
    path: Path, tag: str, known: Sequence[str] | None = None
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the different texts of a tag, sorted, and the place of each row's text among them, (n,): NaN if missing.

    Args:
        known: the texts, in the order of their places; any other one counts as missing. By default those of the tag.

    Raises:
        UnknownTag: the table does not have the tag.
        WrongTagType: the tag holds no text.
    """
    schema = _scan(path).collect_schema()
    _check_known([tag], schema)
    if schema[tag] != pl.String:
        raise WrongTagType(f"{tag!r} holds {type_name(schema[tag])} values, not text", tag=tag)
    values = _select(_scan(path), [tag]).collect()[tag]
    names = tuple(known) if known is not None else tuple(sorted(values.drop_nulls().unique().to_list()))
    numbers = np.arange(len(names), dtype=np.float64)
    places = values.replace_strict(list(names), numbers, default=None, return_dtype=pl.Float64) if names else None
    return names, np.full(len(values), math.nan) if places is None else _as_floats(places)


def complete_rows(columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.int64]:
    """Return the numbers of the rows, from 0, in which every column has a finite value.

    Args:
        columns: at least one, each of shape (n,), such as ``columns_to_numpy`` gives.

    Raises:
        ShapeError: there is no column, or they are not numbers of one shape (n,).
    """
    shapes = {floats(f"column {tag!r}", column).shape for tag, column in columns.items()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ShapeError(f"rows are complete over columns of one length, but these have shapes {sorted(shapes)}")
    complete = np.logical_and.reduce([np.isfinite(column) for column in columns.values()])
    return np.flatnonzero(complete).astype(np.int64)


def complete_matrix(source: pl.DataFrame | Path, tags: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the values of these tags in the rows where all have one: what a surrogate is trained on.

    Returns:
        M, shape (n, number of tags), finite, a column a tag in their order; and the numbers of its rows in the table,
        from 0, shape (n,).

    Raises:
        UnknownTag, WrongTagType: as ``columns_to_numpy``.
        ShapeError: there are no tags.
    """
    columns = columns_to_numpy(source, tags)
    rows = complete_rows(columns)
    return np.column_stack([columns[tag][rows] for tag in tags]), rows


def type_name(kind: pl.DataType) -> str:
    """Return what a tag of this type is called: real, integer, text, time or boolean.

    Raises:
        WrongTagType: no table that was read here holds this type.
    """
    names = {pl.Float64: "real", pl.Int64: "integer", pl.String: "text", pl.Boolean: "boolean"}
    for known, name in names.items():
        if kind == known:
            return name
    if kind == pl.Datetime:
        return "time"
    raise WrongTagType(f"a tag holds Float64, Int64, String, Boolean or Datetime, not {kind}", type=str(kind))


def _scan(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)  # a path may hold signs such as "*" and "="


def _select(frame: pl.LazyFrame, tags: Sequence[str]) -> pl.LazyFrame:
    place = {name: index for index, name in enumerate(frame.collect_schema().names())}
    _check_known(tags, place)
    return frame.select(pl.nth([place[tag] for tag in tags]))  # Polars takes a name such as "*" for a pattern


def _check_known(tags: Sequence[str], known: Collection[str]) -> None:
    for tag in tags:
        if tag not in known:
            shown = ", ".join(islice(known, 10)) + (", ..." if len(known) > 10 else "")
            raise UnknownTag(f"the table has no tag {tag!r}; it has {shown}", tag=tag)


def _as_floats(values: pl.Series) -> NDArray[np.float64]:
    if values.dtype == pl.Datetime:
        values = values.dt.epoch("ms")
    return values.cast(pl.Float64).fill_null(math.nan).to_numpy().copy()


def _without_nan(values: pl.Series) -> pl.Series:
    return values.set(~values.is_finite(), None) if values.dtype.is_float() else values

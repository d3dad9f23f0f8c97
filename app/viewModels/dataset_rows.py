"""The rows of a data set version, read from its stored Parquet: no more of it than is asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.extensions import object_store
from app.models import DatasetVersion
from engine.tables import category_places, columns_to_numpy, read_rows

ROWS_A_TIME = 100_000
"""Rows that are values of Python at once: each takes a hundred times the room that it takes in an array."""


def columns(version: DatasetVersion, tags: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return tags as float64 arrays of shape (n_rows,): NaN where a value is missing, times as Unix ms in UTC.

    Raises:
        UnknownTag: the version does not have a tag.
        WrongTagType: a tag holds text; ``labels`` takes those.
    """
    with object_store.local_file(version.parquet_key) as path:
        return columns_to_numpy(path, tags)


def categories(
    version: DatasetVersion, tag: str, known: Sequence[str] | None = None
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the different texts of a tag, sorted, and the place of each row's text among them, (n_rows,).

    NaN stands for a missing one, and for one that is not among the known, where these are given.

    Raises:
        UnknownTag: the version does not have the tag.
        WrongTagType: the tag holds no text.
    """
    with object_store.local_file(version.parquet_key) as path:
        return category_places(path, tag, known)


def labels(version: DatasetVersion, tag: str) -> NDArray[np.int64]:
    """Return which value of the tag each row has, for tags of every type: shape (n_rows,).

    The distinct values are numbered from 0 in the order in which they first appear; -1 stands for a missing one.

    Raises:
        UnknownTag: the version does not have the tag.
    """
    numbers: dict[Any, int] = {None: -1}
    found = np.empty(version.n_rows, dtype=np.int64)
    with object_store.local_file(version.parquet_key) as path:
        for offset in range(0, version.n_rows, ROWS_A_TIME):
            rows = read_rows(path, offset, ROWS_A_TIME, [tag])
            found[offset : offset + len(rows)] = [numbers.setdefault(row[tag], len(numbers) - 1) for row in rows]
    return found


def page(
    version: DatasetVersion, *, offset: int, limit: int, tags: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return rows as values that go to JSON: times as Unix ms in UTC, missing values as None.

    Raises:
        UnknownTag: the version does not have a tag.
    """
    with object_store.local_file(version.parquet_key) as path:
        return read_rows(path, offset, limit, tags)

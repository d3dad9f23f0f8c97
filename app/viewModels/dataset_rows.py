"""The rows of a data set version, read from its stored Parquet: no more of it than is asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.extensions import object_store
from app.models import DatasetVersion
from engine.tables import columns_to_numpy, read_rows


def columns(version: DatasetVersion, tags: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return tags as float64 arrays of shape (n_rows,): NaN where a value is missing, times as Unix ms in UTC.

    Raises:
        UnknownTag: the version does not have a tag.
        WrongTagType: a tag holds text; ``labels`` takes those.
    """
    with object_store.local_file(version.parquet_key) as path:
        return columns_to_numpy(path, tags)


def labels(version: DatasetVersion, tag: str) -> NDArray[np.int64]:
    """Return which value of the tag each row has, for tags of every type: shape (n_rows,).

    The distinct values are numbered from 0 in the order in which they first appear; -1 stands for a missing one.

    Raises:
        UnknownTag: the version does not have the tag.
    """
    numbers: dict[Any, int] = {None: -1}
    rows = page(version, offset=0, limit=version.n_rows, tags=[tag])
    return np.array([numbers.setdefault(row[tag], len(numbers) - 1) for row in rows], dtype=np.int64)


def page(
    version: DatasetVersion, *, offset: int, limit: int, tags: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return rows as values that go to JSON: times as Unix ms in UTC, missing values as None.

    Raises:
        UnknownTag: the version does not have a tag.
    """
    with object_store.local_file(version.parquet_key) as path:
        return read_rows(path, offset, limit, tags)

"""The rows that a model is trained on: read from its table, with what it sees of their past, and held out in folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.models import DatasetVersion
from app.viewModels import dataset_rows
from engine.errors import TrainingError
from engine.lookback import Lookback
from engine.tables.parquet_files import complete_rows
from engine.validation import Fold, Validation, folds

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]


@dataclass(frozen=True)
class Rows:
    """The rows to learn from: those that have every input, with its past, and every output.

    Attributes:
        X, Y: features (n, p), which are the inputs themselves unless the module looks back, and outputs (n, m).
        places: where each row stands among those of the table, in the order of time if the module looks back, (n,).
        n_dropped: rows of the table that were left out.
        held_out_by: the group (a number from 0, -1 where it is missing) or the time (Unix ms, NaN where it is missing)
            of each row, shape (n,); None when rows are held out at random.
        lookback: what is seen of the past.
    """

    X: Floats
    Y: Floats
    places: NDArray[np.intp]
    n_dropped: int
    held_out_by: NDArray[Any] | None
    lookback: Lookback

    def folds(self, validation: Validation, *, seed: int) -> list[Fold]:
        """Return the folds. Rows whose group or time is missing are in none: who knows what would leak from them."""
        if self.held_out_by is None:
            return self._whole(folds(validation, len(self.X), seed=seed))
        is_known = self.held_out_by >= 0 if validation.scheme == "group" else np.isfinite(self.held_out_by)
        known = np.flatnonzero(is_known)
        by = self.held_out_by[known]
        found = folds(validation, len(known), groups=by, times=by, seed=seed)
        return self._whole([(known[train], known[test]) for train, test in found])

    def at_random(self, validation: Validation, *, seed: int) -> list[Fold]:
        """Return as many folds of the rows that ``folds`` holds out, drawn at random."""
        held_out = np.sort(np.concatenate([test for _, test in self.folds(validation, seed=seed)]))
        found = folds(Validation("random", validation.n_folds), len(held_out), seed=seed)
        return [(held_out[train], held_out[test]) for train, test in found]

    def _whole(self, found: list[Fold]) -> list[Fold]:
        """Return the folds without training rows that share a measurement with a tested one."""
        return found if self.lookback.is_plain else self.lookback.purged(found, self.places)


def read(version: DatasetVersion, lookback: Lookback, outputs: Sequence[str], validation: Validation) -> Rows:
    """Return the rows of a table. Reads the store: end your transaction before.

    Raises:
        TrainingError: no row has all that is needed.
        UnknownTag: the table does not have a tag.
    """
    columns = dataset_rows.columns(version, [*lookback.tags, *outputs])
    if lookback.is_plain:
        X, Y, places = _present(columns, lookback, outputs)
        numbers = places
    else:
        order, times = _in_time(version)
        past = {tag: column[order] for tag, column in columns.items()}
        X, Y, places = lookback.training_rows(_matrix(past, lookback.tags), _matrix(past, outputs), times)
        numbers = order[places]
    held_out_by = _held_out_by(version, validation)
    return Rows(
        X=X,
        Y=Y,
        places=places,
        n_dropped=version.n_rows - len(X),
        held_out_by=None if held_out_by is None else held_out_by[numbers],
        lookback=lookback,
    )


def _present(columns: Columns, lookback: Lookback, outputs: Sequence[str]) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return inputs, outputs and numbers of the rows that have every tag."""
    complete = _complete(columns)
    return _matrix(columns, lookback.tags)[complete], _matrix(columns, outputs)[complete], complete


def _in_time(version: DatasetVersion) -> tuple[NDArray[np.intp], Floats | None]:
    """Return the numbers of the rows in the order of time, and their times; rows without one are left out."""
    if version.time_tag is None:
        return np.arange(version.n_rows), None
    times = dataset_rows.columns(version, [version.time_tag])[version.time_tag]
    order = np.argsort(times, kind="stable")[: np.count_nonzero(np.isfinite(times))]
    return order, times[order]


def _matrix(columns: Columns, tags: Sequence[str]) -> Floats:
    return np.column_stack([columns[tag] for tag in tags])


def _complete(columns: Columns) -> NDArray[np.intp]:
    """Return the numbers of the rows that have every tag."""
    complete = complete_rows(dict(columns))
    if len(complete) == 0:
        missing = {tag: int(np.count_nonzero(~np.isfinite(column))) for tag, column in columns.items()}
        worst = max(missing, key=missing.__getitem__)
        n_rows = len(columns[worst])
        raise TrainingError(
            f"no row of the table has a value in every tag of the module; {worst!r} lacks one in {missing[worst]} of"
            f" {n_rows} rows",
            n_rows=n_rows,
            n_missing=missing,
        )
    return complete


def _held_out_by(version: DatasetVersion, validation: Validation) -> NDArray[Any] | None:
    """Return the group or the time of every row of the table."""
    if validation.scheme == "group":
        return dataset_rows.labels(version, validation.group)
    if validation.scheme == "time":
        return dataset_rows.columns(version, [version.time_tag])[version.time_tag]
    return None

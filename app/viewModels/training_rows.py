"""The rows that a model is trained on: read from its table, with what it sees of their past, and held out in folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.models import DatasetVersion
from app.viewModels import dataset_rows, module_tags
from engine.errors import TrainingError
from engine.lookback import Lookback
from engine.tables.parquet_files import complete_rows
from engine.validation import Fold, Validation, folds

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]


@dataclass(frozen=True)
class Rows:
    """The rows to learn from: those that have every output and, unless missing cells are filled, every input.

    Attributes:
        X, Y: features (n, p), which are the inputs themselves unless the module looks back, and outputs (n, m).
        places: where each row stands among those of the table, in the order of time if the module looks back, (n,).
        n_dropped: rows of the table that were left out.
        held_out_by: the group (a number from 0, -1 where it is missing) or the time (Unix ms, NaN where it is missing)
            of each row, shape (n,); None when rows are held out at random.
        lookback: what is seen of the past.
        categories: of each input that holds text, in the order of the places that X holds.
    """

    X: Floats
    Y: Floats
    places: NDArray[np.intp]
    n_dropped: int
    held_out_by: NDArray[Any] | None
    lookback: Lookback
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def n_missing(self) -> int:
        """Cells of X that are missing."""
        return int(np.count_nonzero(np.isnan(self.X)))

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


def read(
    version: DatasetVersion,
    lookback: Lookback,
    outputs: Sequence[str],
    validation: Validation,
    *,
    missing: str = "drop",
) -> Rows:
    """Return the rows of a table. Reads the store: end your transaction before.

    Args:
        missing: "drop" rows that lack an input, or "impute" it, which keeps those that have at least one.

    Raises:
        TrainingError: no row has all that is needed.
        UnknownTag: the table does not have a tag.
    """
    columns, names = _columns(version, [*lookback.tags, *outputs])
    if lookback.is_plain:
        X, Y, places = _present(columns, lookback, outputs, may_lack=missing == "impute")
        numbers = places
    else:
        order, times = _in_time(version)
        past = {tag: column[order] for tag, column in columns.items()}
        X, Y, places = lookback.training_rows(_matrix(past, lookback.tags), _matrix(past, outputs), times)
        numbers = order[places]
    held_out_by = _held_out_by(version, validation)
    X, categories = _used(X, lookback.names, names)
    return Rows(
        X=X,
        Y=Y,
        places=places,
        n_dropped=version.n_rows - len(X),
        held_out_by=None if held_out_by is None else held_out_by[numbers],
        lookback=lookback,
        categories=categories,
    )


def _columns(version: DatasetVersion, tags: Sequence[str]) -> tuple[Columns, dict[str, tuple[str, ...]]]:
    """Return the columns of tags, with places of categories where a tag holds text; and those categories."""
    texts = module_tags.texts(tags, version)
    columns = dataset_rows.columns(version, [tag for tag in tags if tag not in texts])
    categories = {}
    for tag in texts:
        categories[tag], columns[tag] = dataset_rows.categories(version, tag)
    return columns, categories


def _used(
    X: Floats, inputs: Sequence[str], names: Mapping[str, tuple[str, ...]]
) -> tuple[Floats, dict[str, tuple[str, ...]]]:
    """Return X with places among those categories alone that these rows hold, and them.

    Raises:
        TrainingError: all rows hold the same one.
    """
    categories = {}
    for tag, known in names.items():
        j = list(inputs).index(tag)
        is_there = np.isfinite(X[:, j])
        used, X[is_there, j] = np.unique(X[is_there, j], return_inverse=True)
        categories[tag] = tuple(known[int(place)] for place in used)
        if len(used) < 2:
            held = " and ".join(map(repr, categories[tag])) or "nothing"
            raise TrainingError(
                f"{tag!r} holds {held} in all rows to learn from: nothing can be learned of it, so leave it out of the"
                " inputs",
                tag=tag,
            )
    return X, categories


def _present(
    columns: Columns, lookback: Lookback, outputs: Sequence[str], *, may_lack: bool
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return inputs, outputs and numbers of the rows that have every output and every input, or at least one."""
    complete = _complete({tag: columns[tag] for tag in outputs} if may_lack else columns)
    X = _matrix(columns, lookback.tags)[complete]
    if may_lack:
        has_one = np.isfinite(X).any(axis=1)
        X, complete = X[has_one], complete[has_one]
    return X, _matrix(columns, outputs)[complete], complete


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

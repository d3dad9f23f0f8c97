"""What a training needs from the database and the store, and what it leaves there."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.extensions import db
from app.models import DatasetVersion, Model
from app.utils.object_store import ObjectInfo
from app.viewModels import dataset_rows, module_tags
from engine.errors import TrainingError
from engine.surrogates import Surrogate
from engine.tables.parquet_files import complete_rows
from engine.validation import CrossValidation, Fold, Validation, folds


@dataclass(frozen=True)
class Order:
    """A training as it was asked for."""

    model_id: UUID
    kind: str
    params: dict[str, Any]
    validation: Validation
    seed: int
    inputs: list[str]
    outputs: list[str]


@dataclass(frozen=True)
class Rows:
    """The rows to learn from: those of the table that have every input and output.

    Attributes:
        X, Y: inputs (n, d) and outputs (n, m).
        n_dropped: rows of the table that were left out.
        held_out_by: the group (a number from 0, -1 where it is missing) or the time (Unix ms, NaN where it is missing)
            of each row, shape (n,); None when rows are held out at random.
    """

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    n_dropped: int
    held_out_by: NDArray[Any] | None

    def folds(self, validation: Validation, *, seed: int) -> list[Fold]:
        """Return the folds. Rows whose group or time is missing are in none: who knows what would leak from them."""
        if self.held_out_by is None:
            return folds(validation, len(self.X), seed=seed)
        is_known = self.held_out_by >= 0 if validation.scheme == "group" else np.isfinite(self.held_out_by)
        known = np.flatnonzero(is_known)
        by = self.held_out_by[known]
        found = folds(validation, len(known), groups=by, times=by, seed=seed)
        return [(known[train], known[test]) for train, test in found]


def load(model_id: UUID) -> tuple[Order, Rows]:
    """Return what a model is to be trained as, and on. Its transaction has ended when it returns.

    Raises:
        TrainingError: no row has a value in every tag.
    """
    model = db.session.get_one(Model, model_id)
    version, validation = model.dataset_version, Validation.from_json(model.validation)
    order = Order(
        model_id=model.id,
        kind=model.kind,
        params=model.params,
        validation=validation,
        seed=model.seed,
        inputs=module_tags.names(model.inputs),
        outputs=list(model.outputs),
    )
    db.session.commit()  # reading the table may take long

    columns = dataset_rows.columns(version, [*order.inputs, *order.outputs])
    complete = _complete(columns)
    held_out_by = _held_out_by(version, validation)
    return order, Rows(
        X=np.column_stack([columns[tag][complete] for tag in order.inputs]),
        Y=np.column_stack([columns[tag][complete] for tag in order.outputs]),
        n_dropped=version.n_rows - len(complete),
        held_out_by=None if held_out_by is None else held_out_by[complete],
    )


def metrics(order: Order, rows: Rows, validated: CrossValidation) -> dict[str, Any]:
    """Return what is told of a model's worth. How rows were held out stands beside every score."""
    return {
        "validation": order.validation.to_json(),
        "scores": validated.scores,
        "per_fold": validated.per_fold,
        "n_rows": len(rows.X),
        "n_rows_validated": validated.n_rows,
        "n_rows_dropped": rows.n_dropped,
    }


def finish(
    order: Order, surrogate: Surrogate, stored: ObjectInfo, *, metrics: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Write what training made into the model's row, in the caller's transaction. Returns the task's result."""
    model = db.session.get_one(Model, order.model_id, populate_existing=True)
    model.metrics = metrics
    model.ranges = {
        tag: [float(lower), float(upper)]
        for tags, ranges in ((surrogate.inputs, surrogate.input_ranges), (surrogate.outputs, surrogate.output_ranges))
        for tag, (lower, upper) in zip(tags, ranges, strict=True)
    }
    model.n_rows = surrogate.n_rows
    model.seconds = round(seconds, 3)
    model.artifact_key = stored.key
    model.artifact_sha256 = stored.sha256
    db.session.flush()
    names = ("validation", "scores", "n_rows", "n_rows_dropped")
    return {"model_id": str(model.id), **{name: metrics[name] for name in names}, "seconds": model.seconds}


def _complete(columns: dict[str, NDArray[np.float64]]) -> NDArray[np.int64]:
    """Return the numbers of the rows that have every tag."""
    complete = complete_rows(columns)
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

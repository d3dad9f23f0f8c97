"""What a trained model says to rows that somebody gives."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np

from app.extensions import db
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Model
from app.utils import sqlite
from app.viewModels import surrogates
from app.viewModels.access import visible
from engine.surrogates import Surrogate

MOST_ROWS = 5_000
"""Rows in one call: a request shall not hold a web thread for long."""

MOST_TOLD = 20
"""Faults that one refusal lists."""

LARGEST = 1e30
"""Numbers beyond this, either sign, are no measurements."""

Row = Mapping[str, Any]


def predict(model_id: UUID, *, rows: Sequence[Row], actor: Actor) -> dict[str, list]:
    """Return for every row the predicted outputs, and the inputs that lie outside of what the model was trained on.

    Args:
        rows: a number for each of the model's inputs, by tag.

    Returns:
        ``predictions``, a dictionary output -> value a row, and ``out_of_range``, a list of {"tag", "value", "lower",
        "upper"} a row.

    Raises:
        AppError: MODEL_NOT_FOUND, MODEL_NOT_TRAINED, MODEL_DAMAGED, ROWS_INVALID (the first faults, each with its row,
            counted from 1, and tag).
    """
    with sqlite.reading():
        model = visible(Model, model_id, to=actor, needs=Scope.MODEL_READ)
        db.session.commit()
    surrogate = surrogates.of(model)
    X = _matrix(rows, surrogate.inputs)
    Y = surrogate.predict(X)
    _check_finite(Y)
    return {
        "predictions": [dict(zip(surrogate.outputs, row, strict=True)) for row in Y.tolist()],
        "out_of_range": _out_of_range(X, surrogate),
    }


def _matrix(rows: Sequence[Row], inputs: Sequence[str]) -> np.ndarray:
    """Return the rows as a matrix (n, d) with a column for each input, or refuse what is wrong with them."""
    known = dict.fromkeys(inputs)
    found = (
        {"row": number, "tag": tag, "problem": problem}
        for number, row in enumerate(rows, start=1)
        for tag, problem in _faults(row, known)
    )
    faults = list(islice(found, MOST_TOLD))
    if faults:
        first, n_faults = faults[0], len(faults) + sum(1 for _ in found)  # there may be millions
        more = f" There are {n_faults - 1} more faults; details list the first." if n_faults > 1 else ""
        raise AppError(
            ErrorCode.ROWS_INVALID,
            f"Row {first['row']}, tag {first['tag']!r}: {first['problem']}.{more}",
            faults=faults,
            n_faults=n_faults,
        )
    return np.array([[row[tag] for tag in inputs] for row in rows], dtype=np.float64).reshape(len(rows), len(inputs))


def _faults(row: Row, inputs: Collection[str]) -> list[tuple[str, str]]:
    unknown = [(tag, "the model has no such input") for tag in row if tag not in inputs]
    known = [(tag, _fault(row[tag]) if tag in row else "it is missing") for tag in inputs]
    return unknown + [(tag, fault) for tag, fault in known if fault]


def _fault(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "null is not a number" if value is None else f"a number is needed, not {type(value).__name__}"
    if not abs(value) <= LARGEST:  # also NaN
        return f"a finite number up to {LARGEST:g} is needed"
    return None


def _check_finite(Y: np.ndarray) -> None:
    if not np.isfinite(Y).all():
        row = int(np.argwhere(~np.isfinite(Y))[0, 0]) + 1
        detail = f"Row {row} lies so far from the data that the prediction is not a finite number."
        raise AppError(ErrorCode.ROWS_INVALID, detail, row=row)


def _out_of_range(X: np.ndarray, surrogate: Surrogate) -> list[list[dict[str, Any]]]:
    lower, upper = surrogate.input_ranges.T
    found: list[list[dict[str, Any]]] = [[] for _ in X]
    for row, column in np.argwhere((lower > X) | (upper < X)):
        mark = {"tag": surrogate.inputs[column], "value": X[row, column]}
        found[row].append({**mark, "lower": float(lower[column]), "upper": float(upper[column])})
    return found

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
from app.viewModels import categories, module_tags, surrogates
from app.viewModels.access import visible

MOST_ROWS = 5_000
"""Rows in one call: a request shall not hold a web thread for long."""

MOST_TOLD = 20
"""Faults that one refusal lists."""

LARGEST = 1e30
"""Numbers beyond this, either sign, are no measurements."""

Row = Mapping[str, Any]


def predict(
    model_id: UUID, *, rows: Sequence[Row], level: float | None = None, is_held: bool = False, actor: Actor
) -> dict[str, list]:
    """Return for every row the predicted outputs, and the inputs that lie outside of what the model was trained on.

    Args:
        rows: a number for each of the model's inputs, by tag, or one of its categories where they are text; None where
            a model that imputes shall fill it. To a model that sees the past they are consecutive rows
            of history, one step apart; those whose past is not among them get None.
        level: also return intervals that hold this share of measurements.
        is_held: each row is held for so long that nothing else is in the past; without a past it changes nothing.

    Returns:
        ``predictions``, a dictionary output -> value a row, ``out_of_range``, a list of {"tag", "value", "lower",
        "upper"} a row, and with a level ``intervals``, a dictionary output -> [lower, upper] a row.

    Raises:
        AppError: MODEL_NOT_FOUND, MODEL_NOT_TRAINED, MODEL_DAMAGED, ROWS_INVALID (the first faults, each with its row,
            counted from 1, and tag).
        EngineError: the model has no intervals, or none of this level.
    """
    with sqlite.reading():
        model = visible(Model, model_id, to=actor, needs=Scope.MODEL_READ)
        db.session.commit()
    surrogate, lookback = surrogates.of(model), module_tags.lookback_of(model)
    X = checked(rows, model)
    is_alone = is_held or lookback.is_plain  # then no row needs another one, nor to be whole
    features, places = (lookback.steady(X), np.arange(len(X))) if is_alone else lookback.features(X)
    Y = surrogate.predict(features)
    _check_finite(Y, places)
    answer = {
        "predictions": _by_row(_named(surrogate.outputs, Y), places, len(X)),
        "out_of_range": _out_of_range(X, lookback.tags, lookback.input_ranges(surrogate.input_ranges)),
    }
    if level is not None:
        ends = np.stack(surrogate.predict_interval(features, level), axis=2)
        answer["intervals"] = _by_row(_named(surrogate.outputs, ends), places, len(X))
    return answer


def _named(outputs: Sequence[str], values: np.ndarray) -> list[dict[str, Any]]:
    return [dict(zip(outputs, row, strict=True)) for row in values.tolist()]


def _by_row(found: Sequence[Any], places: np.ndarray, n: int) -> list[Any]:
    """Return what was found for the rows at these places; None for the others."""
    answers: list[Any] = [None] * n
    for place, each in zip(places.tolist(), found, strict=True):
        answers[place] = each
    return answers


def checked(rows: Sequence[Row], model: Model, *, may_lack: bool = True) -> np.ndarray:
    """Return rows as a matrix (n, d) with a column for each input of a model: places of categories, NaN for a gap.

    Args:
        may_lack: whether cells may be None to a model that imputes.

    Raises:
        AppError: ROWS_INVALID (the first faults, each with its row, counted from 1, and tag).
    """
    names, known = module_tags.names(model.inputs), categories.of(model)
    imputes = may_lack and categories.imputes(model)
    places = {tag: {name: place for place, name in enumerate(texts)} for tag, texts in known.items()}
    inputs = {tag: places.get(tag) for tag in names}
    found = (
        {"row": number, "tag": tag, "problem": problem}
        for number, row in enumerate(rows, start=1)
        for tag, problem in _faults(row, inputs, imputes)
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
    cells = [[places[tag].get(row[tag]) if tag in places else row[tag] for tag in inputs] for row in rows]
    return np.array(cells, dtype=np.float64).reshape(len(rows), len(inputs))  # None becomes NaN


def _faults(row: Row, inputs: Mapping[str, Collection[str] | None], imputes: bool) -> list[tuple[str, str]]:
    unknown = [(tag, "the model has no such input") for tag in row if tag not in inputs]
    known = [
        (tag, _fault_of(row[tag], names, imputes) if tag in row else "it is missing") for tag, names in inputs.items()
    ]
    return unknown + [(tag, fault) for tag, fault in known if fault]


def _fault_of(value: Any, names: Collection[str] | None, imputes: bool) -> str | None:
    if value is None and imputes:
        return None
    return _fault(value) if names is None else categories.fault(value, names)


def _fault(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "null is not a number" if value is None else f"a number is needed, not {type(value).__name__}"
    if not abs(value) <= LARGEST:  # also NaN
        return f"a finite number up to {LARGEST:g} is needed"
    return None


def _check_finite(Y: np.ndarray, places: np.ndarray) -> None:
    if not np.isfinite(Y).all():
        row = int(places[np.argwhere(~np.isfinite(Y))[0, 0]]) + 1
        detail = f"Row {row} lies so far from the data that the prediction is not a finite number."
        raise AppError(ErrorCode.ROWS_INVALID, detail, row=row)


def _out_of_range(X: np.ndarray, inputs: Sequence[str], ranges: np.ndarray) -> list[list[dict[str, Any]]]:
    lower, upper = ranges.T
    found: list[list[dict[str, Any]]] = [[] for _ in X]
    for row, column in np.argwhere((lower > X) | (upper < X)):
        mark = {"tag": inputs[column], "value": X[row, column]}
        found[row].append({**mark, "lower": float(lower[column]), "upper": float(upper[column])})
    return found

"""What was measured under the same fixed inputs, and what the answer saves against it."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.viewModels.model_history import History
from engine.evaluator import cost, excess
from engine.expressions import Expression
from engine.neighbors import comparable_rows
from engine.problem import Problem

MOST_ROWS = 50
"""Measured rows that the answer is compared with: those nearest in the fixed inputs, a tenth of all rows at most.
Without fixed inputs all rows are comparable."""

FEWEST_ROWS = 10


@dataclass(frozen=True)
class Measured:
    """What a problem's terms and limits came to in measured rows, with nothing predicted.

    Attributes:
        terms: value of each term in its own unit, shape (n, number of terms); NaN where it could not be computed.
        objective: as it is minimized, shape (n,).
        is_within_limits: whether a row keeps all limits, shape (n,).
    """

    terms: np.ndarray
    objective: np.ndarray
    is_within_limits: np.ndarray


def measure(problem: Problem, history: History) -> Measured:
    """Compute the terms and limits of a problem in every measured row."""
    values = [Expression.parse(term.of).evaluate(history.columns) for term in problem.terms]
    costs = [term.weight * cost(term, value) for term, value in zip(problem.terms, values, strict=True)]
    broken = [excess(limit, Expression.parse(limit.of).evaluate(history.columns)) for limit in problem.limits]
    return Measured(
        terms=np.stack(values, axis=1),
        objective=np.sum(costs, axis=0),
        is_within_limits=np.sum(broken, axis=0) == 0 if broken else np.ones(len(history.places), dtype=bool),
    )


def compared(
    problem: Problem, measured: Measured, history: History, categorical: Collection[str] = ()
) -> dict[str, Any]:
    """Return what was measured in the rows nearest in the fixed inputs: medians, and the best that keeps the limits.

    Of categorical inputs there is no median; the most frequent category stands in its place.
    """
    fixed = list(problem.fixed)
    n_rows = min(MOST_ROWS, max(FEWEST_ROWS, len(history.places) // 10)) if fixed else len(history.places)
    codes = [j for j, tag in enumerate(fixed) if tag in categorical]
    rows = comparable_rows(history.matrix(fixed), [problem.fixed[tag] for tag in fixed], n_rows, categories=codes)
    kept = rows[measured.is_within_limits[rows] & np.isfinite(measured.objective[rows])]
    best = kept[np.argmin(measured.objective[kept])] if len(kept) else None
    return {
        "n_rows": len(rows),
        "n_rows_within_limits": int(measured.is_within_limits[rows].sum()),
        "fixed_ranges": {tag: _range(history.columns[tag][rows]) for tag in fixed},
        "medians": {
            tag: _most_frequent(values[rows]) if tag in categorical else median(values[rows])
            for tag, values in history.columns.items()
        },
        "objective": _told(measured.objective, rows, best),
        "terms": [_told(measured.terms[:, k], rows, best) for k in range(len(problem.terms))],
    }


def saved(problem: Problem, baseline: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return by how much the answer is better than the median of the baseline, a gain being positive.

    A term's gain is in its own unit: down for minimize, up for maximize, nearer for target.
    """
    terms = zip(problem.terms, baseline["terms"], found["terms"], strict=True)
    return {
        "objective": _gain("minimize", baseline["objective"]["median"], found["objective"], None),
        "terms": [_gain(term.goal, before["median"], after["value"], term.value) for term, before, after in terms],
    }


def median(values: np.ndarray) -> float | None:
    """Return the median of the finite values, None if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _most_frequent(places: np.ndarray) -> float:
    return float(np.bincount(places.astype(np.intp)).argmax())


def finite(value: float | None) -> float | None:
    """Return the number, or None if it is not one that JSON can write."""
    return value if value is not None and math.isfinite(value) else None


def _gain(goal: str, before: float | None, after: float | None, target: float | None) -> dict[str, float | None]:
    if before is None or after is None:
        return {"gain": None, "percent": None}
    if target is not None:
        gain = abs(before - target) - abs(after - target)
    else:
        gain = after - before if goal == "maximize" else before - after
    percent = 100 * gain / abs(before) if before else None
    return {"gain": finite(gain), "percent": finite(percent)}


def _told(values: np.ndarray, rows: np.ndarray, best: int | None) -> dict[str, float | None]:
    at_best = None if best is None or not np.isfinite(values[best]) else float(values[best])
    return {"median": median(values[rows]), "best": at_best}


def _range(values: np.ndarray) -> list[float]:
    return [float(values.min()), float(values.max())]

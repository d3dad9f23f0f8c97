"""What an optimization found: what it saves, and how far it is from anything ever measured."""

from typing import Any

import numpy as np

from app.models import Model, Optimization
from app.version import VERSION
from app.viewModels import categories, optimization_baseline, optimization_notes
from app.viewModels.model_history import History
from app.viewModels.optimization_baseline import Measured
from engine import neighbors
from engine.lookback import Steady
from engine.optimize import Optimum
from engine.problem import Problem
from engine.surrogates import Surrogate

N_NEAREST = 5
"""Measured rows that are shown beside the answer."""


def report(
    optimization: Optimization, optimum: Optimum, surrogate: Surrogate | Steady, history: History
) -> dict[str, Any]:
    """Return the result of an optimization as JSON values; ``docs/optimizations.md`` says what each part means."""
    model = optimization.model
    problem = Problem.from_json(optimization.problem)
    measured = optimization_baseline.measure(problem, history)
    known = categories.of(model)
    baseline = optimization_baseline.compared(problem, measured, history, known)
    found = optimum.to_json()
    result = {
        **{name: value for name, value in found.items() if name not in {"solver", "seed", "budget"}},
        "baseline": baseline,
        "saving": optimization_baseline.saved(problem, baseline, found),
        "nearest": _nearest(optimum, surrogate, measured, history),
        "model": _about(model),
        "repeat": _repeat(optimization, model),
    }
    notes = optimization_notes.about(result, ranges=model.ranges, metrics=model.metrics)
    return categories.in_report(result, known) | {"notes": notes}


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return the few values of a result that the task carries too."""
    return {name: result[name] for name in ("objective", "is_feasible", "evaluations", "seconds")}


def _nearest(optimum: Optimum, surrogate: Surrogate | Steady, measured: Measured, history: History) -> dict[str, Any]:
    """Return the measured rows nearest to the answer over all inputs, and how far from each other rows usually are."""
    inputs = surrogate.inputs
    known = neighbors.History(history.matrix(inputs), inputs)
    answer = [optimum.inputs[tag] for tag in inputs]
    rows, distances = known.nearest(answer, N_NEAREST)
    return {
        "distance": float(distances[0]),
        "typical_spacing": _finite(known.spacing()),
        "unseen": list(known.unseen(answer)),
        "rows": [
            {
                "row": int(history.places[i]),
                "time": _finite(history.times[i], int) if history.times is not None else None,
                "distance": float(distance),
                "inputs": {tag: float(history.columns[tag][i]) for tag in inputs},
                "terms": [_finite(value) for value in measured.terms[i]],
            }
            for i, distance in zip(rows, distances, strict=True)
        ],
    }


def _about(model: Model) -> dict[str, Any]:
    """Return how much the model's predictions are worth, with the validation that says so."""
    return {
        "id": str(model.id),
        "number": model.number,
        "name": model.name,
        "kind": model.kind,
        "n_rows": model.n_rows,
        "validation": model.metrics["validation"],
        "scores": model.metrics["scores"],
    }


def _repeat(optimization: Optimization, model: Model) -> dict[str, Any]:
    """Return everything that it takes to find the same answer again."""
    version = model.dataset_version
    return {
        "problem": optimization.problem,
        "solver": optimization.solver,
        "seed": optimization.seed,
        "budget": optimization.budget,
        "model_id": str(model.id),
        "model_sha256": model.artifact_sha256,
        "dataset_id": str(version.dataset_id),
        "dataset_version": version.number,
        "dataset_sha256": version.sha256,
        "product_version": VERSION,
    }


def _finite(value: float, kind: type = float) -> Any:
    return kind(value) if np.isfinite(value) else None

"""What an optimization found: what it saves, and how far it is from anything ever measured."""

from typing import Any

from app.models import Model, Optimization
from app.version import VERSION
from app.viewModels import categories, optimization_baseline, optimization_nearest, optimization_notes
from app.viewModels.model_history import History
from engine.optimize import Optimum
from engine.problem import Problem


def report(optimization: Optimization, optimum: Optimum, history: History) -> dict[str, Any]:
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
        "trust": optimization_nearest.in_table(found["trust"], history.places),
        "nearest": optimization_nearest.about(optimum.inputs, history, measured.terms, categorical=known),
        "model": _about(model),
        "repeat": _repeat(optimization, model),
    }
    notes = optimization_notes.about(result, ranges=model.ranges, metrics=model.metrics)
    return categories.in_report(result, known) | {"notes": notes}


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return the few values of a result that the task carries too."""
    return {name: result[name] for name in ("objective", "is_feasible", "evaluations", "seconds")}


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

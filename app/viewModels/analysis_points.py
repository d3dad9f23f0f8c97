"""The two points between which an optimization is explained: what is run now, and the optimum."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Model, Optimization
from app.viewModels import categories, module_tags
from app.viewModels.access import visible

Point = dict[str, float]


def of_optimization(optimization_id: UUID, model: Model, *, actor: Actor) -> dict[str, Any]:
    """Return the points by the model's inputs: ``points``, now and then, and ``compared_with``, what now is.

    ``is_feasible`` tells whether the optimum keeps all limits.

    Now is the operating point that the optimization was given ("current"); without one, the medians of what was
    measured under the same fixed inputs ("baseline").

    Raises:
        AppError: OPTIMIZATION_NOT_FOUND, INVALID_INPUT (it is not done, not of this model, or knows no now).
    """
    optimization = visible(Optimization, optimization_id, to=actor, needs=Scope.OPTIMIZATION_READ)
    if optimization.result is None:
        raise _unfit(optimization, f"it is {optimization.state}, so there is no optimum", state=optimization.state)
    if optimization.model_id is not None:
        before, after, compared_with = _of_model(optimization, model)
    else:
        before, after, compared_with = _of_process(optimization, model)
    return {
        "points": [before, after],
        "compared_with": compared_with,
        "is_feasible": optimization.result["is_feasible"],
    }


def _of_model(optimization: Optimization, model: Model) -> tuple[Point, Point, str]:
    if optimization.model_id != model.id:
        raise _unfit(optimization, "it is of another model", model_id=str(optimization.model_id))
    tags, result, known = module_tags.names(model.inputs), optimization.result, categories.of(model)
    at_optimum = categories.unworded(result["inputs"], known)
    after = {tag: at_optimum[tag] for tag in tags}
    if comparison := result.get("comparison"):
        before = categories.unworded(comparison["inputs"], known)
        return {tag: before[tag] for tag in tags}, after, "current"
    medians, fixed = categories.unworded(result["baseline"]["medians"], known), optimization.problem["fixed"]
    return {tag: fixed.get(tag, medians[tag]) for tag in tags}, after, "baseline"


def _of_process(optimization: Optimization, model: Model) -> tuple[Point, Point, str]:
    if model.id not in {each.model_id for each in optimization.modules}:
        raise _unfit(optimization, "this model stands for none of its modules")
    result = optimization.result
    if not result.get("comparison"):
        raise _unfit(optimization, "it was not told the operating point of now, so that there is none to compare with")
    before, after = (_within_process(model, at) for at in (result["comparison"], result))
    if before is None or after is None:
        raise _unfit(optimization, "the module's links are not those of then")
    return before, after, "current"


def _within_process(model: Model, at: Mapping[str, Any]) -> Point | None:
    """Return the inputs of one module from those of the process and what its other modules give; None if one lacks.

    A stream that closes a loop goes in by the value that is assumed for it.
    """
    given = {**at["outputs"], **categories.unworded(at["inputs"], categories.of(model))}
    point = {}
    for entry in model.inputs:
        tag = entry["tag"]
        names = [entry.get("source_tag") or tag] if entry["role"] == "link" else [f"{tag} (assumed)", tag]
        values = [given[name] for name in names if given.get(name) is not None]
        if not values:
            return None
        point[tag] = values[0]
    return point


def _unfit(optimization: Optimization, reason: str, **details: Any) -> AppError:
    path = "params.optimization_id"
    return AppError(ErrorCode.INVALID_INPUT, f"{path}: {reason}.", path=path, id=str(optimization.id), **details)

"""What an analysis asks, held against the model before any work is done."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from uuid import UUID

from app.libs.actor import Actor
from app.libs.enums import AnalysisKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import Model
from app.viewModels import analysis_points, categories, module_tags, predictions
from engine.importance import check_readable
from engine.surrogates.kinds import IMPORTED

METHODS = ["permutation", "model", "elimination", "redundancy"]
"""The ways in which importance is found; the first is the default."""

MOST_POINTS = 100
"""Predictions that one analysis explains."""

MOST_PREDICTIONS = 200_000
"""Rows that the model is asked for along one tag or over two."""

MOST_IN_CURVES = 50_000
"""Numbers in the curves of single rows: a result is kept in the database, and is sent whole."""


def complete(model: Model, kind: AnalysisKind, params: Mapping[str, Any], *, actor: Actor) -> dict[str, Any]:
    """Return the params as they are stored, with nothing left open.

    Raises:
        AppError: INVALID_INPUT (with the field), ROWS_INVALID, OPTIMIZATION_NOT_FOUND.
        EngineError: a model of this kind does not say what is asked.
    """
    return _COMPLETE[kind](model, dict(params), actor)


def placed(model: Model, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored params with the places of categories in place of their texts, as the work takes them."""
    known = categories.of(model)
    points = [categories.unworded(point, known) for point in params.get("points") or []]
    return dict(params) | ({"points": points} if points else {})


def in_words(kind: AnalysisKind, params: Mapping[str, Any]) -> str:
    """Return a name for an analysis that was given none."""
    if kind is AnalysisKind.IMPORTANCE:
        return _WORDS[params["method"]]
    if kind is AnalysisKind.DEPENDENCE:
        return f"Dependence on {' and '.join(params['tags'])}"[:200]
    if params["optimization_id"]:
        return "What changes at the optimum"
    return f"Contributions at {len(params['points'])} point{'s' if len(params['points']) > 1 else ''}"


_WORDS = {
    "permutation": "Importance by permutation",
    "model": "Importance from the model",
    "elimination": "How few inputs are enough",
    "redundancy": "What tells something new",
}


def _importance(model: Model, params: dict[str, Any], _actor: Actor) -> dict[str, Any]:
    if params["method"] == "redundancy" and params["measure"] != "mutual_information":
        _check_has_order(model, params["measure"])
    if model.kind in IMPORTED and params["method"] == "elimination":
        _refuse(
            "method",
            "an imported model is not trained again with fewer inputs; ask by 'permutation'",
            given="elimination",
        )
    if params["method"] == "model" or params.get("by") == "model":
        check_readable(model.kind)
    n_inputs = len(module_tags.lookback_of(model).names)  # what is seen of the past counts as inputs of its own
    for name in ("fewest", "n_inputs"):
        if (params.get(name) or 1) > n_inputs:
            _refuse(name, f"the model has {n_inputs} inputs", given=params[name])
    return params


def _check_has_order(model: Model, measure: str) -> None:
    """Refuse to correlate inputs that hold text, or lacked a value in training."""
    if tags := [*categories.of(model), *categories.flagged(model)]:
        listed = ", ".join(map(repr, dict.fromkeys(tags)))
        reason = (
            f"{listed} hold text, which has no order to correlate, or lack values, which no correlation knows;"
            " ask for 'mutual_information'"
        )
        _refuse("measure", reason, given=measure, tags=list(dict.fromkeys(tags)))


def _dependence(model: Model, params: dict[str, Any], _actor: Actor) -> dict[str, Any]:
    _check_tags("tags", params["tags"], module_tags.names(model.inputs))
    n_rows = min(params["n_rows"], model.dataset_version.n_rows)
    n_asked = n_rows * params["n_points"] ** len(params["tags"])
    if n_asked > MOST_PREDICTIONS:
        _refuse(
            "n_points",
            f"{n_rows} rows at so many points are {n_asked} predictions, more than {MOST_PREDICTIONS}",
            n_predictions=n_asked,
        )
    if params["with_curves"] and n_asked * len(model.outputs) > MOST_IN_CURVES:
        n_held = n_asked * len(model.outputs)
        _refuse("with_curves", f"the curves would hold {n_held} numbers, more than {MOST_IN_CURVES}", n_numbers=n_held)
    return params


def _contributions(model: Model, params: dict[str, Any], actor: Actor) -> dict[str, Any]:
    inputs = module_tags.names(model.inputs)
    _check_tags("background", params["background"], [*inputs, *model.outputs])
    if turned := [tag for tag, (lower, upper) in params["background"].items() if lower > upper]:
        _refuse("background", f"the lower bound of {turned[0]!r} is above its upper bound", tags=turned)
    optimization_id: UUID | None = params["optimization_id"]
    if optimization_id is None:
        points = predictions.checked(params["points"], model, may_lack=False)
        return params | {"points": _worded([dict(zip(inputs, point, strict=True)) for point in points.tolist()], model)}
    found = analysis_points.of_optimization(optimization_id, model, actor=actor)
    return params | {"optimization_id": str(optimization_id), **found, "points": _worded(found["points"], model)}


def _worded(points: Sequence[Mapping[str, Any]], model: Model) -> list[dict[str, Any]]:
    """Return points as people know them, with texts for categories."""
    return [categories.worded(point, categories.of(model)) for point in points]


_COMPLETE: dict[AnalysisKind, Callable[[Model, dict[str, Any], Actor], dict[str, Any]]] = {
    AnalysisKind.IMPORTANCE: _importance,
    AnalysisKind.DEPENDENCE: _dependence,
    AnalysisKind.CONTRIBUTIONS: _contributions,
}


def _check_tags(name: str, tags: Sequence[str] | Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := [tag for tag in tags if tag not in known]:
        _refuse(name, f"the model has no {unknown[0]!r}; there are {', '.join(known[:20])}", tags=unknown)


def _refuse(name: str, reason: str, **details: Any) -> NoReturn:
    raise AppError(ErrorCode.INVALID_INPUT, f"params.{name}: {reason}.", path=f"params.{name}", **details)

"""What an analysis found, beside what the model's word is worth, and with what it takes to find it again."""

from typing import Any

from app.models import Analysis, Model
from app.version import VERSION
from app.viewModels import analysis_params, categories

NO_SKILL = 0.05
"""Below this R2 on held-out rows, what a model makes of its inputs says nothing of the plant."""

MOST_TOLD = 20
"""Values beyond the data that one note lists."""


def report(analysis: Analysis, found: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an analysis as JSON values; ``docs/analysis.md`` says what each part means."""
    model = analysis.model
    return {
        **_worded(found, categories.of(model)),
        "model": {
            "id": str(model.id),
            "number": model.number,
            "kind": model.kind,
            "n_rows": model.n_rows,
            "validation": model.metrics["validation"],
            "scores": model.metrics["scores"],
        },
        "notes": [
            *_skill(model),
            *_beyond_data(model, analysis_params.placed(model, analysis.params)),
            *_feasibility(analysis.params),
        ],
        "repeat": _repeat(analysis, model),
    }


def _worded(found: dict[str, Any], known: categories.Known) -> dict[str, Any]:
    """Return what was found with the texts of categorical inputs in place of their places."""
    told = dict(found["found"])
    if "grid" in told:
        pairs = zip(told["tags"], told["grid"], strict=True)
        told["grid"] = [[categories.word(tag, value, known) for value in values] for tag, values in pairs]
    if "points" in told:
        told["points"] = [
            point | {"inputs": [_with_words(each, known) for each in point["inputs"]]} for point in told["points"]
        ]
    if "change" not in found:
        return found | {"found": told}
    changes = [_with_words(each, known) for each in found["change"]["inputs"]]
    return found | {"found": told, "change": found["change"] | {"inputs": changes}}


def _with_words(told: dict[str, Any], known: categories.Known) -> dict[str, Any]:
    values = {key: told[key] for key in ("value", "before", "after") if key in told}
    return told | {key: categories.word(told["input"], value, known) for key, value in values.items()}


def _skill(model: Model) -> list[dict[str, Any]]:
    """Return a note for each output that the model does not predict."""
    scores = {output: score["r2"] for output, score in model.metrics["scores"].items()}
    return [
        {
            "code": "model.no_skill",
            "message": f"The model does not predict {output!r} (R2 {r2:.2f} on rows it has not seen): what it makes of"
            " its inputs says nothing about this output.",
            "details": {"output": output, "r2": r2},
        }
        for output, r2 in scores.items()
        if r2 is not None and r2 < NO_SKILL
    ]


def _beyond_data(model: Model, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a note on the points that lie outside of what the model was trained on, if any do."""
    beyond = [
        {"point": number, "tag": tag, "value": value, "lower": model.ranges[tag][0], "upper": model.ranges[tag][1]}
        for number, point in enumerate(params.get("points") or [], start=1)
        for tag, value in point.items()
        if tag in model.ranges and not model.ranges[tag][0] <= value <= model.ranges[tag][1]
    ]
    if not beyond:
        return []
    message = (
        f"Point {beyond[0]['point']} lies outside of what was measured, first in {beyond[0]['tag']!r}: there the model"
        " guesses, and its reasons with it."
    )
    details = {"values": beyond[:MOST_TOLD], "n_values": len(beyond)}
    return [{"code": "points.beyond_data", "message": message, "details": details}]


def _feasibility(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a note on an optimum that is none."""
    if params.get("is_feasible", True):
        return []
    message = "The optimum breaks limits: what is explained is the way to the point that breaks them least."
    return [{"code": "optimum.infeasible", "message": message, "details": {}}]


def _repeat(analysis: Analysis, model: Model) -> dict[str, Any]:
    """Return everything that it takes to find the same again."""
    version = model.dataset_version
    return {
        "kind": analysis.kind,
        "params": analysis.params,
        "model_id": str(model.id),
        "model_sha256": model.artifact_sha256,
        "dataset_id": str(version.dataset_id),
        "dataset_version": version.number,
        "dataset_sha256": version.sha256,
        "product_version": VERSION,
    }

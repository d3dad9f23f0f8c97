"""Asking a model what it goes by, and why it says what it says."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np

from app.libs.enums import AnalysisKind
from app.tasks.claim import Claim
from app.viewModels import analyses
from app.viewModels.analyses import Study
from engine.errors import ShapeError
from engine.explain import contributions, explain_change, partial_dependence
from engine.importance import eliminate, held_out_importance, model_importance, permutation_importance, select
from engine.optimize import jsonable

Found = dict[str, Any]
OnStep = Callable[[float], None]


def analyze(claim: Claim) -> None:
    """Find what was asked of a model."""
    analysis_id = UUID(claim.payload["analysis_id"])
    study = analyses.load(analysis_id)
    way = study.params["method"] if study.kind is AnalysisKind.IMPORTANCE else study.kind

    def tell(share: float) -> None:
        claim.step(min(share, 0.99))  # the result is still to be written

    found = jsonable(WAYS[way](study, tell))
    with claim.success() as result:
        result.update(analyses.finish(analysis_id, found))


def _from_the_model(study: Study, tell: OnStep) -> Found:
    _, rows = study.training()
    found = model_importance(study.surrogate(), rows.X, correlated=study.params["correlated"], on_step=tell)
    return {"found": found.to_json()}


def _by_permutation(study: Study, tell: OnStep) -> Found:
    """Shuffle inputs among the rows that each fold of the model's own validation holds out."""
    asked = {name: study.params[name] for name in ("n_repeats", "n_draws", "level", "correlated")}
    if study.is_imported:  # it is not trained again: the rows may be those that it was made from
        return {"found": permutation_importance(study.surrogate(), *study.measured(), **asked, on_step=tell).to_json()}
    order, rows = study.training()
    found = held_out_importance(
        order.kind,
        rows.X,
        rows.Y,
        rows.folds(order.validation, seed=order.seed),
        **order.learn,
        **asked,
        clusters=_together(order.validation.scheme, rows.held_out_by),
        on_step=tell,
    )
    return {"found": found.to_json()}


def _together(scheme: str, held_out_by: np.ndarray | None) -> np.ndarray | None:
    """Return which rows are drawn together: groups held out whole, or neighbors in time; None: those in the table."""
    if held_out_by is None or scheme == "group":
        return held_out_by
    n = len(held_out_by)
    return np.argsort(np.argsort(held_out_by, kind="stable")) // int(np.ceil(n ** (1 / 3)))


def _by_elimination(study: Study, tell: OnStep) -> Found:
    order, rows = study.training()
    asked = {name: study.params[name] for name in ("by", "rule", "fewest", "step", "n_repeats")}
    found = eliminate(
        order.kind,
        rows.X,
        rows.Y,
        rows.folds(order.validation, seed=order.seed),
        **order.learn,
        **asked,
        on_step=tell,
    )
    return {"found": found.to_json()}


def _by_redundancy(study: Study, tell: OnStep) -> Found:
    asked = {name: study.params[name] for name in ("n_inputs", "measure", "criterion", "k", "seed")}
    if study.is_imported:
        model, (X, Y) = study.surrogate(), study.measured()
        return {"found": select(X, Y, inputs=model.inputs, outputs=model.outputs, on_step=tell, **asked).to_json()}
    order, rows = study.training()
    kinds = {name: order.learn[name] for name in ("categories", "missing") if name in order.learn}
    found = select(rows.X, rows.Y, inputs=order.inputs, outputs=order.outputs, on_step=tell, **asked, **kinds)
    return {"found": found.to_json()}


def _along(study: Study, tell: OnStep) -> Found:
    model = study.held()
    asked = {name: study.params[name] for name in ("tags", "n_points", "n_rows", "seed")}
    found = partial_dependence(model, study.history().matrix(model.inputs), on_step=tell, **asked)
    return {"found": found.to_json(with_curves=study.params["with_curves"])}


def _at_points(study: Study, tell: OnStep) -> Found:
    """Tell what each input adds at some points; at the two of an optimization also what the way between them does."""
    model, seed = study.held(), study.params["seed"]
    X = np.array([[point[tag] for tag in model.inputs] for point in study.params["points"]])
    background = _background(study, model.inputs)
    found = contributions(model, X, background, n_background=study.params["n_background"], seed=seed, on_step=tell)
    if not study.params["optimization_id"]:
        return {"found": found.to_json()}
    change = explain_change(model, *X, seed=seed)
    told = [
        {
            "input": tag,
            "before": float(X[0, j]),
            "after": float(X[1, j]),
            "adds": change.values[0, j].tolist(),
            "contribution_before": found.values[0, j].tolist(),
            "contribution_after": found.values[1, j].tolist(),
        }
        for j, tag in enumerate(model.inputs)
    ]
    return {
        "found": found.to_json(),
        "change": {
            "compared_with": study.params["compared_with"],
            "before": change.base.tolist(),
            "after": change.predictions[0].tolist(),
            "is_exact": change.is_exact,
            "inputs": told,
        },
    }


def _background(study: Study, inputs: tuple[str, ...]) -> np.ndarray:
    """Return the measured rows to compare with: those within the ranges that were asked for."""
    history, ranges = study.history(), study.params["background"]
    rows = history.matrix(inputs)
    is_within = np.ones(len(rows), dtype=bool)
    for tag, (lower, upper) in ranges.items():
        is_within &= (history.columns[tag] >= lower) & (history.columns[tag] <= upper)
    if not is_within.any():
        raise ShapeError("no measured row lies within the background that was asked for", background=ranges)
    return rows[is_within]


WAYS: dict[str, Callable[[Study, OnStep], Found]] = {
    "model": _from_the_model,
    "permutation": _by_permutation,
    "elimination": _by_elimination,
    "redundancy": _by_redundancy,
    AnalysisKind.DEPENDENCE: _along,
    AnalysisKind.CONTRIBUTIONS: _at_points,
}

"""What is asked of an optimization beside its problem: trust, comparison, recipes, certificate."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import Model
from app.viewModels import categories, module_tags
from app.viewModels.model_history import History
from engine.exact import NotEligible
from engine.expressions import Expression
from engine.problem import Problem
from engine.trust import LEVEL, DistanceEnvelope, Envelope, PolyhedralEnvelope

__all__ = ["FORMS", "LEVEL", "asked", "envelope"]

FORMS = ["distance", "polyhedral"]

NO_CUTS: Mapping[str, str] = MappingProxyType({})


def asked(
    *,
    trust: float | None,
    trust_form: str,
    current: Mapping[str, float | str] | None,
    n_recipes: int,
    certify: bool,
    closes_cuts: bool = False,
    starts: int = 1,
    known: categories.Known,
) -> dict[str, Any]:
    """Return the options as they are stored. A certificate speaks of the polyhedral envelope, and sets the form.

    Args:
        known: the categories of the inputs that are categorical.

    Raises:
        AppError: INVALID_INPUT, no polyhedron is made of categories, or there is no such category.
    """
    if known and trust is not None and trust_form == "polyhedral":
        listed = ", ".join(map(repr, known))
        raise AppError(
            ErrorCode.INVALID_INPUT,
            f"trust_form: {listed} holds categories, of which there is no polyhedron; ask for 'distance'.",
            path="trust_form",
            tags=list(known),
        )
    return {
        "trust": trust,
        "trust_form": "polyhedral" if certify else trust_form,
        "current": categories.placed("current", current, known) if current else None,
        "n_recipes": n_recipes,
        "certify": certify,
        "closes_cuts": closes_cuts,
        "starts": starts,
    }


def check_starts(problem: Problem, n_starts: int) -> None:
    """Refuse several starts where no one answer is the best.

    Raises:
        AppError: INVALID_INPUT.
    """
    if n_starts > 1 and len(problem.objectives) > 1:
        detail = "starts: of several fronts none is the best; ask for one start with several objectives."
        raise AppError(ErrorCode.INVALID_INPUT, detail, path="starts")


def with_assumed(current: Mapping[str, Any] | None, cuts: Mapping[str, str]) -> dict[str, Any] | None:
    """Return an operating point of now in which what is measured of a cut stream stands for what is assumed of it.

    Args:
        cuts: the assumed value of each cut, by name -> the tag that is measured.
    """
    if not current:
        return None
    return {name: current[tag] for name, tag in cuts.items() if tag in current} | dict(current)


def check_current(problem: Problem, current: Mapping[str, Any] | None, cuts: Mapping[str, str] = NO_CUTS) -> None:
    """Refuse an operating point of now that lacks a free input. Tags that are not free are not looked at.

    Args:
        cuts: as for ``with_assumed``: streams are asked for by their own tags.

    Raises:
        AppError: INVALID_INPUT.
    """
    free = [variable.tag for variable in problem.variables]
    missing = [cuts.get(tag, tag) for tag in free if current and tag not in current]
    if missing:
        detail = f"current: give a value for {', '.join(map(repr, missing))}: every input that is free needs one."
        raise AppError(ErrorCode.INVALID_INPUT, detail, path="current", tags=missing)


PROVABLE = {"linear", "ridge", "random_forest", "extra_trees", "hist_gradient_boosting", "neural_network"}
"""Kinds of models over which a certificate can be given."""


def kind_of(model: Model) -> str:
    """Return the kind of a model, as a certificate sees it."""
    if model.encoding:
        return "model that encodes its inputs"
    return model.kind if module_tags.lookback_of(model).is_plain else "model of the past"


def check_certificate(problem: Problem, kinds: Mapping[str, str]) -> None:
    """Refuse a certificate that cannot be given, by what is known before the work.

    Args:
        problem: what is asked.
        kinds: what each model is called, and its kind.

    Raises:
        NotEligible: a term or limit is not a weighted sum, or a model is of a kind that no program can hold.
    """
    reasons = [
        f"{part.of} is not a weighted sum of tags"
        for part in (*problem.terms, *problem.limits)
        if Expression.parse(part.of).affine() is None
    ]
    reasons += [f"{name} is of the kind {kind!r}" for name, kind in kinds.items() if kind not in PROVABLE]
    if len(problem.objectives) > 1:
        reasons.append("there are several objectives, and a proof is of one")
    if reasons:
        raise NotEligible(f"no certificate can be given: {'; '.join(reasons)}", reasons=reasons)


def envelope(
    options: Mapping[str, Any], history: History, inputs: list[str], known: categories.Known
) -> Envelope | None:
    """Return the trust envelope over a model's inputs; None where it was switched off.

    Optimizations of before there was one have no options, and none.

    Args:
        known: the categories of the inputs that are categorical.
    """
    level = options.get("trust")
    if level is None:
        return None
    X = history.matrix(inputs)
    if options["trust_form"] == "polyhedral":
        return PolyhedralEnvelope.fit(X, inputs, level=level)
    return DistanceEnvelope.fit(X, inputs, level=level, categories=list(known))

"""What is asked of an optimization beside its problem: trust, comparison, recipes, certificate."""

from collections.abc import Mapping
from typing import Any

from app.viewModels.model_history import History
from engine.trust import LEVEL, DistanceEnvelope, Envelope, PolyhedralEnvelope

__all__ = ["FORMS", "LEVEL", "asked", "envelope"]

FORMS = ["distance", "polyhedral"]


def asked(
    *,
    trust: float | None,
    trust_form: str,
    current: Mapping[str, float] | None,
    n_recipes: int,
    certify: bool,
    closes_cuts: bool = False,
) -> dict[str, Any]:
    """Return the options as they are stored. A certificate speaks of the polyhedral envelope, and sets the form."""
    return {
        "trust": trust,
        "trust_form": "polyhedral" if certify else trust_form,
        "current": dict(current) if current else None,
        "n_recipes": n_recipes,
        "certify": certify,
        "closes_cuts": closes_cuts,
    }


def envelope(options: Mapping[str, Any], history: History, inputs: list[str]) -> Envelope | None:
    """Return the trust envelope over a model's inputs; None where it was switched off.

    Optimizations of before there was one have no options, and none.
    """
    level = options.get("trust")
    if level is None:
        return None
    form = PolyhedralEnvelope if options["trust_form"] == "polyhedral" else DistanceEnvelope
    return form.fit(history.matrix(inputs), inputs, level=level)

"""Where nothing feasible was found: what the nearest point breaks, and the smallest relaxation found that admits it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.evaluator import Report


@dataclass(frozen=True)
class Broken:
    """A limit that the nearest point breaks.

    The nearest point is the one whose violations, each in its scale, add up to the least that was found. Its values are
    therefore the smallest relaxation found, in this norm (the sum, l1): with every broken limit moved to ``relax_to``,
    it is feasible. It is not the least for each limit alone: a limit may need less where others are moved further. A
    sum tends to be least where few limits are broken, so that few have to be moved.

    Attributes:
        of: the expression of the limit; "trust envelope" for that.
        bound: the bound that is broken, in the unit of the limit.
        value: what the limit's expression comes to.
        by: how far beyond the bound that is, > 0, same unit.
        share: the same in the scale of the limit, which makes limits of any unit comparable.
        relax_to: the bound that would just admit the point.
        side: "lower", "upper", or "envelope".
    """

    of: str
    bound: float
    value: float
    by: float
    share: float
    relax_to: float
    side: str


def broken(report: Report) -> tuple[Broken, ...]:
    """Return what a point breaks, the worst first; empty if it is feasible."""
    found = []
    for told in report.limits:
        if told.is_kept:
            continue
        is_low = told.lower is not None and told.value < told.lower
        bound = told.lower if is_low else told.upper
        if bound is None:  # the value is not a number: no bound is nearer than another
            continue
        by = abs(told.value - bound)
        side = "lower" if is_low else "upper"
        found.append(Broken(told.of, bound, told.value, by, by / told.scale, told.value, side))
    trust = report.trust
    if trust and not trust["is_inside"]:
        found += _broken_trust("trust envelope", trust)
    return tuple(sorted(found, key=lambda each: -each.share))


def _broken_trust(of: str, trust: Mapping[str, Any]) -> list[Broken]:
    if "modules" in trust:
        parts = [(f"{of} of {name}", each) for name, each in trust["modules"].items() if not each["is_inside"]]
        return [part for name, each in parts for part in _broken_trust(name, each)]
    if "distance" in trust:
        limit, value = trust["limit"], trust["distance"]
        return [Broken(of, limit, value, value - limit, value / limit - 1, value, "envelope")]
    excess = trust["excess"]
    return [Broken(of, 0.0, excess, excess, excess, excess, "envelope")]

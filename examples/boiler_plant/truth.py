"""What is wanted of the plant, and the best there can be: the optimum over its balances, which is therefore known.

python -m examples.boiler_plant.truth
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.evaluator import Evaluator, Report
from engine.expressions import as_reference
from engine.problem import Limit, Problem, Term, Variable
from engine.process_optimum import ProcessOptimum, optimize_process
from examples.boiler_plant import balances, plant

STEAM_C, STEAM_MPA = (530.0, 545.0), (13.2, 13.8)
MOST_AIR_C = 215.0
"""Hotter air sets the mill on fire."""
LEAST_CORRECTED = 125.0
"""Below it, acid condenses on the preheater's cold end."""

BUDGET, SEED = 60_000, 1

TERMS = (
    Term("maximize", as_reference(plant.EFFICIENCY), weight=4.0, scale=2.0),
    Term("minimize", as_reference(plant.SO2), scale=70.0),
    Term("minimize", as_reference(plant.NOX), scale=125.0),
    Term("minimize", as_reference(plant.CO), scale=245.0),
    Term("minimize", as_reference(plant.CO2), scale=13_000.0),
    Term("maximize", f"{as_reference(plant.POWDER)} / {as_reference(plant.FEED)}", scale=0.05),
    Term("minimize", as_reference(plant.CURRENT), scale=plant.FULL_CURRENT[1] - plant.FULL_CURRENT[0]),
)
"""Each counts as one over the range in which its quantity usually lies; efficiency as much as all emissions."""

LIMITS = (
    Limit(as_reference(plant.STEAM_C), *STEAM_C, scale=5.0),
    Limit(as_reference(plant.STEAM_MPA), *STEAM_MPA, scale=0.12),
    Limit(as_reference(plant.AIR_C), upper=MOST_AIR_C, scale=15.0),
    Limit(as_reference(plant.CORRECTED), lower=LEAST_CORRECTED, scale=6.0),
)


def problem(
    posing: str = "output", bounds: Mapping[str, tuple[float, float]] = plant.CONTROLS, *, margin: float = 0.0
) -> Problem:
    """Return what is wanted in the case plant.CASE.

    Args:
        posing: of the mill's current.
        bounds: of the controls, tag -> (lower, upper).
        margin: by which every limit is pulled in, in its scale: models err, and the plant has to keep the limit.
    """
    ranges = {**plant.CONTROLS, **bounds}
    if posing == "input":
        ranges = {plant.CURRENT: plant.FULL_CURRENT} | ranges
    free = [Variable(tag, *ranges[tag]) for tag in plant.physics(posing).inputs if tag in ranges]
    return Problem(free, plant.CASE, TERMS, [_pulled_in(limit, margin) for limit in LIMITS])


def _pulled_in(limit: Limit, margin: float) -> Limit:
    by = margin * (limit.scale or 1.0)
    lower = None if limit.lower is None else limit.lower + by
    return replace(limit, lower=lower, upper=None if limit.upper is None else limit.upper - by)


def optimum(*, budget: int = BUDGET, seed: int = SEED) -> ProcessOptimum:
    """Return the true optimum: all controls at once over the balances, within the ranges of the controls alone."""
    return optimize_process(plant.physics(), problem(), mode="joint", budget=budget, seed=seed)


@dataclass(frozen=True)
class Applied:
    """What the plant gives.

    Attributes:
        report: objective, limits and terms, noise-free.
        fuel: raw coal, t/h, that meets the turbine's demand at this efficiency and yield of the mill. The steam's
            limits let the coal feed itself differ by the heat that hotter steam takes; this does not.
    """

    report: Report
    fuel: float


def applied(controls: Mapping[str, float]) -> Applied:
    """Return what the plant gives when controls are set; a current among them is not: no operator can set it."""
    found = Evaluator(problem(), plant.physics()).report([controls[variable.tag] for variable in problem().variables])
    powder = (
        plant.CASE[plant.ENERGY] * balances.KJ_PER_KCAL / 1e6 / balances.LHV / (found.outputs[plant.EFFICIENCY] / 100)
    )
    return Applied(found, powder * found.outputs[plant.FEED] / found.outputs[plant.POWDER])


def points(gap: float) -> float:
    """Return the points of boiler efficiency, percent, that a gap in the objective is worth.

    Better efficiency may come with more emissions; on this scale everything that is wanted counts.
    """
    return gap * (TERMS[0].scale or 1.0) / TERMS[0].weight


def worth(gap: float, there: Applied) -> float:
    """Return the raw coal, t/h, that a gap in the objective is worth, where all of it were a loss of efficiency."""
    return points(gap) / there.report.outputs[plant.EFFICIENCY] * there.fuel


def main() -> int:
    """Print the true optimum."""
    best = optimum()
    print(f"objective {best.objective:.5f}, fuel {applied(best.inputs).fuel:.3f} t/h, feasible: {best.is_feasible}")
    for variable in best.variables:
        print(f"  {variable.tag:48} {variable.value:10.4g}  {f'at its {variable.at} bound' if variable.at else ''}")
    for tag, value in best.outputs.items():
        print(f"  {tag:48} {value:10.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

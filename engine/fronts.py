"""The answer to several objectives: a front of points of which none is better than another in all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.evaluator import Evaluator
from engine.pareto import hypervolume, thin
from engine.solvers.base import Population
from engine.solvers.ranking import Floats


@dataclass(frozen=True)
class Recipe:
    """One point of a front.

    Attributes:
        inputs, outputs: by tag.
        objectives: by name, minimized.
        terms: the value of each term, in the order of the problem and in its own unit.
        is_knee: whether it is the knee: where giving up a little of one objective stops to buy much of another.
        is_feasible: whether it keeps all limits. Where nothing feasible was found, no point of the front does.
    """

    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    objectives: Mapping[str, float]
    terms: tuple[float, ...]
    is_knee: bool
    is_feasible: bool


@dataclass(frozen=True)
class Front:
    """A set of recipes.

    Attributes:
        names: of the objectives.
        recipes: at most so many as were asked for, apart from each other, by the first objective; the ends and the
            knee are among them.
        n_found: points of the front before it was thinned.
        reference: the point that the hypervolume is measured from, one number an objective.
        hypervolume: (evaluations, hypervolume of the front by then).
    """

    names: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    n_found: int
    reference: tuple[float, ...]
    hypervolume: tuple[tuple[int, float], ...]


def hypervolume_of(population: Population, reference: Floats) -> float | None:
    """Return the hypervolume of the feasible points of a front; 0 if there are none, None without a reference."""
    if not np.isfinite(reference).all():
        return None
    return hypervolume(population.F[population.violation == 0], reference)


def front_of(
    evaluator: Evaluator,
    population: Population,
    knee: Floats,
    n_recipes: int,
    volumes: tuple[tuple[int, float], ...],
    reference: Floats,
) -> Front:
    """Return the front of a population, thinned to distinct recipes.

    Args:
        evaluator: the problem with its model.
        population: the points of the front.
        knee: the one that is the knee, shape (number of variables,).
        n_recipes: the most points that are kept.
        volumes: history of the hypervolume.
        reference: what it is measured from.
    """
    names = tuple(name or "objective" for name in evaluator.problem.objectives)
    is_knee = (knee == population.X).all(axis=1)
    kept = thin(population.F, n_recipes, keep=np.flatnonzero(is_knee)[:1])
    kept = kept[np.argsort(population.F[kept, 0], kind="stable")]
    reports = [(i, evaluator.report(population.X[i])) for i in kept]
    recipes = tuple(
        Recipe(
            inputs=report.inputs,
            outputs=report.outputs,
            objectives=report.objectives,
            terms=tuple(term.value for term in report.terms),
            is_knee=bool(is_knee[i]),
            is_feasible=report.is_feasible,
        )
        for i, report in reports
    )
    return Front(names, recipes, len(population.X), tuple(reference.tolist()), volumes)

"""Fronts of our solvers for several objectives against pymoo's: the volume they dominate, and the time they take."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.cells import Parameters, Result, table
from benchmarks.problems import multiobjective
from engine.pareto import hypervolume, nondominated
from engine.solvers import SOLVERS
from engine.solvers.nsga3 import reference_directions

TITLE = "Several objectives"

SOLVERS_COMPARED = ("nsga2", "nsga3")
EVALUATIONS = {"DTLZ3": 100_000}  # at fewer, no solver comes near the front, and both volumes are 0
USUAL = 25_000
SEEDS_SHORT, SEEDS_FULL = 3, 11

Floats = np.ndarray[Any, np.dtype[np.float64]]


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each seed, problem and solver; the short form leaves out what needs more evaluations."""
    return [
        {"problem": problem, "solver": solver, "seed": seed, "evaluations": EVALUATIONS.get(problem, USUAL)}
        for seed in range(1, 1 + (SEEDS_FULL if is_full else SEEDS_SHORT))
        for problem in multiobjective.NAMES
        for solver in SOLVERS_COMPARED
        if is_full or problem not in EVALUATIONS
    ]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return volume and seconds of both, at the same number of evaluations and the same population."""
    problem = multiobjective.problem(parameters["problem"])
    ours, n, seconds = _ours(problem, parameters)
    theirs, their_seconds = _pymoo(problem, parameters, n)
    return {
        "population": n,
        "volume": hypervolume(ours, problem.reference),
        "seconds": seconds,
        "pymoo_volume": hypervolume(theirs, problem.reference),
        "pymoo_seconds": their_seconds,
    }


def report(results: Sequence[Result]) -> str:
    """Return a table of medians over the seeds, and where less than what is wanted was reached."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.parameters["problem"], result.parameters["solver"]), []).append(result)
    rows = [_row(*names, group) for names, group in groups.items()]
    heads = ["problem", "solver", "evaluations", "hypervolume", "pymoo", "ratio", "wall time to pymoo's", "seeds"]
    short = [f"{row[1]} on {row[0]}" for row in rows if float(row[5].strip("*")) < 0.99 or _time(row) > 1.0]
    return "\n\n".join(
        [
            "Our `nsga2` and `nsga3` against those of pymoo at equal evaluations and populations: medians over the"
            " seeds. The volume is measured from the ideal point and 1.1 ranges of the true front."
            " Wanted: a volume of at least 0.99 of pymoo's, and no more time.",
            table(heads, rows),
            f"Short of that: {', '.join(short)}." if short else "Nothing falls short of that.",
        ]
    )


def _time(row: Sequence[str]) -> float:
    return float(row[6].split()[0].strip("*"))


def _row(problem: str, solver: str, group: Sequence[Result]) -> list[str]:
    ours, theirs = (statistics.median(each.figures[name] for each in group) for name in ("volume", "pymoo_volume"))
    times = [each.figures["seconds"] / each.figures["pymoo_seconds"] for each in group]
    return [
        problem,
        solver,
        str(group[0].parameters["evaluations"]),
        f"{ours:.4f}",
        f"{theirs:.4f}",
        f"**{ours / theirs if theirs else 1.0:.3f}**",
        f"**{statistics.median(times):.2f}** ({min(times):.2f} to {max(times):.2f})",
        str(len(group)),
    ]


def _ours(problem: multiobjective.Problem, parameters: Parameters) -> tuple[Floats, int, float]:
    """Return the front, the size of the population, and the seconds."""
    began = time.perf_counter()
    solver = SOLVERS[parameters["solver"]](
        problem.lower,
        problem.upper,
        budget=parameters["evaluations"],
        seed=parameters["seed"],
        n_objectives=len(problem.reference),
    )
    n = 0
    while not solver.is_done:
        X = solver.ask()
        F, g = problem.evaluate(X)
        solver.tell(X, F, multiobjective.violation(g))
        n = n or len(X)
    found = solver.front()
    return found.F[found.violation == 0], n, time.perf_counter() - began


def _pymoo(problem: multiobjective.Problem, parameters: Parameters, n: int) -> tuple[Floats, float]:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize

    n_limits = problem.evaluate(problem.lower[None])[1].shape[1]
    p = len(problem.reference)

    class Wrapped(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            bounds = {"xl": problem.lower, "xu": problem.upper}
            super().__init__(n_var=len(problem.lower), n_obj=p, n_ieq_constr=n_limits, **bounds)

        def _evaluate(self, X: Any, out: Any, *args: Any, **kwargs: Any) -> None:
            out["F"], out["G"] = problem.evaluate(X)

    kind = NSGA2(pop_size=n) if parameters["solver"] == "nsga2" else NSGA3(reference_directions(p, n), pop_size=n)
    began = time.perf_counter()
    result = minimize(Wrapped(), kind, ("n_eval", parameters["evaluations"]), seed=parameters["seed"], verbose=False)
    seconds = time.perf_counter() - began
    F = result.pop.get("F")[result.pop.get("CV")[:, 0] <= 0]
    return F[nondominated(F)], seconds

"""How often solvers find what is feasible, and the best of it, on the constrained problems of CEC 2006."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from benchmarks.cells import Parameters, Result, table
from benchmarks.problems import cec2006
from engine.solvers import SOLVERS

TITLE = "Solvers under limits: CEC 2006"

BUDGET, NEAR, TOLERANCE = 50_000, 1e-4, 1e-4
N_SCALE = 200  # points that are spent on the scales of the limits
OURS = ("auto", "de")
PEERS = ("pymoo ISRES", "pymoo SRES", "pymoo DE", "pymoo epsilon DE", "pymoo GA", "pymoo PSO")
PROBLEMS = tuple(name for name in cec2006.NAMES if name != "g20")  # of which no feasible point is known
SEEDS = 25
SHORT = {"problems": ("g10", "g13"), "seeds": 2}


class Spent(Exception):  # noqa: N818  (the way out of another library's loop)
    """The budget is spent."""


class Counter:
    """A problem that keeps its best point, feasibility first, and ends a run that goes beyond the budget."""

    def __init__(self, problem: cec2006.Problem) -> None:
        self.problem, self.n, self.best = problem, 0, (np.inf, np.inf)

    def __call__(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return f, (n,), and all constraints as inequalities, (n, q), equalities within the tolerance."""
        left = BUDGET - self.n
        if left <= 0:
            raise Spent
        with np.errstate(all="ignore"):  # logarithms and powers of what they are not defined for
            f, g, h = self.problem.evaluate(X[:left])
        limits = np.concatenate([g, np.abs(h) - TOLERANCE], axis=1)
        v = np.maximum(limits, 0).sum(axis=1)
        for each in zip(v, f, strict=True):
            if np.isfinite(each).all() and each < self.best:
                self.best = (float(each[0]), float(each[1]))
        self.n += len(f)
        if len(f) < len(X):
            raise Spent
        return f, limits


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each problem and seed: all solvers on it."""
    short = [{"problem": name, "seed": seed} for seed in range(SHORT["seeds"]) for name in SHORT["problems"]]
    if not is_full:
        return short
    whole = [{"problem": name, "seed": seed} for seed in range(SEEDS) for name in PROBLEMS]
    return short + [cell for cell in whole if cell not in short]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return for each solver its best objective, the violation there, and the seconds that it took."""
    return {solver: solved(solver, parameters["problem"], parameters["seed"]) for solver in RUNS}


def solved(solver: str, name: str, seed: int) -> dict[str, float | None]:
    """Return the best objective that a solver finds, the violation there, and the seconds that it took."""
    counter = Counter(cec2006.problem(name))
    began = time.perf_counter()
    with suppress(Spent):
        RUNS[solver](counter, seed)
    v, f = (value if np.isfinite(value) else None for value in counter.best)
    return {"objective": f, "violation": v, "seconds": round(time.perf_counter() - began, 2)}


def report(results: Sequence[Result]) -> str:
    """Return the rates of each solver, and where auto falls behind the best of the others."""
    runs = {solver: [_rated(result, solver) for result in results] for solver in RUNS}
    rows = []
    for solver, rated in sorted(runs.items(), key=lambda each: -_mean(each[1], "hit")):
        rates = (f"{_mean(rated, figure):.3f}" for figure in ("feasible", "hit"))
        rows.append((f"**{solver}**" if solver in OURS else solver, *rates, f"{_mean(rated, 'seconds'):.1f}"))
    heads = ["solver", "feasible rate", f"within {NEAR:g} of the best known", "seconds a run"]
    seeds = sorted({result.parameters["seed"] for result in results})
    names = {result.parameters["problem"] for result in results}
    shown = "g01 to g24 without g20, of which no feasible point is known" if len(names) == len(PROBLEMS) else "some"
    return "\n\n".join(
        [
            f"{BUDGET:,} evaluations, {len(seeds)} seeds, problems: {shown}; equalities within {TOLERANCE:g}. Ours"
            f" spend {N_SCALE} evaluations on the scales of the limits; pymoo's take them as they are."
            " Wanted: both rates of `auto` at least those of every solver of pymoo.",
            table(heads, rows),
            _verdict(runs),
            f"Share of runs within {NEAR:g} of the best known (feasible share in brackets):",
            _by_problem(results),
            _behind(results),
        ]
    )


def _verdict(runs: dict[str, list[dict[str, float]]]) -> str:
    short = [
        f"{solver} in the {rate} ({_mean(runs['auto'], figure):.3f} against {_mean(runs[solver], figure):.3f})"
        for solver in PEERS
        for figure, rate in (("feasible", "feasible rate"), ("hit", "rate near the best known"))
        if _mean(runs["auto"], figure) < _mean(runs[solver], figure)
    ]
    return f"`auto` falls short of {', '.join(short)}." if short else "`auto` falls short of none."


def _behind(results: Sequence[Result]) -> str:
    """Return the problems on which a solver of pymoo is near the best known more often than auto."""
    lost = []
    for name in PROBLEMS:
        of_it = [result for result in results if result.parameters["problem"] == name]
        if of_it:
            hits = {solver: _mean([_rated(result, solver) for result in of_it], "hit") for solver in RUNS}
            best = max(PEERS, key=lambda solver: hits[solver])
            if hits[best] > hits["auto"]:
                lost.append(f"{name} ({hits['auto']:.2f}, {best} {hits[best]:.2f})")
    return f"Problems on which one of pymoo's does better: {', '.join(lost) or 'none'}."


def _by_problem(results: Sequence[Result]) -> str:
    rows = []
    for name in PROBLEMS:
        of_it = [result for result in results if result.parameters["problem"] == name]
        if of_it:
            rated = [[_rated(result, solver) for result in of_it] for solver in RUNS]
            rows.append((name, *(f"{_mean(each, 'hit'):.2f} ({_mean(each, 'feasible'):.2f})" for each in rated)))
    return table(["problem", *RUNS], rows)


def _rated(result: Result, solver: str) -> dict[str, float]:
    found = result.figures[solver]
    is_feasible = found["violation"] == 0
    best = cec2006.problem(result.parameters["problem"]).best_f
    is_hit = is_feasible and found["objective"] <= best + NEAR
    return {"feasible": float(is_feasible), "hit": float(is_hit), "seconds": found["seconds"]}


def _mean(rated: Sequence[dict[str, float]], figure: str) -> float:
    return statistics.mean(each[figure] for each in rated)


# Solvers


def _ours(name: str) -> Callable[[Counter, int], None]:
    def run(counter: Counter, seed: int) -> None:
        lower, upper = counter.problem.lower, counter.problem.upper
        _, seen = counter(np.random.default_rng(seed).uniform(lower, upper, (N_SCALE, len(lower))))
        scale = np.nanstd(np.where(np.isfinite(seen), seen, np.nan), axis=0)  # as a problem's limits are scaled by data
        scale[~(scale > 0)] = 1.0
        solver = SOLVERS[name](lower, upper, budget=BUDGET - N_SCALE, seed=seed)
        while not solver.is_done:
            X = solver.ask()
            f, limits = counter(X)
            solver.tell(X, f, (np.maximum(limits, 0) / scale).sum(axis=1))

    return run


def _pymoo(name: str) -> Callable[[Counter, int], None]:
    def run(counter: Counter, seed: int) -> None:
        from pymoo.algorithms.soo.nonconvex.de import DE
        from pymoo.algorithms.soo.nonconvex.ga import GA
        from pymoo.algorithms.soo.nonconvex.isres import ISRES
        from pymoo.algorithms.soo.nonconvex.pso import PSO
        from pymoo.algorithms.soo.nonconvex.sres import SRES
        from pymoo.constraints.eps import AdaptiveEpsilonConstraintHandling
        from pymoo.core.problem import Problem
        from pymoo.optimize import minimize

        lower, upper = counter.problem.lower, counter.problem.upper
        n_limits = Counter(counter.problem)(lower[None])[1].shape[1]

        class Wrapped(Problem):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(n_var=len(lower), n_obj=1, n_ieq_constr=n_limits, xl=lower, xu=upper)

            def _evaluate(self, X: Any, out: Any, *args: Any, **kwargs: Any) -> None:
                f, limits = counter(X)
                out["F"], out["G"] = np.nan_to_num(f, nan=1e30)[:, None], np.nan_to_num(limits, nan=1e30)

        kinds = {"ISRES": ISRES, "SRES": SRES, "DE": DE, "GA": GA, "PSO": PSO}
        kinds["epsilon DE"] = lambda: AdaptiveEpsilonConstraintHandling(DE())
        while True:  # what ends before the budget is spent begins again
            minimize(Wrapped(), kinds[name](), ("n_eval", BUDGET), seed=seed, verbose=False)
            seed += SEEDS

    return run


RUNS: dict[str, Callable[[Counter, int], None]] = {
    **{name: _ours(name) for name in OURS},
    **{name: _pymoo(name.removeprefix("pymoo ")) for name in PEERS},
}

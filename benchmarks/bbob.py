"""How fast solvers come down on the 24 BBOB functions, against those of other libraries."""

import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from benchmarks.cells import Parameters, Result, table
from benchmarks.problems import bbob
from engine.solvers import SOLVERS

TITLE = "Solvers on BBOB"

TARGETS = np.logspace(2, -8, 51)
OURS = ("auto", "cmaes", "de", "pso", "local")
PEERS = ("scipy differential_evolution", "scipy dual_annealing", "pymoo PSO", "pymoo DE", "pymoo CMA-ES")
SLOW = ("optuna TPE", "optuna CMA-ES", "nevergrad NGOpt")
SHORT, SLOW_BUDGET = {"dimensions": (2, 5, 10), "instances": (1, 2), "per_variable": 100}, 100


class Spent(Exception):  # noqa: N818  (the way out of another library's loop)
    """The budget is spent."""


class Counter:
    """A problem that notes when each target was hit, and ends a run that goes beyond its budget."""

    def __init__(self, problem: bbob.Problem, budget: int) -> None:
        self.problem, self.budget, self.n = problem, budget, 0
        self._best: list[tuple[int, float]] = []

    def __call__(self, X: np.ndarray) -> np.ndarray:
        left = self.budget - self.n
        if left <= 0:
            raise Spent
        f = self.problem.evaluate(np.atleast_2d(X)[:left])
        best = np.minimum.accumulate(f)
        reached = self._best[-1][1] if self._best else math.inf
        for i in np.flatnonzero(best < np.minimum(reached, np.concatenate([[math.inf], best[:-1]]))):
            self._best.append((self.n + int(i) + 1, float(best[i])))
        self.n += len(f)
        if len(f) < len(np.atleast_2d(X)):
            raise Spent
        return f

    def one(self, x: Any) -> float:
        return float(self(np.asarray(x, dtype=float))[0])

    def area(self) -> float:
        """Return the area under the runtime distribution: log evaluations a variable, from 1 to the budget."""
        d = len(self.problem.lower)
        span = math.log10(self.budget / d)
        shares = []
        for target in TARGETS:
            hit = next((n for n, f in self._best if f - self.problem.f_opt <= target), None)
            shares.append(0.0 if hit is None else 1 - max(0.0, math.log10(hit / d)) / span)
        return statistics.mean(shares)


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each solver, dimension and budget: all functions and instances of it."""
    if not is_full:
        return [_cell(solver, d, (1, 2), 100) for solver in (*OURS, *PEERS) for d in SHORT["dimensions"]]
    quick = [
        _cell(solver, d, (1, 2, 3, 4, 5), budget)
        for budget in (100, 1000)
        for d in (2, 5, 10, 20)
        for solver in (*OURS, *PEERS)
    ]
    slow = [_cell(solver, d, (1,), SLOW_BUDGET) for d in (2, 5) for solver in ("auto", *SLOW)]
    return [*cells(False), *quick, *slow]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the area of each function, averaged over the instances."""
    areas = {}
    for function in range(1, 25):
        found = [_area(parameters, function, instance) for instance in parameters["instances"]]
        areas[str(function)] = round(statistics.mean(found), 5)
    return {"areas": areas}


def report(results: Sequence[Result]) -> str:
    """Return a table for each budget and set of instances: the mean area, by dimension, and where auto loses."""
    parts = [
        "Area under the runtime distribution: the share of 51 targets (1e2 to 1e-8 above the optimum) that are hit,"
        " over the logarithm of the evaluations a variable; 1 would be all at once. Wanted: `auto` above every peer."
    ]
    groups: dict[tuple[int, tuple[int, ...]], dict[str, dict[int, dict[str, float]]]] = {}
    for result in results:
        given = result.parameters
        group = groups.setdefault((given["per_variable"], tuple(given["instances"])), {})
        group.setdefault(given["solver"], {})[given["dimension"]] = result.figures["areas"]
    for (per_variable, instances), solvers in groups.items():
        parts.append(_table(per_variable, instances, solvers))
    return "\n\n".join(parts)


def _cell(solver: str, d: int, instances: Sequence[int], per_variable: int) -> Parameters:
    return {"solver": solver, "dimension": d, "instances": list(instances), "per_variable": per_variable}


def _table(per_variable: int, instances: Sequence[int], solvers: dict[str, dict[int, dict[str, float]]]) -> str:
    dimensions = sorted({d for areas in solvers.values() for d in areas})
    rows = []
    for solver, areas in solvers.items():
        means = [statistics.mean(areas[d].values()) if d in areas else math.nan for d in dimensions]
        rows.append((statistics.mean(means), solver, means))
    rows.sort(key=lambda row: (math.isnan(row[0]), -row[0]))
    lines = [(name, *map(_shown, means), f"**{_shown(whole)}**") for whole, name, means in rows]
    heads = ["solver", *(f"D = {d}" for d in dimensions), "mean"]
    return f"{per_variable} evaluations a variable, instances {', '.join(map(str, instances))}:\n\n" + table(
        heads, lines
    )


def _shown(mean: float) -> str:
    return "-" if math.isnan(mean) else f"{mean:.3f}"  # not measured yet


def _area(parameters: Parameters, function: int, instance: int) -> float:
    d, solver = parameters["dimension"], parameters["solver"]
    counter = Counter(bbob.problem(function, instance, d), d * parameters["per_variable"])
    seed = 1000 * function + instance
    run = RUNS.get(solver) or _ours(solver)
    with suppress(Spent):
        run(counter, seed)
    return counter.area()


def _ours(name: str) -> Callable[[Counter, int], None]:
    def run(counter: Counter, seed: int) -> None:
        solver = SOLVERS[name](counter.problem.lower, counter.problem.upper, budget=counter.budget, seed=seed)
        while not solver.is_done:
            X = solver.ask()
            solver.tell(X, counter(X), np.zeros(len(X)))

    return run


def _scipy(name: str) -> Callable[[Counter, int], None]:
    def run(counter: Counter, seed: int) -> None:
        from scipy import optimize

        box = list(zip(counter.problem.lower, counter.problem.upper, strict=True))
        while True:  # what ends before the budget is spent begins again
            if name == "dual_annealing":
                optimize.dual_annealing(counter.one, box, maxiter=10**6, rng=seed)
            else:
                optimize.differential_evolution(counter.one, box, maxiter=10**6, rng=seed, tol=0, atol=1e-14)
            seed += 1

    return run


def _pymoo(name: str) -> Callable[[Counter, int], None]:
    def run(counter: Counter, seed: int) -> None:
        from pymoo.algorithms.soo.nonconvex.cmaes import CMAES
        from pymoo.algorithms.soo.nonconvex.de import DE
        from pymoo.algorithms.soo.nonconvex.pso import PSO
        from pymoo.core.problem import Problem
        from pymoo.optimize import minimize

        class Wrapped(Problem):  # type: ignore[misc]
            def __init__(self) -> None:
                lower, upper = counter.problem.lower, counter.problem.upper
                super().__init__(n_var=len(lower), n_obj=1, xl=lower, xu=upper)

            def _evaluate(self, X: Any, out: Any, *args: Any, **kwargs: Any) -> None:
                out["F"] = counter(X)[:, None]

        kinds = {"CMA-ES": CMAES, "DE": DE, "PSO": PSO}
        while True:
            minimize(Wrapped(), kinds[name](), ("n_eval", counter.budget), seed=seed, verbose=False)
            seed += 1

    return run


def _optuna(name: str) -> Callable[[Counter, int], None]:
    def run(counter: Counter, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        kinds = {"TPE": optuna.samplers.TPESampler, "CMA-ES": optuna.samplers.CmaEsSampler}
        study = optuna.create_study(sampler=kinds[name](seed=seed))
        lower, upper = counter.problem.lower, counter.problem.upper

        def objective(trial: Any) -> float:
            return counter.one([trial.suggest_float(f"x{i}", lower[i], upper[i]) for i in range(len(lower))])

        study.optimize(objective, n_trials=counter.budget)

    return run


def _nevergrad(counter: Counter, seed: int) -> None:
    import nevergrad
    from nevergrad.optimization import metamodel

    metamodel.float = lambda one: np.asarray(one).item()  # it takes an array of one for a number; NumPy no longer does
    lower, upper = counter.problem.lower, counter.problem.upper
    space = nevergrad.p.Array(shape=(len(lower),)).set_bounds(lower, upper)
    space.random_state.seed(seed)
    optimizer = nevergrad.optimizers.NGOpt(parametrization=space, budget=counter.budget)
    optimizer.minimize(counter.one)


RUNS: dict[str, Callable[[Counter, int], None]] = {
    "scipy differential_evolution": _scipy("differential_evolution"),
    "scipy dual_annealing": _scipy("dual_annealing"),
    "pymoo PSO": _pymoo("PSO"),
    "pymoo DE": _pymoo("DE"),
    "pymoo CMA-ES": _pymoo("CMA-ES"),
    "optuna TPE": _optuna("TPE"),
    "optuna CMA-ES": _optuna("CMA-ES"),
    "nevergrad NGOpt": _nevergrad,
}

"""How time grows with rows, inputs, population and modules: slopes in logarithms, where 1 is linear."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cells import Parameters, Result, table
from engine import surrogates
from engine.neighbors import History
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable
from engine.process import Module, ModuleInput, ProcessGraph
from engine.process_model import ProcessModel
from engine.process_optimum import optimize_process
from engine.solvers import SOLVERS
from engine.tables import read_table
from engine.trust import DistanceEnvelope

TITLE = "Growth"

Work = Callable[[], object]
"""What is timed; what it needs was made before."""

LEAST_SECONDS, MOST_REPEATS, LONG = 0.3, 7, 3.0
ALLOWED = 1.1
"""A slope up to this is called linear: timings of one machine are not better than that."""


class Curve(NamedTuple):
    """What is timed, along which axis, at which sizes, and why its slope may be above 1."""

    axis: str
    make: Callable[[int], Work]
    sizes: tuple[int, ...]
    short: tuple[int, ...]
    known: str = ""


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each curve and size; the short form leaves out the largest sizes."""
    return [
        {"curve": name, "size": size}
        for name, curve in CURVES.items()
        for size in curve.sizes
        if is_full or size in curve.short
    ]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the least processor time of some repeats: what other work on the machine added is no growth."""
    work = CURVES[parameters["curve"]].make(parameters["size"])
    taken: list[float] = []
    while len(taken) < 2 or (sum(taken) < LEAST_SECONDS and len(taken) < MOST_REPEATS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
        if taken[0] > LONG:
            break
    return {"seconds": min(taken)}


def report(results: Sequence[Result]) -> str:
    """Return a table of all curves with their slopes, and those that are steeper than linear."""
    groups: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        points = groups.setdefault(result.parameters["curve"], [])
        points.append((result.parameters["size"], result.figures["seconds"]))
    rows, steep = [], []
    for name, points in groups.items():
        known, slope, last = CURVES[name].known, _slope(points), _slope(points[-2:])
        times = ", ".join(f"{size:,}: {_time(seconds)}" for size, seconds in points)
        rows.append([CURVES[name].axis, name, times, f"**{slope:.2f}**", f"{last:.2f}", known or "-"])
        if max(slope, last) > ALLOWED and not known:
            steep.append(f"{name} ({last:.2f})")
    heads = ["along", "what", "time at each size", "slope", "last step", "known to be steeper, because"]
    return "\n\n".join(
        [
            "Processor time. The slope is that of log time over log size, by least squares through all sizes, and"
            " between the last two: what is there at every size flattens the first of them. Wanted: none above 1 but"
            " where the method is known for it.",
            table(heads, rows),
            f"Steeper than that: {', '.join(steep)}." if steep else "Nothing is steeper than that.",
        ]
    )


def _slope(points: Sequence[tuple[int, float]]) -> float:
    if len(points) < 2:
        return math.nan
    sizes, seconds = np.log(np.array(points)).T
    return float(np.polyfit(sizes, seconds, 1)[0])


def _time(seconds: float) -> str:
    return (
        f"{seconds * 1e6:.0f} us"
        if seconds < 1e-3
        else f"{seconds * 1e3:.3g} ms"
        if seconds < 1
        else f"{seconds:.3g} s"
    )


# Rows and inputs


@cache
def _data(n: int, d: int) -> tuple[Any, Any, tuple[str, ...]]:
    rng = np.random.default_rng(n + d)
    X = rng.uniform(size=(n, d))
    y = np.sin(4 * X[:, 0]) + X[:, 1] * X[:, -1] + 0.1 * rng.normal(size=n)
    return X, y[:, None], tuple(f"x{j}" for j in range(d))


def _fit(kind: str, params: dict[str, Any], n: int, d: int) -> surrogates.Surrogate:
    X, Y, tags = _data(n, d)
    return surrogates.fit(kind, X, Y, inputs=tags, outputs=["y"], params=params)


def _fit_rows(kind: str, params: dict[str, Any], n: int) -> Work:
    _data(n, 8)
    _fit(kind, params, 100, 8)  # the first of a kind imports what it needs
    return lambda: _fit(kind, params, n, 8)


def _fit_inputs(kind: str, params: dict[str, Any], d: int) -> Work:
    _data(2000, d)
    _fit(kind, params, 100, d)
    return lambda: _fit(kind, params, 2000, d)


def _predict_rows(n: int) -> Work:
    model, X = _usual_forest(8), _data(n, 8)[0]
    return lambda: model.predict(X)


@cache
def _usual_forest(d: int) -> surrogates.Surrogate:
    model = _fit("extra_trees", {"n_trees": 20, "min_rows_leaf": 5}, 2000, d)
    for _ in range(60):
        model.predict(_data(2000, d)[0])  # until its trees are compiled
    return model


def _read_rows(n: int) -> Work:
    rows = np.random.default_rng(n).uniform(0, 100, (min(n, 1000), 8))
    text = "".join(",".join(f"{value:.3f}" for value in row) + "\n" for row in rows)

    def read() -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(",".join(f"x{j}" for j in range(8)) + "\n" + text * (n // len(rows)))
            file.flush()
            read_table(Path(file.name), "csv")

    return read


def _neighbors_rows(n: int) -> Work:
    X, _, tags = _data(n, 8)
    history = History(X, tags)
    return lambda: history.nearest(X[0], k=5)


def _envelope_rows(n: int) -> Work:
    X, _, tags = _data(n, 8)
    return lambda: DistanceEnvelope.fit(X, tags)


class Bowl:
    """A model that costs next to nothing."""

    outputs = ("y",)

    def __init__(self, d: int) -> None:
        self.inputs = tuple(f"x{j}" for j in range(d))

    def predict(self, X: Any) -> Any:
        return ((X - 0.3) ** 2).sum(axis=1, keepdims=True)


def _search_inputs(solver: str, d: int) -> Work:
    model = Bowl(d)
    problem = Problem(tuple(Variable(tag, 0.0, 1.0) for tag in model.inputs), terms=(Term("minimize", "y"),))
    return lambda: minimize(problem, model, solver=solver, budget=2000)


# Population: it follows from the budget, so that a run for many evaluations is begun and left


def _generation(solver: str, budget_of: Callable[[int], float], n_objectives: int, n: int) -> Work:
    running = SOLVERS[solver](
        np.zeros(7), np.ones(7), budget=max(10, round(budget_of(n))), n_objectives=n_objectives, seed=1
    )
    wanted = np.linspace(0.2, 0.8, n_objectives)

    def step() -> None:
        X = running.ask()
        F = ((X[:, None, :] - wanted[:, None]) ** 2).sum(axis=2)
        running.tell(X, F if n_objectives > 1 else F[:, 0], np.zeros(len(X)))

    def steps() -> None:
        for _ in range(5):
            step()

    steps()
    return steps


def _predict_population(n: int) -> Work:
    model, X = _usual_forest(7), np.random.default_rng(n).uniform(size=(n, 7))
    return lambda: model.predict(X)


# Modules in a chain: each takes what the one below makes, and a control of its own


@cache
def _chain(n: int) -> tuple[ProcessGraph, dict[str, surrogates.Surrogate]]:
    X, _, _ = _data(500, 2)
    params = {"n_trees": 20, "min_rows_leaf": 5}
    model = surrogates.fit(
        "extra_trees", X, (X * (1 - X)).sum(axis=1)[:, None], inputs=["a", "b"], outputs=["y"], params=params
    )
    modules, models = [], {}
    for k in range(n):
        below = ModuleInput(f"y{k - 1}", "link", f"m{k - 1}") if k else ModuleInput("feed", "disturbance")
        modules.append(Module(f"m{k}", (below, ModuleInput(f"c{k}")), (f"y{k}",)))
        models[f"m{k}"] = replace(model, inputs=(below.tag, f"c{k}"), outputs=(f"y{k}",))
    return ProcessGraph(tuple(modules)), models


def _predict_chain(n: int) -> Work:
    process = ProcessModel(*_chain(n))
    X = np.random.default_rng(n).uniform(size=(100, len(process.inputs)))
    return lambda: process.predict(X)


def _build_chain(n: int) -> Work:
    graph, models = _chain(n)
    return lambda: ProcessModel(ProcessGraph(graph.modules), models)


def _search_chain(mode: str, per_module: int, n: int) -> Work:
    process = ProcessModel(*_chain(n))
    free = tuple(Variable(f"c{k}", 0.0, 1.0) for k in range(n))
    problem = Problem(free, {"feed": 0.5}, (Term("maximize", f"y{n - 1}"),))
    budget = 1000 if mode == "joint" else per_module * n
    return lambda: optimize_process(process, problem, mode=mode, solver="pso", budget=budget)


ROWS = (1000, 10_000, 100_000, 1_000_000)
INPUTS = (5, 20, 50, 100, 200)
CHAIN = (1, 2, 5, 10, 20, 50)
SWARM = (12, 30, 100, 300, 1000)
FRONTS = (20, 50, 100, 200, 400)
SORTED = "each split sorts its rows: n log n"
GROWTH = "every generation compares all pairs"

CURVES = {
    "fit ridge": Curve("rows", partial(_fit_rows, "ridge", {}), ROWS, ROWS[:3]),
    "fit extra_trees, 5 trees": Curve(
        "rows", partial(_fit_rows, "extra_trees", {"n_trees": 5, "min_rows_leaf": 5}), ROWS, ROWS[:3], "depth: n log n"
    ),
    "fit random_forest, 5 trees": Curve(
        "rows", partial(_fit_rows, "random_forest", {"n_trees": 5, "min_rows_leaf": 5}), ROWS, ROWS[:2], SORTED
    ),
    "fit hist_gradient_boosting, 20 trees": Curve(
        "rows", partial(_fit_rows, "hist_gradient_boosting", {"n_iterations": 20}), ROWS, ROWS[:3]
    ),
    "fit gaussian_process": Curve(
        "rows",
        partial(_fit_rows, "gaussian_process", {}),
        (250, 500, 1000, 10_000, 100_000),
        (250, 500),
        "a matrix of all pairs, until rows are thinned out",
    ),
    "predict, 20 trees": Curve("rows", _predict_rows, ROWS, ROWS[:3]),
    "read a CSV file": Curve("rows", _read_rows, ROWS, ROWS[:3]),
    "the five nearest rows": Curve("rows", _neighbors_rows, ROWS, ROWS[:3]),
    "fit a trust envelope": Curve("rows", _envelope_rows, ROWS, ROWS[:3]),
    "fit ridge, 2,000 rows": Curve(
        "inputs", partial(_fit_inputs, "ridge", {}), INPUTS, INPUTS, "a matrix of all pairs of inputs"
    ),
    "fit extra_trees, 20 trees, 2,000 rows": Curve(
        "inputs", partial(_fit_inputs, "extra_trees", {"n_trees": 20, "min_rows_leaf": 5}), INPUTS, INPUTS
    ),
    "fit hist_gradient_boosting, 20 trees, 2,000 rows": Curve(
        "inputs", partial(_fit_inputs, "hist_gradient_boosting", {"n_iterations": 20}), INPUTS, INPUTS
    ),
    **{
        f"search by {solver}, 2,000 evaluations": Curve(
            "inputs", partial(_search_inputs, solver), INPUTS, INPUTS, known
        )
        for solver, known in (("pso", ""), ("de", ""), ("cmaes", "a covariance of all pairs of inputs"))
    },
    "a generation of pso": Curve(
        "population", partial(_generation, "pso", lambda n: (n / 0.3) ** 2, 1), SWARM, SWARM, "links between all pairs"
    ),
    "a generation of nsga2": Curve(
        "population",
        partial(_generation, "nsga2", lambda n: (n / 0.632) ** 2, 2),
        FRONTS,
        FRONTS,
        GROWTH,
    ),
    "a generation of nsga3": Curve(
        "population",
        partial(_generation, "nsga3", lambda n: (n / 0.632) ** 2, 3),
        FRONTS,
        FRONTS,
        GROWTH,
    ),
    "predict a population, 20 trees": Curve("population", _predict_population, SWARM, SWARM),
    "make the process": Curve(
        "modules in a chain", _build_chain, CHAIN, CHAIN, "a name is looked up among all modules: milliseconds"
    ),
    "predict 100 points through": Curve("modules in a chain", _predict_chain, CHAIN, CHAIN),
    "joint search, 1,000 evaluations": Curve("modules in a chain", partial(_search_chain, "joint", 0), CHAIN, CHAIN),
    "cascade, 200 evaluations a module": Curve(
        "modules in a chain", partial(_search_chain, "cascade", 200), CHAIN, CHAIN
    ),
}

"""Speed of the main loop: evaluations a second of a search over a forest, and what the search itself costs."""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from benchmarks.cells import Parameters, Result, table
from engine import surrogates
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable

TITLE = "Speed of the main loop"

N_ROWS, N_INPUTS, N_TREES = 2000, 7, 100
TAGS = [f"x{k}" for k in range(N_INPUTS)]
BUDGET = 10_000  # at which the swarm has 30 particles
NAIVE_EVALUATIONS, ROUNDS = 50, 3
SOLVERS_COMPARED = ("pso", "de", "cmaes", "auto")

PROBLEM = Problem(variables=tuple(Variable(tag, 0.0, 1.0) for tag in TAGS), terms=(Term("minimize", "y", scale=1.0),))


class Timed:
    """A model that takes the time of its predictions."""

    def __init__(self, predict: Callable[[Any], Any]) -> None:
        self.inputs, self.outputs = TAGS, ["y"]
        self._predict, self.seconds, self.populations = predict, 0.0, 0

    def predict(self, X: Any) -> Any:
        began = time.perf_counter()
        Y = self._predict(X)
        self.seconds += time.perf_counter() - began
        self.populations += 1
        return Y


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each comparison; both forms are the same."""
    against = [{"against": name} for name in ("row by row", "batch")]
    return [*against, *({"overhead of": solver} for solver in SOLVERS_COMPARED)]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return seconds of each round, in turns."""
    if "overhead of" in parameters:
        return {"rounds": [_overhead(parameters["overhead of"]) for _ in range(ROUNDS)]}
    if parameters["against"] == "batch":
        return {"rounds": [(_searched(_ours().predict), _searched(_batch())) for _ in range(ROUNDS)]}
    return {"rounds": [(_searched(_ours().predict), _row_by_row()) for _ in range(ROUNDS)]}


def report(results: Sequence[Result]) -> str:
    """Return a table of the comparisons, and one of what the search costs beside its predictions."""
    speeds = [_speeds(each) for each in results if "against" in each.parameters]
    costs = [_costs(each) for each in results if "overhead of" in each.parameters]
    return "\n\n".join(
        [
            f"A search over a forest of {N_TREES} trees without a limit on their depth ({N_ROWS} rows, {N_INPUTS}"
            f" inputs) with a budget of {BUDGET}: `pso`, with 30 particles. Wanted: at least 200 times one row, one"
            " DataFrame, one predict; at least 5 times scikit-learn's own predict in the same solver.",
            table(["against", "ratio", "evaluations/s", "of the other"], speeds),
            "What a search costs beside its predictions, as a share of them. Wanted: at most 0.3. Our prediction is so"
            " much faster than scikit-learn's that a few microseconds for each step of arithmetic on 30 points count:"
            " the last column takes scikit-learn's prediction of the same populations for a measure.",
            table(["solver", "points at once", "share", "share of scikit-learn's predictions"], costs),
        ]
    )


def _speeds(result: Result) -> list[str]:
    ratios = [other / ours for ours, other in result.figures["rounds"]]
    ours, others = (statistics.median(seconds) for seconds in zip(*result.figures["rounds"], strict=True))
    names = {"row by row": "one row, one DataFrame, one predict", "batch": "scikit-learn's predict of 30 rows"}
    return [names[result.parameters["against"]], _range(ratios, 1), f"{1 / ours:.0f}", f"{1 / others:.0f}"]


def _costs(result: Result) -> list[str]:
    rounds = result.figures["rounds"]
    shares = [[each["search"] / each[name] for each in rounds] for name in ("predict", "scikit-learn")]
    at_once = BUDGET / rounds[0]["populations"]
    return [f"`{result.parameters['overhead of']}`", f"{at_once:.0f}", *(_range(share, 2) for share in shares)]


def _range(ratios: Sequence[float], digits: int) -> str:
    middle = statistics.median(ratios)
    return f"**{middle:.{digits}f}** ({min(ratios):.{digits}f} to {max(ratios):.{digits}f})"


# The ways to predict


def _data() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    X = rng.uniform(size=(N_ROWS, N_INPUTS))
    return X, np.sin(4 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=N_ROWS)


@cache
def _ours() -> surrogates.Surrogate:
    X, y = _data()
    params = {"n_trees": N_TREES, "min_rows_leaf": 1}
    model = surrogates.fit("random_forest", X, y[:, None], inputs=TAGS, outputs=["y"], params=params)
    for _ in range(40):
        model.predict(X)  # until it has been compiled, as it is for a part of the first search
    return model


@cache
def _forest(named: bool) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    X, y = _data()
    return RandomForestRegressor(N_TREES, random_state=1).fit(pl.DataFrame(X, schema=TAGS) if named else X, y)


def _batch() -> Callable[[Any], Any]:
    forest = _forest(False)
    return lambda X: forest.predict(X)[:, None]


def _searched(predict: Callable[[Any], Any]) -> float:
    """Return the seconds of an evaluation in a search."""
    began = time.perf_counter()
    minimize(PROBLEM, Timed(predict), solver="pso", budget=BUDGET, seed=1)
    return (time.perf_counter() - began) / BUDGET


def _row_by_row() -> float:
    forest, points = _forest(True), np.random.default_rng(2).uniform(size=(NAIVE_EVALUATIONS, N_INPUTS))
    began = time.perf_counter()
    for point in points:
        forest.predict(pl.DataFrame([point], schema=TAGS, orient="row"))
    return (time.perf_counter() - began) / NAIVE_EVALUATIONS


def _overhead(solver: str) -> dict[str, float]:
    """Return the seconds of a search without its predictions, of those, and of scikit-learn's for as many batches."""
    model = Timed(_ours().predict)
    began = time.perf_counter()
    minimize(PROBLEM, model, solver=solver, budget=BUDGET, seed=1)
    search = time.perf_counter() - began - model.seconds
    n = 20
    X, forest = np.random.default_rng(3).uniform(size=(BUDGET // model.populations, N_INPUTS)), _forest(False)
    began = time.perf_counter()
    for _ in range(n):
        forest.predict(X)
    other = (time.perf_counter() - began) * model.populations / n
    return {"populations": model.populations, "search": search, "predict": model.seconds, "scikit-learn": other}

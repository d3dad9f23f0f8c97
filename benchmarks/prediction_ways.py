"""What a row of a prediction costs by the way that was measured, beside NumPy alone and scikit-learn's own predict."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from threadpoolctl import threadpool_limits

from benchmarks.cells import Parameters, Result, table
from engine import surrogates
from engine.surrogates import router
from engine.surrogates.routes import Routes, Step, with_routes

TITLE = "Ways to a prediction"

N_ROWS, D, N_TREES = 3000, 10, 100
BATCHES = (1, 30, 1000, 100_000)
KINDS = ("random_forest", "extra_trees", "hist_gradient_boosting")

LEAST_SECONDS, MOST_REPEATS = 1.0, 15
WARM = 5
"""Calls in a turn, of which the last is timed, unless one takes long: short ones meet a warm cache, as in a search."""


def cells(is_full: bool) -> list[Parameters]:
    """Return a cell for each kind and number of rows at once; the short form has one kind, without the largest."""
    kinds, batches = (KINDS, BATCHES) if is_full else (KINDS[:1], BATCHES[:-1])
    return [{"kind": kind, "n_rows": n} for kind in kinds for n in batches]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the least processor time of a row by each way, in turns; all in one thread."""
    model, reference = _trained(parameters["kind"])
    X = np.random.default_rng(1).normal(size=(parameters["n_rows"], D))
    alone = with_routes(model.form, [Routes((_numpy(),))])
    ways: dict[str, Callable[[], Any]] = {
        "measured": lambda: model.predict(X),
        "numpy": lambda: alone.predict(X),
        "scikit-learn": lambda: reference.predict(X),
    }
    with threadpool_limits(limits=1):
        seconds = _in_turns(ways)
    return {way: each / len(X) for way, each in seconds.items()}


def report(results: Sequence[Result]) -> str:
    """Return a table of the cells, and where scikit-learn is faster."""
    rows, slower = [], []
    for result in results:
        kind, n, figures = result.parameters["kind"], result.parameters["n_rows"], result.figures
        ratio = figures["scikit-learn"] / figures["measured"]
        times = [f"{figures[way] * 1e6:.3g} us" for way in ("measured", "numpy", "scikit-learn")]
        rows.append([f"`{kind}`", f"{n:,}", *times, f"**{ratio:.2f}**"])
        if ratio < 1:
            slower.append(f"{kind} at {n:,} rows ({ratio:.2f})")
    heads = ["kind", "rows at once", "a row, by the way measured", "by NumPy alone", "by scikit-learn", "ratio"]
    return "\n\n".join(
        [
            f"{N_TREES} trees from {N_ROWS:,} rows of {D} inputs; processor time, one thread. The ratio is that of"
            " scikit-learn's time to ours. Wanted: at least 1 everywhere.",
            table(heads, rows),
            f"Short of that: {'; '.join(slower)}." if slower else "Nothing falls short of that.",
        ]
    )


@cache
def _trained(kind: str) -> tuple[surrogates.Surrogate, Any]:
    """Return a measured model, whose ways need not pay for themselves any more, and scikit-learn's of the same sort."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, D))
    y = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + 0.1 * rng.normal(size=N_ROWS)
    name = "n_iterations" if kind == "hist_gradient_boosting" else "n_trees"
    tags = {"inputs": [f"x{j}" for j in range(D)], "outputs": ["y"]}
    model = surrogates.fit(kind, X, y[:, None], **tags, params={name: N_TREES})
    for way in router.IMPORT_PRICE:
        router.IMPORT_PRICE[way] = router.NODE_PRICE[way] = 0.0
    leaf = int(model.params["min_rows_leaf"])
    makers: dict[str, Callable[[], Any]] = {
        "random_forest": lambda: RandomForestRegressor(N_TREES, min_samples_leaf=leaf, random_state=0),
        "extra_trees": lambda: ExtraTreesRegressor(N_TREES, min_samples_leaf=leaf, random_state=0),
        "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(
            max_iter=N_TREES, min_samples_leaf=leaf, early_stopping=False, random_state=0
        ),
    }
    return surrogates.measure_routes(model), makers[kind]().fit(X, y)


def _numpy() -> Any:
    return Step(1, router.NUMPY, {})


def _in_turns(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for work in ways.values():
        work()  # the first time pays for what later ones find done
    while not taken["numpy"] or (sum(taken["numpy"]) < LEAST_SECONDS and len(taken["numpy"]) < MOST_REPEATS):
        for way, work in ways.items():
            for _ in range(WARM):
                began = time.process_time()
                work()
                last = time.process_time() - began
                if last > LEAST_SECONDS / MOST_REPEATS:
                    break
            taken[way].append(last)
    return {way: min(each) for way, each in taken.items()}

"""Evaluations a second of our optimizer on a forest of 100 trees, against one row, one DataFrame, one predict."""

import statistics
import time

import numpy as np
import polars as pl
from sklearn.ensemble import RandomForestRegressor

from benchmarks.report import Row
from engine import surrogates
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable

N_ROWS, N_INPUTS, N_TREES = 2000, 7, 100
BUDGET, NAIVE_EVALUATIONS, ROUNDS = 20_000, 100, 5
TAGS = [f"x{k}" for k in range(N_INPUTS)]


def measure() -> list[Row]:
    """Compare within each round; the trees have no limit on their depth, as scikit-learn's have not."""
    rng = np.random.default_rng(1)
    X = rng.uniform(size=(N_ROWS, N_INPUTS))
    y = np.sin(4 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=N_ROWS)
    forest = RandomForestRegressor(N_TREES, random_state=1).fit(pl.DataFrame(X, schema=TAGS), y)
    model = surrogates.fit(
        "random_forest", X, y[:, None], inputs=TAGS, outputs=["y"], params={"n_trees": N_TREES, "min_rows_leaf": 1}
    )
    turns = [(_ours(model), _naive(forest, rng)) for _ in range(ROUNDS)]
    ours, naive = (statistics.median(speeds) for speeds in zip(*turns, strict=True))
    return [
        Row(
            f"searching a forest of {N_TREES} trees ({N_ROWS} rows, {N_INPUTS} inputs): evaluations/s against "
            "one row, one DataFrame, one predict",
            [ours / naive for ours, naive in turns],
            ">= 50",
            f"{ours:.0f} against {naive:.0f} evaluations/s",
        )
    ]


def _ours(model: surrogates.Surrogate) -> float:
    problem = Problem(
        variables=tuple(Variable(tag, 0.0, 1.0) for tag in TAGS),
        fixed={},
        terms=(Term("minimize", "y", scale=1.0),),
        limits=(),
    )
    began = time.perf_counter()
    minimize(problem, model, solver="pso", budget=BUDGET, seed=1)
    return BUDGET / (time.perf_counter() - began)


def _naive(forest: RandomForestRegressor, rng: np.random.Generator) -> float:
    points = rng.uniform(size=(NAIVE_EVALUATIONS, N_INPUTS))
    began = time.perf_counter()
    for point in points:
        forest.predict(pl.DataFrame([point], schema=TAGS, orient="row"))
    return NAIVE_EVALUATIONS / (time.perf_counter() - began)

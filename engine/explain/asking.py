"""How rows are drawn, and how a model is asked about many of them."""

import numpy as np

from engine.errors import ShapeError
from engine.evaluator import Model
from engine.surrogates.arrays import Floats, Ints
from engine.surrogates.params import OnStep

CHUNK = 10_000
"""Rows that a model is asked for at once; between two parts the work can be watched and ended."""


def predicted(model: Model, X: Floats, on_step: OnStep | None = None) -> Floats:
    """Return the predictions for X, (n, m), asked for in parts.

    Args:
        on_step: called after each part with the share that is done; what it raises ends the work.

    Raises:
        ShapeError: the model does not give one row of its outputs for each row.
    """
    parts = []
    for start in range(0, len(X), CHUNK):
        parts.append(model.predict(X[start : start + CHUNK]))
        if on_step:
            on_step(min(1.0, (start + CHUNK) / len(X)))
    Y = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
    if Y.shape != (len(X), len(model.outputs)):
        raise ShapeError(f"the model gave predictions of shape {Y.shape}, not {(len(X), len(model.outputs))}")
    return Y


def sampled(n: int, n_wanted: int, seed: int) -> Ints:
    """Return which of n rows are looked at, ascending: all, or as many as are wanted, drawn without replacement."""
    if n <= n_wanted:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, n_wanted, replace=False)).astype(np.int64)

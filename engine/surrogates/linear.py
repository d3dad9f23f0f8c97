"""The linear surrogate: least squares, with a ridge penalty if asked for.

Notation:
    X: inputs, shape (n, d), in the units of the tags.    Y: outputs, shape (n, m), likewise.
    Z: standardized inputs (``scaling``), shape (n, d).
    W: coefficients, shape (d, m), in output units per standard deviation of the input.
    b: intercept, shape (m,): the mean of the outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.surrogates.arrays import Floats
from engine.surrogates.params import OnStep, ParamValue
from engine.surrogates.scaling import Scaling
from engine.surrogates.stored import ArraySpec, take


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A linear model in plain arrays: predicts b + ((X - center) / scale) W."""

    scaling: Scaling
    coefficients: Floats
    intercept: Floats

    def predict(self, X: Floats) -> Floats:
        """Return predictions, shape (n, m), for finite X, shape (n, d).

        Columns are added one after the other instead of by a matrix product, whose order of summation, and so
        whose last bit, depends on the number of rows.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # far outside the data the answer may be inf or NaN
            Z = (X - self.scaling.center) / self.scaling.scale
            Y = np.tile(self.intercept, (len(X), 1))
            for j, row in enumerate(self.coefficients):
                Y += Z[:, j, None] * row
        return Y

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""
        return {
            "center": self.scaling.center,
            "scale": self.scaling.scale,
            "coefficients": self.coefficients,
            "intercept": self.intercept,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "LinearForm":
        """Return the model of stored arrays.

        Raises:
            ModelFileError: an array is missing or unknown, or has a wrong type, shape or value.
        """
        found = take(
            arrays,
            {
                "center": ArraySpec(np.float64, (n_inputs,)),
                "scale": ArraySpec(np.float64, (n_inputs,), positive=True),
                "coefficients": ArraySpec(np.float64, (n_inputs, n_outputs)),
                "intercept": ArraySpec(np.float64, (n_outputs,)),
            },
        )
        return cls(Scaling(found["center"], found["scale"]), found["coefficients"], found["intercept"])


def fit_linear(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> LinearForm:
    """Return the W that minimizes |Y - b - Z W|^2 + alpha |W|^2; of several, the smallest.

    Constant, repeated or dependent inputs are no obstacle: the solution of least norm shares a coefficient
    among them. ``seed``, ``n_jobs`` and ``on_step`` are there for the other kinds' sake: there is no chance in this
    one, and it is done at once.

    Source:
        Ridge regression as least squares on rows appended to Z, e.g. Hastie, Tibshirani and Friedman (2009),
        The Elements of Statistical Learning, exercise 3.12; solved by singular values (LAPACK gelsd).
    """
    n_inputs = X.shape[1]
    scaling, b = Scaling.of(X), Y.mean(axis=0)
    Z, R = scaling.apply(X), Y - b
    if alpha := params["alpha"]:
        Z = np.vstack([Z, np.sqrt(alpha) * np.eye(n_inputs)])
        R = np.vstack([R, np.zeros((n_inputs, Y.shape[1]))])
    W, *_ = np.linalg.lstsq(Z, R, rcond=None)
    return LinearForm(scaling, W, b)


def fit_ridge(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> LinearForm:
    """Return ridge regression with the penalty given, or with the one of PENALTIES that predicts rows left out best.

    With the singular values s of Z = U diag(s) V', the fit and the error of each row when it alone is left out follow
    for any penalty at once: residual / (1 - 1/n - (U^2 s^2 / (s^2 + alpha)) summed), all outputs in their own sd.

    Source:
        Allen (1974), Technometrics 16, 125-127 (PRESS); Golub, Heath and Wahba (1979), Technometrics 21, 215-223.
    """
    alpha = params["alpha"]
    if alpha is None:
        Z, R = Scaling.of(X).apply(X), Scaling.of(Y).apply(Y)
        U, s, _ = np.linalg.svd(Z, full_matrices=False)
        alpha = min(PENALTIES, key=lambda penalty: _left_out(U, s, R, penalty))
    return fit_linear(X, Y, {"alpha": alpha}, seed, n_jobs, on_step)


PENALTIES = tuple(float(10.0**exponent) for exponent in np.arange(-4, 6.5, 0.5))


def _left_out(U: Floats, s: Floats, R: Floats, alpha: float) -> float:
    """Return the sum of squared errors of rows that are left out one at a time."""
    shrinkage = s**2 / (s**2 + alpha)
    residual = R - U @ (shrinkage[:, None] * (U.T @ R))
    leverage = 1 / len(R) + (U**2 * shrinkage).sum(axis=1)
    return float(((residual / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).sum())

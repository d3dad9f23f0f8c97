"""The Gaussian process: smooth surfaces through few rows, with a length scale for each input.

Notation (inputs and outputs standardized, each output on its own)
    Z, y    inputs (n, d) and one output (n,)            l    length scales, (d,): how far an input must move to matter
    r       distance of two rows with every input divided by its length scale
    k(r)    kernel: exp(-r) p(r) of Matern, with 1/2, 3/2 or 5/2 for smoothness 0, 1 or 2; exp(-r^2 / 2) for 3
    s2, n2  variance of the surface, and of the noise on it
    K       s2 k(Z, Z) + n2 I, (n, n)                    a    K^-1 y, (n,)

    prediction      s2 k(z, Z) a                                                                              (1)
    log likelihood  -1/2 y' a - 1/2 log |K| - n/2 log 2 pi, maximized over l, s2 and n2 by its gradient           (2)
                    1/2 tr((a a' - K^-1) dK)                                                                 (3)

The likelihood has several peaks: climbs begin from RESTARTS points, and the highest of them goes on. Its cost grows
with the cube of the rows, so it is learned on at most LEARNING_ROWS of them; at most MOST_ROWS are predicted from,
spread evenly over a shuffled table. Beyond that a Gaussian process is no longer the right kind, and the model's
``n_rows`` still tells all rows.

Source
    Rasmussen and Williams (2006), Gaussian Processes for Machine Learning: (2.25), (2.30), (4.14), (5.9).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engine.errors import TrainingError
from engine.surrogates.arrays import Floats
from engine.surrogates.params import OnStep, ParamValue
from engine.surrogates.scaling import Scaling
from engine.surrogates.stored import ArraySpec, take

LEARNING_ROWS, MOST_ROWS = 500, 2_000
RESTARTS, FIRST_CLIMBS, MOST_CLIMBS = 2, 20, 80
LEAST_NOISE = 1e-6
"""Smallest variance of the noise, as a share of that of the output: K stays well enough conditioned to be inverted."""

SMOOTH = 3
NEVER = 1e90
"""Length scale of an input that was constant: nothing is known of what it does."""

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class GaussianProcessForm:
    """Gaussian processes, one for each output, in plain arrays.

    Attributes:
        scaling: of the inputs.
        rows: standardized rows that are predicted from, shape (n, d).
        lengths: length scales of each output, shape (m, d), in standard deviations of the inputs.
        weights: s2 a in the units of the outputs, shape (n, m).
        base: mean of the outputs, shape (m,).
        smoothness: 0 to 3, shape (1,).
    """

    scaling: Scaling
    rows: Floats
    lengths: Floats
    weights: Floats
    base: Floats
    smoothness: Floats

    def predict(self, X: Floats) -> Floats:
        """Return predictions, shape (n, m), for finite X, shape (n, d); each row is summed on its own."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            Z = (X - self.scaling.center) / self.scaling.scale
            Y = np.empty((len(X), len(self.base)))
            for start in range(0, len(X), _BLOCK):
                block = slice(start, start + _BLOCK)
                for j, lengths in enumerate(self.lengths):
                    k = kernel(np.sqrt(_squares(Z[block], self.rows, lengths)), int(self.smoothness[0]))
                    Y[block, j] = self.base[j] + (k * self.weights[:, j]).sum(axis=1)
        return Y

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""
        return {
            "center": self.scaling.center,
            "scale": self.scaling.scale,
            "rows": self.rows,
            "lengths": self.lengths,
            "weights": self.weights,
            "base": self.base,
            "smoothness": self.smoothness,
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int
    ) -> "GaussianProcessForm":
        """Return the model of stored arrays.

        Raises:
            ModelFileError: an array is missing or unknown, or has a wrong type, shape or value.
        """
        n = len(arrays["rows"]) if "rows" in arrays and arrays["rows"].ndim else 0
        found = take(
            arrays,
            {
                "center": ArraySpec(np.float64, (n_inputs,)),
                "scale": ArraySpec(np.float64, (n_inputs,), positive=True),
                "rows": ArraySpec(np.float64, (-1, n_inputs)),
                "lengths": ArraySpec(np.float64, (n_outputs, n_inputs), positive=True),
                "weights": ArraySpec(np.float64, (n, n_outputs)),
                "base": ArraySpec(np.float64, (n_outputs,)),
                "smoothness": ArraySpec(np.float64, (1,)),
            },
        )
        return cls(Scaling(found.pop("center"), found.pop("scale")), **found)


def fit_gaussian_process(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> GaussianProcessForm:
    """Return a Gaussian process for each output; ``n_jobs`` changes nothing.

    Raises:
        TrainingError: K cannot be factorized, which the noise should keep from happening.
    """
    rng = np.random.default_rng(seed)
    scaling, y_scaling = Scaling.of(X), Scaling.of(Y)
    order = rng.permutation(len(X))
    kept = np.sort(order[: int(params["max_rows"] or MOST_ROWS)])
    learning = np.sort(order[:LEARNING_ROWS])
    Z, V = scaling.apply(X), y_scaling.apply(Y)
    smoothness = int(params["smoothness"] or 0)
    lengths, weights = [], []
    for j in range(Y.shape[1]):
        share = (j + 0.5) / Y.shape[1]
        theta = _learned(Z[learning], V[learning, j], smoothness, rng, partial(on_step, share))
        length, s2, n2 = _parameters(theta)
        length[np.ptp(X, axis=0) == 0] = NEVER
        K = s2 * kernel(np.sqrt(_squares(Z[kept], Z[kept], length)), smoothness)
        K[np.diag_indices_from(K)] += n2
        weights.append(s2 * _solved(K, V[kept, j]) * y_scaling.scale[j])
        lengths.append(length)
        on_step((j + 1) / Y.shape[1])
    return GaussianProcessForm(
        scaling=scaling,
        rows=Z[kept],
        lengths=np.array(lengths),
        weights=np.column_stack(weights),
        base=y_scaling.center.copy(),
        smoothness=np.array([float(smoothness)]),
    )


def kernel(r: Floats, smoothness: int) -> Floats:
    """Return k(r), shape of ``r``, for distances in length scales."""
    if smoothness == SMOOTH:
        return np.exp(-(r**2) / 2)
    t = math.sqrt(2 * smoothness + 1) * r
    polynomial: Floats = (np.ones_like(t), 1 + t, 1 + t + t**2 / 3)[smoothness]
    return polynomial * np.exp(-t)


def _slope(r: Floats, k: Floats, smoothness: int) -> Floats:
    """Return h(r) where the change of k with log l_j is h(r) times the squared distance along j in units of l_j."""
    if smoothness == SMOOTH:
        return k
    t = math.sqrt(2 * smoothness + 1) * r
    if smoothness == 0:
        return k / np.maximum(r, 1e-6)
    slope: Floats = 3 * k / (1 + t) if smoothness == 1 else (5 / 3) * (1 + t) * k / (1 + t + t**2 / 3)
    return slope


def _squares(A: Floats, B: Floats, lengths: Floats) -> Floats:
    """Return squared distances of rows, (n, k), input by input: a row gets the same bits in any company."""
    squares = np.zeros((len(A), len(B)))
    for j, length in enumerate(lengths):
        squares += ((A[:, j, None] - B[None, :, j]) / length) ** 2
    return squares


def _learned(Z: Floats, y: Floats, smoothness: int, rng: np.random.Generator, on_climb: Callable[[], None]) -> Floats:
    """Return the logarithms of l, s2 and n2 with the highest likelihood, shape (d + 2,)."""
    from scipy.optimize import minimize

    d = Z.shape[1]

    def loss(theta: Floats) -> tuple[float, Floats]:
        on_climb()
        return _loss(theta, Z, y, smoothness)

    bounds = [(math.log(0.05), math.log(1e3))] * d + [(math.log(1e-3), math.log(1e3)), (math.log(LEAST_NOISE), 0.0)]

    def climbed(start: Floats, n: int) -> Any:
        return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": n})

    starts = [np.array([math.log(math.sqrt(d) * 1.5)] * d + [0.0, math.log(0.05)])]
    starts += [
        np.append(rng.uniform(0, 2, d), [0.0, rng.uniform(math.log(1e-4), math.log(0.3))]) for _ in range(RESTARTS - 1)
    ]
    best = min((climbed(start, FIRST_CLIMBS) for start in starts), key=lambda climb: float(climb.fun))
    top: Floats = climbed(best.x, MOST_CLIMBS).x
    return top


def _loss(theta: Floats, Z: Floats, y: Floats, smoothness: int) -> tuple[float, Floats]:
    """Return the negative log likelihood (2) and its gradient by (3); very large where K cannot be factorized."""
    from scipy.linalg.lapack import dpotrf, dpotri

    length, s2, n2 = _parameters(theta)
    scaled = Z / length
    r = _distances(scaled)
    k = kernel(r, smoothness)
    K = s2 * k
    K[np.diag_indices_from(K)] += n2
    L, failed = dpotrf(K.T, lower=1, overwrite_a=1)  # of a symmetric matrix, as Fortran lays it
    if failed:
        return 1e25, np.zeros_like(theta)
    half, _ = dpotri(L, lower=1)  # the lower triangle
    inverse = np.tril(half) + np.tril(half, -1).T
    a = inverse @ y
    W = np.outer(a, a) - inverse
    slope = _slope(r, k, smoothness) * W
    # the sum over pairs of slope (z_a - z_b)^2, by the binomial formula; a row is no distance from itself
    slope[np.diag_indices_from(slope)] = 0.0
    squares = (slope.sum(axis=1) @ scaled**2) - ((slope @ scaled) * scaled).sum(axis=0)
    gradient = np.append(s2 * squares, [0.5 * s2 * (W * k).sum(), 0.5 * n2 * np.trace(W)])
    likelihood = -0.5 * y @ a - np.log(np.diag(L)).sum() - len(y) / 2 * math.log(2 * math.pi)
    return -float(likelihood), -gradient


def _distances(A: Floats) -> Floats:
    """Return the distances of rows from each other, (n, n), by one product: good enough to learn by."""
    lengths = (A**2).sum(axis=1)
    squares = lengths[:, None] + lengths - 2 * (A @ A.T)
    squares[np.diag_indices_from(squares)] = 0.0
    distances: Floats = np.sqrt(np.maximum(squares, 0.0))
    return distances


def _parameters(theta: Floats) -> tuple[Floats, float, float]:
    return np.exp(theta[:-2]), float(np.exp(theta[-2])), float(np.exp(theta[-1]))


def _solved(K: Floats, y: Floats) -> Floats:
    from scipy.linalg import cho_factor, cho_solve

    try:
        a: Floats = cho_solve(cho_factor(K, lower=True), y)
    except np.linalg.LinAlgError as error:
        raise TrainingError("the covariance of the rows cannot be factorized: too many of them repeat") from error
    return a

"""Mutual information of two continuous variables, estimated from neighbors.

Notation:
    x, y: samples, shape (n,).    k: neighbors.    psi: digamma function.
    e_i: distance of sample i to its k-th neighbor in (x, y), in the maximum norm.
    n_x(i), n_y(i): other samples closer than e_i in x alone, and in y alone.

    I(x; y) = psi(k) + psi(n) - mean of psi(n_x + 1) + psi(n_y + 1), in nats; 0 when independent

It sees relations of any form. Both variables are brought to ranks first (as normal scores), which changes nothing in
the true value and makes the estimate blind to units, skewness and outliers. Equal values are told apart by chance: what
lies between two steps of x then holds nothing about y, so the information is still that of the steps.

Source: Kraskov, Stoegbauer and Grassberger (2004), Physical Review E 69, 066138, equation 8.
"""

import numpy as np
from numpy.typing import ArrayLike

from engine.checks import LARGEST_SEED, floats, whole_number
from engine.errors import ShapeError
from engine.surrogates.arrays import Floats

MOST_ROWS = 5_000
"""Rows that an estimate is made from, evenly spread over more of them."""


def mutual_information(x: ArrayLike, y: ArrayLike, *, k: int = 3, seed: int = 0) -> float:
    """Return the mutual information of x and y in nats; an estimate below 0 is 0, and so is that of a constant.

    Args:
        x, y: samples, shape (n,), finite, n > k.
        k: neighbors; few have little bias, many have little spread.
        seed: of the noise that tells equal values apart.

    Raises:
        ShapeError: x and y are not two vectors of finite numbers of one length above k.
        ParameterError: k or seed is not such a whole number.
    """
    k, seed = whole_number("k", k, 1, 1000), whole_number("seed", seed, 0, LARGEST_SEED)
    x, y = floats("x", x), floats("y", y)
    if x.ndim != 1 or x.shape != y.shape or len(x) <= k or not np.isfinite([x, y]).all():
        raise ShapeError(f"x and y must be finite vectors of one length above {k}, not of {x.shape} and {y.shape}")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_ROWS)).round().astype(np.intp))
    return estimate(normal_scores(x[rows], seed), normal_scores(y[rows], seed + 1), k)


def normal_scores(x: Floats, seed: int) -> Floats:
    """Return x as quantiles of the normal distribution, by rank; equal values in an order drawn from the seed."""
    from scipy.special import ndtri

    order = np.lexsort((np.random.default_rng(seed).random(len(x)), x))
    scores = np.empty(len(x))
    scores[order] = ndtri((np.arange(len(x)) + 0.5) / len(x))
    return scores


def estimate(x: Floats, y: Floats, k: int) -> float:
    """Return I(x; y) of samples without equal values, at least 0."""
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    points = np.stack([x, y], axis=1)
    e = np.nextafter(cKDTree(points).query(points, k=k + 1, p=np.inf)[0][:, -1], 0)
    inside = digamma(_closer(x, e)) + digamma(_closer(y, e))  # each counts itself: that is the + 1
    return max(0.0, float(digamma(k) + digamma(len(x)) - inside.mean()))


def _closer(x: Floats, e: Floats) -> Floats:
    """Return how many samples lie within e of each, itself included, shape (n,)."""
    ordered = np.sort(x)
    return np.asarray(
        np.searchsorted(ordered, x + e, side="right") - np.searchsorted(ordered, x - e, side="left"), dtype=np.float64
    )

"""Mutual information of two variables: from neighbors where they are numbers, from counts where they are categories.

Notation:
    x, y: samples, shape (n,).    k: neighbors.    psi: digamma function.
    e_i: distance of sample i to its k-th neighbor in (x, y), in the maximum norm.
    n_x(i), n_y(i): other samples closer than e_i in x alone, and in y alone.

    I(x; y) = psi(k) + psi(n) - mean of psi(n_x + 1) + psi(n_y + 1), in nats; 0 when independent

It sees relations of any form. Both variables are brought to ranks first (as normal scores), which changes nothing in
the true value and makes the estimate blind to units, skewness and outliers. Equal values are told apart by chance: what
lies between two steps of x then holds nothing about y, so the information is still that of the steps.

Where x is categorical, with n_c samples of the category of sample i:

    e_i: distance of sample i to its k-th neighbor in y among those of its category.    m(i): samples within e_i in y.
    I(x; y) = psi(n) + mean of psi(k) - psi(n_c) - psi(m)

Where both are, with p the r x s shares of the samples: the sum of p log(p / (p_x p_y)), less (r - 1) (s - 1) / 2 n, by
which chance alone makes it too large. No order of categories has a part in either.

Sources:
    Kraskov, Stoegbauer and Grassberger (2004), Physical Review E 69, 066138, equation 8.
    Ross (2014), PLoS ONE 9, e87357: one categorical variable.
    Miller (1955), Note on the bias of information estimates, in Information Theory in Psychology, 95-100.
"""

import numpy as np
from numpy.typing import ArrayLike

from engine.checks import LARGEST_SEED, floats, whole_number
from engine.errors import ShapeError
from engine.surrogates.arrays import Floats, Ints

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
    e = cKDTree(points).query(points, k=k + 1, p=np.inf)[0][:, -1]
    inside = digamma(_closer(x, e)) + digamma(_closer(y, e))  # each counts itself: that is the + 1
    return max(0.0, float(digamma(k) + digamma(len(x)) - inside.mean()))


def estimate_of_categories(x: Ints, y: Floats, k: int) -> float:
    """Return I(x; y) of categories x, numbered from 0, and samples y without equal values, at least 0.

    A sample whose category has no other one says nothing of its spread, and is left out.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    counts = np.bincount(x)
    is_in = counts[x] > 1
    x, y = x[is_in], y[is_in]
    if not len(x):
        return 0.0
    e, near = np.empty(len(x)), np.minimum(k, counts[x] - 1)
    for category in np.unique(x):
        own = x == category
        points = y[own][:, None]
        e[own] = cKDTree(points).query(points, k=[int(near[own][0]) + 1])[0][:, 0]
    within = _closer(y, e)
    return max(0.0, float(digamma(len(x)) + (digamma(near) - digamma(counts[x]) - digamma(within)).mean()))


def information_of_counts(x: Ints, y: Ints) -> float:
    """Return I(x; y) of two variables of categories, numbered from 0, at least 0."""
    table = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(table, (x, y), 1.0)
    table = table[table.any(axis=1)][:, table.any(axis=0)] / len(x)
    apart = table.sum(axis=1)[:, None] * table.sum(axis=0)
    is_there = table > 0
    found = (table[is_there] * np.log(table[is_there] / apart[is_there])).sum()
    by_chance = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * len(x))
    return max(0.0, float(found - by_chance))


def _closer(x: Floats, e: Floats) -> Floats:
    """Return how many samples lie closer than e to each, itself included, shape (n,)."""
    e = e * (1 - 1e-9)  # a sum x + e that is rounded shall not take in the neighbor at e
    ordered = np.sort(x)
    return np.asarray(
        np.searchsorted(ordered, x + e, side="right") - np.searchsorted(ordered, x - e, side="left"), dtype=np.float64
    )

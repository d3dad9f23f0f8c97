"""New points from two parents, as genetic methods make them: crossover and mutation in the unit cube.

Notation
    A, B    parents, (n, c)              beta   spread of the children around their parents' middle
    eta     how near to their parents children stay: large is near

Simulated binary crossover, for each coordinate with probability 1/2, of a pair with probability 0.9:
    children = (A + B) / 2 -+ beta (B - A) / 2, with beta drawn so that they keep within 0 and 1            (1)
Polynomial mutation, for each coordinate with probability 1/c:
    u <- u + delta, delta drawn so that u keeps within 0 and 1                                             (2)

A coordinate with levels that mutates moves by one level at least. A categorical one is exchanged whole, and mutates to
any value.

Sources
    (1)  Deb and Agrawal (1995), Complex Systems 9, 115-148; bounds: Deb and Kumar (1995), Complex Systems 9, 431-454.
    (2)  Deb and Goyal (1996), Computer Science and Informatics 26, 30-45.
"""

import numpy as np

from engine.solvers.ranking import Floats
from engine.solvers.space import Space

PAIRS, COORDINATES = 0.9, 0.5
SAME = 1e-14


def cross(rng: np.random.Generator, A: Floats, B: Floats, space: Space, eta: float) -> Floats:
    """Return a child of each pair, then the other child of each, shape (2 n, c)."""
    n, c = A.shape
    crosses = (rng.random((n, 1)) < PAIRS) & (rng.random((n, c)) < COORDINATES)
    r = rng.random((n, c))
    swaps = rng.random((n, c)) < 0.5
    low, high = np.minimum(A, B), np.maximum(A, B)
    distance = np.maximum(high - low, SAME)
    first = 0.5 * (low + high - _spread(r, 1 + 2 * low / distance, eta) * distance)
    second = 0.5 * (low + high + _spread(r, 1 + 2 * (1 - high) / distance, eta) * distance)
    moves = crosses & (high - low > SAME) & ~space.is_choice
    one = np.where(moves, np.where(swaps, second, first), A)
    other = np.where(moves, np.where(swaps, first, second), B)
    exchanged = crosses & space.is_choice & swaps
    children = np.concatenate([np.where(exchanged, B, one), np.where(exchanged, A, other)])
    return children.clip(0, 1)


def mutate(rng: np.random.Generator, U: Floats, space: Space, eta: float) -> Floats:
    """Return points U, (n, c), with some coordinates moved."""
    n, c = U.shape
    mutates = rng.random((n, c)) < 1 / c
    r = rng.random((n, c))
    power = 1 / (eta + 1)
    down = (2 * r + (1 - 2 * r) * (1 - U) ** (eta + 1)).clip(0, None) ** power - 1
    up = 1 - (2 * (1 - r) + (2 * r - 1) * U ** (eta + 1)).clip(0, None) ** power
    delta = np.where(r < 0.5, down, up)
    has_levels = space.levels > 0
    if has_levels.any():
        least = 1 / np.where(has_levels, space.levels, np.inf)
        delta = np.where(has_levels, np.sign(delta) * np.maximum(np.abs(delta), least), delta)
        delta = np.where(space.is_choice, rng.random((n, c)) - U, delta)
    return np.where(mutates, (U + delta).clip(0, 1), U)


def _spread(r: Floats, most: Floats, eta: float) -> Floats:
    """Return beta for uniform draws r, so that the child at ``most`` half distances from the middle is on the face."""
    alpha = 2 - most ** -(eta + 1)
    inner = (r * alpha) ** (1 / (eta + 1))
    outer = (1 / (2 - r * alpha).clip(1e-300, None)) ** (1 / (eta + 1))
    return np.where(r <= 1 / alpha, inner, outer)

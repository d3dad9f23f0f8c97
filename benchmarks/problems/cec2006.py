"""The 24 constrained problems g01 to g24 of CEC 2006, on whole populations.

    problem(name) -> Problem: evaluate(X) -> (f, g, h), lower, upper, best_f, best_x

Notation:

    X    population, shape (n, D); x1, x2, ... its columns, as in the report
    f    objectives, shape (n,), to be minimized
    g    inequalities, shape (n, q): met where g <= 0
    h    equalities, shape (n, r): met where h = 0; the competition takes |h| <= 1e-4 for met

``best_f`` is the best value known with h = 0 to rounding, so it can lie above the competition's, which uses its
tolerance (g03: -1 against -1.0005). g20 has no known feasible point: its best_f and best_x are NaN.

Source: Liang, Runarsson, Mezura-Montes, Clerc, Suganthan, Coello Coello and Deb (2006), Problem Definitions and
Evaluation Criteria for the CEC 2006 Special Session on Constrained Real-Parameter Optimization.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = tuple[Floats, Floats, Floats]
Parts = tuple[Floats, Sequence[Floats], Sequence[Floats]]  # f, the columns of g, the columns of h

NAMES = tuple(f"g{number:02}" for number in range(1, 25))


class Problem(NamedTuple):
    """A problem of the set. ``evaluate`` takes (n, D) and gives f (n,), g (n, q) and h (n, r)."""

    evaluate: Callable[[Floats], Values]
    lower: Floats
    upper: Floats
    best_f: float
    best_x: Floats


def problem(name: str) -> Problem:
    """Return the problem of a name, "g01" to "g24".

    Raises:
        ValueError: there is none.
    """
    if name not in NAMES:
        raise ValueError(f"{name} is none of the problems g01 to g24")
    define, lower, upper, best_f, best_x = PROBLEMS[name]
    D = len(best_x)
    low, high = (np.broadcast_to(np.asarray(bound, np.float64), D).copy() for bound in (lower, upper))

    def evaluate(X: Floats) -> Values:
        X = np.asarray(X, np.float64)
        if X.ndim != 2 or X.shape[1] != D:
            raise ValueError(f"{name} takes X of shape (n, {D}), not {X.shape}")
        f, g, h = define(X)
        return f, _columns(g, len(X)), _columns(h, len(X))

    return Problem(evaluate, low, high, best_f, np.asarray(best_x, np.float64))


def violation(g: Floats, h: Floats, tolerance: float = 1e-4) -> Floats:
    """Return by how much each point breaks its constraints in sum, shape (n,); 0 where it is feasible."""
    return np.maximum(g, 0).sum(axis=1) + np.maximum(np.abs(h) - tolerance, 0).sum(axis=1)


def _columns(parts: Sequence[Floats], n: int) -> Floats:
    return np.stack(list(parts), axis=1) if len(parts) else np.empty((n, 0))


# The definitions


def _g01(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, _ = X.T
    head, tail = X[:, :4], X[:, 4:]
    f = 5 * (head - head**2).sum(axis=1) - tail.sum(axis=1)
    sums = [2 * (x1 + x2) + x10 + x11 - 10, 2 * (x1 + x3) + x10 + x12 - 10, 2 * (x2 + x3) + x11 + x12 - 10]
    return (
        f,
        [*sums, x10 - 8 * x1, x11 - 8 * x2, x12 - 8 * x3, x10 - 2 * x4 - x5, x11 - 2 * x6 - x7, x12 - 2 * x8 - x9],
        [],
    )


def _g02(X: Floats) -> Parts:
    squares = np.cos(X) ** 2
    size = np.sqrt(X**2 @ np.arange(1, X.shape[1] + 1))
    f = -np.abs(((squares**2).sum(axis=1) - 2 * squares.prod(axis=1)) / size)
    return f, [0.75 - X.prod(axis=1), X.sum(axis=1) - 7.5 * X.shape[1]], []


def _g03(X: Floats) -> Parts:
    D = X.shape[1]
    return -(np.sqrt(D) ** D) * X.prod(axis=1), [], [(X**2).sum(axis=1) - 1]


def _g04(X: Floats) -> Parts:
    x1, x2, x3, x4, x5 = X.T
    f = 5.3578547 * x3**2 + 0.8356891 * x1 * x5 + 37.293239 * x1 - 40792.141
    u = 85.334407 + 0.0056858 * x2 * x5 + 0.0006262 * x1 * x4 - 0.0022053 * x3 * x5
    v = 80.51249 + 0.0071317 * x2 * x5 + 0.0029955 * x1 * x2 + 0.0021813 * x3**2
    w = 9.300961 + 0.0047026 * x3 * x5 + 0.0012547 * x1 * x3 + 0.0019085 * x3 * x4
    return f, [u - 92, -u, v - 110, 90 - v, w - 25, 20 - w], []


def _g05(X: Floats) -> Parts:
    x1, x2, x3, x4 = X.T
    sin = np.sin
    f = 3 * x1 + 1e-6 * x1**3 + 2 * x2 + 2e-6 / 3 * x2**3
    h1 = 1000 * (sin(-x3 - 0.25) + sin(-x4 - 0.25)) + 894.8 - x1
    h2 = 1000 * (sin(x3 - 0.25) + sin(x3 - x4 - 0.25)) + 894.8 - x2
    h3 = 1000 * (sin(x4 - 0.25) + sin(x4 - x3 - 0.25)) + 1294.8
    return f, [x3 - x4 - 0.55, x4 - x3 - 0.55], [h1, h2, h3]


def _g06(X: Floats) -> Parts:
    x1, x2 = X.T
    g1 = 100 - (x1 - 5) ** 2 - (x2 - 5) ** 2
    return (x1 - 10) ** 3 + (x2 - 20) ** 3, [g1, (x1 - 6) ** 2 + (x2 - 5) ** 2 - 82.81], []


def _g07(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10 = X.T
    f = x1**2 + x2**2 + x1 * x2 - 14 * x1 - 16 * x2 + (x3 - 10) ** 2 + 4 * (x4 - 5) ** 2 + (x5 - 3) ** 2
    f = f + 2 * (x6 - 1) ** 2 + 5 * x7**2 + 7 * (x8 - 11) ** 2 + 2 * (x9 - 10) ** 2 + (x10 - 7) ** 2 + 45
    g = [
        4 * x1 + 5 * x2 - 3 * x7 + 9 * x8 - 105,
        10 * x1 - 8 * x2 - 17 * x7 + 2 * x8,
        -8 * x1 + 2 * x2 + 5 * x9 - 2 * x10 - 12,
        3 * (x1 - 2) ** 2 + 4 * (x2 - 3) ** 2 + 2 * x3**2 - 7 * x4 - 120,
        5 * x1**2 + 8 * x2 + (x3 - 6) ** 2 - 2 * x4 - 40,
        x1**2 + 2 * (x2 - 2) ** 2 - 2 * x1 * x2 + 14 * x5 - 6 * x6,
        0.5 * (x1 - 8) ** 2 + 2 * (x2 - 4) ** 2 + 3 * x5**2 - x6 - 30,
        -3 * x1 + 6 * x2 + 12 * (x9 - 8) ** 2 - 7 * x10,
    ]
    return f, g, []


def _g08(X: Floats) -> Parts:
    x1, x2 = X.T
    f = -(np.sin(2 * np.pi * x1) ** 3) * np.sin(2 * np.pi * x2) / (x1**3 * (x1 + x2))
    return f, [x1**2 - x2 + 1, 1 - x1 + (x2 - 4) ** 2], []


def _g09(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7 = X.T
    f = (x1 - 10) ** 2 + 5 * (x2 - 12) ** 2 + x3**4 + 3 * (x4 - 11) ** 2 + 10 * x5**6
    f = f + 7 * x6**2 + x7**4 - 4 * x6 * x7 - 10 * x6 - 8 * x7
    g = [
        2 * x1**2 + 3 * x2**4 + x3 + 4 * x4**2 + 5 * x5 - 127,
        7 * x1 + 3 * x2 + 10 * x3**2 + x4 - x5 - 282,
        23 * x1 + x2**2 + 6 * x6**2 - 8 * x7 - 196,
        4 * x1**2 + x2**2 - 3 * x1 * x2 + 2 * x3**2 + 5 * x6 - 11 * x7,
    ]
    return f, g, []


def _g10(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8 = X.T
    g = [
        0.0025 * (x4 + x6) - 1,
        0.0025 * (x5 + x7 - x4) - 1,
        0.01 * (x8 - x5) - 1,
        -x1 * x6 + 833.33252 * x4 + 100 * x1 - 83333.333,
        -x2 * x7 + 1250 * x5 + x2 * x4 - 1250 * x4,
        -x3 * x8 + 1250000 + x3 * x5 - 2500 * x5,
    ]
    return x1 + x2 + x3, g, []


def _g11(X: Floats) -> Parts:
    x1, x2 = X.T
    return x1**2 + (x2 - 1) ** 2, [], [x2 - x1**2]


def _g12(X: Floats) -> Parts:
    f = ((X - 5) ** 2).sum(axis=1) / 100 - 1
    nearest = np.clip(np.rint(X), 1, 9)  # 9^3 balls on a grid: along each axis the nearest one can be chosen alone
    return f, [((X - nearest) ** 2).sum(axis=1) - 0.0625], []


def _g13(X: Floats) -> Parts:
    x1, x2, x3, x4, x5 = X.T
    return np.exp(X.prod(axis=1)), [], [(X**2).sum(axis=1) - 10, x2 * x3 - 5 * x4 * x5, x1**3 + x2**3 + 1]


def _g14(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10 = X.T
    energies = [-6.089, -17.164, -34.054, -5.914, -24.721, -14.986, -24.1, -10.708, -26.662, -22.179]
    f = (X * (energies + np.log(X / X.sum(axis=1, keepdims=True)))).sum(axis=1)
    h1, h2, h3 = x1 + 2 * x2 + 2 * x3 + x6 + x10 - 2, x4 + 2 * x5 + x6 + x7 - 1, x3 + x7 + x8 + 2 * x9 + x10 - 1
    return f, [], [h1, h2, h3]


def _g15(X: Floats) -> Parts:
    x1, x2, x3 = X.T
    f = 1000 - x1**2 - 2 * x2**2 - x3**2 - x1 * x2 - x1 * x3
    return f, [], [(X**2).sum(axis=1) - 25, 8 * x1 + 14 * x2 + 7 * x3 - 56]


G16_RANGES = (  # of y1 .. y17
    *((213.1, 405.23), (17.505, 1053.6667), (11.275, 35.03), (214.228, 665.585), (7.458, 584.463)),
    *((0.961, 265.916), (1.612, 7.046), (0.146, 0.222), (107.99, 273.366), (922.693, 1286.105)),
    *((926.832, 1444.046), (18.766, 537.141), (1072.163, 3247.039), (8961.448, 26844.086)),
    *((0.063, 0.386), (71084.33, 140000), (2802713, 12146108)),
)


def _g16(X: Floats) -> Parts:
    x1, x2, x3, x4, x5 = X.T
    y1 = x2 + x3 + 41.6
    y2 = 12.5 / (0.024 * x4 - 4.62) + 12
    c2 = 0.0003535 * x1**2 + 0.5311 * x1 + 0.08705 * y2 * x1
    y3 = c2 / (0.052 * x1 + 78 + 0.002377 * y2 * x1)
    y4 = 19 * y3
    c4 = 0.04782 * (x1 - y3) + 0.1956 * (x1 - y3) ** 2 / x2 + 0.6376 * y4 + 1.594 * y3
    y5 = (x1 - y3 - y4) * (0.950 - c4 / (100 * x2))
    y6 = x1 - y5 - y4 - y3
    c8 = 0.995 * (y5 + y4)
    y7, y8 = c8 / y1, c8 / 3798
    y9 = 96.82 / (y7 - 0.0663 * y7 / y8 - 0.3153) + 0.321 * y1
    y10 = 1.29 * y5 + 1.258 * y4 + 2.29 * y3 + 1.71 * y6
    y11 = 1.71 * x1 - 0.452 * y4 + 0.580 * y3
    c12 = 0.995 * y10 + 1998
    y12 = 12.3 / 752.3 * x1 + 1.75 * y2 * 0.995 * x1 / c12
    y13 = c12 - 1.75 * y2
    c17 = y9 + x5
    y14 = 3623 + 64.4 * x2 + 58.4 * x3 + 146312 / c17
    y15 = y13 / (0.995 * y10 + 60.8 * x2 + 48 * x4 - 0.1121 * y14 - 5095)
    y16 = 148000 - 331000 * y15 + 40 * y13 - 61 * y15 * y13
    y17 = 14130000 - 1328 * y10 - 531 * y11 + (2324 * y10 - 28740000 * y2) / c12
    c15, c16 = y13 / y15 - y13 / 0.52, 1.104 - 0.72 * y15
    f = 0.000117 * y14 + 0.1365 + 0.00002358 * y13 + 0.000001502 * y16 + 0.0321 * y12 + 0.004324 * y5
    f = f + 0.0001 * c15 / c16 + 37.48 * y2 / c12 - 0.0000005843 * y17
    g = [0.28 / 0.72 * y5 - y4, x3 - 1.5 * x2, 3496 * y2 / c12 - 21, 110.6 + y1 - 62212 / c17]
    y = (y1, y2, y3, y4, y5, y6, y7, y8, y9, y10, y11, y12, y13, y14, y15, y16, y17)
    for value, (low, high) in zip(y, G16_RANGES, strict=True):
        g += [low - value, value - high]
    return f, g, []


def _g17(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6 = X.T
    f = np.where(x1 < 300, 30, 31) * x1 + np.select([x2 < 100, x2 < 200], [28, 29], 30) * x2
    loss, both = 0.90798 / 131.078, x3 * x4 / 131.078
    h1 = 300 - x1 - both * np.cos(1.48477 - x6) + loss * np.cos(1.47588) * x3**2
    h2 = -x2 - both * np.cos(1.48477 + x6) + loss * np.cos(1.47588) * x4**2
    h3 = -x5 - both * np.sin(1.48477 + x6) + loss * np.sin(1.47588) * x4**2
    h4 = 200 - both * np.sin(1.48477 - x6) + loss * np.sin(1.47588) * x3**2
    return f, [], [h1, h2, h3, h4]


def _g18(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8, x9 = X.T
    f = -0.5 * (x1 * x4 - x2 * x3 + x3 * x9 - x5 * x9 + x5 * x8 - x6 * x7)
    sides = [
        *(x3**2 + x4**2, x9**2, x5**2 + x6**2, x1**2 + (x2 - x9) ** 2, (x1 - x5) ** 2 + (x2 - x6) ** 2),
        *((x1 - x7) ** 2 + (x2 - x8) ** 2, (x3 - x5) ** 2 + (x4 - x6) ** 2, (x3 - x7) ** 2 + (x4 - x8) ** 2),
        x7**2 + (x8 - x9) ** 2,
    ]
    areas = [x2 * x3 - x1 * x4, -x3 * x9, x5 * x9, x6 * x7 - x5 * x8]
    return f, [*(side - 1 for side in sides), *areas], []


G19_A = np.array(
    [
        *([-16, 2, 0, 1, 0], [0, -2, 0, 0.4, 2], [-3.5, 0, 2, 0, 0], [0, -2, 0, -4, -1], [0, -9, -2, 1, -2.8]),
        *([2, 0, -4, 0, 0], [-1, -1, -1, -1, -1], [-1, -2, -3, -2, -1], [1, 2, 3, 4, 5], [1, 1, 1, 1, 1]),
    ]
)
G19_B = np.array([-40, -2, -0.25, -4, -4, -1, -40, -60, 5, 1])
G19_C = np.array(
    [
        [30, -20, -10, 32, -10],
        [-20, 39, -6, -31, 32],
        [-10, -6, 10, -6, -10],
        [32, -31, -6, 39, -20],
        [-10, 32, -10, -20, 30],
    ]
)
G19_D, G19_E = np.array([4, 8, 10, 6, 2]), np.array([-15, -27, -36, -18, -12])


def _g19(X: Floats) -> Parts:
    U, V = X[:, :10], X[:, 10:]
    f = ((V @ G19_C) * V).sum(axis=1) + 2 * V**3 @ G19_D - U @ G19_B
    return f, list((U @ G19_A - 2 * V @ G19_C - 3 * G19_D * V**2 - G19_E).T), []


G20_A = np.array([0.0693, 0.0577, 0.05, 0.2, 0.26, 0.55, 0.06, 0.1, 0.12, 0.18, 0.1, 0.09] * 2)
G20_B = np.array([44.094, 58.12, 58.12, 137.4, 120.9, 170.9, 62.501, 84.94, 133.425, 82.507, 46.07, 60.097])
G20_C = np.array([123.7, 31.7, 45.7, 14.7, 84.7, 27.7, 49.7, 7.1, 2.1, 17.7, 0.85, 0.64])
G20_D = np.array([31.244, 36.12, 34.784, 92.7, 82.7, 91.6, 56.708, 82.7, 80.8, 64.517, 49.4, 49.1])
G20_E = np.array([0.1, 0.3, 0.4, 0.3, 0.6, 0.3])


def _g20(X: Floats) -> Parts:
    U, V, total = X[:, :12], X[:, 12:], X.sum(axis=1)
    taken = [0, 1, 2, 6, 7, 8]
    g = (U + V)[:, taken] / (total[:, None] + G20_E)
    moles_u, moles_v = (U / G20_B).sum(axis=1), (V / G20_B).sum(axis=1)
    balances = V / (G20_B * moles_v[:, None]) - G20_C * U / (40 * G20_B * moles_u[:, None])
    volume = (U / G20_D).sum(axis=1) + 0.7302 * 530 * 14.7 / 40 * moles_v - 1.671
    return X @ G20_A, list(g.T), [*balances.T, total - 1, volume]


def _g21(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7 = X.T
    h = [
        -300 * x3 + 7500 * x5 - 7500 * x6 - 25 * x4 * x5 + 25 * x4 * x6 + x3 * x4,
        100 * x2 + 155.365 * x4 + 2500 * x7 - x2 * x4 - 25 * x4 * x7 - 15536.5,
        *(np.log(900 - x4) - x5, np.log(x4 + 300) - x6, np.log(700 - 2 * x4) - x7),
    ]
    return x1, [35 * x2**0.6 + 35 * x3**0.6 - x1], h


def _g22(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15, x16, x17, x18, x19, x20, x21, x22 = X.T
    h = [
        *(x5 - 1e5 * x8 + 1e7, x6 + 1e5 * (x8 - x9), x7 + 1e5 * x9 - 5e7),
        *(x5 + 1e5 * x10 - 3.3e7, x6 + 1e5 * x11 - 4.4e7, x7 + 1e5 * x12 - 6.6e7),
        *(x5 - 120 * x2 * x13, x6 - 80 * x3 * x14, x7 - 40 * x4 * x15, x8 - x11 + x16, x9 - x12 + x17),
        *(np.log(x10 - 100) - x18, np.log(300 - x8) - x19, np.log(x16) - x20, np.log(400 - x9) - x21),
        np.log(x17) - x22,
        -x8 - x10 + x13 * (x18 - x19) + 400,
        x8 - x9 - x11 + x14 * (x20 - x21) + 400,
        x9 - x12 - 4.60517 * x15 + x15 * x22 + 100,
    ]
    return x1, [x2**0.6 + x3**0.6 + x4**0.6 - x1], h


def _g23(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6, x7, x8, x9 = X.T
    f = -9 * x5 - 15 * x8 + 6 * x1 + 16 * x2 + 10 * (x6 + x7)
    g = [x9 * x3 + 0.02 * x6 - 0.025 * x5, x9 * x4 + 0.02 * x7 - 0.015 * x8]
    return f, g, [x1 + x2 - x3 - x4, 0.03 * x1 + 0.01 * x2 - x9 * (x3 + x4), x3 + x6 - x5, x4 + x7 - x8]


def _g24(X: Floats) -> Parts:
    x1, x2 = X.T
    g1 = -2 * x1**4 + 8 * x1**3 - 8 * x1**2 + x2 - 2
    return -x1 - x2, [g1, -4 * x1**4 + 32 * x1**3 - 88 * x1**2 + 96 * x1 + x2 - 36], []


# Bounds and best known points: (definition, lower, upper, best_f, best_x)

Entry = tuple[Callable[[Floats], Parts], float | Sequence[float], float | Sequence[float], float, Sequence[float]]
# fmt: off
PROBLEMS: dict[str, Entry] = {
    "g01": (_g01, 0, [1, 1, 1, 1, 1, 1, 1, 1, 1, 100, 100, 100, 1], -15, [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 1]),
    "g02": (
        _g02, 1e-16, 10, -0.80361910412559,
        [3.16246061572185, 3.12833142812967, 3.09479212988791, 3.06145059523469, 3.02792915885555, 2.9938260670173,
         2.95866871765285, 2.9218422731245, 0.49482511456933, 0.4883571100549, 0.48231642711865, 0.47664475092742,
         0.47129550835493, 0.46623099264167, 0.46142004984199, 0.45683664767217, 0.45245876903267, 0.44826762241853,
         0.4442470095876, 0.44038285956317]),
    "g03": (_g03, 0, 1, -1, [0.316227766016838] * 10),
    "g04": (
        _g04, [78, 33, 27, 27, 27], [102, 45, 45, 45, 45], -30665.5386717426,
        [78, 33, 29.9952560256834, 44.9999999984701, 36.7758129064045]),
    "g05": (
        _g05, [0, 0, -0.55, -0.55], [1200, 1200, 0.55, 0.55], 5126.49810959527,
        [679.945317487912, 1026.06713513572, 0.118876366178386, -0.396233552403293]),
    "g06": (_g06, [13, 0], 100, -6961.81387558013, [14.095, 0.84296078921548]),
    "g07": (
        _g07, -10, 10, 24.3062090689259,
        [2.171997834812, 2.363679362798, 8.773925117415, 5.095984215855, 0.990655966387, 1.430578427576,
         1.321647038816, 9.828728107011, 8.280094195305, 8.375923511901]),
    "g08": (_g08, 1e-05, 10, -0.0958250414180116, [1.2279713, 4.2453733]),
    "g09": (
        _g09, -10, 10, 680.630057374405,
        [2.330499493233, 1.95137239646596, -0.477540417661986, 4.36572612852777, -0.624487075837028, 1.03813092302119,
         1.5942266322196]),
    "g10": (
        _g10, [100, 1000, 1000, 10, 10, 10, 10, 10], [10000, 10000, 10000, 1000, 1000, 1000, 1000, 1000],
        7049.24802180719,
        [579.293402697592, 1359.97691009459, 5109.97770901501, 182.016590253427, 295.600891660641, 217.983409739068,
         286.41569858296, 395.600891653819]),
    "g11": (_g11, -1, 1, 0.75, [-0.707106781186548, 0.5]),
    "g12": (_g12, 0, 10, -1, [5, 5, 5]),
    "g13": (
        _g13, [-2.3, -2.3, -3.2, -3.2, -3.2], [2.3, 2.3, 3.2, 3.2, 3.2], 0.05394984069520585,
        [-1.7171435947203, 1.5957097321519, 1.8272456947885, -0.7636422812896, -0.7636439027742]),
    "g14": (
        _g14, 1e-06, 10, -47.7648884594915,
        [0.0406684113216282, 0.147721240492452, 0.783205732104114, 0.00141433931889084, 0.485293636780388,
         0.000693183051556082, 0.0274052040687766, 0.0179509660214818, 0.0373268186859717, 0.0968844604336845]),
    "g15": (_g15, 0, 10, 961.715022289961, [3.51212812611795, 0.216987510429556, 3.5521785492918]),
    "g16": (
        _g16, [704.4148, 68.6, 0, 193, 25], [906.3855, 288.88, 134.75, 287.0966, 84.1988], -1.90515525853479,
        [705.1745370700905, 68.6, 102.89999999999999, 282.3249315936603, 37.58411642580548]),
    "g17": (
        _g17, [0, 0, 340, 340, -1000, 0], [400, 1000, 420, 420, 1000, 0.5236], 8853.53401643571,
        [201.784467214524, 99.9999999999999, 383.071034852773, 420, -10.9076584514293, 0.0731482312084287]),
    "g18": (
        _g18, [-10, -10, -10, -10, -10, -10, -10, -10, 0], [10, 10, 10, 10, 10, 10, 10, 10, 20], -0.86573533494888,
        [-0.989000549266775, 0.147911841863823, -0.624289764157445, -0.781184173742901, -0.987615938731845,
         0.150477830524907, -0.622595978334002, -0.782543417629948, 0]),
    "g19": (
        _g19, 0, 10, 32.6555929503494,
        [0, 0, 3.94600628013917, 0, 3.28318162727873, 10, 0, 0, 0, 0, 0.370762125835098, 0.278454209512692,
         0.523838440499861, 0.388621589976956, 0.29815843730292]),
    "g20": (_g20, 0, 10, np.nan, [np.nan] * 24),
    "g21": (
        _g21, [0, 0, 0, 100, 6.3, 5.9, 4.5], [1000, 40, 40, 300, 6.7, 6.4, 6.25], 193.724510070035,
        [193.724510070035, 5.56944131553368e-27, 17.3191887294085, 100.047897801387, 6.68445185362378,
         5.99168428444265, 6.2145164888607]),
    "g22": (
        _g22, [0, 0, 0, 0, 0, 0, 0, 100, 100, 100.01, 100, 100, 0, 0, 0, 0.01, 0.01, -4.7, -4.7, -4.7, -4.7, -4.7],
        [20000, 1000000, 1000000, 1000000, 40000000, 40000000, 40000000, 299.99, 399.99, 300, 400, 600, 500, 500, 500,
        300, 400, 6.25, 6.25, 6.25, 6.25, 6.25], 236.430975504001,
        [236.430975504001, 135.828471517325, 204.818152544825, 6446.54654059436, 3007540.83940216, 4074188.65771342,
         32918270.5028953, 130.075408394314, 170.817294970529, 299.924591605479, 399.258113423595, 330.817294971143,
         184.518312308971, 248.646702396474, 127.658546694546, 269.182627528747, 160.000016724091, 5.29788288102681,
         5.13529735903946, 5.59531526444069, 5.43444479314453, 5.07517453535834]),
    "g23": (
        _g23, [0, 0, 0, 0, 0, 0, 0, 0, 0.01], [300, 300, 100, 200, 100, 300, 100, 200, 0.03], -400,
        [0, 100, 0, 100, 0, 0, 100, 200, 0.01]),
    "g24": (_g24, 0, [3, 4], -5.50801327159529, [2.32952019747761, 3.17849307411768]),
}
# fmt: on

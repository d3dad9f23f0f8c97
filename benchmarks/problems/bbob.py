"""The 24 noiseless BBOB functions, for every instance and dimension, on whole populations.

    problem(function, instance, dimension) -> Problem

Notation, as in the report:

    D         dimension, at least 2
    X         population, shape (n, D); the box of interest is [-5, 5]^D
    Z         X moved to the optimum, rotated, stretched and bent, shape (n, D)
    Q, R      orthogonal matrices (D, D) of the instance, drawn from seeds 10^6 apart
    lam(a)    diagonal of the matrix Lambda^a, shape (D,): a^(i / (2 (D - 1))), i = 0 .. D - 1
    ramp      i / (D - 1), shape (D,)
    t_osz     makes small smooth irregularities; t_asy(b) breaks symmetry
    f_pen     how far a point lies outside the box: sum of squared excesses

Every random choice of an instance comes from one linear congruential generator with a shuffle table of 32, which the
workshops have kept since 2009: so a value here is the value that their archive of results was made with.

Source: Hansen, Finck, Ros and Auger (2009), Real-Parameter Black-Box Optimization Benchmarking 2009: Noiseless
Functions Definitions, INRIA report RR-6829; the generator is the minimal standard one of Park and Miller with the
shuffle of Bays and Durham (Press et al., Numerical Recipes, 2nd edition, 7.1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

FUNCTIONS = tuple(range(1, 25))
LARGEST = 2147483647  # 2^31 - 1, the modulus of the generator


@dataclass(frozen=True, eq=False)
class Problem:
    """One instance of a function. ``evaluate`` takes (n, D) and gives (n,); the lowest value is f_opt, at x_opt."""

    function: int
    instance: int
    lower: Floats
    upper: Floats
    f_opt: float
    x_opt: Floats
    evaluate: Function


def problem(function: int, instance: int, dimension: int) -> Problem:
    """Return an instance of a BBOB function.

    Raises:
        ValueError: the function is not 1 to 24, the instance below 1, or the dimension below 2.
    """
    if function not in FUNCTIONS or instance < 1 or dimension < 2:
        raise ValueError(f"f{function}, instance {instance}, dimension {dimension}: f1 to f24, from 1, from 2")
    draw = Draw(function, instance, dimension)
    x_opt, bare = DEFINITIONS[function - 1](draw)
    f_opt = draw.f_opt

    def evaluate(X: Floats) -> Floats:
        X = np.asarray(X, np.float64)
        if X.ndim != 2 or X.shape[1] != dimension:
            raise ValueError(f"X must have shape (n, {dimension}), not {X.shape}")
        return bare(X) + f_opt

    box = np.full(dimension, 5.0)
    return Problem(function, instance, -box, box, f_opt, x_opt, evaluate)


# The random numbers of an instance


def uniforms(n: int, seed: int) -> Floats:
    """Return n numbers in (0, 1) from a seed >= 0."""
    state, table = max(seed, 1), [0] * 32
    for i in reversed(range(40)):
        state = 16807 * state % LARGEST
        if i < 32:
            table[i] = state
    shown, numbers = table[0], np.empty(n)
    for i in range(n):
        state = 16807 * state % LARGEST
        place = shown // 67108865
        shown, table[place] = table[place], state
        numbers[i] = shown / 2.147483647e9
    return np.where(numbers == 0, 1e-99, numbers)


def gaussians(n: int, seed: int) -> Floats:
    """Return n numbers of the standard normal distribution, by Box and Muller."""
    first, second = uniforms(2 * n, seed).reshape(2, n)
    numbers = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
    return np.where(numbers == 0, 1e-99, numbers)


@lru_cache(maxsize=64)
def rotation(seed: int, D: int) -> Floats:
    """Return a random orthogonal matrix: Gaussian columns, made orthonormal one after the other."""
    B = gaussians(D * D, seed).reshape(D, D).T.copy()
    for i in range(D):
        for j in range(i):  # each product is taken with what the earlier ones left
            B[:, i] -= (B[:, i] @ B[:, j]) * B[:, j]
        B[:, i] /= np.sqrt(B[:, i] @ B[:, i])
    B.setflags(write=False)
    return B


class Draw:
    """What chance decides about one instance."""

    def __init__(self, function: int, instance: int, D: int) -> None:
        base = {4: 3, 18: 17}.get(function, function)  # these two share the draws of their simpler siblings
        self.D = D
        self.seed = base + 10000 * instance
        self.ramp = np.arange(D) / (D - 1)

    @property
    def f_opt(self) -> float:
        """Value of the optimum: a ratio of two Gaussians, in hundredths, within +-1000."""
        ratio = gaussians(1, self.seed)[0] / gaussians(1, self.seed + 1)[0]
        return float(np.clip(np.floor(100 * 100 * ratio + 0.5) / 100, -1000, 1000))

    @property
    def Q(self) -> Floats:  # noqa: N802
        return rotation(self.seed, self.D)

    @property
    def R(self) -> Floats:  # noqa: N802
        return rotation(self.seed + 1_000_000, self.D)

    @cached_property
    def x_opt(self) -> Floats:
        return self.x_opt_of(self.seed)

    def x_opt_of(self, seed: int) -> Floats:
        """Place of the optimum: on a grid of 0.0008 within [-4, 4], never 0."""
        x = 8 * np.floor(1e4 * uniforms(self.D, seed)) / 1e4 - 4
        return np.where(x == 0, -1e-5, x)

    def signs(self, numbers: Floats) -> Floats:
        return np.where(numbers < 0, -1.0, 1.0)

    def lam(self, a: float) -> Floats:
        return np.sqrt(a) ** self.ramp

    def stretch(self, a: float) -> Floats:
        """The matrix R Lambda^a Q, to be applied to rows as ``X @ stretch.T``."""
        return (self.R * self.lam(a)) @ self.Q


# The bends


def t_osz(Z: Floats) -> Floats:
    """Return Z with smooth irregularities of its own scale everywhere; 0 stays 0."""
    is_up = Z > 0
    log = np.log(np.abs(Z), where=Z != 0, out=np.zeros_like(Z))
    c1, c2 = np.where(is_up, 10.0, 5.5), np.where(is_up, 7.9, 3.1)
    return np.sign(Z) * np.exp(log + 0.049 * (np.sin(c1 * log) + np.sin(c2 * log)))


def t_asy(Z: Floats, b: float, ramp: Floats) -> Floats:
    """Return Z with its positive values raised to powers that grow along the axes."""
    up = np.maximum(Z, 0.0)
    return np.where(Z > 0, up ** (1 + b * ramp * np.sqrt(up)), Z)


def f_pen(X: Floats) -> Floats:
    return (np.maximum(0.0, np.abs(X) - 5) ** 2).sum(axis=1)


def ripples(Z: Floats) -> Floats:
    """Return the waves of Rastrigin's function, 0 at 0."""
    return 10 * (Z.shape[1] - np.cos(2 * np.pi * Z).sum(axis=1))


# The functions: each returns the optimum and the function without f_opt


def f1_sphere(draw: Draw) -> tuple[Floats, Function]:
    return draw.x_opt, lambda X: ((X - draw.x_opt) ** 2).sum(axis=1)


def f2_ellipsoid(draw: Draw) -> tuple[Floats, Function]:
    return draw.x_opt, lambda X: t_osz(X - draw.x_opt) ** 2 @ 10 ** (6 * draw.ramp)


def f3_rastrigin(draw: Draw) -> tuple[Floats, Function]:
    def f(X: Floats) -> Floats:
        Z = draw.lam(10) * t_asy(t_osz(X - draw.x_opt), 0.2, draw.ramp)
        return ripples(Z) + (Z**2).sum(axis=1)

    return draw.x_opt, f


def f4_bueche_rastrigin(draw: Draw) -> tuple[Floats, Function]:
    is_odd = np.arange(draw.D) % 2 == 0  # the first axis, the third, ...
    x_opt = np.where(is_odd, np.abs(draw.x_opt), draw.x_opt)

    def f(X: Floats) -> Floats:
        Z = t_osz(X - x_opt)
        Z = draw.lam(10) * np.where(is_odd & (Z > 0), 10.0, 1.0) * Z
        return ripples(Z) + (Z**2).sum(axis=1) + 100 * f_pen(X)

    return x_opt, f


def f5_linear_slope(draw: Draw) -> tuple[Floats, Function]:
    x_opt = 5 * draw.signs(draw.x_opt)
    slope = np.sign(x_opt) * 10**draw.ramp

    def f(X: Floats) -> Floats:
        Z = np.where(X * x_opt < 25, X, x_opt)
        return 5 * np.abs(slope).sum() - Z @ slope

    return x_opt, f


def f6_attractive_sector(draw: Draw) -> tuple[Floats, Function]:
    M = draw.stretch(10)

    def f(X: Floats) -> Floats:
        Z = (X - draw.x_opt) @ M.T
        Z = np.where(Z * draw.x_opt > 0, 100.0, 1.0) * Z
        return t_osz((Z**2).sum(axis=1)) ** 0.9

    return draw.x_opt, f


def f7_step_ellipsoid(draw: Draw) -> tuple[Floats, Function]:
    M = draw.lam(10)[:, None] * draw.Q
    scale = 100**draw.ramp

    def f(X: Floats) -> Floats:
        Z = (X - draw.x_opt) @ M.T
        flat = np.where(np.abs(Z) > 0.5, np.floor(0.5 + Z), np.floor(0.5 + 10 * Z) / 10)
        return 0.1 * np.maximum(np.abs(Z[:, 0]) / 1e4, (flat @ draw.R.T) ** 2 @ scale) + f_pen(X)

    return draw.x_opt, f


def _valley(Z: Floats) -> Floats:
    """Return Rosenbrock's terms, one an adjacent pair, shape (n, D - 1)."""
    return 100 * (Z[:, :-1] ** 2 - Z[:, 1:]) ** 2 + (Z[:, :-1] - 1) ** 2


def f8_rosenbrock(draw: Draw) -> tuple[Floats, Function]:
    x_opt, zoom = 0.75 * draw.x_opt, max(1.0, np.sqrt(draw.D) / 8)
    return x_opt, lambda X: _valley(zoom * (X - x_opt) + 1).sum(axis=1)


def f9_rosenbrock_rotated(draw: Draw) -> tuple[Floats, Function]:
    zoom = max(1.0, np.sqrt(draw.D) / 8)
    x_opt = draw.Q.sum(axis=0) * 0.5 / zoom  # where Z is 1 on every axis
    return x_opt, lambda X: _valley(zoom * X @ draw.Q.T + 0.5).sum(axis=1)


def f10_ellipsoid_rotated(draw: Draw) -> tuple[Floats, Function]:
    return draw.x_opt, lambda X: t_osz((X - draw.x_opt) @ draw.R.T) ** 2 @ 10 ** (6 * draw.ramp)


def f11_discus(draw: Draw) -> tuple[Floats, Function]:
    scale = np.where(np.arange(draw.D) == 0, 1e6, 1.0)
    return draw.x_opt, lambda X: t_osz((X - draw.x_opt) @ draw.R.T) ** 2 @ scale


def f12_bent_cigar(draw: Draw) -> tuple[Floats, Function]:
    scale = np.where(np.arange(draw.D) == 0, 1.0, 1e6)
    x_opt = draw.x_opt_of(draw.seed + 1_000_000)
    return x_opt, lambda X: (t_asy((X - x_opt) @ draw.R.T, 0.5, draw.ramp) @ draw.R.T) ** 2 @ scale


def f13_sharp_ridge(draw: Draw) -> tuple[Floats, Function]:
    M = draw.stretch(10)

    def f(X: Floats) -> Floats:
        squares = ((X - draw.x_opt) @ M.T) ** 2
        return squares[:, 0] + 100 * np.sqrt(squares[:, 1:].sum(axis=1))

    return draw.x_opt, f


def f14_different_powers(draw: Draw) -> tuple[Floats, Function]:
    powers = 2 + 4 * draw.ramp
    return draw.x_opt, lambda X: np.sqrt((np.abs((X - draw.x_opt) @ draw.R.T) ** powers).sum(axis=1))


def f15_rastrigin_rotated(draw: Draw) -> tuple[Floats, Function]:
    M = draw.stretch(10)

    def f(X: Floats) -> Floats:
        Z = t_asy(t_osz((X - draw.x_opt) @ draw.R.T), 0.2, draw.ramp) @ M.T
        return ripples(Z) + (Z**2).sum(axis=1)

    return draw.x_opt, f


def f16_weierstrass(draw: Draw) -> tuple[Floats, Function]:
    M = draw.stretch(1 / 100)
    k = np.arange(12)
    weights, waves = 0.5**k, 2 * np.pi * 3.0**k
    at_optimum = weights @ np.cos(waves / 2)

    def f(X: Floats) -> Floats:
        Z = t_osz((X - draw.x_opt) @ draw.R.T) @ M.T
        mean = (np.cos(waves * (Z[:, :, None] + 0.5)) @ weights).mean(axis=1)
        return 10 * (mean - at_optimum) ** 3 + 10 / draw.D * f_pen(X)

    return draw.x_opt, f


def _schaffers(draw: Draw, condition: float) -> tuple[Floats, Function]:
    def f(X: Floats) -> Floats:
        Z = draw.lam(condition) * (t_asy((X - draw.x_opt) @ draw.R.T, 0.5, draw.ramp) @ draw.Q.T)
        s = np.sqrt(Z[:, :-1] ** 2 + Z[:, 1:] ** 2)
        return (np.sqrt(s) * (1 + np.sin(50 * s**0.2) ** 2)).mean(axis=1) ** 2 + 10 * f_pen(X)

    return draw.x_opt, f


def f17_schaffers(draw: Draw) -> tuple[Floats, Function]:
    return _schaffers(draw, 10)


def f18_schaffers_ill_conditioned(draw: Draw) -> tuple[Floats, Function]:
    return _schaffers(draw, 1000)


def f19_griewank_rosenbrock(draw: Draw) -> tuple[Floats, Function]:
    zoom = max(1.0, np.sqrt(draw.D) / 8)
    x_opt = draw.Q.sum(axis=0) * 0.5 / zoom

    def f(X: Floats) -> Floats:
        s = _valley(zoom * X @ draw.Q.T + 0.5)
        return 10 * (s / 4000 - np.cos(s)).mean(axis=1) + 10

    return x_opt, f


def f20_schwefel(draw: Draw) -> tuple[Floats, Function]:
    signs = draw.signs(uniforms(draw.D, draw.seed) - 0.5)
    twice = 4.2096874637
    scale = draw.lam(10)

    def f(X: Floats) -> Floats:
        Y = 2 * signs * X
        Y[:, 1:] += 0.25 * (Y[:, :-1] - twice)  # the right side is taken whole before any of it changes
        Z = 100 * (scale * (Y - twice) + twice)
        wave = (Z * np.sin(np.sqrt(np.abs(Z)))).mean(axis=1) / 100
        return 4.189828872724339 - wave + 100 * f_pen(Z / 100)

    return signs * twice / 2, f


def _gallagher(draw: Draw, n_peaks: int, first: float, width: float) -> tuple[Floats, Function]:
    """Peaks of Gaussian shape in a rotated box; the first is the highest, and near the middle."""
    D, R = draw.D, draw.Q
    ranks = np.argsort(uniforms(n_peaks - 1, draw.seed), kind="stable")
    conditions = np.concatenate([[first], 1000 ** (ranks / (n_peaks - 2))])
    heights = np.concatenate([[10.0], 1.1 + 8 * np.arange(n_peaks - 1) / (n_peaks - 2)])
    orders = [np.argsort(uniforms(D, draw.seed + 1000 * peak), kind="stable") for peak in range(n_peaks)]
    scales = conditions[:, None] ** (np.array(orders) / (D - 1) - 0.5)  # (n_peaks, D)
    centers = width * uniforms(D * n_peaks, draw.seed).reshape(n_peaks, D) - width / 2
    centers[0] *= 0.8
    rotated = centers @ R.T

    def f(X: Floats) -> Floats:
        Y = X @ R.T
        best = np.zeros(len(X))
        for height, scale, center in zip(heights, scales, rotated, strict=True):  # (n, D) at a time, not (n, 101, D)
            best = np.maximum(best, height * np.exp(-((Y - center) ** 2 @ scale) / (2 * D)))
        return t_osz(10 - best) ** 2 + f_pen(X)

    return centers[0], f


def f21_gallagher_101(draw: Draw) -> tuple[Floats, Function]:
    return _gallagher(draw, 101, np.sqrt(1000), 10.0)


def f22_gallagher_21(draw: Draw) -> tuple[Floats, Function]:
    return _gallagher(draw, 21, 1000.0, 9.8)


def f23_katsuura(draw: Draw) -> tuple[Floats, Function]:
    M, D = draw.stretch(100), draw.D
    powers, order = 2.0 ** np.arange(1, 33), np.arange(1, D + 1)

    def f(X: Floats) -> Floats:
        fine = powers * ((X - draw.x_opt) @ M.T)[:, :, None]  # (n, D, 32)
        rough = (np.abs(fine - np.floor(fine + 0.5)) / powers).sum(axis=2)
        return 10 / D**2 * (np.prod(1 + order * rough, axis=1) ** (10 / D**1.2) - 1) + f_pen(X)

    return draw.x_opt, f


def f24_lunacek(draw: Draw) -> tuple[Floats, Function]:
    M, D, mu = draw.stretch(100), draw.D, 2.5
    signs = draw.signs(gaussians(D, draw.seed))
    s = 1 - 1 / (2 * np.sqrt(D + 20) - 8.2)
    other = -np.sqrt((mu**2 - 1) / s)

    def f(X: Floats) -> Floats:
        Y = 2 * signs * X
        near, far = ((Y - mu) ** 2).sum(axis=1), D + s * ((Y - other) ** 2).sum(axis=1)
        return np.minimum(near, far) + ripples((Y - mu) @ M.T) + 1e4 * f_pen(X)

    return signs * mu / 2, f


DEFINITIONS: tuple[Callable[[Draw], tuple[Floats, Function]], ...] = (
    *(f1_sphere, f2_ellipsoid, f3_rastrigin, f4_bueche_rastrigin, f5_linear_slope, f6_attractive_sector),
    *(f7_step_ellipsoid, f8_rosenbrock, f9_rosenbrock_rotated, f10_ellipsoid_rotated, f11_discus, f12_bent_cigar),
    *(f13_sharp_ridge, f14_different_powers, f15_rastrigin_rotated, f16_weierstrass, f17_schaffers),
    *(f18_schaffers_ill_conditioned, f19_griewank_rosenbrock, f20_schwefel, f21_gallagher_101, f22_gallagher_21),
    *(f23_katsuura, f24_lunacek),
)

"""Twelve problems of several objectives, on whole populations: ZDT1 to 4 and 6, DTLZ1 to 4, BNH, OSY and TNK.

    problem(name) -> Problem: evaluate(X) -> (F, g), lower, upper, front(n), reference

Notation:

    X    population, shape (n, D); x1, x2, ... its columns
    F    objectives, shape (n, p), to be minimized
    g    inequalities, shape (n, q): met where g <= 0; ZDT and DTLZ have none
    t    place on the true front, from 0 to 1

``reference`` is where hypervolumes are measured from: the ideal point and 1.1 times the front's range. The limits of
OSY and TNK are divided by what makes them of one size, as is usual: it changes how much is violated, not what is met.

Sources
    ZDT    Zitzler, Deb and Thiele (2000), Evol. Comput. 8, 173-195.
    DTLZ   Deb, Thiele, Laumanns and Zitzler (2002), CEC, 825-830.
    BNH    Binh and Korn (1997), 3rd Int. Mendel Conf. on Genetic Algorithms, 176-182.
    OSY    Osyczka and Kundu (1995), Structural Optimization 10, 94-99; its front: Deb (2001), Multi-Objective
           Optimization using Evolutionary Algorithms, section 8.3.
    TNK    Tanaka, Watanabe, Furukawa and Tanino (1995), IEEE Int. Conf. on Systems, Man and Cybernetics, 1556-1561.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.pareto import nondominated
from engine.solvers.nsga3 import reference_directions

Floats = NDArray[np.float64]
Values = tuple[Floats, Floats]

RANGES = 1.1
"""How many ranges of the front the reference lies from its ideal point."""

FINE = 50
"""Places that are tried for each point of a front, since parts of a curve may be dominated."""


class Problem(NamedTuple):
    """A problem of the set. ``evaluate`` takes (n, D) and gives F (n, p) and g (n, q)."""

    evaluate: Callable[[Floats], Values]
    lower: Floats
    upper: Floats
    front: Callable[[int], Floats]
    reference: Floats


def problem(name: str, n_variables: int | None = None) -> Problem:
    """Return the problem of a name, with the usual number of variables unless another one is asked for.

    Raises:
        ValueError: there is none of this name, or it does not have so many variables.
    """
    if name not in NAMES:
        raise ValueError(f"{name!r} is none of the problems {', '.join(NAMES)}")
    definition = DEFINITIONS[name]
    D = n_variables or definition.n_variables
    if not (definition.is_scalable or definition.n_variables == D):
        raise ValueError(f"{name} has {definition.n_variables} variables, not {D}")

    def evaluate(X: Floats) -> Values:
        X = np.asarray(X, np.float64)
        if X.ndim != 2 or X.shape[1] != D:
            raise ValueError(f"{name} takes X of shape (n, {D}), not {X.shape}")
        F, g = definition.evaluate(X)
        return F, g if g is not None else np.empty((len(X), 0))

    lower, upper = (_filled(bound, D) for bound in (definition.lower, definition.upper))
    points = definition.front(1000)
    ideal, nadir = points.min(axis=0), points.max(axis=0)
    return Problem(evaluate, lower, upper, definition.front, ideal + RANGES * (nadir - ideal))


def violation(g: Floats) -> Floats:
    """Return by how much each point breaks its limits in sum, shape (n,); 0 where it is feasible."""
    return np.maximum(g, 0).sum(axis=1)


def _filled(bound: tuple[float, ...], D: int) -> Floats:
    """Return a bound of each variable: the last one given holds for all that follow."""
    return np.array([*bound, *[bound[-1]] * (D - len(bound))], np.float64)


# The problems of Zitzler, Deb and Thiele: the first variable is the first objective, the others should be 0

Parts = tuple[Floats, Floats | None]


def _zdt1(X: Floats) -> Parts:
    f, g = X[:, 0], 1 + 9 * X[:, 1:].mean(axis=1)
    return np.column_stack([f, g * (1 - np.sqrt(f / g))]), None


def _zdt2(X: Floats) -> Parts:
    f, g = X[:, 0], 1 + 9 * X[:, 1:].mean(axis=1)
    return np.column_stack([f, g * (1 - (f / g) ** 2)]), None


def _zdt3(X: Floats) -> Parts:
    f, g = X[:, 0], 1 + 9 * X[:, 1:].mean(axis=1)
    return np.column_stack([f, g * (1 - np.sqrt(f / g) - f / g * np.sin(10 * np.pi * f))]), None


def _zdt4(X: Floats) -> Parts:
    f, rest = X[:, 0], X[:, 1:]
    g = 1 + (10 + rest**2 - 10 * np.cos(4 * np.pi * rest)).sum(axis=1)
    return np.column_stack([f, g * (1 - np.sqrt(f / g))]), None


def _zdt6(X: Floats) -> Parts:
    f = 1 - np.exp(-4 * X[:, 0]) * np.sin(6 * np.pi * X[:, 0]) ** 6
    g = 1 + 9 * X[:, 1:].mean(axis=1) ** 0.25
    return np.column_stack([f, g * (1 - (f / g) ** 2)]), None


def _root(t: Floats) -> Floats:
    return np.column_stack([t, 1 - np.sqrt(t)])


def _square(t: Floats) -> Floats:
    return np.column_stack([t, 1 - t**2])


def _waves(t: Floats) -> Floats:
    return np.column_stack([t, 1 - np.sqrt(t) - t * np.sin(10 * np.pi * t)])


def _square_from_where_it_can_be_reached(t: Floats) -> Floats:
    return _square(0.2807753191 + (1 - 0.2807753191) * t)


# The problems of Deb, Thiele, Laumanns and Zitzler, with three objectives: two variables choose a place on the front


def _hilly(rest: Floats) -> Floats:
    """Return how far the other variables are from the front: many local ones, 100 of them a variable at least."""
    away = rest - 0.5
    return 100 * (rest.shape[1] + (away**2 - np.cos(20 * np.pi * away)).sum(axis=1))


def _bowl(rest: Floats) -> Floats:
    return ((rest - 0.5) ** 2).sum(axis=1)


def _on_sphere(place: Floats, g: Floats) -> Parts:
    a, b = place.T * np.pi / 2
    shape = [np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]
    return (1 + g)[:, None] * np.column_stack(shape), None


def _dtlz1(X: Floats) -> Parts:
    a, b = X[:, :2].T
    shape = np.column_stack([a * b, a * (1 - b), 1 - a])
    return 0.5 * (1 + _hilly(X[:, 2:]))[:, None] * shape, None


def _dtlz2(X: Floats) -> Parts:
    return _on_sphere(X[:, :2], _bowl(X[:, 2:]))


def _dtlz3(X: Floats) -> Parts:
    return _on_sphere(X[:, :2], _hilly(X[:, 2:]))


def _dtlz4(X: Floats) -> Parts:
    return _on_sphere(X[:, :2] ** 100, _bowl(X[:, 2:]))


def _plane(n: int) -> Floats:
    return reference_directions(3, n) / 2


def _sphere(n: int) -> Floats:
    directions = reference_directions(3, n)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


# Problems with limits


def _bnh(X: Floats) -> Parts:
    x1, x2 = X.T
    F = np.column_stack([4 * x1**2 + 4 * x2**2, (x1 - 5) ** 2 + (x2 - 5) ** 2])
    return F, np.column_stack([(x1 - 5) ** 2 + x2**2 - 25, 7.7 - (x1 - 8) ** 2 - (x2 + 3) ** 2])


def _osy(X: Floats) -> Parts:
    x1, x2, x3, x4, x5, x6 = X.T
    first = 25 * (x1 - 2) ** 2 + (x2 - 2) ** 2 + (x3 - 1) ** 2 + (x4 - 4) ** 2 + (x5 - 1) ** 2
    g = [
        (2 - x1 - x2) / 2,
        (x1 + x2 - 6) / 6,
        (x2 - x1 - 2) / 2,
        (x1 - 3 * x2 - 2) / 2,
        ((x3 - 3) ** 2 + x4 - 4) / 4,
        (4 - (x5 - 3) ** 2 - x6) / 4,
    ]
    return np.column_stack([-first, (X**2).sum(axis=1)]), np.column_stack(g)


def _tnk(X: Floats) -> Parts:
    x1, x2 = X.T
    waves = 1 + 0.1 * np.cos(16 * np.arctan2(x1, x2)) - x1**2 - x2**2
    return X.copy(), np.column_stack([waves, 2 * ((x1 - 0.5) ** 2 + (x2 - 0.5) ** 2) - 1])


def _corner_walk(t: Floats) -> Floats:
    x1 = 5 * t
    return _bnh(np.column_stack([x1, np.minimum(x1, 3)]))[0]


def _five_pieces(t: Floats) -> Floats:
    """Walk along the five edges of OSY's box on which its front lies, a fifth of t each."""
    piece, s = np.minimum((5 * t).astype(int), 4), np.clip(5 * t - np.minimum((5 * t).astype(int), 4), 0, 1)
    from_1_to_5, slope = 1 + 4 * s, 4.056 + (5 - 4.056) * s
    x1 = np.choose(piece, [5.0, 5.0, slope, 0.0, s])
    x2 = np.choose(piece, [1.0, 1.0, (slope - 2) / 3, 2.0, 2 - s])
    x3 = np.choose(piece, [from_1_to_5, from_1_to_5, 1.0, 1 + (np.sqrt(3) + 1) * s, 1.0])
    x5 = np.choose(piece, [5.0, 1.0, 1.0, 1.0, 1.0])
    return _osy(np.column_stack([x1, x2, x3, np.zeros_like(t), x5, np.zeros_like(t)]))[0]


def _wavy_arc(t: Floats) -> Floats:
    angle = np.pi / 2 * t
    radius = np.sqrt(1 + 0.1 * np.cos(16 * angle))
    points = radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return points[_tnk(points)[1][:, 1] <= 0]


def _along(curve: Callable[[Floats], Floats]) -> Callable[[int], Floats]:
    """Return the front whose points lie on a curve: n of those that no other point of it dominates."""

    def front(n: int) -> Floats:
        points = curve(np.linspace(0, 1, FINE * n))
        points = np.unique(points[nondominated(points)], axis=0)
        return points[np.linspace(0, len(points) - 1, n).round().astype(int)]

    return front


class _Definition(NamedTuple):
    evaluate: Callable[[Floats], Parts]
    front: Callable[[int], Floats]
    n_variables: int
    lower: tuple[float, ...] = (0.0,)
    upper: tuple[float, ...] = (1.0,)
    is_scalable: bool = True


DEFINITIONS = {
    "ZDT1": _Definition(_zdt1, _along(_root), 30),
    "ZDT2": _Definition(_zdt2, _along(_square), 30),
    "ZDT3": _Definition(_zdt3, _along(_waves), 30),
    "ZDT4": _Definition(_zdt4, _along(_root), 10, (0.0, -5.0), (1.0, 5.0)),
    "ZDT6": _Definition(_zdt6, _along(_square_from_where_it_can_be_reached), 10),
    "DTLZ1": _Definition(_dtlz1, _plane, 7),
    "DTLZ2": _Definition(_dtlz2, _sphere, 12),
    "DTLZ3": _Definition(_dtlz3, _sphere, 12),
    "DTLZ4": _Definition(_dtlz4, _sphere, 12),
    "BNH": _Definition(_bnh, _along(_corner_walk), 2, (0.0,), (5.0, 3.0), is_scalable=False),
    "OSY": _Definition(_osy, _along(_five_pieces), 6, (0, 0, 1, 0, 1, 0), (10, 10, 5, 6, 5, 10), is_scalable=False),
    "TNK": _Definition(_tnk, _along(_wavy_arc), 2, (0.0,), (np.pi,), is_scalable=False),
}
NAMES = tuple(DEFINITIONS)

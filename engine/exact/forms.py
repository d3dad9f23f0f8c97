"""Models as rows of a mixed-integer program: linear ones, and networks of rectified linear units.

Notation
    h, a        a unit of a network, and whether it is at work

    h >= z, h >= 0, h <= z - L (1 - a), h <= U a, with L <= z <= U by interval arithmetic

Trees are boxes first (``engine.exact.boxes``), and rows when nothing more can be taken out of them.

Source
    Fischetti and Jo (2018), Constraints 23, 296-309.
"""

from collections.abc import Sequence

import numpy as np

from engine.exact.columns import Column, Matrix, Sum
from engine.solvers.ranking import Floats
from engine.surrogates.linear import LinearForm
from engine.surrogates.neural_network import NetworkForm


def add_linear(form: LinearForm, inputs: Sequence[Column]) -> list[Sum]:
    """Return the outputs of a linear model as sums over its inputs."""
    slopes = form.coefficients / form.scaling.scale[:, None]
    sums = []
    for j, intercept in enumerate(form.intercept):
        total = Sum(float(intercept - form.scaling.center @ slopes[:, j]))
        for column, slope in zip(inputs, slopes[:, j], strict=True):
            total.add_value(column, float(slope))
        sums.append(total)
    return sums


def add_network(form: NetworkForm, inputs: Sequence[Column], matrix: Matrix) -> list[Sum]:
    """Add the units of networks and return their mean as sums over the units."""
    n_members, n_outputs = form.layers[5].shape
    totals = [Sum() for _ in range(n_outputs)]
    for member in range(n_members):
        W1, b1, W2, b2, W3, b3 = (layer[member] for layer in form.layers)
        scaled = []
        for j, column in enumerate(inputs):
            z = Sum(-float(form.scaling.center[j] / form.scaling.scale[j]))
            z.add_value(column, 1 / float(form.scaling.scale[j]))
            scaled.append(z)
        low = np.array([z.constant + sum(min(0.0, c) for c in z.coefficients.values()) for z in scaled])
        high = np.array([z.constant + sum(max(0.0, c) for c in z.coefficients.values()) for z in scaled])
        one, low, high = _units(scaled, low, high, W1, b1, matrix)
        two, low, high = _units(one, low, high, W2, b2, matrix)
        for k, total in enumerate(_affine(two, W3, b3)):
            totals[k] = totals[k].plus(total, 1 / n_members)
    return totals


def _units(
    inputs: Sequence[Sum], low: Floats, high: Floats, W: Floats, b: Floats, matrix: Matrix
) -> tuple[list[Sum], Floats, Floats]:
    """Add a layer of units and return them, with their bounds."""
    least = np.minimum(W * low[:, None], W * high[:, None]).sum(axis=0) + b
    most = np.maximum(W * low[:, None], W * high[:, None]).sum(axis=0) + b
    units = []
    for k, z in enumerate(_affine(inputs, W, b)):
        L, U = float(least[k]), float(most[k])
        if U <= 0:
            units.append(Sum())
        elif L >= 0:
            units.append(z)
        else:
            units.append(_unit(z, L, U, matrix))
    return units, np.maximum(least, 0), np.maximum(most, 0)


def _unit(z: Sum, L: float, U: float, matrix: Matrix) -> Sum:
    """Add one unit that may be at work or not: h = U times a column."""
    h, a = matrix.column(), matrix.column(is_integer=True)
    unit = Sum(0.0, {h: U})
    matrix.keep(unit.plus(z, -1.0), lower=0.0, scale=U - L)
    below = unit.plus(z, -1.0)
    below.add(a, -L)
    matrix.keep(below, upper=-L, scale=U - L)
    matrix.row({h: 1.0, a: -1.0}, upper=0.0)
    return unit


def _affine(inputs: Sequence[Sum], W: Floats, b: Floats) -> list[Sum]:
    found = []
    for k in range(W.shape[1]):
        total = Sum(float(b[k]))
        for each, weight in zip(inputs, W[:, k], strict=True):
            if weight:
                total = total.plus(each, float(weight))
        found.append(total)
    return found

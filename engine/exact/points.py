"""Points of the problem behind a solution of the program, or behind that of its relaxation."""

import numpy as np

from engine.evaluator import Evaluator
from engine.exact.boxes import Axis
from engine.exact.program import Program
from engine.exact.rows import EPSILON, Places, used_columns
from engine.solvers.ranking import Floats

N_DRAWN, N_POLISHED, MOST_SWEEPS = 1000, 3, 10
"""Points drawn from a relaxation, how many of the best are polished, and in how many sweeps over the variables."""


def point_of(evaluator: Evaluator, program: Program, x: Floats) -> Floats:
    """Return the values of the variables at a solution, well inside of the cells that it names."""
    axes, places = _axes(program), Places(program.matrix, program.forest)
    used = used_columns(program.matrix, program.forest)
    values = []
    for variable in evaluator.problem.variables:
        column = program.variables[variable.tag]
        value = program.matrix.value(column, x)
        if column.index in axes:
            k, axis = axes[column.index]
            b = x[places.binaries[k] : places.binaries[k] + axis.n_cells - 1]
            cell = int((b < 0.5).sum())
            low, high = axis.edges[cell : cell + 2]
            margin = min(EPSILON * column.span, 0.5 * float(high - low))
            if column.index not in used:
                value = float(low + high) / 2
            value = float(np.clip(value, low + margin * (cell > 0 or not axis.is_closed), high))
        values.append(value)
    point: Floats = _snapped(evaluator, np.array(values)[None])[0]
    return point


def drawn(evaluator: Evaluator, program: Program, x: Floats, rng: np.random.Generator) -> Floats:
    """Return points drawn from a solution of the relaxation, shape (N_DRAWN, number of variables).

    The b of an axis ascend from 0 to 1 along its edges: a distribution over its cells. Variables that no tree compares
    are taken as they are.
    """
    axes, places = _axes(program), Places(program.matrix, program.forest)
    points = np.empty((N_DRAWN, len(evaluator.problem.variables)))
    for j, variable in enumerate(evaluator.problem.variables):
        column = program.variables[variable.tag]
        points[:, j] = program.matrix.value(column, x)
        if column.index in axes:
            k, axis = axes[column.index]
            b = x[places.binaries[k] : places.binaries[k] + axis.n_cells - 1]
            cell = np.searchsorted(np.maximum.accumulate(b), rng.uniform(size=N_DRAWN))
            points[:, j] = axis.edges[cell] + rng.uniform(size=N_DRAWN) * (axis.edges[cell + 1] - axis.edges[cell])
    return _snapped(evaluator, points)


def polished(evaluator: Evaluator, program: Program, points: Floats) -> Floats | None:
    """Return the best feasible point that moves of one variable at a time reach from the best of some points.

    Args:
        evaluator: what tells their values.
        program: as written, with every threshold: a variable is moved into the middle of each of its cells.
        points: shape (n, number of variables).

    Returns:
        Shape (number of variables,); None if no point is feasible.
    """
    axes, variables = _axes(program), evaluator.problem.variables
    moves = [
        axes[program.variables[v.tag].index][1] if program.variables[v.tag].index in axes else None for v in variables
    ]
    worth = _worth(evaluator, points)
    found, best = None, np.inf
    for i in np.argsort(worth, kind="stable")[:N_POLISHED]:
        if worth[i] == np.inf:
            break
        point, value = _descended(evaluator, moves, points[i], float(worth[i]))
        if value < best:
            found, best = point, value
    return found


def _descended(evaluator: Evaluator, moves: list[Axis | None], point: Floats, value: float) -> tuple[Floats, float]:
    for _ in range(MOST_SWEEPS):
        before = value
        for j, axis in enumerate(moves):
            if axis is None:
                continue
            tried = np.repeat(point[None], axis.n_cells, axis=0)
            tried[:, j] = (axis.edges[:-1] + axis.edges[1:]) / 2
            tried = _snapped(evaluator, tried)
            worth = _worth(evaluator, tried)
            i = int(worth.argmin())
            if worth[i] < value:
                point, value = tried[i], float(worth[i])
        if value == before:
            break
    return point, value


def _worth(evaluator: Evaluator, points: Floats) -> Floats:
    """Return the objective of each point, infinity where it is not feasible."""
    found = evaluator.evaluate(points)
    return np.where(found.total_violation == 0, found.objective, np.inf)


def _axes(program: Program) -> dict[int, tuple[int, Axis]]:
    """Return the axes by their column, each with its place."""
    return {axis.column.index: (k, axis) for k, axis in enumerate(program.forest.axes)}


def _snapped(evaluator: Evaluator, points: Floats) -> Floats:
    """Return points within the bounds and on the steps of the variables."""
    found: Floats = np.clip(points, evaluator.lower, evaluator.upper)
    has_steps = evaluator.steps > 0
    lower, steps = evaluator.lower[has_steps], evaluator.steps[has_steps]
    most = np.floor((evaluator.upper[has_steps] - lower) / steps * (1 + 1e-12) + 1e-9)
    found[:, has_steps] = lower + steps * np.minimum(np.round((found[:, has_steps] - lower) / steps), most)
    return found

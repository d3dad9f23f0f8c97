"""Rounds of relaxing, pruning and merging: what makes a program of trees small before it is solved, or proves it.

A round
    1. The program is relaxed: whole numbers may be fractions. That gives a bound, and reduced costs.
    2. Points are drawn from the relaxation and polished with the models themselves: the best is the known point.
    3. Boxes whose reduced cost is more than the gap between bound and known point are taken out, then those that are
       completed by the others at more than that (``engine.exact.completion``), and the space is cut to what is left:
       nothing better than the known point is lost.
    4. The partitions are merged in pairs, so that the next relaxation is tighter (``engine.exact.merging``), and boxes
       that limits and trust envelope do not allow are taken out (``engine.exact.limits``), as before the first round.

It ends when bound and known point meet. Branch and bound gets what is left when that is little, or when merging does
not narrow the gap: then what is missing lies in the links between modules, in limits or in networks.

Sources
    3.   Dantzig, Fulkerson and Johnson (1954), Operations Research 2, 393-410.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.evaluator import Evaluator, Report
from engine.exact.boxes import Forest, trimmed
from engine.exact.completion import completed
from engine.exact.limits import allowed
from engine.exact.merging import merged
from engine.exact.points import drawn, polished
from engine.exact.process import Clock, OutOfTimeError, answered
from engine.exact.program import Program
from engine.exact.rows import Places
from engine.exact.solve import INFEASIBLE, OPTIMAL, RELATIVE_GAP
from engine.solvers.ranking import Floats

MOST_BOXES = 60_000
"""Boxes of all partitions beyond which none are merged any more."""

FEW_BOXES = 300
"""Boxes of all partitions with which branch and bound is quicker than a round."""

MOST_ROUNDS = 16

WORTH_IT = 0.1
"""A merging that narrows the gap by less than this share of it is undone: what is missing is not between the trees."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Round:
    """Where the rounds have come to.

    Attributes:
        program: what is left to be solved.
        known: the best point known.
        bound: nothing is better; None if nothing was proved.
        is_decided: whether there is nothing left to solve; without a known point, nothing is feasible.
    """

    program: Program
    known: Report | None
    bound: float | None = None
    is_decided: bool = False


def tightened(evaluator: Evaluator, program: Program, known: Report | None, clock: Clock) -> Round:
    """Return what rounds make of a program."""
    inside, rng = allowed(program), np.random.default_rng(0)
    state = Round(program if inside is None else replace(program, forest=inside), known)
    if inside is None:
        return replace(state, bound=None if known is None else known.objective, is_decided=True)
    unmerged, gap = state.program, np.inf
    for _ in range(MOST_ROUNDS):
        answer = answered("relax", state.program.arrays(), clock)
        if answer["status"] == INFEASIBLE:
            return replace(state, bound=None if state.known is None else state.known.objective, is_decided=True)
        if answer["status"] != OPTIMAL:
            return replace(state, program=unmerged)
        better = _better(evaluator, program, state, np.array(answer["x"]), rng)
        state = replace(state, known=better, bound=_bound(state, better, answer))
        if better is None or _is_closed(state):
            return replace(state, is_decided=better is not None)
        before, gap = gap, _gap(state, answer)
        if gap > (1 - WORTH_IT) * before:
            return replace(state, program=unmerged)
        try:
            forest = _left(state.program, answer, gap, clock)
            if forest is None:
                return replace(state, bound=better.objective, is_decided=True)
            unmerged = replace(program, forest=forest)
            if forest.n_leaves <= FEW_BOXES:
                break
            partitions = merged(forest.partitions, gap, MOST_BOXES, clock.step)
        except OutOfTimeError:
            break
        inside = allowed(replace(program, forest=replace(forest, partitions=tuple(partitions))))
        if inside is None:
            return replace(state, bound=better.objective, is_decided=True)
        state = replace(state, program=replace(program, forest=inside))
    return replace(state, program=unmerged)


def _better(evaluator: Evaluator, program: Program, state: Round, x: Floats, rng: np.random.Generator) -> Report | None:
    point = polished(evaluator, program, drawn(evaluator, state.program, x, rng))
    found = None if point is None else evaluator.report(point)
    if found is None or (state.known is not None and state.known.objective <= found.objective):
        return state.known
    return found


def _bound(state: Round, known: Report | None, answer: dict[str, Any]) -> float:
    """Return the best bound so far: what was taken out is no better than the known point."""
    bound = float(answer["bound"]) + state.program.matrix.objective.constant
    if known is not None:
        bound = min(bound, known.objective)
    return bound if state.bound is None else max(bound, state.bound)


def _is_closed(state: Round) -> bool:
    if state.known is None or state.bound is None:
        return False
    return state.known.objective - state.bound <= RELATIVE_GAP * max(abs(state.known.objective), _ROUNDING)


def _gap(state: Round, answer: dict[str, Any]) -> float:
    """Return by how much a point may be worse than the relaxation and still no worse than the known point."""
    if state.known is None:
        return np.inf
    value = state.known.objective
    return value - float(answer["bound"]) - state.program.matrix.objective.constant + _ROUNDING * max(1.0, abs(value))


def _left(program: Program, answer: dict[str, Any], gap: float, clock: Clock) -> Forest | None:
    forest = pruned(program, np.array(answer["reduced"]), gap)
    return None if forest is None else completed(forest, gap, clock.step)


def pruned(program: Program, reduced: Floats, gap: float) -> Forest | None:
    """Return the forest without what costs more than the gap; None if nothing is left.

    Args:
        program: what was relaxed.
        reduced: the reduced cost of each of its columns.
        gap: what a point may be worse than the relaxation.
    """
    forest, places = program.forest, Places(program.matrix, program.forest)
    first, last = np.zeros(len(forest.axes), dtype=np.int32), np.zeros(len(forest.axes), dtype=np.int32)
    for k, (axis, begin) in enumerate(zip(forest.axes, places.binaries, strict=True)):
        costs = reduced[begin : begin + axis.n_cells - 1]
        beyond, within = np.flatnonzero(costs > gap), np.flatnonzero(-costs > gap)  # where b must be 0, and 1
        first[k] = beyond.max(initial=-1) + 1
        last[k] = within.min(initial=axis.n_cells - 1)
    partitions = []
    for partition, begin in zip(forest.partitions, places.boxes, strict=True):
        costs = np.maximum(reduced[begin : begin + len(partition)], 0.0)
        partitions.append(replace(partition, costs=costs).chosen(costs <= gap))
    if not all(map(len, partitions)) or (first > last).any():
        return None
    return trimmed(replace(forest, partitions=tuple(partitions)), first, last)

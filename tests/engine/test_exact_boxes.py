"""Forests of boxes, their rows and what is taken out of them, against all cells that the thresholds make."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from engine import surrogates
from engine.evaluator import Evaluator
from engine.exact import rounds, rows
from engine.exact.boxes import trimmed
from engine.exact.completion import completed, completions
from engine.exact.limits import allowed
from engine.exact.merging import merged
from engine.exact.points import point_of, polished
from engine.exact.process import Clock
from engine.exact.program import write
from engine.exact.rounds import pruned
from engine.exact.solve import WAYS, relax, solve
from engine.problem import Limit, Problem, Term, Variable

LEAST = Term("minimize", "y")


def forest_of(n_inputs, seed=0, n_trees=5, limits=(), **params):
    rng = np.random.default_rng(seed)
    tags = [f"x{j}" for j in range(n_inputs)]
    X = rng.uniform(-1, 1, size=(150, n_inputs))
    y = np.sin(4 * X).sum(axis=1) + X.prod(axis=1)
    params = {"n_trees": n_trees, "min_rows_leaf": 8, **params}
    model = surrogates.fit("random_forest", X, y[:, None], inputs=tags, outputs=["y"], params=params, seed=seed)
    evaluator = Evaluator(
        Problem(tuple(Variable(tag, -1.0, 1.0) for tag in tags), terms=(LEAST,), limits=limits), model
    )
    return evaluator, write(evaluator)


def relaxed(program):
    answer = relax(program.arrays() | {"time_limit": 60.0})
    return answer["bound"] + program.matrix.objective.constant, np.array(answer["reduced"]), np.array(answer["x"])


def cells(program):
    """Return a point in the middle of every cell."""
    middles = [(axis.edges[:-1] + axis.edges[1:]) / 2 for axis in program.forest.axes]
    return np.array(list(itertools.product(*middles)))


def sums(program, points):
    """Return what the boxes add up to at points of all axes; NaN where a partition has none."""
    columns = [axis.column.index for axis in program.forest.axes]
    return np.array([program.forest.sums(dict(zip(columns, point, strict=True)))[0] for point in points])


def with_costs(program, seed=0):
    rng = np.random.default_rng(seed)
    forest = program.forest
    parts = tuple(replace(each, costs=rng.exponential(size=len(each))) for each in forest.partitions)
    return replace(forest, partitions=parts)


def test_boxes_add_up_to_the_prediction_also_on_thresholds_and_bounds():
    evaluator, program = forest_of(2)
    edges = [axis.edges for axis in sorted(program.forest.axes, key=lambda axis: axis.column.index)]
    points = np.array([*itertools.product(*edges), *np.random.default_rng(1).uniform(-1, 1, size=(200, 2))])
    order = [int(axis.column.index) for axis in program.forest.axes]

    found = sums(program, points[:, np.argsort(np.argsort(order))])

    assert found == pytest.approx(evaluator.model.predict(points)[:, 0], abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_one_input_the_relaxation_is_the_optimum(seed):
    evaluator, program = forest_of(1, seed, n_trees=8)

    bound, _, _ = relaxed(program)

    assert bound == pytest.approx(evaluator.model.predict(cells(program)).min(), abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_point_is_better_than_its_reduced_costs_say(seed):
    evaluator, program = forest_of(3, seed)
    bound, reduced, _ = relaxed(program)
    points = cells(program)

    forest = pruned(program, reduced, gap=np.inf)
    costs = sum(each.costs[box_of(each, forest, points)] for each in forest.partitions)

    assert (evaluator.model.predict(points)[:, 0] >= bound + costs - 1e-9).all()


def box_of(partition, forest, points):
    """Return the index of the box of each point."""
    where = np.column_stack([np.searchsorted(axis.edges, points[:, k]) - 1 for k, axis in enumerate(forest.axes)])
    inside = (partition.first <= where[:, None]) & (partition.last >= where[:, None])
    return inside.all(axis=2).argmax(axis=1)


@pytest.mark.parametrize("seed", [0, 1])
def test_pruning_keeps_every_point_that_is_as_good_as_the_known_one(seed):
    evaluator, program = forest_of(3, seed)
    bound, reduced, _ = relaxed(program)
    points = cells(program)
    y = evaluator.model.predict(points)[:, 0]
    known = np.sort(y)[20]

    forest = completed(pruned(program, reduced, known - bound + 1e-9), known - bound + 1e-9)

    assert forest.n_leaves < program.forest.n_leaves
    left = replace(program, forest=forest)
    is_as_good = y <= known
    assert sums(left, points[is_as_good]) == pytest.approx(y[is_as_good], abs=1e-12)


def test_a_completion_is_the_sum_of_the_cheapest_boxes_that_meet():
    _, program = forest_of(3)
    forest = with_costs(program)
    by_hand = []
    for one in forest.partitions:
        for a in range(len(one)):
            total = one.costs[a]
            for other in forest.partitions:
                meets = ((one.first[a] <= other.last) & (one.last[a] >= other.first)).all(axis=1)
                total += 0.0 if other is one else other.costs[meets].min()
            by_hand.append(total)
    by_hand = np.array(by_hand)
    gap = float(np.median(by_hand))

    assert completions(forest, np.inf) == pytest.approx(by_hand)
    assert ((completions(forest, gap) <= gap) == (by_hand <= gap)).all()


@pytest.mark.parametrize("gap", [np.inf, 3.0])
def test_merged_trees_are_the_trees_at_every_point_within_the_gap(gap):
    _, program = forest_of(3)
    forest = with_costs(program)
    points = cells(program)
    costs = sum(each.costs[box_of(each, forest, points)] for each in forest.partitions)
    before = sums(program, points)

    partitions = list(forest.partitions)
    while len(partitions) > 1:
        partitions = merged(partitions, gap, most=10**6)
    after = sums(replace(program, forest=replace(forest, partitions=tuple(partitions))), points)

    assert after[costs <= gap] == pytest.approx(before[costs <= gap], abs=1e-12)
    assert np.isnan(after[costs > gap + 1e-9]).all()


def test_merging_stays_within_the_boxes_that_it_is_given():
    _, program = forest_of(3)
    most = program.forest.n_leaves + 30

    partitions = merged(program.forest.partitions, np.inf, most)

    assert sum(map(len, partitions)) <= most


def test_a_box_cuts_the_forest_and_its_edges():
    _, program = forest_of(2)
    forest = program.forest
    n_cells = np.array([axis.n_cells for axis in forest.axes])
    first, last = n_cells // 3, 2 * n_cells // 3
    points = cells(program)
    middles = [(axis.edges[a], axis.edges[b + 1]) for axis, a, b in zip(forest.axes, first, last, strict=True)]
    is_in = np.all([(points[:, k] > low) & (points[:, k] <= high) for k, (low, high) in enumerate(middles)], axis=0)

    left = trimmed(forest, first, last)

    assert [axis.edges[0] for axis in left.axes] == [low for low, _ in middles]
    assert not any(axis.is_closed for axis in left.axes)
    assert sums(replace(program, forest=left), points[is_in]) == pytest.approx(sums(program, points[is_in]))


def test_a_merged_program_has_the_optimum_of_the_written_one():
    _, program = forest_of(3, limits=(Limit("x0 + x1 + x2", lower=0.5, scale=1.0),))
    written = solve(program.arrays() | {"time_limit": 60.0})

    partitions = merged(program.forest.partitions, np.inf, 10**5)
    again = solve(
        replace(program, forest=replace(program.forest, partitions=tuple(partitions))).arrays() | {"time_limit": 60.0}
    )

    assert again["value"] == pytest.approx(written["value"], abs=1e-9)


def test_the_point_behind_a_solution_has_its_value():
    evaluator, program = forest_of(3, seed=3)
    answer = solve(program.arrays() | {"time_limit": 60.0})

    point = evaluator.report(point_of(evaluator, program, np.array(answer["x"])))

    assert point.objective == pytest.approx(answer["value"] + program.matrix.objective.constant, abs=1e-9)


def test_polishing_ends_where_no_move_of_one_variable_helps():
    evaluator, program = forest_of(3)
    start = np.zeros((1, 3))

    point = polished(evaluator, program, start)

    best = evaluator.report(point).objective
    assert best < evaluator.report(start[0]).objective
    for axis in program.forest.axes:
        moved = np.repeat(point[None], axis.n_cells, axis=0)
        moved[:, axis.column.index] = (axis.edges[:-1] + axis.edges[1:]) / 2
        assert evaluator.evaluate(moved).objective.min() >= best


@pytest.mark.parametrize("seed", [0, 1])
def test_rounds_alone_prove_the_optimum_of_all_cells(monkeypatch, seed):
    monkeypatch.setattr(rounds, "FEW_BOXES", 0)
    monkeypatch.setattr(rounds, "WORTH_IT", -np.inf)
    monkeypatch.setattr(rounds, "polished", lambda *_asked: None)
    monkeypatch.setattr(rounds, "answered", lambda way, program, _clock: WAYS[way](program | {"time_limit": 60.0}))
    evaluator, program = forest_of(3, seed, n_trees=12)
    y = evaluator.model.predict(cells(program))[:, 0]
    known = evaluator.report(cells(program)[y.argmin()])
    worse = evaluator.report(cells(program)[np.argsort(y)[5]])

    found = rounds.tightened(evaluator, program, known, Clock(60.0))
    with_worse = rounds.tightened(evaluator, program, worse, Clock(60.0))

    assert found.is_decided
    assert found.bound == pytest.approx(y.min(), abs=1e-6)
    assert with_worse.bound == pytest.approx(y.min(), abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_as_differences_say_the_same(monkeypatch, seed):
    _, program = forest_of(3, seed, limits=(Limit("x0 + x1 + x2", lower=0.5, scale=1.0),))
    bound, _, _ = relaxed(program)
    n_rows = program.n_rows

    monkeypatch.setattr(rows, "MOST_ENTRIES", 0)
    again, reduced, _ = relaxed(program)

    assert program.n_rows == n_rows
    assert again == pytest.approx(bound, abs=1e-9)
    assert pruned(program, reduced, gap=0.5) is not None


def test_limits_take_out_the_boxes_that_they_forbid_and_no_others():
    limits = (Limit("x0 - 2 * x1 + x2", lower=0.5, upper=1.5, scale=1.0),)
    _, program = forest_of(3, limits=limits)
    forest, rng = program.forest, np.random.default_rng(0)
    points = rng.uniform(-1, 1, size=(20_000, 3))
    total = points @ [1.0, -2.0, 1.0]
    points = points[(total >= 0.5) & (total <= 1.5)][:, [axis.column.index for axis in forest.axes]]

    left = allowed(program)

    assert left.n_leaves < forest.n_leaves
    assert sums(replace(program, forest=left), points) == pytest.approx(sums(program, points), abs=1e-12)

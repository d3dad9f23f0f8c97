"""The benchmarks of the engine: their cells, and what they make of figures that are known."""

import json

import pytest

from benchmarks import bbob, cec2006, growth, loop_speed, multiobjective, optimality_gap, prediction_ways
from benchmarks.cells import Result

ALL = [bbob, cec2006, growth, loop_speed, multiobjective, optimality_gap, prediction_ways]


def result(parameters, figures):
    return Result(parameters, figures, "2026-01-01", 1.0)


@pytest.mark.parametrize("benchmark", ALL, ids=lambda module: module.__name__)
def test_the_short_form_is_part_of_the_full_one(benchmark):
    full = [json.dumps(cell, sort_keys=True) for cell in benchmark.cells(True)]

    short = [json.dumps(cell, sort_keys=True) for cell in benchmark.cells(False)]

    assert set(short) <= set(full)
    assert len(set(short)) == len(short)


def test_a_curve_of_a_square_has_a_slope_of_two_and_is_named_as_too_steep():
    points = [result({"curve": "predict, 20 trees", "size": n}, {"seconds": 1e-9 * n**2}) for n in (1000, 10_000)]

    told = growth.report(points)

    assert "**2.00** | 2.00" in told
    assert "Steeper than that: predict, 20 trees (2.00)." in told


def test_a_linear_curve_is_not_named():
    points = [result({"curve": "predict, 20 trees", "size": n}, {"seconds": 1e-6 * n}) for n in (1000, 10_000, 100_000)]

    assert "Nothing is steeper than that." in growth.report(points)


def test_volumes_are_compared_by_their_medians_and_times_within_a_run():
    cells = [{"problem": "ZDT1", "solver": "nsga2", "seed": seed, "evaluations": 1000} for seed in (1, 2, 3)]
    figures = [(0.5, 1.0), (0.8, 1.0), (0.9, 0.5)]
    told = multiobjective.report(
        [
            result(
                cell, {"volume": ours, "pymoo_volume": theirs, "seconds": 1.0, "pymoo_seconds": 2.0, "population": 20}
            )
            for cell, (ours, theirs) in zip(cells, figures, strict=True)
        ]
    )

    assert "| 0.8000 | 1.0000 | **0.800** | **0.50** (0.50 to 0.50) |" in told
    assert "Short of that: nsga2 on ZDT1." in told


def of_solvers(name, **auto):
    near = {"objective": -6961.81387, "violation": 0.0, "seconds": 1.0}
    figures = {solver: near | {"objective": None, "violation": 7.0} for solver in cec2006.RUNS}
    return result({"problem": name, "seed": 0}, {**figures, "pymoo GA": near, "auto": near | auto})


def test_rates_count_what_is_feasible_and_near_the_best_known():
    told = cec2006.report([of_solvers("g06"), of_solvers("g06", objective=-6960.0)])

    assert "| **auto** | 1.000 | 0.500 | 1.0 |" in told
    assert "| pymoo DE | 0.000 | 0.000 | 1.0 |" in told
    assert "`auto` falls short of pymoo GA in the rate near the best known (0.500 against 1.000)." in told
    assert "Problems on which one of pymoo's does better: g06 (0.50, pymoo GA 1.00)." in told


def test_a_run_beyond_the_budget_is_ended_and_keeps_the_feasible_before_the_lower(monkeypatch):
    monkeypatch.setattr(cec2006, "BUDGET", 3)
    problem = cec2006.cec2006.problem("g06")
    counter = cec2006.Counter(problem)

    counter([[13.0, 0.0], problem.best_x])
    with pytest.raises(cec2006.Spent):
        counter([[20.0, 5.0], [30.0, 5.0]])

    assert counter.n == 3
    assert counter.best[0] <= 1e-9  # the point published is feasible to rounding; (13, 0) is lower
    assert counter.best[1] == pytest.approx(problem.best_f)


def test_a_gap_is_told_as_a_share_of_the_proven_optimum():
    given = {"what": "module", "load": 120.0, "n_trees": 100, "min_rows_leaf": 5}
    proof = {"status": "optimal", "value": 5.0, "bound": 5.0, "is_proven": True, "seconds": 3.0, "n_binaries": 7}
    found = {
        solver: {str(n): [5.0, 5.001, 5.05] for n in (500, 2000, 10_000)} for solver in optimality_gap.SOLVERS_COMPARED
    }

    told = optimality_gap.report([result(given, {"proof": proof, "found": found, "sd": 1.0, "leaves": 9})])

    assert "| module at 120 MW | `auto` | **0.020%** (1.000%) |" in told
    assert "Nothing falls short of that." in told


def test_what_was_not_proved_is_said():
    given = {"what": "cascade", "load": 120.0, "n_trees": 100, "min_rows_leaf": 5}
    proof = {"status": "time limit", "value": 5.0, "bound": 4.9, "is_proven": False, "seconds": 3.0, "n_binaries": 7}
    found = {solver: {str(n): [5.0] for n in (500, 2000, 10_000)} for solver in optimality_gap.SOLVERS_COMPARED}

    told = optimality_gap.report([result(given, {"proof": proof, "found": found, "sd": 1.0, "leaves": 9})])

    assert "time limit: bound 4.9000" in told
    assert "Short of what is wanted: cascade of 100 trees a module at 120 MW." in told


def test_a_model_that_is_timed_predicts_as_it_did():
    model = loop_speed.Timed(lambda X: X * 2)

    assert model.predict(3.0) == 6.0
    assert model.populations == 1


def test_a_way_that_is_slower_than_scikit_learn_is_named():
    given = [{"kind": "random_forest", "n_rows": n} for n in (1, 100_000)]
    figures = [(2e-5, 1e-4, 8e-3), (2e-5, 2e-5, 1e-5)]

    told = prediction_ways.report(
        [
            result(cell, {"measured": measured, "numpy": numpy, "scikit-learn": theirs})
            for cell, (measured, numpy, theirs) in zip(given, figures, strict=True)
        ]
    )

    assert "| `random_forest` | 1 | 20 us | 100 us | 8e+03 us | **400.00** |" in told
    assert "Short of that: random_forest at 100,000 rows (0.50)." in told


def test_a_cell_of_ways_holds_a_time_of_each():
    figures = prediction_ways.measure({"kind": "hist_gradient_boosting", "n_rows": 1})

    assert figures.keys() == {"measured", "numpy", "scikit-learn"}
    assert all(seconds > 0 for seconds in figures.values())

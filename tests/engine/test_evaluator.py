"""A problem computed with a model: costs, violations, scales, and the report on one point."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ProblemError, ShapeError
from engine.evaluator import Evaluator, cost, excess, spread
from engine.problem import Limit, Problem, Term, Variable


@dataclass
class Plant:
    """A made-up model that counts how often, and for how many points, it is asked."""

    inputs: tuple[str, ...] = ("load", "a", "Coal Flow (t/h)")
    outputs: tuple[str, ...] = ("y", "z")
    calls: list[int] = None

    def predict(self, X: Any) -> np.ndarray:
        self.calls = [*(self.calls or []), len(X)]
        load, a, coal = X.T
        return np.stack([a**2 + coal, load - 10 * a], axis=1)


LOWEST = Term("minimize", "y")


def posed(*, terms=(LOWEST,), limits=(), fixed=None, variables=None):
    return Problem(
        variables=variables or (Variable("Coal Flow (t/h)", 1.0, 5.0), Variable("a", -2.0, 2.0)),
        fixed={"load": 100.0} if fixed is None else fixed,
        terms=terms,
        limits=limits,
    )


def test_variables_and_fixed_values_reach_the_model_under_their_own_tags():
    evaluator = Evaluator(posed(), Plant())

    found = evaluator.evaluate([[3.0, 1.5], [4.0, -1.0]])  # coal, a: the order of the problem, not of the model

    assert found.outputs.tolist() == [[1.5**2 + 3, 85.0], [5.0, 110.0]]
    assert found.objective.tolist() == [5.25, 5.0]


def test_a_whole_population_is_one_prediction():
    model = Plant()
    evaluator = Evaluator(posed(), model)

    evaluator.evaluate(np.ones((40, 2)))

    assert model.calls == [40]


@pytest.mark.parametrize(
    ("term", "cost_of_5"),
    [
        (Term("minimize", "y", scale=2.0), 2.5),
        (Term("maximize", "y", scale=2.0), -2.5),
        (Term("target", "y", scale=2.0, value=8.0), 1.5),
        (Term("target", "y", scale=0.5, value=4.0), 2.0),
    ],
)
def test_the_cost_of_each_goal_is_less_where_the_plant_is_better_off(term, cost_of_5):
    assert cost(term, np.array([5.0])) == cost_of_5


def test_the_objective_is_the_weighted_sum_of_the_costs():
    terms = (
        Term("minimize", "y", weight=3.0, scale=2.0),
        Term("maximize", "`Coal Flow (t/h)` / load", weight=0.5, scale=0.01),
        Term("target", "z", weight=2.0, scale=5.0, value=97.0),
    )

    found = Evaluator(posed(terms=terms), Plant()).evaluate([[3.0, 1.0]])

    assert found.objective[0] == pytest.approx(3 * (4 / 2) - 0.5 * (0.03 / 0.01) + 2 * (7 / 5))


def test_each_limit_counts_in_its_own_scale_and_only_where_it_is_broken():
    limits = (
        Limit("y", upper=6.0, scale=2.0),
        Limit("z", lower=95.0, scale=10.0),
        Limit("a", lower=-1.0, upper=1.0, scale=0.5),
    )

    found = Evaluator(posed(limits=limits), Plant()).evaluate([[5.0, 2.0], [3.0, 0.0], [3.0, -1.5]])

    assert found.violation.tolist() == [[1.5, 1.5, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert found.total_violation.tolist() == [5.0, 0.0, 1.0]


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(1e-3, 1e3))
def test_a_band_is_broken_by_its_distance(value, lower, width, scale):
    limit = Limit("y", lower=lower, upper=lower + width, scale=scale)

    found = excess(limit, np.array([value]))[0]

    bound = min(max(value, limit.lower), limit.upper)
    distance = abs(value - bound) / scale
    forgiven = 1e-9 * min(1, abs(bound) / scale) if bound else 1e-9
    assert found == pytest.approx(distance if distance > forgiven else 0, rel=1e-12, abs=2e-16)


def test_a_limit_on_what_grows_by_orders_of_magnitude_is_held_where_its_bound_is():
    fixed = {"load": 100.0, "Coal Flow (t/h)": 1.0}
    limits = (Limit("exp(a)", upper=1000.0),)

    found = Evaluator(posed(variables=(Variable("a", 0.0, 100.0),), fixed=fixed, limits=limits), Plant())

    assert found.problem.limits[0].scale > 1e40
    assert found.report([np.log(1000.0)]).is_feasible
    assert not found.report([np.log(1000.0) + 1e-6]).is_feasible


def test_rounding_in_the_last_bits_breaks_no_limit_but_a_visible_excess_does():
    limit = Limit("y", upper=0.3, scale=1.0)

    found = excess(limit, np.array([0.1 + 0.2, 0.3 + 1e-8]))

    assert found[0] == 0
    assert found[1] == pytest.approx(1e-8)


def test_what_cannot_be_computed_is_told_as_such_and_never_as_kept():
    limits = (Limit("log(a)", upper=10.0, scale=1.0), Limit("y / a", lower=-1e9, upper=1e9, scale=1.0))

    found = Evaluator(posed(terms=(Term("minimize", "sqrt(a)"),), limits=limits), Plant()).evaluate(
        [[3.0, -1.0], [3, 0]]
    )

    assert np.isnan(found.objective[0])
    assert np.isnan(found.violation[0, 0])
    assert not (found.total_violation == 0).any()  # log(0) is -inf, which is below 10; y / 0 is not


# Scales


def test_a_single_term_keeps_its_unit():
    evaluator = Evaluator(posed(terms=(Term("maximize", "z"),)), Plant())

    assert evaluator.problem.terms[0].scale == 1.0
    assert evaluator.evaluate([[3.0, 1.0]]).objective[0] == -90.0


def test_scales_that_are_not_given_are_the_spread_over_the_box():
    terms = (Term("minimize", "`Coal Flow (t/h)`"), Term("maximize", "z"), Term("minimize", "y", scale=7.0))
    limits = (Limit("1000 * a", upper=0.0), Limit("a", upper=0.0, scale=3.0))

    filled = Evaluator(posed(terms=terms, limits=limits), Plant()).problem

    uniform_sd = 4 / np.sqrt(12)  # of both variables: a box of width 4
    assert filled.terms[0].scale == pytest.approx(uniform_sd, rel=1e-2)
    assert filled.terms[1].scale == pytest.approx(10 * uniform_sd, rel=1e-2)
    assert filled.terms[2].scale == 7.0
    assert filled.limits[0].scale == pytest.approx(1000 * uniform_sd, rel=1e-2)
    assert filled.limits[1].scale == 3.0


def test_scales_are_the_same_every_time():
    problem = posed(terms=(Term("minimize", "y"), Term("maximize", "z")), limits=(Limit("y * z", upper=3.0),))

    first, second = Evaluator(problem, Plant()).problem, Evaluator(problem, Plant()).problem

    assert first == second


def test_no_point_is_predicted_for_scales_that_are_given():
    model = Plant()

    Evaluator(posed(terms=(Term("minimize", "y", scale=1.0),), limits=(Limit("z", upper=1.0, scale=1.0),)), model)

    assert model.calls is None


@pytest.mark.parametrize("values", [[3.0, 3.0], [np.nan, np.inf], [], [0.1 + 0.2, 0.3], [0.0, 0.0], [1e300, -1e300]])
def test_what_does_not_vary_has_scale_one(values):
    assert spread(np.array(values)) == 1.0


# The report


def test_the_report_tells_terms_and_limits_in_their_own_units():
    problem = posed(
        terms=(Term("maximize", "y", weight=2.0, scale=4.0), Term("target", "z", scale=10.0, value=100.0)),
        limits=(
            Limit("y", lower=1.0, upper=7.0, scale=2.0),
            Limit("z", lower=89.95, scale=10.0),
            Limit("a + load", upper=100.4, scale=5.0),
        ),
    )

    report = Evaluator(problem, Plant()).report([5.0, 1.0])

    assert report.inputs == {"load": 100.0, "a": 1.0, "Coal Flow (t/h)": 5.0}
    assert list(report.inputs) == ["load", "a", "Coal Flow (t/h)"]
    assert report.outputs == {"y": 6.0, "z": 90.0}
    assert [(term.value, term.cost, term.weight, term.target) for term in report.terms] == [
        (6.0, -1.5, 2.0, None),
        (90.0, 1.0, 1.0, 100.0),
    ]
    assert report.objective == -3.0 + 1.0
    assert [(limit.value, limit.is_kept, limit.is_active) for limit in report.limits] == [
        (6.0, True, False),
        (90.0, True, True),  # 0.05 from its bound, within 1 % of its scale
        (101.0, False, True),
    ]
    assert [limit.margin for limit in report.limits] == pytest.approx([1.0, 0.05, -0.6])
    assert not report.is_feasible
    assert report.total_violation == pytest.approx(0.6 / 5)


def test_the_report_says_which_variables_lie_at_a_bound():
    variables = (Variable("Coal Flow (t/h)", 1.0, 5.0), Variable("a", -2.0, 2.0), Variable("load", 7.0, 7.0))
    evaluator = Evaluator(posed(variables=variables, fixed={}), Plant())

    ats = [[v.at for v in evaluator.report(x).variables] for x in ([1.0, 1.97, 7.0], [3.0, 1.9, 7.0], [5.0, -2.0, 7.0])]

    assert ats == [["lower", "upper", "both"], [None, None, "both"], ["upper", "lower", "both"]]


def test_a_category_lies_at_no_bound():
    variables = (Variable("Coal Flow (t/h)", 1.0, 5.0), Variable("a", type="categorical", choices=("low", "high")))
    evaluator = Evaluator(posed(variables=variables), Plant())

    _, chosen = evaluator.report([3.0, 1.0]).variables

    assert (chosen.value, chosen.at) == (1.0, None)


# Refusals


def test_a_problem_that_does_not_fit_the_model_is_refused():
    with pytest.raises(ProblemError, match="fixed needs a value for 'load'"):
        Evaluator(posed(fixed={}), Plant())


def test_points_of_another_width_are_refused():
    with pytest.raises(ShapeError, match=r"shape \(1, 3\), but there are 2 variables"):
        Evaluator(posed(), Plant()).evaluate([[1.0, 2.0, 3.0]])


def test_a_model_whose_answer_does_not_fit_is_refused():
    class Broken(Plant):
        def predict(self, X):
            return np.zeros(len(X))

    with pytest.raises(ShapeError, match=r"returned shape \(5,\) for 5 points, but \(5, 2\) is needed"):
        Evaluator(posed(), Broken()).evaluate(np.ones((5, 2)))

"""What an answer tells beside the best point: what it breaks, how little would do, and what each change buys."""

import numpy as np
import pytest

from engine.errors import ProblemError
from engine.optimize import minimize
from engine.problem import Limit, Problem, Term, Variable
from engine.trust import DistanceEnvelope


class Plant:
    """Efficiency rises with air up to 3 and falls with load; emissions rise with both."""

    inputs, outputs = ("air", "load", "fuel"), ("efficiency", "nox")

    def predict(self, X):
        air, load, fuel = X.T
        return np.column_stack([90 - (air - 3) ** 2 - 2 * load + 3 * (fuel == 2), 10 * air + 20 * load])


BOUNDS = (Variable("air", 0, 6), Variable("load", 1, 3), Variable("fuel", type="categorical", choices=("a", "b", "c")))
BEST = Term("maximize", "efficiency")


def found(*limits, variables=BOUNDS, terms=(BEST,), **asked):
    return minimize(Problem(variables, terms=terms, limits=limits), Plant(), solver="de", budget=2000, **asked)


def test_a_category_is_chosen_and_told_by_its_code():
    best = found()

    assert best.inputs == pytest.approx({"air": 3, "load": 1, "fuel": 2}, abs=1e-4)


def test_whole_numbers_and_steps_are_kept():
    variables = (
        Variable("air", 0.1, 5.9, type="stepped", step=0.8),
        Variable("load", 0.5, 2.7, type="integer"),
        BOUNDS[2],
    )

    best = found(variables=variables)

    assert best.inputs == pytest.approx({"air": 3.3, "load": 1, "fuel": 2})
    assert [each.lower for each in best.variables] == [0.1, 1, 0]


def test_an_equality_holds_within_its_tolerance():
    best = found(Limit("nox", equal=37.0, tolerance=0.01))

    assert best.is_feasible
    assert best.outputs["nox"] == pytest.approx(37, abs=0.0101)
    assert (best.limits[0].lower, best.limits[0].upper) == pytest.approx((36.99, 37.01))


def test_an_infeasible_answer_lists_what_is_broken_by_how_much_and_the_relaxation_that_would_do():
    limits = (Limit("nox", upper=25, scale=50.0), Limit("load", lower=1.5, scale=1.0), Limit("efficiency", lower=0))

    best = found(*limits)

    assert not best.is_feasible
    assert {each.of for each in best.broken} == {"nox"}  # 5 of nox are 0.1 of its scale, half a load would be 0.5
    (nox,) = best.broken
    assert (nox.bound, nox.side) == (25, "upper")
    assert nox.by == pytest.approx(nox.value - 25)
    assert nox.share == pytest.approx(nox.by / 50)
    relaxed = found(Limit("nox", upper=nox.relax_to, scale=50.0), *limits[1:])
    assert relaxed.is_feasible


def test_a_feasible_answer_breaks_nothing():
    assert found(Limit("nox", upper=60)).broken == ()


def test_an_envelope_that_cannot_be_kept_is_named():
    history = np.random.default_rng(0).uniform([0, 1], [1, 2], size=(200, 2))

    far = (Variable("air", 3, 6), *BOUNDS[1:])

    best = found(variables=far, envelope=DistanceEnvelope.fit(history, ["air", "load"]))

    (broken,) = best.broken
    assert broken.of == "trust envelope"
    assert broken.value == pytest.approx(best.trust["distance"])


def test_what_each_change_buys_adds_up_to_the_gain():
    current = {"air": 5.0, "load": 2.0, "fuel": 0.0}

    told = found(current=current).comparison

    assert told.gain == pytest.approx(4 + 2 + 3, abs=1e-6)  # of air, load and fuel: they do not interact
    assert {change.tag: change.buys for change in told.changes} == pytest.approx(
        {"air": 4, "load": 2, "fuel": 3}, abs=1e-6
    )
    assert [change.tag for change in told.changes] == ["air", "fuel", "load"]
    assert told.changes[0].moves["efficiency"] == pytest.approx(4, abs=1e-6)
    assert told.terms[0]["before"] == pytest.approx(82)
    assert told.is_exact


def test_what_does_not_change_is_not_listed():
    told = found(current={"air": 3.0, "load": 1.0, "fuel": 2.0}).comparison

    assert told.changes == ()
    assert told.gain == pytest.approx(0, abs=1e-9)


def test_the_operating_point_says_which_limits_it_breaks():
    told = found(Limit("nox", upper=60), current={"air": 5.0, "load": 2.0, "fuel": 0.0}).comparison

    assert told.broken == ("nox",)
    assert not told.is_feasible


def test_the_search_begins_at_the_operating_point():
    asked = []

    class Watched(Plant):
        def predict(self, X):
            asked.append(np.array(X))
            return super().predict(X)

    minimize(
        Problem(BOUNDS, terms=(Term("maximize", "efficiency", scale=1.0),)),
        Watched(),
        solver="de",
        budget=100,
        current={"air": 5.0, "load": 2.0, "fuel": 1.0},
        starts=[{"air": 1.0, "load": 3.0, "fuel": 0.0}],
    )

    np.testing.assert_allclose(asked[0][:2], [[5, 2, 1], [1, 3, 0]])


def test_an_operating_point_without_a_value_for_a_variable_is_refused():
    with pytest.raises(ProblemError, match="no value for 'load'"):
        found(current={"air": 5.0})


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ((Variable("air", 0.2, 0.8, type="integer"),), "no whole number"),
        ((Variable("air", 0, 1, type="text"),), "must be 'real', 'integer'"),
        ((Variable("air", 0, 1, type="stepped"),), "step is missing"),
        ((Variable("air", 0, 1, step=0.1),), "belongs to the type 'stepped'"),
        ((Variable("air", 0, 1, type="stepped", step=-1),), "above 0"),
        ((Variable("air", type="categorical"),), "choices is missing"),
        ((Variable("air", type="categorical", choices=("a", "a")),), "different texts"),
        ((Variable("air"),), "finite number"),
    ],
)
def test_variables_that_make_no_sense_are_refused(variables, words):
    with pytest.raises(ProblemError, match=words):
        Problem(variables, terms=(BEST,))


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit("nox", equal=1.0, upper=2.0), "leave out lower and upper"),
        (Limit("nox", upper=1.0, tolerance=0.1), "belongs to an equality"),
        (Limit("nox", equal=1.0, tolerance=0.0), "above 0"),
        (Limit("nox", equal=float("nan")), "finite"),
    ],
)
def test_equalities_that_make_no_sense_are_refused(limit, words):
    with pytest.raises(ProblemError, match=words):
        Problem(BOUNDS, terms=(BEST,), limits=(limit,))


def test_a_problem_of_every_kind_of_part_survives_json():
    problem = Problem(
        (*BOUNDS, Variable("n", 1, 5, type="integer"), Variable("s", 0, 1, type="stepped", step=0.25)),
        terms=(Term("minimize", "nox", objective="air"), Term("target", "efficiency", value=90.0, objective="money")),
        limits=(Limit("nox", equal=3.0, tolerance=0.5),),
    )

    assert Problem.from_json(problem.to_json()) == problem
    assert problem.objectives == ("air", "money")

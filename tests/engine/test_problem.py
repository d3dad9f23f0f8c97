"""A problem is declared as data: what is refused, with the path of the wrong field, and what goes to JSON and back."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ProblemError
from engine.expressions import as_reference
from engine.problem import GOALS, Limit, Problem, Term, Variable

INPUTS, OUTPUTS = ("load", "Coal Flow (t/h)", "O2"), ("efficiency", "NOx")


def declared(**changes):
    """Return a sound problem as JSON values, with these fields changed."""
    return {
        "variables": [
            {"tag": "Coal Flow (t/h)", "lower": 40.0, "upper": 90.0},
            {"tag": "O2", "lower": 2.0, "upper": 6.0},
        ],
        "fixed": {"load": 200.0},
        "terms": [
            {"goal": "maximize", "of": "efficiency", "weight": 2.0, "scale": 0.5, "value": None},
            {"goal": "target", "of": "`Coal Flow (t/h)` / load", "weight": 1.0, "scale": None, "value": 0.3},
        ],
        "limits": [{"of": "NOx", "lower": None, "upper": 250.0, "scale": 20.0}],
    } | changes


finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
tags = st.text(min_size=1, max_size=8).filter(lambda tag: "`" not in tag)


@st.composite
def problems(draw):
    """Return any sound problem."""
    names = draw(st.lists(tags, min_size=1, max_size=6, unique=True))
    n_free = draw(st.integers(1, len(names)))
    expression = st.sampled_from(names).map(as_reference)

    def sides(values):
        return dict(zip(("lower", "upper"), sorted(values), strict=True))

    def term(goal):
        value = finite if goal == "target" else st.none()
        return st.builds(Term, st.just(goal), expression, positive, st.none() | positive, value)

    both = st.tuples(finite, finite).map(sides)
    one = st.tuples(st.sampled_from(["lower", "upper"]), finite).map(lambda side: dict([side]))
    limit = st.builds(lambda of, at, scale: Limit(of, **at, scale=scale), expression, both | one, st.none() | positive)
    return Problem(
        variables=tuple(Variable(name, **draw(both)) for name in names[:n_free]),
        fixed={name: draw(finite) for name in names[n_free:]},
        terms=tuple(draw(st.lists(st.sampled_from(GOALS).flatmap(term), min_size=1, max_size=4))),
        limits=tuple(draw(st.lists(limit, max_size=3))),
    )


@settings(deadline=None)
@given(problems())
def test_every_problem_comes_back_from_json_as_it_was(problem):
    text = json.dumps(problem.to_json(), allow_nan=False)

    assert Problem.from_json(json.loads(text)) == problem


def test_whole_numbers_declare_the_same_problem_as_floats():
    variables = [{"tag": "O2", "lower": 2, "upper": 6}]

    whole = Problem.from_json(declared(variables=variables, fixed={"load": 200, "Coal Flow (t/h)": 60}))

    assert json.dumps(whole.to_json()["variables"]) == '[{"tag": "O2", "lower": 2.0, "upper": 6.0}]'
    assert json.dumps(whole.to_json()["fixed"]) == '{"load": 200.0, "Coal Flow (t/h)": 60.0}'


def test_what_may_be_left_out_has_defaults():
    data = {
        "variables": [{"tag": "O2", "lower": 2.0, "upper": 6.0}],
        "terms": [{"goal": "minimize", "of": "NOx"}],
    }

    problem = Problem.from_json(data)

    assert problem == Problem((Variable("O2", 2.0, 6.0),), {}, (Term("minimize", "NOx", 1.0, None, None),), ())


def test_a_problem_does_not_change_when_what_made_it_does():
    fixed = {"load": 200.0}
    problem = Problem((Variable("O2", 2.0, 6.0),), fixed, (Term("minimize", "NOx"),))

    fixed["load"] = 0.0

    assert problem.fixed["load"] == 200.0
    with pytest.raises(TypeError):
        problem.fixed["load"] = 0.0


VARIABLE = {"tag": "O2", "lower": 2.0, "upper": 6.0}
TERM = {"goal": "minimize", "of": "NOx"}


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"variables": []}, "variables", "is empty"),
        ({"variables": {"O2": [2, 6]}}, "variables", "must be a list, not dict"),
        ({"variables": [VARIABLE, 7]}, "variables[1]", "must be an object with named fields, not int 7"),
        ({"variables": [{"tag": "O2", "lower": 2.0}]}, "variables[0].upper", "is missing"),
        ({"variables": [VARIABLE | {"stride": 1}]}, "variables[0].stride", "is not a field"),
        ({"variables": [VARIABLE | {"tag": ""}]}, "variables[0].tag", "must be the name of a tag"),
        ({"variables": [VARIABLE | {"tag": 5}]}, "variables[0].tag", "must be the name of a tag, not 5"),
        ({"variables": [VARIABLE | {"lower": 7.0}]}, "variables[0]", "lower bound 7 above its upper bound 6"),
        ({"variables": [VARIABLE | {"lower": "2"}]}, "variables[0].lower", "must be a finite number, not '2'"),
        ({"variables": [VARIABLE | {"upper": math.inf}]}, "variables[0].upper", "must be a finite number, not inf"),
        ({"variables": [VARIABLE, VARIABLE]}, "variables[1].tag", "is 'O2', which is free already"),
        ({"fixed": {"O2": 3.0}}, "variables[1].tag", "is 'O2', which is fixed"),
        ({"fixed": {"load": None}}, "fixed['load']", "must be a finite number, not None"),
        ({"fixed": {"load": True}}, "fixed['load']", "must be a finite number, not True"),
        ({"fixed": {"load": 10**400}}, "fixed['load']", "must be a finite number, not 1000"),
        ({"fixed": [["load", 1]]}, "fixed", "must be an object with named fields"),
        ({"terms": []}, "terms", "is empty"),
        ({"terms": None}, "terms", "must be a list, not null"),
        ({"terms": [TERM | {"goal": "minimise"}]}, "terms[0].goal", "must be 'minimize', 'maximize', 'target', not"),
        ({"terms": [{"goal": "minimize"}]}, "terms[0].of", "is missing"),
        ({"terms": [TERM, TERM | {"of": "NOx +"}]}, "terms[1].of", "at character 6"),
        ({"terms": [TERM | {"of": None}]}, "terms[0].of", "an expression is text, but NoneType was given"),
        ({"terms": [TERM | {"of": "2 * 3"}]}, "terms[0].of", "speaks of no tag"),
        ({"terms": [TERM | {"weight": None}]}, "terms[0].weight", "must be a finite number, not None"),
        ({"terms": [TERM | {"weight": 0}]}, "terms[0].weight", "must be above 0, not 0"),
        ({"terms": [TERM | {"scale": -1.5}]}, "terms[0].scale", "must be above 0, not -1.5"),
        ({"terms": [TERM | {"goal": "target"}]}, "terms[0].value", "is missing: a target needs the value to hit"),
        ({"terms": [TERM | {"value": 3}]}, "terms[0].value", "belongs to the goal 'target'"),
        ({"limits": [{"of": "NOx"}]}, "limits[0]", "limits nothing"),
        ({"limits": [{"of": "NOx", "lower": 2, "upper": 1}]}, "limits[0]", "can never hold: lower 2 is above upper 1"),
        ({"limits": [{"of": "NOx", "upper": math.nan}]}, "limits[0].upper", "must be a finite number, not nan"),
        ({"limits": [{"of": "NOx", "upper": 1, "scale": 0}]}, "limits[0].scale", "must be above 0"),
        ({"objective": "NOx"}, "objective", "is not a field; there are 'variables', 'fixed', 'terms', 'limits'"),
    ],
)
def test_a_wrong_field_is_refused_with_its_path(changes, path, words):
    with pytest.raises(ProblemError) as refusal:
        Problem.from_json(declared(**changes))

    assert refusal.value.details["path"] == path
    assert path in str(refusal.value)
    assert words in str(refusal.value)
    json.dumps(refusal.value.details)


@pytest.mark.parametrize("data", [None, [], "problem", 3, {1: 2}])
def test_what_is_no_object_is_no_problem(data):
    with pytest.raises(ProblemError, match="problem must be an object"):
        Problem.from_json(data)


def test_a_broken_expression_tells_where_in_the_text_it_is_broken():
    with pytest.raises(ProblemError) as refusal:
        Problem.from_json(declared(terms=[TERM | {"of": "NOx ^ 2"}]))

    assert refusal.value.details["position"] == 5


def test_a_sound_problem_fits_its_model():
    Problem.from_json(declared()).check(INPUTS, OUTPUTS)


@pytest.mark.parametrize(
    ("changes", "path", "tags"),
    [
        ({"fixed": {}}, "fixed", ["load"]),  # neither free nor fixed
        ({"fixed": {"load": 200.0, "Load": 1.0}}, "fixed", ["Load"]),
        ({"variables": [{"tag": "02", "lower": 0, "upper": 1}]}, "variables[0].tag", ["02"]),
        ({"variables": [{"tag": "NOx", "lower": 0, "upper": 1}]}, "variables[0].tag", ["NOx"]),
        ({"terms": [TERM, TERM | {"of": "NOx + SO2 - CO"}]}, "terms[1].of", ["SO2", "CO"]),
        ({"limits": [{"of": "max(O2, nox)", "upper": 1}]}, "limits[0].of", ["nox"]),
    ],
)
def test_a_problem_that_does_not_fit_the_model_is_refused_with_the_tags(changes, path, tags):
    problem = Problem.from_json(declared(**changes))

    with pytest.raises(ProblemError) as refusal:
        problem.check(INPUTS, OUTPUTS)

    assert refusal.value.details["path"] == path
    assert refusal.value.details["tags"] == tags


def test_a_tag_that_is_input_and_output_would_say_two_things_and_is_refused():
    with pytest.raises(ProblemError, match="'O2' both as input and as output"):
        Problem.from_json(declared()).check(INPUTS, ("efficiency", "NOx", "O2"))

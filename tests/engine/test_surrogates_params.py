import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.surrogates import KINDS, check_params, describe_params

EVERY = [(kind, name) for kind in KINDS for name in describe_params(kind)["properties"]]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_given_is_every_default(kind):
    properties = describe_params(kind)["properties"]

    assert check_params(kind) == {name: p["default"] for name, p in properties.items()}


def test_what_is_given_replaces_its_default():
    params = check_params("extra_trees", {"n_trees": 7, "max_features": 1})

    assert params == {"n_trees": 7, "max_depth": None, "min_rows_leaf": 2, "max_features": 1.0}
    assert isinstance(params["max_features"], float)


@pytest.mark.parametrize("kind", KINDS)
def test_complete_hyperparameters_are_complete_again_from_json(kind):
    params = check_params(kind)

    assert check_params(kind, json.loads(json.dumps(params))) == params


@pytest.mark.parametrize(("kind", "name"), EVERY)
@given(value=st.floats() | st.integers())
def test_a_number_is_taken_exactly_when_the_schema_allows_it(kind, name, value):
    described = describe_params(kind)["properties"][name]
    is_whole = "integer" in described["type"]
    above = value > described["exclusiveMinimum"] if "exclusiveMinimum" in described else value >= described["minimum"]
    allowed = above and value <= described["maximum"] and (isinstance(value, int) or not is_whole)

    if allowed:
        assert check_params(kind, {name: value})[name] == value
    else:
        with pytest.raises(ParameterError) as refusal:
            check_params(kind, {name: value})
        assert refusal.value.details["parameter"] == name
        assert str(refusal.value).startswith(f"{name} of {kind} must be")
        assert str(refusal.value).endswith(f"not {value!r}")


@pytest.mark.parametrize(("kind", "name"), EVERY)
@pytest.mark.parametrize("value", ["3", True, [1], {}, None])
def test_what_is_no_number_is_refused(kind, name, value):
    if value is None and "null" in describe_params(kind)["properties"][name]["type"]:
        assert check_params(kind, {name: None})[name] is None
        return

    with pytest.raises(ParameterError, match=f"{name} of {kind}"):
        check_params(kind, {name: value})


def test_a_refusal_says_what_is_allowed():
    with pytest.raises(ParameterError) as refusal:
        check_params("random_forest", {"max_depth": 0})

    assert str(refusal.value) == "max_depth of random_forest must be a whole number from 1 to 256 or null, not 0"
    with pytest.raises(ParameterError, match="max_features of extra_trees must be a number above 0 and up to 1, not 0"):
        check_params("extra_trees", {"max_features": 0})


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(ParameterError, match="linear has no hyperparameter 'n_trees'; it has alpha"):
        check_params("linear", {"n_trees": 3})


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_can_be_shown_and_closes_the_door_to_other_names(kind):
    described = json.loads(json.dumps(describe_params(kind)))

    assert described["type"] == "object"
    assert described["additionalProperties"] is False
    assert all(p["description"] and "default" in p for p in described["properties"].values())


@pytest.mark.parametrize("ask", [check_params, describe_params])
def test_an_unknown_kind_is_refused(ask):
    with pytest.raises(ParameterError, match="no kind of surrogate 'neural'"):
        ask("neural")

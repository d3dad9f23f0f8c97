"""Whatever is given to a public function, it answers or raises an EngineError that says what is wrong."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from engine.checks import floats, whole_number
from engine.errors import EngineError, ParameterError, ProblemError, ShapeError, TrainingError
from engine.evaluator import Evaluator
from engine.expressions import Expression, as_reference
from engine.neighbors import History
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable
from engine.process import Module, ModuleInput, ProcessGraph
from engine.solvers import SOLVERS, from_bytes, from_state
from engine.surrogates import check_params, fit
from engine.tables import DerivedTag, Reading, Table, complete_rows, derive, profile, read_table
from engine.validation import Validation, cross_validate, folds

X = np.random.default_rng(0).normal(size=(30, 2))
TAGS = {"inputs": ["a", "b"], "outputs": ["y"]}
MODEL = SimpleNamespace(**TAGS, predict=lambda X: X.sum(axis=1, keepdims=True))
LOWEST = Term("minimize", "y")
PROBLEM = Problem((Variable("a", 0.0, 1.0),), {"b": 0.5}, (LOWEST,))
TIMES = pl.DataFrame({"t": pl.Series([0, 1]).cast(pl.Datetime("ms", "UTC"))})

ODD = {
    "an expression over complex numbers": lambda: Expression.parse("a").evaluate({"a": np.array([1j])}),
    "an expression over times": lambda: Expression.parse("a").evaluate({"a": np.array(["2020-01-01"], "M8[ms]")}),
    "an expression over numbers as text": lambda: Expression.parse("a").evaluate({"a": np.array(["1"])}),
    "a reference to a number": lambda: as_reference(3),
    "training on times": lambda: fit("linear", np.full((3, 2), np.datetime64("2020-01-01")), X[:3, :1], **TAGS),
    "training on ragged rows": lambda: fit("linear", [[1, 2], [3]], X[:2, :1], **TAGS),
    "training without tags": lambda: fit("linear", X, X[:, :1], inputs=None, outputs=["y"]),
    "hyperparameters in a list": lambda: check_params("linear", [1]),
    "a negative seed of folds": lambda: folds(Validation("random"), 30, seed=-1),
    "half a row to fold": lambda: folds(Validation("random"), 30.5),
    "no validation": lambda: Validation.from_json(None),
    "a budget in words": lambda: minimize(PROBLEM, MODEL, budget="many"),
    "half an evaluation": lambda: minimize(PROBLEM, MODEL, budget=0.5),
    "a budget beyond memory": lambda: minimize(PROBLEM, MODEL, budget=10**30),
    "no seed": lambda: minimize(PROBLEM, MODEL, seed=None),
    "several solvers": lambda: minimize(PROBLEM, MODEL, solver=["pso", "de"]),
    "resuming from bytes": lambda: minimize(PROBLEM, MODEL, resume=b"state"),
    "a report on a number": lambda: Evaluator(PROBLEM, MODEL).report(3.0),
    "points in words": lambda: Evaluator(PROBLEM, MODEL).evaluate([["high"]]),
    "no variables": lambda: Problem(None, {}, (LOWEST,)),
    "a variable that is a tag": lambda: Problem(("a",), {}, (LOWEST,)),
    "a term as JSON": lambda: Problem((Variable("a", 0.0, 1.0),), {}, ({"goal": "minimize", "of": "y"},)),
    "fixed values without tags": lambda: Problem((Variable("a", 0.0, 1.0),), [0.5], (LOWEST,)),
    "a history of words": lambda: History([["low", "high"]], ["a", "b"]),
    "half a neighbor": lambda: History(X, ["a", "b"]).nearest(X[0], 1.5),
    "bounds in words": lambda: SOLVERS["pso"](["low"], ["high"], budget=5),
    "no state": lambda: from_state(None),
    "no bytes of a state": lambda: from_bytes(None),
    "complete rows of nothing": lambda: complete_rows({}),
    "complete rows of unequal columns": lambda: complete_rows({"a": np.zeros(2), "b": np.zeros(3)}),
    "a profile of other types": lambda: profile(pl.DataFrame({"a": pl.Series([1], dtype=pl.Int32)})),
    "no options of reading": lambda: Reading.from_json(None),
    "several formats": lambda: read_table("data.csv", ["csv", "xlsx"]),
    "no derived tag": lambda: DerivedTag.from_json(None),
    "days where only Python knows the clock": lambda: derive(
        Table(TIMES, Reading(time_zone="Factory"), time_tag="t"), [DerivedTag("day", part="day")]
    ),
    "a module with text for an input": lambda: ProcessGraph((Module("boiler", ("coal",), ("steam",)),)),
    "a module with a list for a name": lambda: ProcessGraph((Module(["boiler"], (ModuleInput("a"),), ("y",)),)),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_odd_input_is_refused_in_words(odd):
    with pytest.raises(EngineError) as refusal:
        odd()

    assert len(str(refusal.value)) > 20


@pytest.mark.parametrize(
    "values", [[1j], ["1"], [b"1"], np.array(["2020-01-01"], "M8[D]"), [[1], [1, 2]], [{}], [10**400]]
)
def test_only_real_numbers_are_read_as_numbers(values):
    with pytest.raises(ShapeError, match="the point cannot be read as numbers"):
        floats("the point", values)


def test_every_way_to_write_real_numbers_is_read():
    for values in ([1, None], [True, np.nan], np.array([1, np.nan], dtype=object), np.array([1, np.nan], np.float32)):
        np.testing.assert_array_equal(floats("the point", values), [1.0, np.nan])


def test_a_whole_number_of_numpy_is_one_and_a_boolean_is_none():
    assert whole_number("k", np.int64(3), 1) == 3
    for value in (True, 3.0, "3", None, 0, 6):
        with pytest.raises(ParameterError, match="k must be a whole number from 1 to 5"):
            whole_number("k", value, 1, 5)


def test_numbers_of_numpy_are_as_good_as_those_of_python():
    by_numpy = fit("extra_trees", X, X[:, :1], params={"n_trees": np.int64(3)}, seed=np.int64(1), **TAGS)

    by_python = fit("extra_trees", X, X[:, :1], params={"n_trees": 3}, seed=1, **TAGS)

    assert by_numpy.params == by_python.params
    assert type(by_numpy.params["n_trees"]) is int
    np.testing.assert_array_equal(by_numpy.predict(X), by_python.predict(X))


@pytest.mark.parametrize(("train", "test"), [(range(30), [-1]), (range(20), [30]), ([0.0, 1.0], [2]), ([[0, 1]], [2])])
def test_a_fold_names_rows_that_are_there_and_by_one_name_only(train, test):
    fold = np.array(train), np.array(test)

    with pytest.raises(TrainingError, match="must hold numbers of rows from 0 to 29"):
        cross_validate("linear", X, X[:, :1], [fold], **TAGS)


def test_a_held_out_prediction_beyond_all_measure_has_no_score():
    strange = X.copy()
    strange[:, 0] = 1e-150 * np.arange(30)  # varies so little that 1e30 is 1e180 standard deviations away
    strange[:2, 0] = 1e30

    found = cross_validate("linear", strange, X[:, :1], [(np.arange(2, 30), np.arange(2))], **TAGS)

    assert found.scores["y"]["r2"] is None
    assert found.scores["y"]["rmse"] is None


def test_a_part_of_a_problem_is_named_where_it_is_not_one():
    with pytest.raises(ProblemError, match=r"variables\[1\] must be a Variable, not str 'b'"):
        Problem((Variable("a", 0.0, 1.0), "b"), {}, (LOWEST,))

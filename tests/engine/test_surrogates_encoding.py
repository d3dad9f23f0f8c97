"""Categories and missing cells: what a model makes of them, by a rule that is stored with it."""

import numpy as np
import pytest

from engine.errors import ModelFileError, ParameterError, ShapeError, TrainingError
from engine.exact import NotEligible, certify
from engine.explain import contributions
from engine.folds import Validation, folds
from engine.importance import model_importance
from engine.problem import Problem, Term, Variable
from engine.surrogates import KINDS, NotFinite, UnknownCategory, calibrate, fit
from engine.surrogates.encoding import Encoding
from engine.surrogates.model_file import from_bytes, pack, to_bytes
from engine.validation import cross_validate

TAGS = {"inputs": ["load", "fuel", "O2"], "outputs": ["steam"]}
FUELS = {"fuel": ["gas", "coal", "oil"]}
BOTH = {**TAGS, "categories": FUELS, "missing": "impute"}
LEVEL = np.array([10.0, -5.0, 2.0])  # of each fuel, in no order that a straight line could follow
SMALL = {
    "random_forest": {"n_trees": 10},
    "extra_trees": {"n_trees": 10},
    "neural_network": {"n_units": 8, "n_members": 1, "n_epochs": 5},
    "auto": {"budget": 3},
}


def plant(n=90, gaps=True):
    """Steam by load and fuel; where the O2 probe fails, which it does at random, there are 3 t/h less."""
    rng = np.random.default_rng(0)
    X = np.stack([rng.uniform(0, 1, n), rng.integers(0, 3, n), rng.normal(size=n)], axis=1)
    fails = rng.random(n) < 0.2
    Y = 4 * X[:, [0]] + LEVEL[X[:, 1].astype(int)][:, None] - 3 * fails[:, None]
    if gaps:
        X[fails, 2] = np.nan
    return X, Y


@pytest.fixture(scope="module")
def linear():
    return fit("linear", *plant(), **BOTH)


# What the model learns from


def test_columns_are_the_number_the_categories_and_whether_a_cell_was_missing():
    X = np.array([[1.0, 2, 5], [2, 0, np.nan], [3, 0, 7]])
    encoding = Encoding.of(X, ("load", "fuel", "O2"), FUELS, "impute")

    assert encoding.columns == ("load", "fuel = gas", "fuel = coal", "fuel = oil", "O2", "O2 is missing")
    assert encoding.origin.tolist() == [0, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(
        encoding.encoded(X),
        [[1, 0, 0, 1, 5, 0], [2, 1, 0, 0, 6, 1], [3, 1, 0, 0, 7, 0]],  # 6: median of 5 and 7
    )


def test_a_missing_category_is_taken_for_the_most_frequent():
    X = np.array([[0.0, 2, 1], [0, 2, 1], [0, np.nan, 1], [0, 1, 1]])

    encoding = Encoding.of(X, ("load", "fuel", "O2"), FUELS, "impute")

    np.testing.assert_array_equal(encoding.encoded(X[2:3]), [[0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(encoding.filled(X)[2], [0, 2, 1])


def test_plain_numbers_need_no_encoding():
    assert fit("linear", *plant(gaps=False), **TAGS).encoding is None


# What comes of it


def test_a_linear_model_learns_the_level_of_each_category_and_of_failing_probes(linear):
    X, _ = plant()
    rows = np.array([[0.5, fuel, gap] for fuel in (0, 1, 2) for gap in (0.3, np.nan)])

    predicted = linear.predict(rows)[:, 0]

    truth = [2 + LEVEL[fuel] - 3 * fails for fuel in (0, 1, 2) for fails in (0, 1)]
    np.testing.assert_allclose(predicted, truth, atol=1e-9)
    assert linear.input_ranges[1].tolist() == [0, 2]
    assert linear.input_sd[2] == pytest.approx(np.nanstd(X[:, 2]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_both_and_is_the_same_after_storage(kind):
    X, Y = plant()

    surrogate = fit(kind, X, Y, **BOTH, params=SMALL.get(kind, {}))
    again = from_bytes(to_bytes(surrogate))

    predicted = surrogate.predict(X)
    assert np.isfinite(predicted).all()
    np.testing.assert_array_equal(again.predict(X), predicted)
    assert to_bytes(again) == to_bytes(surrogate)
    assert again.encoding.columns == surrogate.encoding.columns


def test_a_cell_that_never_was_missing_is_filled_by_the_median_later():
    X, Y = plant(gaps=False)
    model = fit("linear", X, Y, **TAGS, missing="impute")

    gap, median = X[:1].copy(), X[:1].copy()
    gap[0, 0], median[0, 0] = np.nan, np.median(X[:, 0])

    np.testing.assert_array_equal(model.predict(gap), model.predict(median))


def test_intervals_are_calibrated_and_asked_for_with_gaps():
    X, Y = plant(gaps=True)
    Y = Y + np.random.default_rng(1).normal(size=Y.shape)
    told = cross_validate("linear", X, Y, folds(Validation("random", 5), len(X)), **BOTH)
    model = from_bytes(to_bytes(calibrate(fit("linear", X, Y, **BOTH), told)))

    lower, upper = model.predict_interval(X, 0.8)

    assert 0.7 <= ((lower <= Y) & (upper >= Y)).mean() <= 0.95
    assert told.scores["steam"]["r2"] > 0.9


def test_an_input_is_worth_what_its_columns_are_worth(linear):
    X, _ = plant()

    found = model_importance(linear, X)

    by_hand = np.abs(linear.form.coefficients)[:, 0]
    expected = np.array([by_hand[0], by_hand[1:4].sum(), by_hand[4:].sum()]) / by_hand.sum()
    np.testing.assert_allclose(found.by_output["steam"].values, expected)


def test_contributions_are_of_the_inputs_and_add_up(linear):
    X, _ = plant(gaps=False)

    told = contributions(linear, X[:3], X[:30])

    np.testing.assert_allclose(told.base + told.values.sum(axis=1), linear.predict(X[:3]), rtol=1e-9)
    assert told.values.shape == (3, 3, 1)


# Refusals


def test_a_proof_over_an_encoded_model_is_refused_by_name(linear):
    variables = tuple(Variable(tag, 0.0, 1.0) for tag in TAGS["inputs"])
    problem = Problem(variables, terms=(Term("minimize", "steam"),))

    with pytest.raises(NotEligible, match="the model encodes its inputs"):
        certify(problem, linear)


@pytest.mark.parametrize("value", [3, -1, 0.5])
def test_a_place_without_category_is_refused_by_tag_and_row(linear, value):
    X, Y = plant()
    X[4, 1] = value

    for asked in (lambda: linear.predict(X), lambda: fit("linear", X, Y, **BOTH)):
        with pytest.raises(UnknownCategory, match=r"in row 4, tag 'fuel', which has 3 categories.*'gas', 'coal'"):
            asked()


def test_missing_cells_are_refused_unless_they_are_to_be_imputed(linear):
    X, Y = plant()

    with pytest.raises(NotFinite, match="tag 'O2'"):
        fit("linear", X, Y, **TAGS, categories=FUELS)
    with pytest.raises(NotFinite, match="tag 'O2'"):
        fit("linear", *plant(gaps=False), **TAGS, categories=FUELS).predict(X)
    with pytest.raises(NotFinite, match="tag 'steam'"):
        fit("linear", X, np.where(Y > 5, np.nan, Y), **BOTH)
    with pytest.raises(NotFinite, match="holds inf in row 0, tag 'load'"):
        linear.predict([[np.inf, 0, 1]])
    with pytest.raises(ShapeError):
        linear.predict([1.0, 0, 1])
    with pytest.raises(ShapeError):
        linear.predict([[1.0, 0]])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"categories": {"ash": ["a", "b"]}}, "'ash', which is no input"),
        ({"categories": {"fuel": ["gas"]}}, "two or more different names"),
        ({"categories": {"fuel": ["gas", "gas", "oil"]}}, "two or more different names"),
        ({"categories": {"fuel": "gas"}}, "two or more different names"),
        ({"categories": {"fuel": [1, 2, 3]}}, "two or more different names"),
        ({"categories": ["fuel"]}, "categories must map tags"),
        ({"categories": {"fuel": [str(i) for i in range(3000)]}}, "3003 columns, more than 2000; most are of 'fuel'"),
    ],
)
def test_categories_that_are_none_are_refused(given, words):
    with pytest.raises(TrainingError, match=words):
        fit("linear", *plant(gaps=False), **TAGS, **given)


def test_an_input_without_any_value_is_refused_by_name():
    X, Y = plant()
    X[:, 2] = np.nan

    with pytest.raises(TrainingError, match="no value of 'O2'"):
        fit("linear", X, Y, **BOTH)
    with pytest.raises(ParameterError, match="'refuse' or 'impute', not 'guess'"):
        fit("linear", *plant(), **TAGS, missing="guess")


def opened(surrogate):
    """Return a description and arrays that ``pack`` makes the model's file of."""
    names = ("input_ranges", "output_ranges", "input_sd", "output_sd")
    arrays = surrogate.form.arrays() | {name: getattr(surrogate, name) for name in names}
    arrays |= {f"encoding.{name}": array for name, array in surrogate.encoding.arrays().items()}
    model = {"format": "setpoint.surrogate", "version": 3, "kind": surrogate.kind, "params": dict(surrogate.params)}
    model |= {name: list(getattr(surrogate, name)) for name in ("inputs", "outputs")}
    return model | {
        "n_rows": surrogate.n_rows,
        "choice": None,
        "encoding": surrogate.encoding.to_json(),
        "routes": None,
    }, arrays


@pytest.mark.parametrize(
    ("told", "spoiled", "words"),
    [
        (None, {}, "not its categories"),
        ([], {}, "not its categories"),
        ({"missing": "guess"}, {}, "not its categories"),
        ({"more": 1}, {}, "not its categories"),
        ({"missing": "refuse"}, {}, "flags missing cells, which it refuses"),
        ({"categories": 3}, {}, "categories of the model are not allowed"),
        ({"categories": {"ash": ["a", "b"]}}, {}, "'ash', which is no input"),
        ({"categories": {"fuel": ["a", 3]}}, {}, "two or more different names"),
        ({"categories": {"fuel": ["a", "b", "c", "d"]}}, {}, "array 'center' has shape"),
        ({}, {"encoding.fill": np.zeros(2)}, "'fill' has shape"),
        ({}, {"encoding.fill": np.full(3, np.nan)}, "not finite"),
        ({}, {"encoding.fill": np.full(3, 9.0)}, "what fills a missing category is none"),
        ({}, {"encoding.is_flagged": np.zeros(3)}, "'is_flagged' holds float64"),
        ({}, {"encoding.is_flagged": np.full(3, 2, np.int32)}, "other than 0 and 1"),
        ({}, {"encoding.more": np.zeros(3)}, "'more'"),
    ],
)
def test_a_stored_encoding_that_is_not_sound_is_refused(linear, told, spoiled, words):
    model, arrays = opened(linear)
    assert pack(model, arrays) == to_bytes(linear)
    model["encoding"] = model["encoding"] | told if isinstance(told, dict) else told

    with pytest.raises(ModelFileError, match=words):
        from_bytes(pack(model, arrays | spoiled))

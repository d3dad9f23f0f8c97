"""Elimination, and minimum redundancy with maximum relevance."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError, TrainingError
from engine.folds import Validation, folds
from engine.importance import eliminate, mutual_information, select
from engine.importance.elimination import _Fits, _Job, backward
from engine.importance.information import estimate_of_categories, information_of_counts, normal_scores
from engine.importance.redundancy import pick

PRINTED = json.loads((Path(__file__).parent.parent / "data" / "reference_feature_selection.json").read_text())


def plant(n=240, seed=0, noise=0.3):
    """Return rows of which three inputs of eight tell the output, one of them not in a straight line."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 8))
    y = 2 * X[:, 1] - 1.5 * X[:, 4] + X[:, 6] + noise * rng.normal(size=n)
    return X, y[:, None]


NAMES = {"inputs": [f"x{j}" for j in range(8)], "outputs": ["y"]}


# Elimination


@pytest.mark.parametrize("by", ["permutation", "model"])
def test_the_informative_inputs_are_kept_in_every_fold(by):
    X, Y = plant()

    found = eliminate("linear", X, Y, folds(Validation("random", 4), len(X)), **NAMES, by=by)

    assert found.chosen == ("x1", "x4", "x6")
    assert found.order[:3] == ("x1", "x4", "x6")
    assert {name for name, share in found.kept_in_folds.items() if share == 1} == set(found.chosen)
    assert [found.rank[name] for name in found.order] == [1, 1, 1, 2, 3, 4, 5, 6]


def test_the_curve_is_the_score_of_the_inputs_that_are_left():
    X, Y = plant()
    by = folds(Validation("random", 4), len(X))

    found = eliminate("linear", X, Y, by, **NAMES, by="model")

    assert [point["n_inputs"] for point in found.curve] == list(range(1, 9))
    whole = found.curve[-1]
    for (train, test), r2 in zip(by, whole["per_fold"], strict=True):
        A = np.column_stack([np.ones(len(train)), X[train]])
        w = np.linalg.lstsq(A, Y[train])[0]
        errors = Y[test] - np.column_stack([np.ones(len(test)), X[test]]) @ w
        assert r2 == pytest.approx(1 - (errors**2).mean() / Y[test].var(), abs=1e-9)
    assert whole["r2"] == pytest.approx(np.mean(whole["per_fold"]))
    assert whole["se"] == pytest.approx(np.std(whole["per_fold"], ddof=1) / 2)


@pytest.mark.parametrize("by", ["permutation", "model"])
def test_an_elimination_tells_how_far_it_is_at_every_training_and_ends_at_the_whole(by):
    X, Y = plant(60)
    told = []

    eliminate("linear", X, Y, folds(Validation("random", 3), 60), **NAMES, by=by, fewest=3, step=2, on_step=told.append)

    assert told == sorted(told)
    assert len(set(told)) >= 10
    assert told[-1] == 1.0


def test_a_kind_that_chooses_does_so_by_the_folds_that_its_rows_fall_into():
    X, Y = plant(60)
    groups = np.arange(60) // 6
    by = folds(Validation("group", 4, group="day"), 60, groups=groups)
    asked = (X, Y, by, ("x0",), ("y",), None, "permutation", 1, 0, 1, _Fits(1, None))

    rows = by[0][0]
    inner = _Job("auto", *asked).folds_within(rows)

    assert len(inner) == 3
    for train, test in inner:
        assert not set(groups[rows[train]]) & set(groups[rows[test]])
        assert not set(rows[train]) & set(by[0][1])
    assert _Job("linear", *asked).folds_within(rows) is None


def test_inputs_are_eliminated_for_a_kind_that_chooses_too():
    X, Y = plant(60)

    found = eliminate(
        "auto",
        X[:, [1, 2, 4]],
        Y,
        folds(Validation("random", 3), 60),
        inputs=["x1", "x2", "x4"],
        outputs=["y"],
        params={"budget": 1},
        n_repeats=1,
    )

    assert found.order[2] == "x2"


def test_what_a_watcher_raises_ends_an_elimination_within_the_first_fold():
    X, Y = plant(60)
    told = []

    def stop(share):
        told.append(share)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        eliminate("linear", X, Y, folds(Validation("random", 3), 60), **NAMES, on_step=stop)

    assert told[-1] < 1 / 6


def test_the_fewest_inputs_are_kept_that_fall_short_by_no_more_than_a_standard_error():
    X, Y = plant(60, noise=2.0)
    by = folds(Validation("random", 5), len(X))

    fewer, best = (eliminate("linear", X, Y, by, **NAMES, by="model", rule=rule) for rule in ("one_se", "best"))

    scores = np.array([point["per_fold"] for point in fewer.curve])  # (8, folds)
    short = scores[fewer.n_best - 1] - scores
    is_near = short.mean(axis=1) <= short.std(axis=1, ddof=1) / np.sqrt(5)
    assert fewer.n_best == 1 + np.argmax(scores.mean(axis=1)) == len(best.chosen)
    assert len(fewer.chosen) == 1 + np.argmax(is_near)


def test_rows_held_out_do_not_choose_the_inputs_that_they_are_scored_with():
    """Many useless inputs and few rows: chosen with the test rows they would seem to predict."""
    rng = np.random.default_rng(5)
    X, Y = rng.normal(size=(40, 30)), rng.normal(size=(40, 1))
    names = {"inputs": [f"x{j}" for j in range(30)], "outputs": ["y"]}

    found = eliminate("linear", X, Y, folds(Validation("random", 5), 40), **names, by="model", step=0.3)

    assert max(point["r2"] for point in found.curve) < 0.2
    chosen_by_all = np.corrcoef(X.T, Y.T)[-1, :-1] ** 2
    assert chosen_by_all.max() > 0.1  # what peeking would have promised with one input
    assert [note.code for note in found.notes][-1:] == ["importance.no_skill"]


def test_the_example_printed_by_scikit_learn_is_met():
    from sklearn.datasets import make_friedman1
    from sklearn.svm import SVR

    X, y = make_friedman1(n_samples=50, n_features=10, random_state=0)

    path = backward(lambda left: SVR(kernel="linear").fit(X[:, left], y).coef_[0] ** 2, 10, fewest=5)

    ranking = np.ones(10, dtype=int)
    for place, columns in enumerate(reversed(path[:-1])):
        ranking[[j for j in range(10) if j not in path[-1 - place]]] = place + 2
        assert len(columns) == 6 + place
    left = {j: max(i for i, columns in enumerate(path) if j in columns) for j in range(10)}
    assert [len(path) - left[j] for j in range(10)] == PRINTED["recursive_feature_elimination"]["ranking"]


def test_many_may_leave_at_a_time_and_the_fewest_stay():
    worth = lambda left: np.array(left, dtype=float)  # noqa: E731

    assert backward(worth, 7, fewest=2, step=3) == [[0, 1, 2, 3, 4, 5, 6], [3, 4, 5, 6], [5, 6]]
    assert [len(left) for left in backward(worth, 10, step=0.5)] == [10, 5, 3, 2, 1]
    assert backward(lambda left: np.zeros(len(left)), 3) == [[0, 1, 2], [0, 1], [0]]  # of equals the later goes


def test_an_input_that_left_beside_its_like_is_told():
    X, Y = plant()
    X[:, 0] = X[:, 1] + 0.2 * np.random.default_rng(1).normal(size=len(X))

    found = eliminate("linear", X, Y, folds(Validation("random", 3), len(X)), **NAMES, by="model")

    (note,) = [note for note in found.notes if note.code == "importance.shared"]
    assert note.message.startswith("'x0' left, but moves together with 'x1'")
    json.dumps(found.to_json())


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"by": "luck"}, ParameterError),
        ({"rule": "most"}, ParameterError),
        ({"step": 0}, ParameterError),
        ({"step": 1.5}, ParameterError),
        ({"fewest": 9}, ParameterError),
    ],
)
def test_an_elimination_that_cannot_be_is_refused(given, error):
    X, Y = plant(30)

    with pytest.raises(error):
        eliminate("linear", X, Y, folds(Validation("random", 3), 30), **NAMES, **given)


def test_one_fold_is_refused():
    X, Y = plant(30)

    with pytest.raises(TrainingError, match="at least 2 folds, but there are 1"):
        eliminate("linear", X, Y, folds(Validation("random", 3), 30)[:1], **NAMES)


# Mutual information


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_information_of_two_normal_variables_is_the_closed_form(rho):
    rng = np.random.default_rng(2)
    x, other = rng.normal(size=(2, 3000))
    y = rho * x + np.sqrt(1 - rho**2) * other

    # Kraskov et al. show a standard error of about 1/sqrt(n) and next to no bias for normal variables
    assert mutual_information(np.exp(x), -(y**3)) == pytest.approx(-0.5 * np.log(1 - rho**2), abs=3 / np.sqrt(3000))


def test_a_relation_without_correlation_is_seen_and_agrees_with_scikit_learn():
    from sklearn.feature_selection import mutual_info_regression

    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, 2000)
    y = x**2 + 0.05 * rng.normal(size=2000)
    theirs = mutual_info_regression(x[:, None], y, random_state=0)[0]

    assert abs(np.corrcoef(x, y)[0, 1]) < 0.1
    assert mutual_information(x, y) == pytest.approx(theirs, rel=0.1)


def test_steps_are_worth_the_information_of_the_steps():
    rng = np.random.default_rng(4)
    step = rng.integers(0, 4, 4000)

    assert mutual_information(step, step + 0.01 * rng.random(4000)) == pytest.approx(np.log(4), abs=0.08)
    assert mutual_information(step, np.ones(4000)) == 0


def test_the_information_of_categories_is_that_of_the_integral():
    rng, level = np.random.default_rng(1), np.array([0.0, 3.0, 1.0, -2.0])
    kind = rng.integers(0, 4, 4000)
    y = level[kind] + rng.normal(size=4000)
    at = np.linspace(-10, 12, 4001)
    density = np.exp(-((at[:, None] - level) ** 2) / 2) / np.sqrt(2 * np.pi)
    mixed = density.mean(axis=1)
    by_hand = np.trapezoid((density * np.log(density / mixed[:, None])).mean(axis=1), at)

    found = estimate_of_categories(kind, normal_scores(y, 0), 3)

    assert found == pytest.approx(by_hand, abs=0.03)
    assert estimate_of_categories(kind, normal_scores(rng.normal(size=4000), 0), 3) < 0.02
    assert estimate_of_categories(np.arange(10), normal_scores(np.arange(10.0), 0), 3) == 0


def test_the_information_of_two_variables_of_categories_is_that_of_their_counts():
    x, y = np.tile([0, 0, 1, 1, 2, 2], 200), np.tile([0, 0, 1, 1, 1, 2], 200)
    independent = np.random.default_rng(0).integers(0, 20, (2, 500))

    assert information_of_counts(x, x) == pytest.approx(np.log(3) - 4 / 2400)
    entropy = -sum(p * np.log(p) for p in (1 / 3, 1 / 2, 1 / 6))  # of y, less what is left of it given x
    assert information_of_counts(x, y) == pytest.approx(entropy - np.log(2) / 3 - 4 / 2400)
    assert information_of_counts(x, y) == information_of_counts(y, x)
    assert information_of_counts(*independent) < 0.1  # the plain sum of counts is some 0.4


def test_vectors_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="above 3"):
        mutual_information([1, 2, 3], [1, 2, 3])
    with pytest.raises(ShapeError):
        mutual_information([1, 2, 3, 4, np.nan], [1, 2, 3, 4, 5])


def with_text_and_gaps(n=300, seed=2):
    """Return rows of fuel, load, a probe that fails, and noise; y tells the first three apart."""
    rng = np.random.default_rng(seed)
    fuel, load, fails = rng.integers(0, 3, n), rng.uniform(0, 1, n), rng.random(n) < 0.3
    y = np.array([1.0, 9.0, 2.0])[fuel] + 4 * load - 3 * fails + 0.1 * rng.normal(size=n)
    X = np.column_stack([rng.normal(size=n), fuel, load, np.where(fails, np.nan, rng.normal(size=n))])
    return X, y[:, None]


CODED = {"inputs": ["noise", "fuel", "load", "probe"], "outputs": ["y"], "categories": {"fuel": ("coal", "gas", "oil")}}


@pytest.mark.parametrize("by", ["permutation", "model"])
def test_text_and_gaps_are_eliminated_like_numbers(by):
    X, Y = with_text_and_gaps()

    found = eliminate("linear", X, Y, folds(Validation("random", 4), len(X)), **CODED, missing="impute", by=by)

    assert found.order == ("fuel", "probe", "load", "noise")
    assert set(found.chosen) == {"fuel", "probe", "load"}
    alone = found.curve[0]["r2"]  # of the one input that is left, coded by its texts
    means = np.array([Y[X[:, 1] == place].mean() for place in range(3)])
    assert alone == pytest.approx(means[X[:, 1].astype(int)].var() / Y.var(), abs=0.05)


def test_the_order_of_the_texts_changes_no_elimination():
    X, Y = with_text_and_gaps()
    turned = X.copy()
    turned[:, 1] = 2 - X[:, 1]
    by = folds(Validation("random", 3), len(X))
    names = CODED | {"categories": {"fuel": ("oil", "gas", "coal")}}

    found = eliminate("linear", X, Y, by, **CODED, missing="impute")
    other = eliminate("linear", turned, Y, by, **names, missing="impute")

    assert other.order == found.order
    assert [p["r2"] for p in other.curve] == pytest.approx([p["r2"] for p in found.curve], abs=1e-9)


# Minimum redundancy, maximum relevance


def test_picks_on_a_small_table_are_those_made_by_hand():
    V = np.array([0.8, 0.7, 0.5, 0.1])
    between = np.array([[1, 0.6, 0.1, 0.0], [0.6, 1, 0.2, 0.0], [0.1, 0.2, 1, 0.0], [0.0, 0.0, 0.0, 1]])

    difference = pick(V, lambda j: between[j], 4)
    quotient = pick(V, lambda j: between[j], 4, "quotient")

    # first 0; then 0.7 - 0.6, 0.5 - 0.1, 0.1 - 0; then 0.7 - 0.4, 0.1 - 0; then 0.1 - 0
    assert [j for j, _, _ in difference] == [0, 2, 1, 3]
    assert [score for *_, score in difference] == pytest.approx([0.8, 0.4, 0.3, 0.1])
    assert [w for _, w, _ in difference] == pytest.approx([0, 0.1, 0.4, 0.0])
    # 0.7 / 0.6, 0.5 / 0.1, 0.1 / 0.01, the least that counts; then 0.7 / 0.3, 0.5 / 0.05; then 0.7 / (0.8 / 3)
    assert [j for j, _, _ in quotient] == [0, 3, 2, 1]
    assert [score for *_, score in quotient] == pytest.approx([0.8, 10, 10, 0.7 / (0.8 / 3)])


@pytest.mark.parametrize("measure", ["mutual_information", "correlation", "f_test"])
@pytest.mark.parametrize("criterion", ["difference", "quotient"])
def test_a_copy_of_the_best_input_comes_after_what_is_new(measure, criterion):
    X, Y = plant(400)
    X[:, 0] = X[:, 1] + 0.05 * np.random.default_rng(1).normal(size=400)

    found = select(X, Y, **NAMES, n_inputs=3, measure=measure, criterion=criterion)

    if (measure, criterion) == ("f_test", "difference"):  # F is in the hundreds, |r| below 1: redundancy is not felt
        assert set(found.inputs[:2]) == {"x0", "x1"}
    else:
        assert len({"x0", "x1"} & set(found.inputs[:2])) == 1
        assert found.inputs[1] == "x4"
    assert found.all_relevance["x0"] == pytest.approx(found.all_relevance["x1"], rel=0.25)


def test_the_f_of_an_input_is_that_of_scikit_learn():
    from sklearn.feature_selection import f_regression

    X, Y = plant(100)

    found = select(X, Y, **NAMES, measure="f_test")

    assert list(found.all_relevance.values()) == pytest.approx(f_regression(X, Y[:, 0])[0], rel=1e-9)


def test_relevance_is_the_mean_over_the_outputs_and_a_constant_input_has_none():
    X, Y = plant(200)
    X[:, 2] = 5.0
    both = np.hstack([Y, X[:, 3:4] ** 3])
    names = {"inputs": NAMES["inputs"], "outputs": ["y", "z"]}

    for measure in ("mutual_information", "correlation"):
        together = select(X, both, **names, measure=measure).all_relevance
        alone = select(X, Y, **NAMES, measure=measure).all_relevance

        assert together["x2"] == 0
        assert together["x1"] == pytest.approx(alone["x1"] / 2, abs=0.1)
        assert together["x3"] > 0.45


def test_text_and_gaps_are_picked_for_what_they_tell():
    X, Y = with_text_and_gaps(2000)
    brand = X[:, [1]]  # the same text under another name

    names = {"inputs": [*CODED["inputs"], "brand"], "outputs": ["y"]}
    kinds = CODED["categories"] | {"brand": ("x", "y", "z")}
    found = select(np.hstack([X, brand]), Y, **names, categories=kinds, missing="impute")

    fails = estimate_of_categories(np.isnan(X[:, 3]).astype(int), normal_scores(Y[:, 0], 0), 3)
    assert found.inputs == ("load", "fuel", "probe", "brand", "noise")
    assert found.all_relevance["brand"] == found.all_relevance["fuel"]
    assert found.all_relevance["probe"] == pytest.approx(fails, abs=0.05)  # what it reads tells nothing
    assert found.all_relevance["noise"] < 0.02
    assert found.estimator.endswith("a missing cell is a value of its own")


def test_the_order_of_the_texts_changes_no_selection():
    X, Y = with_text_and_gaps()
    turned = X.copy()
    turned[:, 1] = np.array([2, 0, 1])[X[:, 1].astype(int)]

    found = select(X, Y, **CODED, missing="impute")

    assert select(turned, Y, **CODED, missing="impute").to_json() == found.to_json()


@pytest.mark.parametrize("measure", ["correlation", "f_test"])
@pytest.mark.parametrize(("left_out", "tags"), [([0, 2, 3], ["probe"]), ([0, 1, 2], ["fuel"])])
def test_a_correlation_of_what_has_no_order_or_no_value_is_refused(measure, left_out, tags):
    X, Y = with_text_and_gaps()
    names = CODED | {"inputs": [CODED["inputs"][j] for j in left_out]}

    with pytest.raises(ParameterError, match="ask for 'mutual_information'") as refused:
        select(X[:, left_out], Y, **names, missing="impute", measure=measure)

    assert refused.value.details == {"parameter": "measure", "tags": tags}


def test_a_selection_is_reproducible_and_goes_to_json():
    X, Y = plant(100)

    first, again = (select(X, Y, **NAMES, seed=7).to_json() for _ in range(2))

    assert json.dumps(first) == json.dumps(again)
    assert first["picked"][0]["redundancy"] == 0
    assert "Kraskov" in first["estimator"]


@pytest.mark.parametrize("given", [{"measure": "taste"}, {"criterion": "sum"}, {"n_inputs": 9}, {"k": 0}])
def test_a_selection_that_cannot_be_is_refused(given):
    X, Y = plant(30)

    with pytest.raises(ParameterError):
        select(X, Y, **NAMES, **given)


@pytest.mark.parametrize("measure", ["mutual_information", "correlation"])
def test_a_selection_tells_how_far_it_is_after_every_input(measure):
    X, Y = plant(60)
    told = []

    select(X, Y, **NAMES, measure=measure, n_inputs=4, on_step=told.append)

    assert told == pytest.approx(np.arange(1, 13) / 12)

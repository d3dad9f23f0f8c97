"""Importance of inputs: closed forms, printed examples, and what must be said beside the numbers."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError, TrainingError
from engine.folds import Validation, folds
from engine.importance import (
    ImportanceUnavailable,
    Ranks,
    check_readable,
    correlated_groups,
    held_out_importance,
    model_importance,
    permutation_importance,
)
from engine.surrogates import NotFinite, fit
from engine.surrogates.blend import BlendForm, Member

PRINTED = json.loads((Path(__file__).parent.parent / "data" / "reference_feature_selection.json").read_text())
INPUTS = ("coal", "air", "oxygen", "noise")


@dataclass
class Model:
    """Two linear outputs; the last input is not used."""

    inputs: tuple[str, ...] = INPUTS
    outputs: tuple[str, ...] = ("steam", "nox")
    W: np.ndarray = field(default_factory=lambda: np.array([[3.0, 0.0], [1.0, 2.0], [0.5, -1.0], [0.0, 0.0]]))

    def predict(self, X):
        return X @ self.W

    def arrays(self):
        return {}


def rows(n=600, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, Model().predict(X) + noise * rng.normal(size=(n, 2))


def trained(kind, X, Y, **more):
    return fit(kind, X, Y, inputs=INPUTS, outputs=("steam", "nox"), **more)


# From the model


def test_a_linear_model_has_the_shares_of_its_standardized_coefficients():
    X, Y = rows()
    scaled = X * [10.0, 1.0, 1e-3, 1.0]  # units must not matter

    found = model_importance(trained("linear", scaled, Y), scaled)

    by_hand = np.abs(np.linalg.lstsq((X - X.mean(0)) / X.std(0), (Y - Y.mean(0)) / Y.std(0))[0])
    assert found.by_output["nox"].values == pytest.approx(by_hand[:, 1] / by_hand[:, 1].sum(), abs=1e-12)
    assert found.by_output["steam"].values == pytest.approx(by_hand[:, 0] / by_hand[:, 0].sum(), abs=1e-12)
    assert found.order == ("air", "coal", "oxygen", "noise")
    assert found.overall.rank.tolist() == [2, 1, 3, 4]


def test_trees_grown_on_all_rows_have_the_importances_that_scikit_learn_gives():
    from sklearn.ensemble import ExtraTreesRegressor

    X, Y = rows(150)
    grown = {"n_trees": 7, "min_rows_leaf": 2, "max_features": 1.0}
    ours = fit("extra_trees", X, Y[:, :1], inputs=INPUTS, outputs=["steam"], params=grown, seed=3)
    Z, z = ((A - A.mean(axis=0)) / A.std(axis=0) for A in (X, Y[:, 0]))
    theirs = ExtraTreesRegressor(7, min_samples_leaf=2, random_state=3).fit(Z, z)
    shares = [tree.tree_.compute_feature_importances(normalize=False) for tree in theirs.estimators_]

    found = model_importance(ours, X)

    assert found.overall.values == pytest.approx(np.sum(shares, axis=0) / np.sum(shares), rel=1e-9)


def test_the_gains_of_a_booster_are_those_of_its_residuals():
    X, Y = rows(200)
    one = fit(
        "hist_gradient_boosting",
        X,
        Y[:, :1],
        inputs=INPUTS,
        outputs=["steam"],
        params={"n_iterations": 1, "max_leaves": 2, "learning_rate": 1.0},
    )

    found = model_importance(one, X)

    assert found.overall.values.tolist() == [1.0, 0.0, 0.0, 0.0]  # one split, on what matters most
    assert found.overall.rank.tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize("kind", ["random_forest", "extra_trees", "hist_gradient_boosting"])
def test_trees_put_the_inputs_in_their_true_order(kind):
    X, Y = rows()

    found = model_importance(trained(kind, X, Y, params=None), X)

    assert np.argsort(-found.by_output["steam"].values).tolist() == [0, 1, 2, 3]
    assert found.by_output["nox"].values[1:3].argmax() == 0
    for ranks in found.by_output.values():
        assert ranks.values.sum() == pytest.approx(1)


def test_the_variance_that_the_splits_of_a_tree_explain_is_that_of_what_it_adds():
    from engine.importance.of_models import split_gains

    X, Y = rows(300)
    form = trained("random_forest", X, Y, params={"n_trees": 1}).form

    assert split_gains(form, X).sum(axis=0) == pytest.approx(form.predict(X).var(axis=0), rel=1e-9)


def test_a_blend_has_the_shares_of_its_members_by_their_weights():
    X, Y = rows(200)
    linear, forest = trained("linear", X, Y), trained("random_forest", X, Y, params={"n_trees": 5})
    weights = np.array([[0.25, 1.0], [0.75, 0.0], [0.0, 0.0]])
    members = (
        *(Member(model.kind, model.form, np.zeros(2, dtype=bool)) for model in (linear, forest)),
        Member("riddle", Model(), np.zeros(2, dtype=bool)),  # of no weight: it need not be read
    )

    found = model_importance(replace(linear, kind="auto", form=BlendForm(members, weights)), X)

    of_linear, of_forest = model_importance(linear, X), model_importance(forest, X)
    steam = [share.by_output["steam"].values for share in (of_linear, of_forest)]
    assert found.by_output["steam"].values == pytest.approx(0.25 * steam[0] + 0.75 * steam[1], abs=1e-12)
    assert found.by_output["nox"].values == pytest.approx(of_linear.by_output["nox"].values, abs=1e-12)
    assert found.method == "blended_shares"


def test_a_model_that_cannot_be_read_is_refused_by_name():
    X, Y = rows(50)
    surrogate = trained("linear", X, Y)
    object.__setattr__(surrogate, "form", Model())
    object.__setattr__(surrogate, "kind", "riddle")

    with pytest.raises(ImportanceUnavailable, match=r"kind 'riddle' does not say .* ask by permutation"):
        model_importance(surrogate, X)


# By permutation


def test_an_unused_input_is_worth_nothing_within_its_interval_and_last():
    X, Y = rows()

    found = permutation_importance(Model(), X, Y)

    assert found.overall.values[3] == 0
    assert (found.overall.low[3], found.overall.high[3]) == (0, 0)
    assert found.overall.rank_low[3] == found.overall.rank_high[3] == 4


def test_a_shuffled_input_of_a_linear_model_costs_twice_its_part_of_the_variance():
    X, Y = rows(20_000, noise=0.0)

    found = permutation_importance(Model(), X, Y, n_repeats=5)

    share = 2 * Model().W ** 2 * X.var(axis=0)[:, None] / Y.var(axis=0)  # E (w x - w x')^2 = 2 w^2 var x
    for k, output in enumerate(("steam", "nox")):
        assert found.by_output[output].values == pytest.approx(share[:, k], rel=0.05, abs=1e-12)
    assert found.overall.values == pytest.approx(share.mean(axis=1), rel=0.05, abs=1e-12)


def test_intervals_hold_the_values_and_the_ranks():
    X, Y = rows(300)

    found = permutation_importance(Model(), X, Y)

    for ranks in (found.overall, *found.by_output.values()):
        assert (ranks.low <= ranks.values).all()
        assert (ranks.values <= ranks.high).all()
        assert (ranks.rank_low <= ranks.rank).all()
        assert (ranks.rank <= ranks.rank_high).all()


def test_inputs_of_equal_worth_have_rank_intervals_that_overlap():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(400, 4))
    X /= X.std(axis=0)
    model = Model(outputs=("y",), W=np.array([[1.0], [1.0], [1.0], [0.0]]))

    found = permutation_importance(model, X, model.predict(X)).overall

    assert found.rank_low[:3].max() < found.rank_high[:3].min()
    assert found.rank_high[:3].max() < found.rank_low[3]


def test_rows_that_repeat_each_other_do_not_make_the_interval_narrower_than_one_of_each():
    X, Y = rows(200, noise=1.0)
    thick_X, thick_Y = np.repeat(X, 10, axis=0), np.repeat(Y, 10, axis=0)

    def width(**given):
        found = permutation_importance(Model(), thick_X, thick_Y, n_repeats=30, **given).overall
        return (found.high - found.low)[0]

    once = permutation_importance(Model(), X, Y, n_repeats=30, clusters=np.arange(200)).overall
    assert width(clusters=np.repeat(np.arange(200), 10)) == pytest.approx((once.high - once.low)[0], rel=0.25)
    assert width(clusters=np.arange(2000)) < 0.5 * (once.high - once.low)[0]


def test_the_example_printed_in_the_guide_of_scikit_learn_is_met():
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import train_test_split

    data = load_diabetes()
    X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, random_state=0)
    ridge = Ridge(alpha=1e-2).fit(X_train, y_train)
    model = Model(inputs=tuple(data.feature_names), outputs=("progression",), W=ridge.coef_[:, None])
    printed = PRINTED["permutation_importance"]["mean_std"]

    found = permutation_importance(model, X_test, (y_test - ridge.intercept_)[:, None], n_repeats=200)

    for j, name in enumerate(model.inputs):
        mean, std = printed[name]
        # Theirs are means of 30 shuffles, ours of 200, rounded to 0.001
        assert found.overall.values[j] == pytest.approx(mean, abs=4 * std * np.sqrt(1 / 30 + 1 / 200) + 0.0005)


def test_held_out_folds_use_every_row_once_and_find_the_inputs():
    X, Y = rows(120)
    by = folds(Validation("random", 4), 120)
    told = []

    found = held_out_importance(
        "linear", X, Y, by, inputs=INPUTS, outputs=("steam", "nox"), n_repeats=20, on_step=told.append
    )

    one = permutation_importance(trained("linear", X, Y), X, Y, n_repeats=20)
    assert found.overall.values == pytest.approx(one.overall.values, abs=0.1)
    assert found.overall.low[3] <= 0 <= found.overall.high[3] + 1e-3
    assert told == sorted(told)
    assert set(told) >= {0.25, 0.5, 0.75, 1.0}


def test_reading_trees_and_blends_of_them_can_be_watched_and_ended(monkeypatch):
    monkeypatch.setattr("engine.importance.of_models.CHUNK", 100)
    X, Y = rows(200)
    forest = trained("random_forest", X, Y, params={"n_trees": 5})
    members = (Member("random_forest", forest.form, np.zeros(2, dtype=bool)),) * 2
    blend = replace(forest, kind="auto", form=BlendForm(members, np.full((2, 2), 0.5)))

    for model in (forest, blend):
        told = []
        model_importance(model, X, on_step=told.append)
        assert told == sorted(told)
        assert len(told) >= 10
        assert told[-1] == 1.0


def test_a_gaussian_process_has_the_shares_of_its_inverse_length_scales():
    X, Y = rows(80)
    X[:, 2] = 4.0  # constant: nothing is known of what it does

    model = trained("gaussian_process", X, Y)
    found = model_importance(model, X)

    inverse = 1 / model.form.lengths[0][[0, 1, 3]]
    assert found.by_output["steam"].values[[0, 1, 3]] == pytest.approx(inverse / inverse.sum())
    assert found.by_output["steam"].values[2] == 0
    assert found.by_output["steam"].rank[0] == 1
    assert found.method == "inverse_length_scales"


@pytest.mark.parametrize("kind", ["neural_network", "riddle"])
def test_a_kind_that_cannot_be_read_is_refused_before_there_is_a_model(kind):
    with pytest.raises(ImportanceUnavailable, match=f"kind '{kind}' does not say"):
        check_readable(kind)


@pytest.mark.parametrize("kind", ["linear", "extra_trees", "gaussian_process", "auto"])
def test_a_kind_that_can_be_read_is_let_through(kind):
    check_readable(kind)


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    X, Y = rows(100)

    first, again, other = (permutation_importance(Model(), X, Y, seed=seed).to_json() for seed in (1, 1, 2))

    assert first == again
    assert first != other


# What is shared


def test_inputs_that_move_together_are_named_and_shuffled_together():
    X, _ = rows(500)
    X[:, 1] = X[:, 0] + 0.1 * np.random.default_rng(9).normal(size=500)
    Y = Model().predict(X)

    found = permutation_importance(Model(), X, Y)

    (group,) = found.groups
    assert group.tags == ("coal", "air")
    assert group.least == group.mean > 0.95
    # (3 + 1) x, about: twice its variance over that of the output, where one alone would say 2 * 9 / 16 or 2 / 16
    assert group.together["steam"] == pytest.approx(2 * 16 / (16 + 0.25), rel=0.15)
    (note,) = found.notes
    assert note.code == "importance.shared"
    assert note.message.startswith("'coal' and 'air' move together (rank correlation 0.9")
    assert json.loads(json.dumps(found.to_json()))["notes"][0]["details"]["together"]["steam"] > 1


def test_the_model_itself_also_names_what_is_shared():
    X, _ = rows(100)
    X[:, 2] = -(X[:, 3] ** 3)
    found = model_importance(trained("linear", X, Model().predict(X)), X)

    assert [group.tags for group in found.groups] == [("oxygen", "noise")]
    assert "Judge them as one." in found.notes[0].message


def test_groups_form_by_rank_and_constant_inputs_belong_to_none():
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    X = np.stack([x, np.exp(x), rng.normal(size=300), np.ones(300), -x], axis=1)

    (group,) = correlated_groups(X, ["a", "b", "c", "d", "e"])

    assert group.tags == ("a", "b", "e")
    assert group.mean == pytest.approx(1)
    assert correlated_groups(X[:, :1], ["a"]) == ()


def test_three_categories_have_no_order_to_move_by_and_two_have():
    load = np.random.default_rng(0).normal(size=200)
    X = np.column_stack([load, np.digitize(load, [-0.5, 0.5]), load > 0, np.where(load > 2, np.nan, load)])
    fuels = {"fuel": ("a", "b", "c"), "mode": ("off", "on")}

    (group,) = correlated_groups(X, ("load", "fuel", "mode", "probe"), categories=fuels)

    assert group.tags == ("load", "mode", "probe")
    assert correlated_groups(X, ("load", "fuel", "mode", "probe"))[0].tags == ("load", "fuel", "mode", "probe")


def test_a_model_without_skill_is_said_to_have_none():
    X, Y = rows(200)

    found = permutation_importance(Model(), X, Y[::-1])

    assert [note.code for note in found.notes] == ["importance.no_skill"] * 2
    assert "does not predict 'steam' on these rows (R2 -" in found.notes[0].message


# Ranks


def test_equal_values_share_the_best_rank():
    assert Ranks.of([0.0, 3.0, 0.0, 1.0]).rank.tolist() == [3, 1, 3, 2]


def test_rank_intervals_are_those_of_the_draws():
    draws = np.array([[3.0, 2.0, 0.0]] * 50 + [[2.0, 3.0, 0.0]] * 50)

    ranks = Ranks.of([2.5, 2.5, 0.0], draws)

    assert ranks.rank_low.tolist() == [1, 1, 3]
    assert ranks.rank_high.tolist() == [2, 2, 3]
    assert (ranks.low.tolist(), ranks.high.tolist()) == ([2.0, 2.0, 0.0], [3.0, 3.0, 0.0])


# Refusals


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"n_repeats": 0}, ParameterError),
        ({"n_draws": 0}, ParameterError),
        ({"level": 1.0}, ParameterError),
        ({"seed": -1}, ParameterError),
        ({"clusters": [1, 2]}, ShapeError),
    ],
)
def test_arguments_that_cannot_be_are_refused(given, error):
    X, Y = rows(20)

    with pytest.raises(error):
        permutation_importance(Model(), X, Y, **given)


def test_rows_that_do_not_fit_are_refused():
    X, Y = rows(20)

    with pytest.raises(ShapeError, match="both need the same rows"):
        permutation_importance(Model(), X, Y[:-1])
    with pytest.raises(NotFinite):
        permutation_importance(Model(), X * np.nan, Y)
    with pytest.raises(ShapeError, match="at least 2 rows"):
        model_importance(trained("linear", X, Y), X[:1])


def test_folds_that_hold_a_row_out_twice_or_none_are_refused():
    X, Y = rows(20)
    names = {"inputs": INPUTS, "outputs": ("steam", "nox")}
    fold = (np.arange(10), np.arange(10, 20))

    with pytest.raises(TrainingError, match="no folds"):
        held_out_importance("linear", X, Y, [], **names)
    with pytest.raises(TrainingError, match="none that another one does"):
        held_out_importance("linear", X, Y, [fold, fold], **names)


def test_text_and_gaps_are_shuffled_like_numbers():
    rng = np.random.default_rng(3)
    fuel, load, probe = rng.integers(0, 3, 300), rng.uniform(0, 1, 300), rng.normal(size=300)
    fails = rng.random(300) < 0.2
    y = np.array([10.0, -5.0, 2.0])[fuel] + 4 * load - 3 * fails
    X = np.column_stack([fuel, load, np.where(fails, np.nan, probe)])
    names = {"inputs": ("fuel", "load", "probe"), "outputs": ("y",)}
    coded = {"categories": {"fuel": ("gas", "coal", "oil")}, "missing": "impute"}

    found = held_out_importance("linear", X, y[:, None], folds(Validation("random", 3), 300), **names, **coded)

    expected = {"fuel": np.var(np.array([10.0, -5.0, 2.0])[fuel]), "load": np.var(4 * load), "probe": np.var(3 * fails)}
    told = dict(zip(names["inputs"], found.overall.values, strict=True))
    assert told == pytest.approx({tag: 2 * variance / y.var() for tag, variance in expected.items()}, rel=0.15)

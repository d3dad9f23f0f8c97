"""What a model makes of its inputs: closed forms, brute force, and sums that must come out."""

import json
import re
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ParameterError, ShapeError
from engine.explain import contributions, explain_change, partial_dependence
from engine.surrogates import KINDS, NotFinite, fit
from engine.surrogates.blend import BlendForm, Member


@dataclass
class Model:
    """A function of rows as a model of one output."""

    function: Any
    d: int = 3
    outputs: tuple[str, ...] = ("y",)

    @property
    def inputs(self):
        return tuple(f"x{j}" for j in range(self.d))

    def predict(self, X):
        Y = self.function(X)
        return Y if Y.ndim == 2 else Y[:, None]


def rows(d=3, n=200, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def trained(kind, d=4, n=150, **more):
    X = rows(d, n)
    Y = np.stack([X[:, 0] * X[:, 1] + X[:, 2], np.sin(X[:, 1]) - X[:, 0]], axis=1)
    return X, fit(kind, X, Y, inputs=[f"x{j}" for j in range(d)], outputs=["a", "b"], **more)


TRAINED = sorted(name for name, kind in KINDS.items() if not kind.chooses)  # those make blends, which are tested below


def wavy(X):
    return np.exp(0.3 * X[:, 0]) * X[:, 1] + np.maximum(X[:, 2], X[:, 0])


def by_hand(predict, x, B):
    """Return the mean gain of each input over all orders and background rows, the definition itself."""
    phi, orders = np.zeros(len(x)), list(permutations(range(len(x))))
    for order in orders:
        row, before = B.copy(), predict(B).mean()
        for j in order:
            row[:, j] = x[j]
            phi[j] += (predict(row).mean() - before) / len(orders)
            before = predict(row).mean()
    return phi


# Contributions


@pytest.mark.parametrize("d", [3, 15])
def test_in_a_linear_model_an_input_adds_its_coefficient_times_its_way_from_the_mean(d):
    w = np.arange(1.0, d + 1)
    X, B = rows(d, 5), rows(d, 40, seed=1)

    found = contributions(Model(lambda X: X @ w, d), X, B)

    assert found.values[:, :, 0] == pytest.approx(w * (X - B.mean(axis=0)), abs=1e-10)
    assert found.methods == (("subsets",) if d == 3 else ("orders",)) * 5  # exact here even from orders


def test_a_trained_linear_model_is_computed_in_closed_form():
    X, surrogate = trained("linear")

    found = contributions(surrogate, X[:5], X[50:80])

    slopes = np.stack([surrogate.predict(np.eye(4)[[j]]) - surrogate.predict(np.zeros((1, 4))) for j in range(4)])[:, 0]
    assert found.values == pytest.approx((X[:5] - X[50:80].mean(axis=0))[:, :, None] * slopes, abs=1e-10)
    assert found.methods == ("linear",) * 5
    assert found.is_exact


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("d", [4, 13])
def test_contributions_add_up_to_the_prediction_for_every_kind(kind, d):
    X, surrogate = trained(kind, d, 60)

    found = contributions(surrogate, X[:3], X, n_background=20)

    assert found.predictions == pytest.approx(surrogate.predict(X[:3]), abs=0)
    assert found.base + found.values.sum(axis=1) == pytest.approx(found.predictions, abs=1e-9)
    assert found.base == pytest.approx(surrogate.predict(found.background).mean(axis=0), abs=1e-12)


def test_contributions_are_the_mean_gain_over_all_orders():
    x, B = rows(n=1, seed=3)[0], rows(n=7, seed=4)

    found = contributions(Model(wavy), [x], B)

    assert found.values[0, :, 0] == pytest.approx(by_hand(wavy, x, B), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["random_forest", "extra_trees", "hist_gradient_boosting"]))
def test_trees_give_what_all_orders_give(seed, kind):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (40, 4)).astype(float)  # many values in common: inputs that do not part x and b
    Y = np.stack([X[:, 0] * X[:, 1] - X[:, 2] ** 2, X[:, 3] * X[:, 0]], axis=1)
    names = {"inputs": [f"x{j}" for j in range(4)], "outputs": ["a", "b"], "seed": seed}
    few = {"n_iterations": 5, "min_rows_leaf": 2} if kind == "hist_gradient_boosting" else {"n_trees": 5}
    surrogate = fit(kind, X, Y, **names, params=few)
    x, B = rng.integers(0, 4, 4).astype(float), X[:6]

    found = contributions(surrogate, [x], B)

    assert found.methods == ("trees",)
    for k in range(2):
        expected = by_hand(lambda rows, k=k: surrogate.predict(rows)[:, k], x, B)
        assert found.values[0, :, k] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("is_log", "method"), [(False, "members"), (True, "subsets")])
def test_a_blend_gives_what_all_orders_give(is_log, method):
    X, linear = trained("linear")
    forest = trained("random_forest", params={"n_trees": 5})[1]
    logs = np.array([is_log, False])
    members = (Member("linear", linear.form, logs), Member("random_forest", forest.form, np.zeros(2, dtype=bool)))
    blend = replace(linear, kind="auto", form=BlendForm(members, np.array([[0.25, 0.0], [0.75, 1.0]])))

    found = contributions(blend, X[:1], X[10:16])

    assert found.methods == (method,)
    for k in range(2):
        expected = by_hand(lambda rows, k=k: blend.predict(rows)[:, k], X[0], X[10:16])
        assert found.values[0, :, k] == pytest.approx(expected, abs=1e-9)


def test_orders_come_near_the_exact_values_and_still_add_up():
    d = 12

    def pairs(X):  # x0 x1 + x2 x3 + ...: against a background of 0 each of a pair gets half of it
        return (X[:, ::2] * X[:, 1::2]).sum(axis=1)

    x = rows(d, 1, seed=2)[0]
    found = contributions(Model(pairs, d), [x], np.zeros((1, d)))

    assert found.methods == ("orders",)
    assert not found.is_exact
    halves = np.repeat(x[::2] * x[1::2] / 2, 2)
    # A pair comes in one of two orders and the reverse has the other: each half is exact
    assert found.values[0, :, 0] == pytest.approx(halves, abs=1e-12)
    assert found.values.sum() == pytest.approx(pairs(x[None])[0], abs=1e-12)


def test_orders_of_one_seed_are_the_same_and_their_estimates_are_near():
    d = 12
    triples = Model(lambda X: X[:, 0] * X[:, 1] * X[:, 2] + X[:, 3:].sum(axis=1), d)
    x, zero = np.ones(d), np.zeros((1, d))

    first, again, other = (contributions(triples, [x], zero, seed=seed).values for seed in (1, 1, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    # A third each: the last of the three in an order has it all
    errors = contributions(triples, [x], zero, seed=1).errors[0, :, 0]
    assert 0.01 < errors[:3].min() <= errors[:3].max() < 0.1
    assert (np.abs(first[0, :3, 0] - 1 / 3) < 4 * errors[:3]).all()
    assert first[0, 3:, 0] == pytest.approx(np.ones(9), abs=1e-12)


def test_an_input_that_the_model_ignores_or_that_never_differs_adds_nothing():
    x, B = rows(4, 1)[0], rows(4, 30, seed=1)
    B[:, 2] = x[2]

    found = contributions(Model(wavy, 4), [x], B)

    assert found.values[0, 2].tolist() == [0.0]  # the same in x and in the background
    assert found.values[0, 3, 0] == pytest.approx(0, abs=1e-12)  # ignored


def test_many_inputs_of_which_few_differ_are_exact():
    x = rows(40, 1)[0]
    B = np.tile(x, (5, 1))
    B[:, [3, 30]] = rows(2, 5)

    found = contributions(Model(lambda X: X[:, 3] * X[:, 30] + X.sum(axis=1), 40), [x], B)

    assert found.methods == ("subsets",)
    assert np.flatnonzero(found.values[0, :, 0]).tolist() == [3, 30]


def test_a_long_background_is_drawn_from_and_a_short_one_is_used_whole():
    X, B = rows(n=2), rows(n=500, seed=1)
    model = Model(wavy)

    drawn = contributions(model, X, B, n_background=50)

    assert len(drawn.background) == 50
    assert len({tuple(row) for row in drawn.background.tolist()} & {tuple(row) for row in B.tolist()}) == 50
    assert np.array_equal(contributions(model, X, B[:30], n_background=50).background, B[:30])


def test_no_points_have_no_contributions():
    found = contributions(Model(wavy), np.empty((0, 3)), rows(n=5))

    assert found.values.shape == (0, 3, 1)
    assert found.predictions.shape == (0, 1)


def test_contributions_go_to_json_with_the_largest_first():
    model = Model(lambda X: np.stack([X[:, 0] - 3 * X[:, 1], 1e6 * X[:, 2]], axis=1), outputs=("a", "b"))

    found = json.loads(json.dumps(contributions(model, [[1.0, 1.0, 0.1]], np.zeros((1, 3))).to_json()))

    (point,) = found["points"]
    assert point["inputs"][0] == {"input": "x1", "value": 1.0, "adds": [-3.0, 0.0]}
    assert found["is_exact"]
    assert contributions(model, [[1.0, 1.0, 0.1]], np.zeros((1, 3))).mean_size[:, 0].tolist() == [1.0, 3.0, 0.0]


# From one point to another


def test_the_gain_of_two_changes_that_work_together_is_shared_between_their_orders():
    product = Model(lambda X: X[:, 0] * X[:, 1] + X[:, 2])

    found = explain_change(product, [1, 2, 9], [3, 5, 9])

    # x0 first: 3*2 - 1*2 = 4, then 15 - 6 = 9; x1 first: 5 - 2 = 3, then 15 - 5 = 10
    assert found.values[0, :, 0].tolist() == [7.0, 6.0, 0.0]
    assert (found.base[0], found.predictions[0, 0]) == (11.0, 24.0)


@pytest.mark.parametrize("kind", TRAINED)
def test_a_change_adds_up_for_every_kind_and_turns_its_sign_on_the_way_back(kind):
    X, surrogate = trained(kind)

    there, back = explain_change(surrogate, X[0], X[1]), explain_change(surrogate, X[1], X[0])

    assert there.values[0].sum(axis=0) == pytest.approx(surrogate.predict(X[[1]])[0] - surrogate.predict(X[[0]])[0])
    assert back.values == pytest.approx(-there.values, abs=1e-9)


@pytest.mark.parametrize(
    ("X", "background", "error"),
    [
        (np.zeros((1, 2)), np.zeros((5, 3)), ShapeError),
        (np.zeros((1, 3)), np.zeros((0, 3)), ShapeError),
        ([[0, np.nan, 0]], np.zeros((5, 3)), NotFinite),
        (np.zeros((1, 3)), [[0, 0, np.inf]], NotFinite),
    ],
)
def test_points_and_backgrounds_that_do_not_fit_are_refused(X, background, error):
    with pytest.raises(error):
        contributions(Model(wavy), X, background)


def test_a_model_that_gives_something_else_than_its_outputs_is_refused():
    with pytest.raises(ShapeError, match=r"predictions of shape \(40, 2\), not \(40, 1\)"):
        contributions(Model(lambda X: X[:, :2]), np.zeros((1, 3)), rows(n=5))


# Along one tag, and over two


def test_the_dependence_of_a_sum_is_its_part_for_every_row_alike():
    X = rows(n=100)

    found = partial_dependence(Model(lambda X: np.sin(X[:, 1]) + X[:, 0] ** 2 + X[:, 2]), X, ["x1"], n_points=9)

    (grid,) = found.grid
    assert (grid[0], grid[-1], len(grid)) == (X[:, 1].min(), X[:, 1].max(), 9)
    rest = (X[:, 0] ** 2 + X[:, 2]).mean()
    assert found.mean[:, 0] == pytest.approx(np.sin(grid) + rest, abs=1e-12)
    assert found.spread == pytest.approx(np.zeros((9, 1)), abs=1e-12)
    assert found.curves[7, :, 0] == pytest.approx(np.sin(grid) + X[7, 0] ** 2 + X[7, 2], abs=1e-12)


def test_curves_that_differ_between_rows_are_seen_though_their_mean_is_flat():
    X = rows(n=300)
    X[:, 0] -= X[:, 0].mean()

    found = partial_dependence(Model(lambda X: X[:, 0] * X[:, 1]), X, ["x1"], n_points=5, n_rows=300)

    (grid,) = found.grid
    assert found.mean[:, 0] == pytest.approx(np.zeros(5), abs=1e-12)
    assert found.spread[:, 0] == pytest.approx(X[:, 0].std() * np.abs(grid - grid.mean()), abs=1e-12)


def test_over_two_tags_the_surface_is_that_of_both():
    X = rows(n=50)

    found = partial_dependence(Model(wavy), X, ["x2", "x0"], n_points=4)

    assert found.mean.shape == (4, 4, 1)
    g2, g0 = found.grid
    moved = X.copy()
    moved[:, 2], moved[:, 0] = g2[1], g0[3]
    assert found.mean[1, 3, 0] == pytest.approx(wavy(moved).mean(), abs=1e-12)
    assert found.n_near.sum() == 50


def test_whole_numbers_and_categories_have_just_their_values():
    X = rows(n=40)
    X[:, 1] = np.arange(40) % 3

    found = partial_dependence(Model(wavy), X, ["x1"])

    assert found.grid[0].tolist() == [0, 1, 2]
    assert found.n_near.tolist() == [14, 13, 13]
    assert not found.is_thin.any()


def test_a_gap_in_the_data_is_marked_and_what_is_well_known_is_not():
    X = rows(n=400)
    X[:, 0] = np.concatenate([np.linspace(0, 4, 200), np.linspace(16, 20, 200)])

    found = partial_dependence(Model(wavy), X, ["x0"], n_points=21)

    (grid,) = found.grid
    is_gap = (grid > 5) & (grid < 15)
    assert found.n_near[is_gap].sum() == 0
    assert found.is_thin[is_gap].all()
    assert not found.is_thin[(grid > 0.5) & (grid < 3.5)].any()


def test_a_value_that_never_went_with_the_others_is_outside_of_what_was_measured():
    X = rows(n=500)
    X[:, 1] = X[:, 0] + 0.05 * X[:, 1]

    found = partial_dependence(Model(wavy), X, ["x0"], n_points=11)
    alone = partial_dependence(Model(wavy), rows(n=500), ["x0"], n_points=11)

    assert found.outside[[0, -1]].min() > 0.9  # moved there, nearly every row has an x1 that does not fit
    assert alone.outside[5] < 0.1


def test_another_envelope_says_what_was_measured():
    class Box:
        tags = ("x2", "x0")

        def violation(self, Z):
            return np.maximum(Z[:, 1] - 1, 0) + np.maximum(Z[:, 0] - 9, 0)

        def report(self, x):
            return {}

    X = rows(n=60)
    X[0, 0] = 3.0

    found = partial_dependence(Model(wavy), X, ["x0"], envelope=Box())

    assert (found.outside > 0).tolist() == (found.grid[0] > 1).tolist()


def test_rows_are_drawn_with_the_seed_and_the_answer_goes_to_json():
    X = rows(n=300)

    first, again, other = (partial_dependence(Model(wavy), X, ["x0"], n_rows=20, seed=s) for s in (1, 1, 2))

    assert len(first.rows) == 20
    assert json.dumps(first.to_json()) == json.dumps(again.to_json())
    assert first.rows.tolist() != other.rows.tolist()
    assert "curves" not in first.to_json(with_curves=False)


@pytest.mark.parametrize("tags", [[], ["x0", "x1", "x2"], ["x0", "x0"], ["load"], "x0"])
def test_tags_that_are_not_one_or_two_inputs_are_refused(tags):
    with pytest.raises(ParameterError):
        partial_dependence(Model(wavy), rows(), tags)


def test_a_history_of_one_row_is_refused():
    with pytest.raises(ShapeError, match="at least 2 rows"):
        partial_dependence(Model(wavy), rows(n=1), ["x0"])


def several_points(on_step):
    contributions(Model(wavy), rows(n=4), rows(n=30), on_step=on_step)


def many_points_for_trees(on_step):
    contributions(trained("extra_trees", params={"n_trees": 5})[1], rows(4, 6), rows(4, 30), on_step=on_step)


def along_a_tag(on_step):
    partial_dependence(Model(wavy), rows(n=600), ["x0"], n_points=40, n_rows=600, on_step=on_step)


@pytest.mark.parametrize("ask", [several_points, many_points_for_trees, along_a_tag])
def test_the_work_tells_how_far_it_is_and_ends_where_a_watcher_raises(ask):
    told = []
    ask(told.append)

    def stop(share):
        raise InterruptedError

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 4
    with pytest.raises(InterruptedError):
        ask(stop)


def test_the_page_on_analysis_runs_as_it_stands_there(monkeypatch, capsys):
    root = Path(__file__).parent.parent.parent
    monkeypatch.chdir(root)
    blocks = re.findall(r"^```python\n(.*?)^```$", (root / "docs" / "analysis.md").read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}

    for block in blocks:
        exec(block, names)

    assert names["found"].overall.rank_high[:2].max() <= 3  # what the table on the page says
    assert names["found"].overall.values[0] == pytest.approx(0.22, abs=0.005)
    assert [len(group.tags) for group in names["found"].groups] == [6]
    assert names["change"].values[0].sum() == pytest.approx(6.41 - 6.69, abs=0.01)
    assert "move together" in capsys.readouterr().out

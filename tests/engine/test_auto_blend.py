import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from engine.errors import ModelFileError
from engine.surrogates import fit
from engine.surrogates.blend import BlendForm, Member, blend_weights, from_log, to_log

NO_LOG = np.zeros(2, dtype=bool)


def rows(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, np.exp(X[:, :2]) + 0.1


def blend(is_log=NO_LOG):
    X, Y = rows()
    options = {"inputs": list("abc"), "outputs": list("yz")}
    linear = fit("linear", X, to_log(Y, is_log), **options).form
    trees = fit("extra_trees", X, Y, params={"n_trees": 3}, **options).form
    members = (Member("linear", linear, is_log), Member("extra_trees", trees, NO_LOG))
    return BlendForm(members, np.array([[0.25, 0.0], [0.75, 1.0]]))


# Weights


@given(st.integers(1, 5), st.integers(6, 40), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_weights_are_those_that_a_general_solver_finds(M, n, seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    P = y + rng.normal(size=(M, n)) * rng.uniform(0.1, 2, size=(M, 1))

    weights = blend_weights(P, y)

    def loss(w):
        return ((w @ P - y) ** 2).mean()

    found = minimize(
        loss,
        np.full(M, 1 / M),
        bounds=[(0, 1)] * M,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights >= 0).all()
    assert loss(weights) <= found.fun + 1e-6 * y.var()


def test_weights_of_independent_errors_are_as_their_precisions():
    rng = np.random.default_rng(0)
    y, sd = rng.normal(size=200_000), np.array([1.0, 2.0, 0.5])
    P = y + rng.normal(size=(3, len(y))) * sd[:, None]

    weights = blend_weights(P, y)

    np.testing.assert_allclose(weights, sd**-2 / (sd**-2).sum(), atol=0.01)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_weights_do_not_depend_on_the_unit(size, offset):
    rng = np.random.default_rng(1)
    y = rng.normal(size=50)
    P = y + 0.3 * rng.normal(size=(3, 50))

    np.testing.assert_allclose(blend_weights(size * (P + offset), size * (y + offset)), blend_weights(P, y), atol=1e-6)


def test_perfect_predictions_have_weights_too():
    y = np.arange(5.0)

    assert blend_weights(np.stack([y, y]), y).sum() == pytest.approx(1)


# The blend


def test_a_blend_predicts_the_weighted_sum_of_its_members():
    X, _ = rows(9, seed=5)
    form = blend()
    linear, trees = (member.form.predict(X) for member in form.members)

    predicted = form.predict(X)

    np.testing.assert_allclose(predicted[:, 0], 0.25 * linear[:, 0] + 0.75 * trees[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(predicted[:, 1], trees[:, 1])


def test_a_row_gets_the_same_bits_in_any_company():
    X, _ = rows(50, seed=5)
    form = blend(np.array([True, False]))

    alone = np.concatenate([form.predict(row[None]) for row in X])

    np.testing.assert_array_equal(form.predict(X), alone)


def test_a_member_that_learned_a_logarithm_gives_the_unit_of_the_output():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    Y = np.stack([np.exp(2 * X[:, 0] + 1), X[:, 1]], axis=1)  # the logarithm of the first is linear
    is_log = np.array([True, False])
    form = fit("linear", X, to_log(Y, is_log), inputs=list("abc"), outputs=list("yz")).form

    np.testing.assert_allclose(Member("linear", form, is_log).predict(X), Y, rtol=1e-9, atol=1e-9)


def test_logarithms_go_back_to_what_they_were_and_never_overflow():
    Y, is_log = np.array([[1e-9, -3.0], [1e9, 0.0]]), np.array([True, False])

    np.testing.assert_allclose(from_log(to_log(Y, is_log), is_log), Y)
    assert np.isfinite(from_log(np.array([[1e300, 1.0]]), is_log)).all()


@pytest.mark.parametrize("is_log", [NO_LOG, np.array([True, True])])
def test_a_blend_is_the_same_after_storage(is_log):
    X, _ = rows(20, seed=7)
    form = blend(is_log)

    again = BlendForm.from_arrays(form.arrays(), 3, 2)

    np.testing.assert_array_equal(again.predict(X), form.predict(X))
    assert [member.kind for member in again.members] == ["linear", "extra_trees"]


def without(arrays, *names):
    return {name: array for name, array in arrays.items() if name not in names}


def renamed(arrays, old, new):
    return {name.replace(old, new): array for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: without(a, "weights"), "'weights'"),
        (lambda a: a | {"weights": -a["weights"]}, "weights of a blend must be at least 0"),
        (lambda a: a | {"weights": a["weights"] * np.nan}, "not finite"),
        (lambda a: a | {"is_log": a["is_log"] + 2}, "is_log 0 or 1"),
        (lambda a: a | {"weights": a["weights"][:1]}, "'weights' has shape"),
        (lambda a: renamed(a, "0.linear", "0.auto"), "kind 'auto', which there is not"),
        (lambda a: renamed(a, "0.linear", "0.os"), "kind 'os', which there is not"),
        (lambda a: renamed(a, "0.linear", "7.linear"), "numbered from 0"),
        (lambda a: renamed(a, "0.linear", "٠.linear"), "numbered from 0"),
        (lambda a: renamed(a, "0.linear", "1.linear"), "each of one kind"),
        (lambda a: without(a, "0.linear.center"), "'center'"),
        (lambda a: {"weights": a["weights"], "is_log": a["is_log"]}, "has 1 to 16 members"),
        (lambda a: a | {"1.extra_trees.feature": a["1.extra_trees.feature"] + 9}, "input that does not exist"),
    ],
)  # fmt: skip
def test_a_blend_that_is_not_sound_is_refused(spoil, words):
    with pytest.raises(ModelFileError, match=words):
        BlendForm.from_arrays(spoil(blend().arrays()), 3, 2)

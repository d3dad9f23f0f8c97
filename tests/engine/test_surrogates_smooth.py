"""Ridge, Gaussian process and neural network by second ways to their answers."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from engine import surrogates
from engine.surrogates import gaussian_process, neural_network


def table(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * [1, 100, 0.01][:d] + [0, 500, 3][:d]
    return X, rng


def fitted(kind, X, Y, **params):
    inputs, outputs = [f"x{j}" for j in range(X.shape[1])], [f"y{j}" for j in range(Y.shape[1])]
    return surrogates.fit(kind, X, Y, inputs=inputs, outputs=outputs, params=params, seed=1)


def test_ridge_solves_the_normal_equations_with_the_penalty_given():
    X, rng = table()
    Y = X @ rng.normal(size=(3, 2)) + rng.normal(size=(60, 2))
    Z = (X - X.mean(axis=0)) / X.std(axis=0)

    W = np.linalg.solve(Z.T @ Z + 7.0 * np.eye(3), Z.T @ (Y - Y.mean(axis=0)))

    np.testing.assert_allclose(fitted("ridge", X, Y, alpha=7.0).predict(X), Y.mean(axis=0) + Z @ W, rtol=1e-9)


def test_ridge_chooses_the_penalty_whose_rows_left_out_are_predicted_best():
    X, rng = table(n=25)
    X = np.column_stack([X, rng.normal(size=(25, 12))])
    y = X[:, [0]] + 2 * rng.normal(size=(25, 1))

    def left_out(alpha):
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        errors = []
        for i in range(len(X)):
            kept = np.arange(len(X)) != i
            center, middle = Z[kept].mean(axis=0), y[kept].mean()
            A = Z[kept] - center
            W = np.linalg.solve(A.T @ A + alpha * np.eye(A.shape[1]), A.T @ (y[kept] - middle))
            errors.append(((Z[i] - center) @ W + middle - y[i])[0])
        return (np.array(errors) ** 2).sum()

    best = min([10.0**e for e in np.arange(-4, 6.5, 0.5)], key=left_out)

    np.testing.assert_allclose(
        fitted("ridge", X, y).predict(X), fitted("ridge", X, y, alpha=best).predict(X), rtol=1e-12
    )
    assert best > 1


@pytest.mark.parametrize("smoothness", [0, 1, 2, 3])
def test_the_gradient_of_the_likelihood_is_that_of_finite_differences(smoothness):
    rng = np.random.default_rng(2)
    Z, y = rng.normal(size=(15, 2)), rng.normal(size=15)
    theta = np.array([0.3, -0.2, 0.4, -1.5])

    _, gradient = gaussian_process._loss(theta, Z, y, smoothness)

    by_hand = approx_fprime(theta, lambda t: gaussian_process._loss(t, Z, y, smoothness)[0], 1e-6)
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("smoothness", "formula"),
    [
        (0, lambda r: np.exp(-r)),
        (1, lambda r: (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r)),
        (2, lambda r: (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)),
        (3, lambda r: np.exp(-(r**2) / 2)),
    ],
)
def test_the_kernels_are_the_published_ones(smoothness, formula):
    r = np.linspace(0, 4, 9)

    np.testing.assert_allclose(gaussian_process.kernel(r, smoothness), formula(r))


def test_a_gaussian_process_goes_through_rows_without_noise_and_learns_which_inputs_matter():
    X, _ = table(n=80)
    y = np.sin(X[:, [0]] * 1.5) + (X[:, [1]] - 500) / 200
    model = fitted("gaussian_process", X, y, smoothness=3)

    error = model.predict(X) - y

    assert np.abs(error).max() < 0.01
    lengths = model.form.lengths[0]
    assert lengths[2] > 5 * lengths[0]  # the third input does nothing


def test_a_gaussian_process_predicts_between_rows_better_than_a_line():
    X, _ = table(n=150)
    y = np.sin(X[:, [0]] * 2) * (X[:, [1]] - 500) / 100
    new, _ = table(n=60, seed=5)
    truth = np.sin(new[:, [0]] * 2) * (new[:, [1]] - 500) / 100

    error = fitted("gaussian_process", X, y).predict(new) - truth

    assert np.sqrt((error**2).mean()) < 0.35 * truth.std()


def test_more_rows_than_are_kept_are_thinned_out_evenly():
    X, _ = table(n=300)

    model = fitted("gaussian_process", X, X[:, [0]], max_rows=50)

    assert model.form.rows.shape == (50, 3)
    assert model.n_rows == 300


def test_a_network_answers_with_the_mean_of_its_members():
    X, _ = table(n=50)
    model = fitted("neural_network", X, X[:, :2], n_units=5, n_members=3, n_epochs=1)
    form = model.form
    Z = (X - form.scaling.center) / form.scaling.scale

    answers = []
    for member in range(3):
        W1, b1, W2, b2, W3, b3 = (layer[member] for layer in form.layers)
        answers.append(np.maximum(np.maximum(Z @ W1 + b1, 0) @ W2 + b2, 0) @ W3 + b3)

    np.testing.assert_allclose(model.predict(X), np.mean(answers, axis=0), rtol=1e-9)


def test_the_gradients_of_a_network_are_those_of_finite_differences():
    rng = np.random.default_rng(3)
    layers = neural_network._started(rng, 1, 2, 4, 2)
    layers = [layer + 0.1 for layer in layers]
    Z, V = rng.normal(size=(1, 6, 2)), rng.normal(size=(1, 6, 2))
    shapes = [layer.shape for layer in layers]

    def loss(flat):
        parts, start = [], 0
        for shape in shapes:
            parts.append(flat[start : start + np.prod(shape)].reshape(shape))
            start += np.prod(shape)
        return ((neural_network._answers(Z[:, None], *parts) - V) ** 2).mean()

    flat = np.concatenate([layer.ravel() for layer in layers])
    found = np.concatenate([g.ravel() for g in neural_network._gradients(layers, Z, V)])

    np.testing.assert_allclose(found, approx_fprime(flat, loss, 1e-7), atol=1e-5)


def test_a_network_learns_a_bent_surface():
    X, _ = table(n=400)
    y = np.abs(X[:, [0]]) + (X[:, [1]] - 500) / 100
    new, _ = table(n=100, seed=7)
    truth = np.abs(new[:, [0]]) + (new[:, [1]] - 500) / 100

    error = fitted("neural_network", X, y, n_units=32).predict(new) - truth

    assert np.sqrt((error**2).mean()) < 0.15 * truth.std()

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from engine.surrogates import fit


def rows(n=60, d=3, m=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * [1.0, 1e4, 1e-3] + [0.0, 1e6, 5.0]
    return X, rng.normal(size=(n, m)) + (X - X.mean(axis=0)) @ ([[1.0, 2.0], [1e-4, 0.0], [0.0, 5e3]])


def linear(X, Y, **params):
    inputs, outputs = [f"x{i}" for i in range(X.shape[1])], [f"y{i}" for i in range(Y.shape[1])]
    return fit("linear", X, Y, inputs=inputs, outputs=outputs, params=params)


def test_a_plane_is_found_and_continued():
    X, _ = rows()
    far = X * 3 + 1

    plane = 4 + X @ [[2.0], [-1e-3], [50.0]]
    predicted = linear(X, plane).predict(far)

    np.testing.assert_allclose(predicted, 4 + far @ [[2.0], [-1e-3], [50.0]], rtol=1e-11)


def test_least_squares_solves_the_normal_equations():
    X, Y = rows()
    A = np.column_stack([np.ones(len(X)), X])

    residuals = Y - linear(X, Y).predict(X)

    # relative to the sizes that cancel in the product; predictions are rounded at 1e-16 of 1e4 times the noise
    np.testing.assert_allclose((A.T @ residuals) / (np.abs(A).T @ np.abs(residuals)), 0, atol=1e-10)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
def test_the_penalty_is_that_of_ridge_regression_on_standardized_inputs(alpha):
    X, Y = rows()
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=alpha, solver="cholesky")).fit(X, Y)

    predicted = linear(X, Y, alpha=alpha).predict(X)

    np.testing.assert_allclose(predicted, ridge.predict(X), rtol=1e-9, atol=1e-9)


def test_a_huge_penalty_leaves_the_mean():
    X, Y = rows()

    predicted = linear(X, Y, alpha=1e12).predict(X)

    np.testing.assert_allclose(predicted, np.broadcast_to(Y.mean(axis=0), Y.shape), rtol=1e-6, atol=1e-6)


def test_a_repeated_input_shares_its_coefficient():
    X, Y = rows()
    doubled = np.column_stack([X, X[:, 0]])

    model = linear(doubled, Y)

    np.testing.assert_allclose(model.predict(doubled), linear(X, Y).predict(X), rtol=1e-9)
    np.testing.assert_allclose(model.form.coefficients[0], model.form.coefficients[3], rtol=1e-9)


def test_more_inputs_than_rows_are_fitted_exactly():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(5, 9)), rng.normal(size=(5, 2))

    np.testing.assert_allclose(linear(X, Y).predict(X), Y, rtol=1e-10)


def test_far_outside_the_data_the_answer_may_overflow_but_no_warning_stops_the_run():
    X, Y = rows()

    predicted = linear(X * 1e-20, Y).predict(np.full((1, 3), 1.7e308))

    assert not np.isfinite(predicted).all()

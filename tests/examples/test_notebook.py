"""The engine alone, as the notebook example uses it."""

import runpy

import numpy as np
import pytest


@pytest.fixture(scope="module")
def notebook():
    """Every name that the notebook leaves behind."""
    return runpy.run_module("examples.notebook")


def test_the_notebook_predicts_days_it_has_not_seen_and_leaks_none_of_them(notebook):
    days = notebook["days"]

    assert 0.85 < notebook["score"]["r2"] < 0.95
    assert all(not set(days[train]) & set(days[test]) for train, test in notebook["by_day"])


def test_the_notebook_finds_less_steam_than_as_many_random_points_and_the_plant_itself(notebook):
    best, model = notebook["best"], notebook["model"]
    lower, upper = model.input_ranges.T
    points = np.random.default_rng(0).uniform(lower, upper, size=(best.budget, len(lower)))
    points[:, 0] = 200.0

    assert best.is_feasible
    assert best.objective < model.predict(points).min()
    assert 0.3 < notebook["usual"] - best.objective < 0.5


def test_the_notebook_sees_that_the_plant_has_never_been_near(notebook):
    best, X = notebook["best"], notebook["X"]
    away = (X - np.array(list(best.inputs.values()))) / X.std(axis=0)

    assert notebook["distances"][0] == pytest.approx(np.sqrt((away**2).sum(axis=1)).min())
    assert notebook["distances"][0] > 10 * notebook["history"].spacing()


def test_the_notebook_ends_where_the_model_has_seen_enough(notebook):
    best, trusted = notebook["best"], notebook["trusted"]

    assert trusted.trust["is_inside"]
    assert trusted.trust["nearest"][0]["distance"] < 1 < notebook["distances"][0]
    assert best.objective < trusted.objective < notebook["usual"]

"""A training tells how far it is, and can be ended from outside."""

import numpy as np
import pytest

from engine.surrogates import fit
from engine.surrogates.model_file import to_bytes
from engine.validation import Validation, cross_validate, folds

TREES = ["random_forest", "extra_trees", "hist_gradient_boosting"]
LONG = [*TREES, "gaussian_process", "neural_network"]
FEW = {
    "random_forest": {"n_trees": 12},
    "extra_trees": {"n_trees": 12},
    "hist_gradient_boosting": {"n_iterations": 6},
    "gaussian_process": {},
    "neural_network": {"n_units": 4, "n_epochs": 1},
}


class StopError(Exception):
    """Somebody wants no more of it."""


@pytest.fixture
def learn(monkeypatch):
    """Fit a few trees on a small table; a step after every tree."""
    monkeypatch.setattr("engine.surrogates.forests._BATCH", 1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = X[:, :2] + rng.normal(size=(60, 2))

    def do(kind, of=fit, **more):
        return of(kind, X, Y, inputs=list("abc"), outputs=list("yz"), params=FEW[kind], seed=1, **more)

    return do


@pytest.mark.parametrize("kind", TREES)
def test_a_step_is_told_for_every_tree_and_shares_ascend(learn, kind):
    shares = []

    learn(kind, on_step=shares.append)

    assert len(shares) == 12
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] <= 1


@pytest.mark.parametrize("kind", LONG)
def test_watching_changes_no_bit_of_the_model(learn, kind, monkeypatch):
    watched = learn(kind, on_step=lambda _share: None)
    monkeypatch.setattr("engine.surrogates.forests._BATCH", 10**9)

    at_once = learn(kind)

    assert to_bytes(watched) == to_bytes(at_once)


@pytest.mark.parametrize("kind", LONG)
def test_what_a_step_raises_ends_the_training(learn, kind):
    n_steps = 0

    def stop_at_the_third(_share):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 3:
            raise StopError

    with pytest.raises(StopError):
        learn(kind, on_step=stop_at_the_third)

    assert n_steps == 3


def test_a_cross_validation_tells_the_share_of_all_its_folds(learn):
    shares = []
    three = folds(Validation("random", n_folds=3), 60)

    learn("random_forest", of=lambda kind, X, Y, **how: cross_validate(kind, X, Y, three, **how), on_step=shares.append)

    assert shares == pytest.approx([(k + 1) / 36 for k in range(36)])

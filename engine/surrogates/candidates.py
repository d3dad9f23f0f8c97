"""The candidates that ``auto`` tries: for each kind a small ladder of hyperparameters, cheap and simple first."""

from dataclasses import replace

from engine.surrogates.search import Candidate

SMALL, LARGE = 3000, 12_000
"""Rows up to which forests may be large, and beyond which trees must be."""

MEAN = Candidate("linear", {"alpha": 1e12}, is_reference=True)
LINEAR = Candidate("linear", {}, is_reference=True)


def ladder(n: int, d: int, m: int) -> tuple[list[Candidate], list[Candidate]]:
    """Return the candidates for n rows, d inputs and m outputs, in the order in which they are tried.

    Returns:
        One or two of every kind, and the others, which are tried of the kinds that do well.
    """
    boosters = _boosters(n)
    firsts = [
        LINEAR,
        MEAN,
        Candidate("ridge", {}),
        _forest("extra_trees", n),
        boosters[0],
        Candidate("hist_gradient_boosting", {}),
        Candidate("neural_network", {}),
        Candidate("gaussian_process", {}),
        _forest("random_forest", n),
    ]
    return firsts, [*boosters[1:], *_forests(n, d), _longer_network(n), *_processes(), *_logarithms(boosters[0])]


def _forest(kind: str, n: int, **params: float) -> Candidate:
    return Candidate(kind, {"n_trees": 200 if n <= SMALL else 100, "min_rows_leaf": 1, **params})


def _forests(n: int, d: int) -> list[Candidate]:
    """Return forests that look at fewer inputs at each split, or average more rows."""
    fewer = [_forest("extra_trees", n, max_features=0.6)] if d > 2 else []
    return [*fewer, _forest("extra_trees", n, min_rows_leaf=4)]


def _boosters(n: int) -> list[Candidate]:
    """Return boosters of many small trees to fewer large ones; on few rows the defaults cannot split finely enough."""
    if n > LARGE:
        settings = [(600, 0.08, 160, 8, 0.5), (500, 0.07, 400, 5, 0.5)]
    elif n > SMALL:
        settings = [(600, 0.05, 31, 10, 0.7), (600, 0.05, 64, 5, 0.5), (1000, 0.05, 8, 3, 0.5)]
    else:
        settings = [(1000, 0.05, 8, 3, 0.5), (500, 0.05, 16, 5, 0.5), (600, 0.05, 31, 10, 0.7), (1500, 0.03, 6, 2, 1.0)]
    names = ("n_iterations", "learning_rate", "max_leaves", "min_rows_leaf", "max_features")
    return [Candidate("hist_gradient_boosting", dict(zip(names, values, strict=True))) for values in settings]


def _longer_network(n: int) -> Candidate:
    """Return a network that is trained for longer, and held back for it."""
    return Candidate("neural_network", {"n_epochs": 400 if n <= SMALL else 250, "decay": 0.1})


def _processes() -> list[Candidate]:
    """Return Gaussian processes of rougher and smoother surfaces."""
    return [Candidate("gaussian_process", {"smoothness": smoothness}) for smoothness in (1, 3)]


def _logarithms(booster: Candidate) -> list[Candidate]:
    """Return what learns logarithms, if an output spreads widely."""
    processes = [Candidate("gaussian_process", {"smoothness": smoothness}, is_log=True) for smoothness in (1, 2)]
    return [Candidate("linear", {}, is_log=True), *processes, replace(booster, is_log=True)]

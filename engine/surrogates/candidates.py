"""The candidates that ``auto`` tries: for each kind a small ladder of hyperparameters, cheap and simple first."""

from engine.surrogates.search import Candidate

SMALL, LARGE = 3000, 12_000
"""Rows up to which forests may be large, and beyond which trees must be."""

MEAN = Candidate("linear", {"alpha": 1e12}, is_reference=True)
LINEAR = Candidate("linear", {}, is_reference=True)


def ladder(n: int, d: int, m: int) -> list[Candidate]:
    """Return the candidates for n rows, d inputs and m outputs, in the order in which they are tried.

    The first of every kind come first, so that a small budget has seen each kind once.
    """
    firsts = [LINEAR, MEAN, _forest("extra_trees", n), Candidate("hist_gradient_boosting", {})]
    return [*firsts, _forest("random_forest", n), *_boosters(n), *_forests(n, d)]


def _forest(kind: str, n: int, **params: float) -> Candidate:
    return Candidate(kind, {"n_trees": 300 if n <= SMALL else 100, "min_rows_leaf": 1, **params})


def _forests(n: int, d: int) -> list[Candidate]:
    """Return forests that look at fewer inputs at each split, or average more rows."""
    fewer = [_forest("extra_trees", n, max_features=0.7), _forest("extra_trees", n, max_features=0.4)] if d > 2 else []
    return [*fewer, _forest("extra_trees", n, min_rows_leaf=4)]


def _boosters(n: int) -> list[Candidate]:
    """Return boosters of many small trees to fewer large ones; on few rows the defaults cannot split finely enough."""
    if n > LARGE:
        settings = [(500, 0.08, 64, 10, 0.7), (600, 0.08, 160, 8, 0.5), (500, 0.07, 400, 5, 0.5)]
    else:
        settings = [
            (500, 0.05, 16, 5, 0.5),
            (1000, 0.05, 8, 3, 0.5),
            (600, 0.05, 31, 10, 0.7),
            (1500, 0.03, 6, 2, 1.0),
            (600, 0.05, 64, 5, 0.5),
        ]
    names = ("n_iterations", "learning_rate", "max_leaves", "min_rows_leaf", "max_features")
    return [Candidate("hist_gradient_boosting", dict(zip(names, values, strict=True))) for values in settings]

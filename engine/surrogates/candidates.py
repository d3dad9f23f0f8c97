"""The candidates that ``auto`` tries: for each kind a small ladder of hyperparameters, cheap and simple first."""

from engine.surrogates.search import Candidate


def ladder(n: int, d: int, m: int) -> list[Candidate]:
    """Return the candidates for n rows, d inputs and m outputs, in the order in which they are tried.

    The first of every kind come first, so that a small budget has seen each kind once.
    """
    trees = 100
    return [
        Candidate("linear", {}, is_reference=True),
        Candidate("linear", {"alpha": 1e12}, is_reference=True),  # the mean
        Candidate("extra_trees", {"n_trees": trees, "min_rows_leaf": 1}),
        Candidate("hist_gradient_boosting", {}),
        Candidate("random_forest", {"n_trees": trees, "min_rows_leaf": 1}),
        Candidate("extra_trees", {"n_trees": trees, "min_rows_leaf": 3}),
    ]

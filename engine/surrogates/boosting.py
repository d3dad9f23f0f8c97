"""Gradient boosting: grown by scikit-learn, one booster per output, then carried into our arrays."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.surrogates.arrays import Floats
from engine.surrogates.params import MAX_DEPTH, OnStep, ParamValue
from engine.surrogates.scaling import Scaling
from engine.surrogates.trees import LEAF, TreeEnsemble


def fit_boosting(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> TreeEnsemble:
    """Return the sum of one booster per output, each grown in one thread, whatever ``n_jobs`` is: shared sums differ.

    Inputs are not scaled: they are binned by rank, and scikit-learn's boosters compare in float64.

    Source:
        Ke et al. (2017), LightGBM, Advances in Neural Information Processing Systems 30.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # two seconds to import; only training needs it

    y_scaling = Scaling.of(Y)
    n_trees = int(params["n_iterations"] or 0) * Y.shape[1]
    grown = itertools.count()
    loss = _squared_error(lambda: on_step(next(grown) / n_trees))
    boosters = [
        HistGradientBoostingRegressor(
            loss=loss,
            max_iter=params["n_iterations"],
            learning_rate=params["learning_rate"],
            max_leaf_nodes=params["max_leaves"],
            max_depth=params["max_depth"] or MAX_DEPTH,
            min_samples_leaf=params["min_rows_leaf"],
            l2_regularization=params["l2"],
            max_features=params["max_features"],
            early_stopping=False,  # "auto" would hold back a tenth of 10,000 rows and more
            random_state=seed,
        ).fit(X, column)
        for column in y_scaling.apply(Y).T
    ]
    return from_boosters(boosters, y_scaling)


def _squared_error(on_tree: Callable[[], None]) -> Any:
    """Return scikit-learn's default loss, which calls ``on_tree`` when it is asked for the errors left to a tree."""
    from sklearn._loss.loss import HalfSquaredError

    class SquaredError(HalfSquaredError):  # type: ignore[misc]
        def gradient(self, *args: Any, **kwargs: Any) -> Any:
            on_tree()
            return super().gradient(*args, **kwargs)

    return SquaredError()


def from_boosters(boosters: list[Any], y_scaling: Scaling) -> TreeEnsemble:
    """Return boosters, one per output and trained on the scaled output, in the units of the tags."""
    # scikit-learn keeps the trees of a booster in private attributes; the tests compare with its own
    # predictions
    trees = [(output, trees[0].nodes) for output, b in enumerate(boosters) for trees in b._predictors]
    start = np.array([booster._baseline_prediction.item() for booster in boosters])

    root = np.cumsum([0] + [len(nodes) for _, nodes in trees])
    nodes = np.concatenate([nodes for _, nodes in trees])
    n_nodes = [len(nodes) for _, nodes in trees]
    output = np.repeat([output for output, _ in trees], n_nodes)
    first = np.repeat(root[:-1], n_nodes)

    is_leaf = nodes["is_leaf"].astype(bool)
    value = np.zeros((len(nodes), len(boosters)))
    value[np.arange(len(nodes)), output] = np.where(is_leaf, nodes["value"], 0.0) * y_scaling.scale[output]
    return TreeEnsemble(
        root=root[:-1].astype(np.int32),
        feature=np.where(is_leaf, LEAF, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(is_leaf, 0.0, nodes["num_threshold"]),
        left=np.where(is_leaf, LEAF, nodes["left"] + first).astype(np.int32),
        right=np.where(is_leaf, LEAF, nodes["right"] + first).astype(np.int32),
        value=value,
        base=y_scaling.center + start * y_scaling.scale,
    )

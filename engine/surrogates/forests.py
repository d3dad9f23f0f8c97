"""Random forest and extra trees: grown by scikit-learn, then carried into our arrays."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np

from engine.surrogates.arrays import Floats
from engine.surrogates.params import MAX_DEPTH, OnStep, ParamValue
from engine.surrogates.scaling import Scaling
from engine.surrogates.trees import LEAF, TreeEnsemble

_BATCH = 100_000
"""Cells of X, counted once a tree, that are learned from between two steps: a tenth of a second or so."""


def fit_random_forest(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> TreeEnsemble:
    """Return a forest of trees grown on bootstrap samples, each split the best one.

    Source:
        Breiman (2001), Machine Learning 45, 5-32.
    """
    from sklearn.tree import DecisionTreeRegressor  # two seconds to import; only training needs it

    def grown(seed: int, X: Any, y: Any, how: Mapping[str, Any]) -> Any:
        drawn = np.bincount(np.random.RandomState(seed).randint(0, len(X), len(X)), minlength=len(X))
        return _grown(DecisionTreeRegressor(random_state=seed, **how), X, y, drawn)

    return _fit(grown, X, Y, params, seed, n_jobs, on_step)


def fit_extra_trees(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> TreeEnsemble:
    """Return a forest of trees grown on all rows, each split the best of randomly drawn ones.

    Source:
        Geurts, Ernst and Wehenkel (2006), Machine Learning 63, 3-42.
    """
    from sklearn.tree import ExtraTreeRegressor

    def grown(seed: int, X: Any, y: Any, how: Mapping[str, Any]) -> Any:
        return _grown(ExtraTreeRegressor(random_state=seed, **how), X, y)

    return _fit(grown, X, Y, params, seed, n_jobs, on_step)


def _fit(
    grown: Callable[[int, Any, Any, Mapping[str, Any]], Any],
    X: Floats,
    Y: Floats,
    params: Mapping[str, ParamValue],
    seed: int,
    n_jobs: int,
    on_step: OnStep,
) -> TreeEnsemble:
    """Grow scikit-learn's forest tree by tree; what its own does around each tree takes longer than a small tree."""
    x_scaling, y_scaling = Scaling.of(X), Scaling.of(Y)
    how = {
        "max_depth": params["max_depth"] or MAX_DEPTH,
        "min_samples_leaf": params["min_rows_leaf"],
        "max_features": params["max_features"],
    }
    scaled, targets = x_scaling.apply(X).astype(np.float32), np.ascontiguousarray(y_scaling.apply(Y))
    n_trees, batch = int(params["n_trees"] or 0), max(n_jobs, _BATCH // X.size)
    # Trees are seeded one by one before the work is shared out: no bit depends on n_jobs, nor on the batches.
    seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=n_trees).tolist()
    trees: list[Any] = []
    with ThreadPoolExecutor(n_jobs) if n_jobs > 1 else nullcontext() as pool:
        for n_grown in [*range(batch, n_trees, batch), n_trees]:
            shared_out = pool.map if pool else map
            trees += shared_out(lambda seed: grown(seed, scaled, targets, how), seeds[len(trees) : n_grown])
            on_step(n_grown / n_trees)
    return from_forest([tree.tree_ for tree in trees], x_scaling, y_scaling)


def _grown(tree: Any, X: Any, y: Any, weight: Any = None) -> Any:
    from sklearn import config_context

    with config_context(skip_parameter_validation=True):  # params are checked; its own check takes longer than a tree
        return tree.fit(X, y, sample_weight=weight, check_input=False)


def from_forest(trees: list[Any], x_scaling: Scaling, y_scaling: Scaling) -> TreeEnsemble:
    """Return the mean of scikit-learn's trees, which were grown on scaled data, in the units of the tags."""
    root = np.cumsum([0] + [tree.node_count for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    left = np.concatenate([tree.children_left + start for tree, start in zip(trees, root, strict=False)])
    right = np.concatenate([tree.children_right + start for tree, start in zip(trees, root, strict=False)])
    threshold = np.concatenate([tree.threshold for tree in trees])
    value = np.concatenate([tree.value[:, :, 0] for tree in trees])

    is_leaf = feature < 0
    split = np.flatnonzero(~is_leaf)
    in_tag_units = np.zeros(len(feature))
    in_tag_units[split] = x_scaling.thresholds_of_float32(feature[split], threshold[split])
    return TreeEnsemble(
        root=root[:-1].astype(np.int32),
        feature=np.where(is_leaf, LEAF, feature).astype(np.int32),
        threshold=in_tag_units,
        left=np.where(is_leaf, LEAF, left).astype(np.int32),
        right=np.where(is_leaf, LEAF, right).astype(np.int32),
        value=np.where(is_leaf[:, None], value * (y_scaling.scale / len(trees)), 0.0),
        base=y_scaling.center,
    )

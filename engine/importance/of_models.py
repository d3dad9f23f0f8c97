"""What a trained model makes of its inputs, read from its own numbers.

Notation:
    X: rows, shape (n, d); best those it was trained on.    m: outputs.
    v: importance of each input for each output, shape (d, m).

    trees       v_j = sum over the splits on j of (n_L n_R / n_P) (a_L - a_R)^2 / n, where n_P = n_L + n_R rows reach
                the split and a_L, a_R are the means of what the tree adds for the rows on its two sides. The v_j of a
                tree sum to the variance of what it adds. Where its leaves are the means of these rows, that is the
                reduction of variance that the splits were chosen for; in boosting it is their gain.
    linear      v_j = |coefficient|, in standard deviations of the output per standard deviation of the input
    Gaussian    v_j = 1 / length scale of the input, in its standard deviations: how fast the output can turn along it;
    process     0 for an input that was constant
    blends      mean of the members' shares, by their weights for the output

All are brought to shares that sum to 1 for each output. They tell what the model does, also where it is wrong, and
inputs with many different values get more of a deep tree than they deserve: permutation on held-out rows has neither
fault, and costs predictions.

Sources:
    Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees, 5.3.
    Strobl, Boulesteix, Zeileis and Hothorn (2007), BMC Bioinformatics 8, 25: the fault.
    MacKay (1994), ASHRAE Transactions 100, 1053-1062: automatic relevance determination.
"""

from typing import Any

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.importance.ranking import CORRELATED, Importance, correlated_groups, ranked, shared_notes
from engine.progress import part
from engine.surrogates import Surrogate
from engine.surrogates.arrays import Floats, Ints
from engine.surrogates.blend import BlendForm
from engine.surrogates.gaussian_process import NEVER, GaussianProcessForm
from engine.surrogates.kinds import KINDS, Form
from engine.surrogates.linear import LinearForm
from engine.surrogates.params import OnStep
from engine.surrogates.trees import LEAF, TreeEnsemble

CHUNK = 1 << 20
"""Pairs of row and tree that are routed at once."""

READABLE = (TreeEnsemble, LinearForm, GaussianProcessForm, BlendForm)
"""Forms that say what their inputs are worth; a blend does if its members do."""


class ImportanceUnavailable(EngineError):  # noqa: N818
    """The model holds no numbers that say what its inputs are worth."""

    code = "importance.unavailable"
    title = "The importance of inputs cannot be read from a model of this kind."


def check_readable(kind: str) -> None:
    """Refuse a kind whose models do not say what their inputs are worth, before there is a model.

    What a kind that chooses has chosen is known only then: ``model_importance`` may still refuse a model of it.

    Raises:
        ImportanceUnavailable: no model of this kind can be read.
    """
    if kind not in KINDS or not issubclass(KINDS[kind].form, READABLE):
        raise _unavailable(kind)


def model_importance(
    surrogate: Surrogate, X: Any, *, correlated: float = CORRELATED, on_step: OnStep | None = None
) -> Importance:
    """Return the share of each input in what the model does.

    Args:
        surrogate: of a kind that can be read: linear, tree ensembles, Gaussian process, and blends of these.
        X: rows, shape (n, d), n >= 2, finite: those it was trained on. Trees are asked which way the rows go; of the
            others only the inputs that move together are found by them.
        correlated: rank correlation from which inputs count as moving together.
        on_step: called while rows go down the trees, with the share of the work that is done; what it raises ends it.

    Raises:
        ImportanceUnavailable: the kind cannot be read; ``permutation_importance`` takes any model.
        ShapeError, NotFinite: X does not fit the model.
    """
    X = surrogate.checked(X)
    if len(X) < 2:
        raise ShapeError(f"X has shape {X.shape}: at least 2 rows are needed")
    encoding = surrogate.encoding
    method, unit, V = _read(surrogate.form, surrogate.kind, encoding.encoded(X) if encoding else X, on_step)
    if encoding:  # an input is worth what its columns are worth together
        V, X = encoding.summed(V), encoding.filled(X)
    answer: dict[str, Any] = ranked(V, surrogate.outputs)
    categories = encoding.categories if encoding else None
    groups = correlated_groups(X, surrogate.inputs, at_least=correlated, categories=categories)
    return Importance(
        method=method,
        unit=unit,
        inputs=surrogate.inputs,
        groups=groups,
        notes=shared_notes(groups, surrogate.inputs, answer["overall"]),
        **answer,
    )


def _read(form: Form, kind: str, X: Floats, on_step: OnStep | None) -> tuple[str, str, Floats]:
    """Return the method, what a value says, and the shares of the inputs, (d, m)."""
    if isinstance(form, TreeEnsemble):
        unit = "share of the variance that the splits on the input explain"
        return "variance_reduction", unit, _shares(split_gains(form, X, on_step))
    if isinstance(form, LinearForm):  # coefficients are per standard deviation of the input already
        return "standardized_coefficients", "share of the standardized coefficients", _shares(np.abs(form.coefficients))
    if isinstance(form, GaussianProcessForm):
        reach = np.where(form.lengths >= NEVER, np.inf, form.lengths)
        return "inverse_length_scales", "share of the inverse length scales", _shares(1 / reach.T)
    if isinstance(form, BlendForm):
        used = [(member, w) for member, w in zip(form.members, form.weights, strict=True) if w.any()]
        V = np.zeros((X.shape[1], form.weights.shape[1]))
        for i, (member, w) in enumerate(used):
            V += w * _read(member.form, member.kind, X, part(on_step, i, len(used)))[2]
        return "blended_shares", "mean share in the members of the blend, by their weights", V
    raise _unavailable(kind)


def _unavailable(kind: str) -> ImportanceUnavailable:
    return ImportanceUnavailable(
        f"a model of kind {kind!r} does not say what its inputs are worth; ask by permutation",
        kind=kind,
        instead="permutation",
    )


def _shares(V: Floats) -> Floats:
    total = V.sum(axis=0)
    return V / np.where(total == 0, 1.0, total)


def split_gains(trees: TreeEnsemble, X: Floats, on_step: OnStep | None = None) -> Floats:
    """Return v of the columns of X in the trees, not yet shares, shape (d, m)."""
    count, total = _reached(trees, X, on_step)
    split = np.flatnonzero(trees.feature != LEAF)
    left, right = trees.left[split], trees.right[split]
    is_used = (count[left] > 0) & (count[right] > 0)
    split, left, right = split[is_used], left[is_used], right[is_used]
    step = total[left] / count[left, None] - total[right] / count[right, None]
    gain = (count[left] * count[right] / count[split])[:, None] * step**2 / len(X)
    V = np.zeros((X.shape[1], len(trees.base)))
    np.add.at(V, trees.feature[split], gain)
    return V


def _reached(trees: TreeEnsemble, X: Floats, on_step: OnStep | None) -> tuple[Floats, Floats]:
    """Return how many rows reach each node, (n_nodes,), and the sum of what they get from it, (n_nodes, m)."""
    count = np.zeros(len(trees.feature))
    rows_at_once = max(1, CHUNK // len(trees.root))
    for start in range(0, len(X), rows_at_once):
        leaf = trees.leaves(X[start : start + rows_at_once])
        count += np.bincount(leaf.ravel(), minlength=len(count))
        if on_step:
            on_step(min(1.0, (start + rows_at_once) / len(X)))
    total = count[:, None] * trees.value  # value is 0 elsewhere than at leaves
    for level in reversed(levels(trees)):  # children lie one level below: they are complete before their parents
        for child in (trees.left[level], trees.right[level]):
            count[level] += count[child]
            total[level] += total[child]
    return count, total


def levels(trees: TreeEnsemble) -> list[Ints]:
    """Return the splits of all trees by their distance from the root, roots first."""
    found, nodes = [], trees.root[trees.feature[trees.root] != LEAF].astype(np.int64)
    while len(nodes):
        found.append(nodes)
        children = np.concatenate([trees.left[nodes], trees.right[nodes]])
        nodes = children[trees.feature[children] != LEAF].astype(np.int64)
    return found

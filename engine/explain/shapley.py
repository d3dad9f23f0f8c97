"""Contributions: what each input adds to a prediction, so that together they add up to it.

Notation:
    x: the point that is explained, shape (d,).    b: a row of the background, shape (d,), of n_b rows.
    S: a set of inputs.    v(S): mean over b of f(inputs in S as in x, all others as in b), shape (m,).
    phi_j: contribution of input j, its Shapley value in the game v, shape (m,), in the units of the outputs.

    base + sum of phi_j = f(x), where base = v({}) = mean over b of f(b)

The background says against what: "200 MW adds 3 to the mean of the last month". It decides what a contribution means,
so it should be rows like those that the question is about. With a single row as background it is the way from that
row to x: ``explain_change``.

    method       how                                                                              is exact
    "linear"     phi_j = coefficient x (x_j - mean of b_j)                                        yes
    "trees"      every way of mixing x and b is followed down every tree at once (``mixtures``)   yes
    "members"    weighted sum over the members of a blend, each as above                          yes
    "subsets"    v of every S, for up to ten inputs that differ from the background               yes
    "orders"     inputs set one after the other in random orders, each with its reverse           no, but adds up

Inputs that are the same in x and in all of the background add nothing and are not counted.

Mixing x with b makes rows that were perhaps never measured. Where inputs move together, as they do in a plant, the
contributions of the model on such rows are part of the answer: read those of a correlated group as one.

Sources:
    Shapley (1953), Contributions to the Theory of Games II, 307-317; Lundberg and Lee (2017), NIPS 30.
    Janzing, Minorics and Bloebaum (2020), AISTATS, PMLR 108, 2907-2916: setting inputs, not conditioning on them.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from engine.attribution import attribute
from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ShapeError
from engine.evaluator import Model
from engine.explain.asking import CHUNK, predicted, sampled
from engine.explain.mixtures import tree_contributions
from engine.progress import part
from engine.surrogates import Surrogate
from engine.surrogates.arrays import Bools, Floats, Ints, matrix
from engine.surrogates.blend import BlendForm
from engine.surrogates.linear import LinearForm
from engine.surrogates.params import OnStep
from engine.surrogates.trees import TreeEnsemble


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each input adds to each of n predictions.

    Attributes:
        inputs, outputs: the d inputs and m outputs.
        X: the points, shape (n, d).
        predictions: f(x), shape (n, m); base + the sum of the contributions, up to rounding.
        base: mean prediction over the background, shape (m,).
        values: phi, shape (n, d, m), in the units of the outputs.
        errors: standard errors of the contributions, shape (n, d, m); 0 where they are exact.
        methods: how each point was computed, n of the words above.
        background: the rows that were compared with, shape (n_b, d).
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    X: Floats = field(repr=False)
    predictions: Floats = field(repr=False)
    base: Floats
    values: Floats = field(repr=False)
    errors: Floats = field(repr=False)
    methods: tuple[str, ...]
    background: Floats = field(repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether no contribution is an estimate."""
        return "orders" not in self.methods

    @property
    def mean_size(self) -> Floats:
        """Mean of |phi| over the points, (d, m), in the units of the outputs: how far each input moves predictions."""
        return np.asarray(np.abs(self.values).mean(axis=0))

    def to_json(self) -> dict[str, Any]:
        """Return each point with what every input adds, the largest first, each output judged on its own scale."""
        return {
            "outputs": list(self.outputs),
            "base": self.base.tolist(),
            "n_background": len(self.background),
            "is_exact": self.is_exact,
            "points": [self._point(i) for i in range(len(self.X))],
        }

    def _point(self, i: int) -> dict[str, Any]:
        size = np.abs(self.values[i]) / np.where(self._scale == 0, 1.0, self._scale)
        order = np.argsort(-size.max(axis=1), kind="stable").tolist()
        return {
            "prediction": self.predictions[i].tolist(),
            "method": self.methods[i],
            "inputs": [
                {"input": self.inputs[j], "value": float(self.X[i, j]), "adds": self.values[i, j].tolist()}
                | ({} if self.methods[i] != "orders" else {"error": self.errors[i, j].tolist()})
                for j in order
            ],
        }

    @property
    def _scale(self) -> Floats:
        return np.asarray(np.abs(self.values).max(axis=(0, 1), initial=0.0))


def contributions(
    model: Model,
    X: Any,
    background: Any,
    *,
    n_background: int = 100,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Contributions:
    """Return what each input adds to the predictions at X, compared with a background.

    For two points in X, such as the operating point of now and an optimum, the difference of their contributions tells
    how these change; ``explain_change`` tells what the changes themselves add.

    Args:
        model: predicts outputs from inputs.
        X: the points, shape (n, d), finite.
        background: rows to compare with, shape (q, d), q >= 1, finite.
        n_background: how many of them are used, drawn at random; all if there are fewer. The time grows with it.
        seed: of that draw, and of the orders where they are drawn.
        on_step: called with the share of the work that is done; what it raises ends the work.

    Raises:
        ShapeError, NotFinite: X or background is not a matrix of finite numbers with a column for each input.
        ParameterError: n_background or seed is not such a whole number.
    """
    X, rows = matrix("X", X, model.inputs), matrix("background", background, model.inputs)
    if len(rows) == 0:
        raise ShapeError(f"background has shape {rows.shape}: at least 1 row is needed")
    seed = whole_number("seed", seed, 0, LARGEST_SEED)
    B = rows[sampled(len(rows), whole_number("n_background", n_background, 1), seed)]
    values, errors, methods = _values(model, X, B, seed, on_step)
    return Contributions(
        inputs=tuple(model.inputs),
        outputs=tuple(model.outputs),
        X=X,
        predictions=predicted(model, X) if len(X) else np.empty((0, len(model.outputs))),
        base=predicted(model, B).mean(axis=0),
        values=values,
        errors=errors,
        methods=methods,
        background=B,
    )


def explain_change(model: Model, before: Any, after: Any, *, seed: int = 0) -> Contributions:
    """Return what each changed input adds on the way from one point to another, each of shape (d,).

    ``base`` is the prediction before, ``predictions[0]`` the one after, and ``values[0]`` adds up to their difference:
    the gain of each input averaged over the orders in which the changes could be made. Inputs that stay add 0.

    Raises:
        ShapeError, NotFinite, ParameterError: as for ``contributions``.
    """
    return contributions(model, [after], [before], seed=seed)


def _values(
    model: Model, X: Floats, B: Floats, seed: int, on_step: OnStep | None
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return phi and its standard errors, (n, d, m), and the method of each point."""
    values, errors = np.zeros((2, len(X), len(model.inputs), len(model.outputs)))
    form, methods = _plain_form(model), []
    for i, x in enumerate(X):
        telling = part(on_step, i, len(X))
        if closed := _closed_form(form, X[i : i + 1], B):
            values[i], method = closed[0][0], closed[1]
            telling(1.0)
        else:
            players = np.flatnonzero((x != B).any(axis=0))
            asked = partial(_mixed, model, x, B, players, telling)
            shares = attribute(asked, len(players), seed=seed)
            values[i, players], errors[i, players] = shares.shares, shares.errors
            method = "subsets" if shares.is_exact else "orders"
        methods.append(method)
    return values, errors, tuple(methods)


def _closed_form(form: Any, X: Floats, B: Floats) -> tuple[Floats, str] | None:
    """Return phi, (n, d, m), and the method, for forms that have one without asking for mixed rows."""
    if isinstance(form, LinearForm):
        return ((X - B.mean(axis=0)) / form.scaling.scale)[:, :, None] * form.coefficients, "linear"
    if isinstance(form, TreeEnsemble):
        return tree_contributions(form, X, B), "trees"
    if isinstance(form, BlendForm):
        return _blended(form, X, B)
    return None


def _blended(form: BlendForm, X: Floats, B: Floats) -> tuple[Floats, str] | None:
    """Return the weighted contributions of the members, if each has a closed form; that of a logarithm has none."""
    total = np.zeros((len(X), X.shape[1], form.weights.shape[1]))
    for member, weight in zip(form.members, form.weights, strict=True):
        if not weight.any():
            continue
        found = None if (member.is_log & (weight > 0)).any() else _closed_form(member.form, X, B)
        if found is None:
            return None
        total += weight * found[0]
    return total, "members"


def _plain_form(model: Model) -> Any:
    """Return the arrays of a surrogate whose columns are its inputs; None for any other model."""
    if isinstance(model, Surrogate) and getattr(model, "encoding", None) is None:
        return model.form
    return None


def _mixed(model: Model, x: Floats, B: Floats, players: Ints, on_step: OnStep, masks: Bools) -> Floats:
    """Return v of each set, (sets, m): masks, (sets, players), say which of the players are as in x."""
    at_once = max(1, CHUNK // len(B))
    v = []
    for start in range(0, len(masks), at_once):
        sets = masks[start : start + at_once]
        rows = np.tile(B, (len(sets), 1))
        rows[:, players] = np.where(np.repeat(sets, len(B), axis=0), x[players], rows[:, players])
        v.append(predicted(model, rows).reshape(len(sets), len(B), -1).mean(axis=1))
        on_step(min(1.0, (start + at_once) / len(masks)))
    return np.concatenate(v)

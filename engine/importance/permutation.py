"""Permutation importance: what a model loses on rows it has not seen when an input is shuffled among them.

Notation:
    X, Y: held-out rows, (n, d) and (n, m).    X^j: X with column j shuffled.    s_k^2: variance of output k in Y.
    r_ijk: ((Y_ik - f_k(X^j_i))^2 - (Y_ik - f_k(X_i))^2) / s_k^2, mean over the repeats: what row i says.
    v_jk: mean of r_ijk over the rows: by how much R2 of output k falls. 0 for an input that the model does not use;
        below 0 where chance made shuffled values the better ones.

How sure the values and ranks are is found by drawing the rows again, with replacement: not single rows, since
neighboring rows of a plant resemble each other and would count as more evidence than they are, but runs of n^(1/3)
consecutive rows, or the clusters that are given.

Inputs that move together are also shuffled together. Alone, each can be replaced by the others in the model's eyes; and
a shuffled column beside its unshuffled companion makes rows that no plant ever saw.

Sources:
    Breiman (2001), Machine Learning 45, 5-32; Fisher, Rudin and Dominici (2019), J. Machine Learning Research 20, 177.
    Hall, Horowitz and Jing (1995), Biometrika 82, 561-574: the length of the runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ParameterError, ShapeError, TrainingError
from engine.evaluator import Model
from engine.folds import Fold, nested
from engine.honest import Note
from engine.importance.ranking import (
    CORRELATED,
    Importance,
    Ranks,
    correlated_groups,
    ranked,
    shared_notes,
)
from engine.progress import part
from engine.surrogates import fit
from engine.surrogates.arrays import Floats, Ints, matrix
from engine.surrogates.encoding import Categories, may_miss, with_gaps
from engine.surrogates.params import OnStep

CHUNK = 100_000
"""Rows that the model is asked for at once."""

NO_SKILL = 0.05
"""Below this R2 on held-out rows, what a model makes of its inputs is chance."""


def permutation_importance(
    model: Model,
    X: Any,
    Y: Any,
    *,
    n_repeats: int = 10,
    n_draws: int = 1000,
    level: float = 0.9,
    clusters: Any = None,
    correlated: float = CORRELATED,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Importance:
    """Return by how much R2 falls when an input is shuffled, with intervals of values and ranks.

    Args:
        model: predicts Y from X. It should not have seen these rows: on rows it was trained on, what it learned by
            heart looks important.
        X, Y: rows in the order of time if they have one, (n, d) and (n, m), n >= 2, finite.
        n_repeats: shuffles of each input.
        n_draws: how often the rows are drawn again for the intervals.
        level: share of the draws that an interval holds.
        clusters: labels of rows that are drawn together (days, campaigns), shape (n,); default: runs of neighbors.
        correlated: rank correlation from which inputs are also shuffled together.
        seed: of the shuffles and draws.
        on_step: called with the share of the work that is done; what it raises ends the work.

    Raises:
        ShapeError, NotFinite: the arrays do not fit the model or each other.
        ParameterError: a number is out of its range.
    """
    X, Y = rows_of(X, Y, model.inputs, model.outputs)
    study = _Study(X, Y, tuple(model.inputs), tuple(model.outputs), n_repeats, correlated, seed)
    study.add(model, np.arange(len(X)), on_step)
    return study.importance(n_draws, level, clusters)


def held_out_importance(
    kind: str,
    X: Any,
    Y: Any,
    folds: Sequence[Fold],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = None,
    n_repeats: int = 10,
    n_draws: int = 1000,
    level: float = 0.9,
    clusters: Any = None,
    correlated: float = CORRELATED,
    seed: int = 0,
    n_jobs: int = 1,
    on_step: OnStep | None = None,
    categories: Categories | None = None,
    missing: str = "refuse",
) -> Importance:
    """Return the permutation importance of a kind of model: for each fold, of a model of the other rows.

    Every row counts once, by a model that has not seen it; a fold is shuffled within itself. The spread of the models
    between folds is thereby part of the intervals.

    Args:
        kind, X, Y, inputs, outputs, params, seed, n_jobs, categories, missing: as ``surrogates.fit`` takes them.
        folds: rows to train on and rows to test on, as ``engine.folds`` gives them.
        n_repeats, n_draws, level, clusters, correlated: as for ``permutation_importance``.
        on_step: called with the share of the work that is done, also within a training; what it raises ends the work.

    What a kind that chooses ("auto") has chosen is chosen anew for each fold, by the other folds.

    Raises:
        ShapeError, NotFinite, ParameterError, TrainingError: as for ``fit`` and ``permutation_importance``.
    """
    inputs, outputs = tuple(inputs), tuple(outputs)
    X, Y = rows_of(X, Y, inputs, outputs, has_gaps=may_miss(missing))
    if not len(folds):
        raise TrainingError("there are no folds to hold rows out by")
    study = _Study(X, Y, inputs, outputs, n_repeats, correlated, seed, categories)
    names: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "params": params, "seed": seed, "n_jobs": n_jobs}
    names |= {"categories": categories, "missing": missing}
    for i, (train, test) in enumerate(folds):
        learning, asking = (part(on_step, 2 * i + half, 2 * len(folds)) for half in (0, 1))
        model = fit(kind, X[train], Y[train], folds=nested(folds, i) or None, on_step=learning, **names)
        study.add(model, test, asking)
    return study.importance(n_draws, level, clusters)


def increases(
    model: Model,
    X: Floats,
    Y: Floats,
    columns: Sequence[int],
    n_repeats: int,
    seed: Any,
    on_step: OnStep | None = None,
) -> Floats:
    """Return by how much the squared error of each row grows with these columns shuffled together, (n, m).

    The mean over the repeats. Columns that are shuffled together keep their rows. ``on_step`` is called with the share
    of the repeats that is done.
    """
    rng = np.random.default_rng(seed)
    n, before = len(X), (Y - model.predict(X)) ** 2
    total = np.zeros_like(Y)
    at_once = max(1, CHUNK // n)
    for start in range(0, n_repeats, at_once):
        orders = np.stack([rng.permutation(n) for _ in range(min(at_once, n_repeats - start))])
        shuffled = np.tile(X, (len(orders), 1))
        shuffled[:, columns] = X[orders.ravel()][:, columns]
        errors = (np.tile(Y, (len(orders), 1)) - model.predict(shuffled)) ** 2
        total += (errors.reshape(len(orders), n, -1) - before).sum(axis=0)  # an input without effect adds 0, exactly
        if on_step:
            on_step(min(1.0, (start + at_once) / n_repeats))
    return total / n_repeats


class _Study:
    """The rows of all folds, and what each of them says about each input and group."""

    def __init__(
        self,
        X: Floats,
        Y: Floats,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        n_repeats: int,
        correlated: float,
        seed: int,
        categories: Categories | None = None,
    ) -> None:
        self.X, self.Y, self.inputs, self.outputs = X, Y, inputs, outputs
        self.n_repeats = whole_number("n_repeats", n_repeats, 1, 10_000)
        self.seed = whole_number("seed", seed, 0, LARGEST_SEED)
        self.groups = correlated_groups(X, inputs, at_least=correlated, categories=categories)
        place = {tag: j for j, tag in enumerate(inputs)}
        self.columns = [[j] for j in range(len(inputs))] + [[place[t] for t in g.tags] for g in self.groups]
        self.increases = np.zeros((len(X), len(self.columns), len(outputs)))
        self.errors = np.zeros_like(Y)
        self.is_seen = np.zeros(len(X), dtype=np.bool_)

    def add(self, model: Model, rows: Ints, on_step: OnStep | None = None) -> None:
        """Take in what held-out rows say of a model."""
        if not len(rows) or self.is_seen[rows].any():
            raise TrainingError("every fold must hold rows out, and none that another one does")
        X, Y = self.X[rows], self.Y[rows]
        for place, columns in enumerate(self.columns):
            seed = [self.seed, int(rows[0]), *columns]
            shuffling = part(on_step, place, len(self.columns))
            self.increases[rows, place] = increases(model, X, Y, columns, self.n_repeats, seed, shuffling)
        self.errors[rows] = (Y - model.predict(X)) ** 2
        self.is_seen[rows] = True

    def importance(self, n_draws: int, level: float, clusters: Any) -> Importance:
        """Return the answer over all rows that were taken in."""
        n_draws = whole_number("n_draws", n_draws, 1, 1_000_000)
        if not 0 < level < 1:
            raise ParameterError(f"level must lie between 0 and 1, not {level!r}", parameter="level")
        label = _clusters(clusters, len(self.X))[self.is_seen]
        variance = self.Y[self.is_seen].var(axis=0)
        says = self.increases[self.is_seen] / np.where(variance == 0, 1.0, variance)
        V, d = says.mean(axis=0), len(self.inputs)
        draws = _drawn_means(says[:, :d], label, n_draws, np.random.default_rng([self.seed, 1]))
        groups = tuple(replace(group, together=self._together(V[d + i])) for i, group in enumerate(self.groups))
        answer: dict[str, Any] = ranked(V[:d], self.outputs, draws, level)
        overall: Ranks = answer["overall"]
        notes = (*self._skill_notes(variance), *shared_notes(groups, self.inputs, overall))
        return Importance(
            method="permutation",
            unit="fall of R2 on held-out rows when the input is shuffled",
            inputs=self.inputs,
            groups=groups,
            notes=notes,
            level=level,
            **answer,
        )

    def _together(self, v: Floats) -> dict[str, float]:
        return {"": float(v.mean()), **dict(zip(self.outputs, v.tolist(), strict=True))}

    def _skill_notes(self, variance: Floats) -> list[Note]:
        notes = []
        for output, error, spread in zip(
            self.outputs, self.errors[self.is_seen].mean(axis=0), variance.tolist(), strict=True
        ):
            r2 = 1 - error / spread if spread > 0 else 0.0
            if r2 < NO_SKILL:
                message = (
                    f"The model does not predict {output!r} on these rows (R2 {r2:.2f}): what it makes of its inputs"
                    " says nothing about this output."
                )
                notes.append(Note("importance.no_skill", message, {"output": output, "r2": float(r2)}))
        return notes


def rows_of(
    X: Any, Y: Any, inputs: Sequence[str], outputs: Sequence[str], *, has_gaps: bool = False
) -> tuple[Floats, Floats]:
    """Return X and Y as matrices of the same rows, at least two."""
    X, Y = (with_gaps if has_gaps else matrix)("X", X, inputs), matrix("Y", Y, outputs)
    if len(X) != len(Y) or len(X) < 2:
        raise ShapeError(f"X has shape {X.shape} and Y {Y.shape}: both need the same rows, at least 2")
    return X, Y


def _clusters(labels: Any, n: int) -> Ints:
    """Return the cluster of each row as a number, shape (n,)."""
    if labels is None:
        return np.arange(n) // int(np.ceil(n ** (1 / 3)))
    given = np.asarray(labels)
    if given.shape != (n,):
        raise ShapeError(f"clusters has shape {given.shape} but ({n},) is needed: one label for each row")
    return np.asarray(np.unique(given, return_inverse=True)[1], dtype=np.int64)


def _drawn_means(says: Floats, label: Ints, n_draws: int, rng: np.random.Generator) -> Floats:
    """Return the mean over rows of each draw of whole clusters, shape (n_draws, d, m)."""
    _, label, sizes = np.unique(label, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), says[0].size))
    np.add.at(sums, label, says.reshape(len(says), -1))
    times = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=n_draws)  # (n_draws, clusters)
    return np.asarray((times @ sums / (times @ sizes)[:, None]).reshape(n_draws, *says.shape[1:]))

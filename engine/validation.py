"""Validation: how well a surrogate predicts rows that it has not seen.

Rows are held out in folds (``engine.folds``): each row once, predicted by a model trained on the rows of the other
folds. Which rows are held out together decides what the score means; ``engine.honest`` says in words what a score
of rows held out at random hides.

Notation:
    X, Y: inputs (n, d) and outputs (n, m), in the units of the tags.    k: folds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import floats
from engine.errors import ShapeError, TrainingError
from engine.folds import MOST_FOLDS, SCHEMES, Fold, Validation, folds, honest_scheme, nested, split_at
from engine.surrogates import Surrogate, fit
from engine.surrogates.arrays import matrix
from engine.surrogates.encoding import Categories, may_miss, with_gaps
from engine.surrogates.fits import FitsDone

__all__ = [
    "MOST_FOLDS",
    "SCHEMES",
    "CrossValidation",
    "Fold",
    "Scores",
    "Validation",
    "cross_validate",
    "folds",
    "honest_scheme",
    "nested",
    "of_choice",
    "score",
    "split_at",
]

Scores = dict[str, dict[str, float | None]]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What held-out predictions are worth.

    Attributes:
        scores: for each output {"r2", "rmse", "mae"} over all held-out rows together; see ``score``.
        per_fold: for each fold {"n_train", "n_test", "scores"}, the scores over its own rows.
        predictions: held-out predictions, shape (n, m); NaN in rows that no fold holds out.
        n_rows: number of rows that were held out.
        seconds: wall time.
        inputs, measured: X (n, d) and Y (n, m), of which the predictions are.
        fold: the fold that holds each row out, shape (n,); -1 where none does.
    """

    scores: Scores
    per_fold: list[dict[str, Any]]
    predictions: NDArray[np.float64] = field(repr=False)
    n_rows: int
    seconds: float
    inputs: NDArray[np.float64] = field(repr=False)
    measured: NDArray[np.float64] = field(repr=False)
    fold: NDArray[np.intp] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the scores, those per fold, the number of rows and the time as values that go to JSON."""
        names = ("scores", "per_fold", "n_rows", "seconds")
        return {name: getattr(self, name) for name in names}


def cross_validate(
    kind: str,
    X: Any,
    Y: Any,
    folds: Sequence[Fold],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    n_jobs: int = 1,
    inner: Sequence[Sequence[Fold]] | None = None,
    on_fold: Callable[[int, int], None] | None = None,
    on_step: Callable[[float], None] | None = None,
    categories: Categories | None = None,
    missing: str = "refuse",
    known: Mapping[int, Any] | None = None,
    on_predicted: Callable[[int, NDArray[np.float64]], None] | None = None,
    fits: Callable[[int], FitsDone] | None = None,
) -> CrossValidation:
    """Return how well surrogates of this kind predict the rows that each fold holds out.

    Args:
        kind, X, Y, inputs, outputs, params, seed, n_jobs, categories, missing: as ``surrogates.fit`` takes them, for
            every fold.
        folds: rows to train on and rows to test on, as ``folds`` gives them.
        inner: for a kind that chooses, the folds within the training rows of each fold, by which it does so; rows are
            counted in those rows. By default the other folds: what is chosen has not seen the rows that are tested,
            and is chosen for rows that are held out like them. With fewer than three folds, folds at random.
        on_fold: called after each fold as on_fold(folds done, folds in all); what it raises ends the work.
        on_step: called also within folds, with the share of all folds that is done; what it raises ends the work.
        known: fold -> its held-out predictions, shape (rows, m), from an earlier run of the same: not fitted again.
        on_predicted: called with the number of each fold that was fitted, and its held-out predictions: what another
            run may be given as ``known``.
        fits: for a kind that chooses, from the number of a fold to the fits of its search, as ``surrogates.fit`` takes
            them.

    Raises:
        ShapeError, NotFinite, ParameterError, TrainingError: as ``surrogates.fit``.
        TrainingError: there are no folds, a fold is not two lists of rows from 0 to n - 1, or a row is tested twice,
            or tested by a model trained on it.
    """
    started = perf_counter()
    X, Y = (with_gaps if may_miss(missing) else matrix)("X", X, inputs), matrix("Y", Y, outputs)
    if len(X) != len(Y):
        raise ShapeError(f"X has shape {X.shape} but Y has {Y.shape}: both need the same rows")
    held_out = _held_out(folds, len(X))
    if inner is not None and len(inner) != len(folds):
        raise TrainingError(f"there are inner folds for {len(inner)} folds, but {len(folds)} folds")

    def held_out_predictions(i: int) -> NDArray[np.float64]:
        train, test = folds[i]
        surrogate = fit(
            kind,
            X[train],
            Y[train],
            inputs=inputs,
            outputs=outputs,
            params=params,
            seed=seed,
            n_jobs=n_jobs,
            folds=(inner[i] if inner else nested(folds, i)) or None,
            on_step=on_step and _within(on_step, i, len(folds)),
            categories=categories,
            missing=missing,
            fits=fits(i) if fits else None,
        )
        return surrogate.predict(X[test])

    predictions, fold = np.full(Y.shape, np.nan), np.full(len(X), -1, dtype=np.intp)
    per_fold: list[dict[str, Any]] = []
    for i, (train, test) in enumerate(folds):
        if known and i in known:
            predictions[test] = floats("known", known[i]).reshape(len(test), Y.shape[1])
        else:
            predictions[test] = held_out_predictions(i)
            if on_predicted:
                on_predicted(i, predictions[test])
        fold[test] = i
        fold_scores = score(Y[test], predictions[test], outputs)
        per_fold.append({"n_train": len(train), "n_test": len(test), "scores": fold_scores})
        if on_fold:
            on_fold(i + 1, len(folds))
    return CrossValidation(
        scores=score(Y[held_out], predictions[held_out], outputs),
        per_fold=per_fold,
        predictions=predictions,
        n_rows=len(held_out),
        seconds=perf_counter() - started,
        inputs=X,
        measured=Y,
        fold=fold,
    )


def of_choice(surrogate: Surrogate, X: Any, Y: Any) -> CrossValidation:
    """Return what the rows were worth that a surrogate held out while it was chosen: a validation that costs no fit.

    It flatters a little, because the best of several was taken for doing well on these very rows; how well the way of
    choosing does is told by ``cross_validate``, which chooses anew within every fold. On a large table not every
    row was held out.

    Args:
        surrogate: of a kind that chooses, as ``fit`` has given it; a file does not keep held-out predictions.
        X, Y: the rows that it was fitted on.

    Raises:
        TrainingError: the surrogate has no held-out predictions.
        ShapeError: the rows are not those that it was fitted on.
    """
    P, fold = getattr(surrogate.form, "held_out", None), getattr(surrogate.form, "fold", None)
    if P is None or fold is None:
        raise TrainingError(f"this {surrogate.kind} model keeps no predictions of rows that were held out to choose it")
    X, Y = surrogate.checked(X), matrix("Y", Y, surrogate.outputs)
    if not len(X) == len(Y) == len(P):
        raise ShapeError(f"the model was fitted on {len(P)} rows, but X has shape {X.shape} and Y {Y.shape}")
    held_out = fold >= 0
    per_fold = [
        {
            "n_train": len(P) - int((fold == i).sum()),
            "n_test": int((fold == i).sum()),
            "scores": score(Y[fold == i], P[fold == i], surrogate.outputs),
        }
        for i in np.unique(fold[held_out])
    ]
    scores = score(Y[held_out], P[held_out], surrogate.outputs)
    return CrossValidation(scores, per_fold, P, int(held_out.sum()), 0.0, X, Y, fold)


def _within(on_step: Callable[[float], None], n_done: int, n_folds: int) -> Callable[[float], None]:
    """Return what a fit tells its progress to, so that ``on_step`` is told that of all folds."""
    return lambda share: on_step((n_done + share) / n_folds)


def score(measured: NDArray[np.float64], predicted: NDArray[np.float64], outputs: Sequence[str]) -> Scores:
    """Return r2, rmse and mae of each output.

    r2 = 1 - sum of squared errors / sum of squared deviations from the mean of the measured rows: 1 is
    perfect, 0 is no better than that mean, and below 0 is worse. rmse and mae are in the unit of the output.

    r2 is None where all measured values are the same: there is nothing to explain. A number that overflows, because
    a prediction is beyond every measurement, is None too.

    Args:
        measured, predicted: shape (n, m), n >= 1, in the units of the outputs.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        errors = predicted - measured
        squares = (errors**2).sum(axis=0)
        deviations = ((measured - measured.mean(axis=0)) ** 2).sum(axis=0)
        # Constant by the values: rounding would leave deviations above 0
        r2 = np.where(np.ptp(measured, axis=0) == 0, np.nan, 1 - squares / deviations)
        rmse, mae = np.sqrt(squares / len(errors)), np.abs(errors).mean(axis=0)
    return {
        tag: {"r2": _finite(r2[j]), "rmse": _finite(rmse[j]), "mae": _finite(mae[j])} for j, tag in enumerate(outputs)
    }


def _finite(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None


def _held_out(folds: Sequence[Fold], n_rows: int) -> NDArray[np.intp]:
    """Return the rows that are tested, ascending."""
    if not len(folds):
        raise TrainingError("there are no folds to validate with")
    for train, test in folds:
        for rows in (np.asarray(train), np.asarray(test)):
            # A row counted from the end, -1, would be another name of a row that the other list may hold
            if rows.ndim != 1 or (
                rows.size and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_rows)
            ):
                raise TrainingError(f"a fold must hold numbers of rows from 0 to {n_rows - 1}", n_rows=n_rows)
        if len(test) == 0:
            raise TrainingError("a fold tests no row")
        if len(np.intersect1d(train, test)):
            raise TrainingError("a fold tests a model on rows that it was trained on")
    rows, times = np.unique(np.concatenate([test for _, test in folds]), return_counts=True)
    if (times > 1).any():
        raise TrainingError("the folds test a row more than once", row=int(rows[np.argmax(times > 1)]))
    return rows

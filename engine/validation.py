"""Validation: how well a surrogate predicts rows that it has not seen.

Rows are held out in folds: each row once, predicted by a model trained on the rows of the other folds. Which
rows are held out together decides what the score means. Neighboring rows of a plant resemble each other, so
random folds tell how well a model interpolates between known hours; folds by group (a day, a campaign) or by
blocks of time tell how it does on hours that are new, which is what an optimization needs to know.

Notation:
    n: rows.    m: outputs.    k: folds.
    fold: the fold in which each row is held out, shape (n,), 0 to k - 1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ParameterError, ShapeError, TrainingError
from engine.surrogates import fit
from engine.surrogates.arrays import matrix

SCHEMES = ("random", "group", "time")
MOST_FOLDS = 100

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
Scores = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Validation:
    """How rows are held out.

    Attributes:
        scheme: "random" (rows shuffled), "group" (rows of one group stay together) or "time" (blocks of time).
        n_folds: number of folds, 2 to MOST_FOLDS.
        group: the tag whose values are the groups; given with scheme "group" and only then.

    Raises:
        ParameterError: one of them is not allowed; the message names it.
    """

    scheme: str
    n_folds: int = 5
    group: str | None = None

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            _refuse("scheme", self.scheme, f"one of {', '.join(SCHEMES)}")
        is_whole = isinstance(self.n_folds, int) and not isinstance(self.n_folds, bool)
        if not is_whole or not 2 <= self.n_folds <= MOST_FOLDS:
            _refuse("n_folds", self.n_folds, f"a whole number from 2 to {MOST_FOLDS}")
        if self.scheme == "group" and not (isinstance(self.group, str) and self.group):
            _refuse("group", self.group, 'the tag that holds the groups, since the scheme is "group"')
        if self.scheme != "group" and self.group is not None:
            _refuse("group", self.group, f'left out, since the scheme is "{self.scheme}"')

    def to_json(self) -> dict[str, Any]:
        """Return the validation as values that go to JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Validation":
        """Return the validation of these values; what is left out takes its default.

        Raises:
            ParameterError: a value is missing, unknown or not allowed.
        """
        if not isinstance(values, Mapping):
            raise ParameterError(f"a validation must be an object with named fields, not {values!r:.40}")
        known = ("scheme", "n_folds", "group")
        for name in values:
            if name not in known:
                _refuse(str(name), values[name], f"left out: a validation has {', '.join(known)}")
        return cls(values.get("scheme", ""), values.get("n_folds", 5), values.get("group"))


@dataclass(frozen=True)
class CrossValidation:
    """What held-out predictions are worth.

    Attributes:
        scores: for each output {"r2", "rmse", "mae"} over all held-out rows together; see ``score``.
        per_fold: for each fold {"n_train", "n_test", "scores"}, the scores over its own rows.
        predictions: held-out predictions, shape (n, m); NaN in rows that no fold holds out.
        n_rows: number of rows that were held out.
        seconds: wall time.
    """

    scores: Scores
    per_fold: list[dict[str, Any]]
    predictions: NDArray[np.float64] = field(repr=False)
    n_rows: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return everything but the predictions as values that go to JSON."""
        names = ("scores", "per_fold", "n_rows", "seconds")
        return {name: getattr(self, name) for name in names}


def folds(
    validation: Validation,
    n_rows: int,
    *,
    groups: Any = None,
    times: Any = None,
    seed: int = 0,
) -> list[Fold]:
    """Return for each fold the rows to train on and the rows to test on, both ascending.

    Every row is tested in exactly one fold. Folds of "random" differ by at most one row in size. Folds of
    "group" take the largest groups first, each into the fold that is smallest so far; groups of one size go
    in an order drawn from the seed. Folds of "time" are blocks of consecutive times, equal in size up to
    rows of equal time, which stay together; a model is trained on what came before its block and what came
    after.

    Args:
        validation: the scheme and the number of folds.
        n_rows: number of rows.
        groups: for "group", the group of each row, shape (n_rows,): numbers, text or times, none missing.
        times: for "time", the time of each row, shape (n_rows,): numbers or datetime64, none missing.
        seed: of the shuffles in "random" and "group"; "time" has no chance in it.

    Raises:
        TrainingError: there are fewer rows, groups or times than folds; groups or times are not given or
            missing in some rows.
        ParameterError: n_rows or seed is not such a whole number.
        ShapeError: groups or times do not have one value for each row.
    """
    n_rows = whole_number("n_rows", n_rows, 0)
    seed = whole_number("seed", seed, 0, LARGEST_SEED)
    if n_rows < validation.n_folds:
        raise TrainingError(
            f"{validation.n_folds} folds need at least as many rows, but there are {n_rows}",
            n_rows=n_rows,
            n_folds=validation.n_folds,
        )
    k = validation.n_folds
    if validation.scheme == "random":
        fold = _random(n_rows, k, seed)
    elif validation.scheme == "group":
        fold = _by_group(_labels("groups", groups, n_rows), k, seed, tag=validation.group)
    else:
        fold = _by_time(_labels("times", times, n_rows), k)
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


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
    on_fold: Callable[[int, int], None] | None = None,
    on_step: Callable[[float], None] | None = None,
) -> CrossValidation:
    """Return how well surrogates of this kind predict the rows that each fold holds out.

    Args:
        kind, X, Y, inputs, outputs, params, seed, n_jobs: as ``surrogates.fit`` takes them, for every fold.
        folds: rows to train on and rows to test on, as ``folds`` gives them.
        on_fold: called after each fold as on_fold(folds done, folds in all); what it raises ends the work.
        on_step: called also within folds, with the share of all folds that is done; what it raises ends the work.

    Raises:
        ShapeError, NotFinite, ParameterError, TrainingError: as ``surrogates.fit``.
        TrainingError: there are no folds, a fold is not two lists of rows from 0 to n - 1, or a row is tested twice,
            or tested by a model trained on it.
    """
    started = perf_counter()
    X, Y = matrix("X", X, inputs), matrix("Y", Y, outputs)
    if len(X) != len(Y):
        raise ShapeError(f"X has shape {X.shape} but Y has {Y.shape}: both need the same rows")
    held_out = _held_out(folds, len(X))

    predictions = np.full(Y.shape, np.nan)
    per_fold = []
    for done, (train, test) in enumerate(folds, start=1):
        surrogate = fit(
            kind,
            X[train],
            Y[train],
            inputs=inputs,
            outputs=outputs,
            params=params,
            seed=seed,
            n_jobs=n_jobs,
            on_step=on_step and _within(on_step, done - 1, len(folds)),
        )
        predictions[test] = surrogate.predict(X[test])
        fold_scores = score(Y[test], predictions[test], outputs)
        per_fold.append({"n_train": len(train), "n_test": len(test), "scores": fold_scores})
        if on_fold:
            on_fold(done, len(folds))
    return CrossValidation(
        scores=score(Y[held_out], predictions[held_out], outputs),
        per_fold=per_fold,
        predictions=predictions,
        n_rows=len(held_out),
        seconds=perf_counter() - started,
    )


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


def _random(n: int, k: int, seed: int) -> NDArray[np.intp]:
    fold = np.empty(n, dtype=np.intp)
    fold[np.random.default_rng(seed).permutation(n)] = np.arange(n) % k
    return fold


def _by_group(groups: NDArray[Any], k: int, seed: int, *, tag: str | None) -> NDArray[np.intp]:
    names, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < k:
        raise TrainingError(
            f"{k} folds need at least as many groups, but {tag!r} has {len(names)} different values",
            group=tag,
            n_groups=len(names),
            n_folds=k,
        )
    drawn = np.random.default_rng(seed).permutation(len(names))
    fold_of = np.empty(len(names), dtype=np.intp)
    filled = np.zeros(k, dtype=np.int64)
    for g in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        fold_of[g] = np.argmin(filled)
        filled[fold_of[g]] += sizes[g]
    return fold_of[group]


def _by_time(times: NDArray[Any], k: int) -> NDArray[np.intp]:
    if times.dtype.kind not in "iufM":  # text would be put in the order of its letters
        raise TrainingError(f"times must be numbers or datetime64, not {times.dtype}", argument="times")
    n = len(times)
    place = np.searchsorted(np.sort(times), times, side="left")  # equal times share the place of their first
    fold = place * k // n
    if len(np.unique(fold)) < k:
        n_times = len(np.unique(times))
        raise TrainingError(
            f"{n} rows cannot form {k} blocks of time: too many share a time (different times: {n_times})",
            n_times=n_times,
            n_folds=k,
        )
    return fold


def _labels(name: str, values: Any, n_rows: int) -> NDArray[Any]:
    """Return groups or times as an array that can be sorted and has no gaps."""
    if values is None:
        raise TrainingError(f"this validation needs {name}: one value for each row", argument=name)
    labels = np.asarray(values)
    if labels.shape != (n_rows,):
        raise ShapeError(f"{name} has shape {labels.shape} but ({n_rows},) is needed: one value for each row")
    if labels.dtype.kind in "mM":
        missing = np.isnat(labels)
    else:
        missing = np.array([value is None or value != value for value in labels.tolist()])  # NaN is not NaN
    if missing.any():
        row = int(np.argmax(missing))
        raise TrainingError(
            f"{name} are missing in {missing.sum()} of {n_rows} rows, first in row {row}",
            argument=name,
            row=row,
            n_missing=int(missing.sum()),
        )
    if labels.dtype == object and len({type(value) for value in labels.tolist()}) > 1:
        raise TrainingError(f"{name} mix values of different types, such as numbers and text", argument=name)
    return labels


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


def _refuse(name: str, given: object, allowed: str) -> None:
    raise ParameterError(f"{name} of a validation must be {allowed}, not {given!r}", parameter=name)

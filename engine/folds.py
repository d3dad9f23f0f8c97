"""Folds: which rows are held out together, so that a model is asked about rows that it has not seen.

Neighboring rows of a plant resemble each other: an hour is like the hour before it. Rows held out at random
therefore lie between rows that the model has seen, and their score tells how well it interpolates between known
hours. Rows held out by group (a day, a campaign) or by blocks of time tell how it does on hours that are new, which is
what an optimization needs to know.

Notation:
    n: rows.    k: folds.
    fold: the fold in which each row is held out, shape (n,), 0 to k - 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ParameterError, ShapeError, TrainingError

SCHEMES = ("random", "group", "time")
MOST_FOLDS = 100

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to train on, and rows to test on."""


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


def honest_scheme(*, times: Any = None, groups: Any = None, group: str | None = None, n_folds: int = 5) -> Validation:
    """Return how to hold rows out by default: at random only where the table knows nothing better.

    A group comes first, since somebody named it: with fewer groups than folds there are as many folds as groups. Time
    comes next, in blocks. One group alone, or one time, holds nothing apart.

    Args:
        times: the time of each row, shape (n,), or None.
        groups: the group of each row, shape (n,), or None; its tag is ``group``.
        n_folds: the number of folds wanted.

    Raises:
        ParameterError: n_folds is not allowed, or groups are given without their tag.
    """
    n_groups, n_times = _n_different(groups), _n_different(times)
    if n_groups >= 2:
        return Validation("group", min(n_folds, n_groups), group)
    if n_times >= 2:
        return Validation("time", min(n_folds, n_times))
    return Validation("random", n_folds)


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


def split_at(times: Any, cut: Any) -> Fold:
    """Return the rows before ``cut`` to train on, and those from ``cut`` on to test on: the past and the future.

    Args:
        times: the time of each row, shape (n,): numbers or datetime64, none missing.
        cut: a time of the same kind.

    Raises:
        TrainingError: times are missing or no times, or all rows lie on one side of the cut.
        ShapeError: times are not a list.
    """
    known = np.asarray(times)
    labels = _ordered(_labels("times", known, known.size))
    before = labels < np.asarray(cut, dtype=labels.dtype if labels.dtype.kind == "M" else None)
    if before.all() or not before.any():
        side = "before" if before.all() else "after"
        raise TrainingError(f"all {len(labels)} rows lie {side} {cut}: there is nothing to compare with", cut=str(cut))
    return np.flatnonzero(before), np.flatnonzero(~before)


def nested(folds: Sequence[Fold], i: int) -> list[Fold]:
    """Return the folds that fold ``i``'s own training rows fall into: the other folds, without the rows it tests.

    What is chosen within a training fold is chosen by these. Rows that the folds keep together, or apart, stay so,
    whatever the reason was: groups, blocks of time, windows that share a measurement.
    """
    rows = folds[i][0]
    inner = [
        (np.intersect1d(rows, train), np.intersect1d(rows, test)) for j, (train, test) in enumerate(folds) if j != i
    ]
    place = np.full(int(rows.max()) + 1, -1) if len(rows) else np.empty(0, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    return [(place[train], place[test]) for train, test in inner if len(train) and len(test)]


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
    n = len(_ordered(times))
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


def _ordered(times: NDArray[Any]) -> NDArray[Any]:
    if times.dtype.kind not in "iufM":  # text would be put in the order of its letters
        raise TrainingError(f"times must be numbers or datetime64, not {times.dtype}", argument="times")
    return times


def _n_different(labels: Any) -> int:
    return 0 if labels is None else len(set(np.asarray(labels).tolist()))


def _refuse(name: str, given: object, allowed: str) -> None:
    raise ParameterError(f"{name} of a validation must be {allowed}, not {given!r}", parameter=name)

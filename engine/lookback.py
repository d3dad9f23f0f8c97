"""Time-aware inputs: what a module sees of an input's past, and how far its outputs lie ahead.

Notation
    rows    in the order of time, one step apart; i is a row                X   inputs, (n, d), units of the tags
    lag k   the value k rows before: X[i - k]; 0 is the row itself          F   features, (n, p)
    window w   the mean over w rows up to the row itself: X[i - w + 1 .. i]
    h       horizon: the outputs that belong to row i are those of row i + h
    reach   the farthest row that a feature of row i uses: i - reach
    span    reach + h: rows i and j share no measurement if they are more than span apart

One ``Lookback`` builds the features in training, in prediction and in optimization, so that they cannot differ.

Rows whose past or future is cut are left out: at the ends of the table, beside a row that lacks a value, and across a
gap in time, which is a step that differs from the usual one by more than half of it.

When a set-point is searched, its past is not history but consequence: ``Steady`` predicts what comes when every input
is held long enough that all its lags and windows have come to the same value. ``Recent`` predicts from the past that
is there, so that only the present row is free.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.checks import floats, whole_number
from engine.errors import ParameterError, ShapeError, TrainingError

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]

MOST_ROWS_BACK = 10_000
MOST_FEATURES = 2_000


@dataclass(frozen=True)
class InputHistory:
    """What is seen of one input.

    Attributes:
        tag: the input.
        lags: rows back, each from 0 to MOST_ROWS_BACK, ascending; (0,) is the plain input.
        windows: rows of each mean, from 2 to MOST_ROWS_BACK, ascending.

    Raises:
        ParameterError: a lag or window is no such whole number, is there twice, or there is neither.
    """

    tag: str
    lags: tuple[int, ...] = (0,)
    windows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("lags", 0), ("windows", 2)):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Sequence):
                raise ParameterError(f"{name} of {self.tag!r} must be a list of whole numbers, not {given!r:.40}")
            checked = [whole_number(f"{name} of {self.tag!r}", each, least, MOST_ROWS_BACK) for each in given]
            if len(set(checked)) < len(checked):
                raise ParameterError(f"{name} of {self.tag!r} hold a number twice: {checked}", parameter=name)
            object.__setattr__(self, name, tuple(sorted(checked)))
        if not self.lags and not self.windows:
            raise ParameterError(f"nothing of {self.tag!r} is seen: give it lags or windows", parameter="lags")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its features: the tag itself for lag 0, then ``tag @ -k`` for lags and ``tag ~ w`` for windows."""
        lags = (self.tag if lag == 0 else f"{self.tag} @ -{lag}" for lag in self.lags)
        return (*lags, *(f"{self.tag} ~ {window}" for window in self.windows))

    @property
    def reach(self) -> int:
        """The farthest row back that is used."""
        return max((*self.lags, *(window - 1 for window in self.windows)))


@dataclass(frozen=True)
class Lookback:
    """What a module sees of its inputs' past, and its horizon.

    Args:
        inputs: what is seen of each input, in the order of the columns of X.
        horizon: rows that the outputs lie ahead, from 0 to MOST_ROWS_BACK.

    Raises:
        ParameterError: there is no input, one is there twice, the horizon is not allowed, or there are more than
            MOST_FEATURES features.
    """

    inputs: tuple[InputHistory, ...]
    horizon: int = 0
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        whole_number("horizon", self.horizon, 0, MOST_ROWS_BACK)
        tags = [each.tag for each in self.inputs]
        if not tags or len(set(tags)) < len(tags):
            raise ParameterError(f"a lookback needs inputs, each of them once, not {tags!r:.80}", parameter="inputs")
        names = tuple(name for each in self.inputs for name in each.names)
        if len(names) > MOST_FEATURES:
            raise ParameterError(
                f"lags and windows make {len(names)} features; at most {MOST_FEATURES} are allowed", parameter="inputs"
            )
        object.__setattr__(self, "names", names)

    @property
    def tags(self) -> tuple[str, ...]:
        """The inputs, in the order of the columns of X."""
        return tuple(each.tag for each in self.inputs)

    @property
    def reach(self) -> int:
        """The farthest row back that a feature uses."""
        return max(each.reach for each in self.inputs)

    @property
    def span(self) -> int:
        """Rows that the measurements behind one row of features and outputs stretch over, beside itself."""
        return self.reach + self.horizon

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the present row is seen, and predicted."""
        return self.span == 0

    def features(self, X: ArrayLike, times: ArrayLike | None = None) -> tuple[Floats, Rows]:
        """Return the features of every row whose past and present are whole.

        Args:
            X: shape (n, d), rows in the order of time; NaN where a value is missing.
            times: of each row, shape (n,), ascending numbers; None: the rows are one step apart.

        Returns:
            F, shape (q, p), finite, in the order of ``names``, and the rows that they belong to, (q,), ascending.

        Raises:
            ShapeError: X does not have a column for each input, or times do not fit or do not ascend.
        """
        X = self._checked(X)
        F = np.full((len(X), len(self.names)), np.nan)
        for j, (column, build) in enumerate(self._builders()):
            F[:, j] = build(X[:, column])
        whole = np.isfinite(F).all(axis=1) & (_rows_since_gap(len(X), times) >= self.reach)
        rows = np.flatnonzero(whole)
        return F[rows], rows

    def training_rows(self, X: ArrayLike, Y: ArrayLike, times: ArrayLike | None = None) -> tuple[Floats, Floats, Rows]:
        """Return features, the outputs ``horizon`` rows ahead, and the rows of the features.

        Args:
            X, times: as ``features`` takes them.
            Y: outputs, shape (n, m), NaN where one is missing.

        Returns:
            F (q, p), Y (q, m), rows (q,).

        Raises:
            ShapeError: as ``features``; or Y does not have as many rows as X.
            TrainingError: no row has a whole past and future.
        """
        Y = floats("Y", Y)
        if Y.ndim != 2 or len(Y) != len(floats("X", X)):
            raise ShapeError(f"Y has shape {Y.shape}, but one row of outputs for each row of inputs is needed")
        F, rows = self.features(X, times)
        ahead = rows + self.horizon
        is_there = ahead < len(Y)
        F, rows, ahead = F[is_there], rows[is_there], ahead[is_there]
        whole = np.isfinite(Y[ahead]).all(axis=1) & (_rows_since_gap(len(Y), times)[ahead] >= self.horizon)
        if not whole.any():
            raise TrainingError(
                f"no row has the {self.reach} rows before it and the {self.horizon} after it that its features and"
                f" outputs need, without a gap in time or a missing value",
                reach=self.reach,
                horizon=self.horizon,
                n_rows=len(Y),
            )
        return F[whole], Y[ahead][whole], rows[whole]

    def input_ranges(self, ranges: ArrayLike) -> Floats:
        """Return the lowest and highest value of each input, (d, 2), from those of its features, (p, 2)."""
        columns = np.array([column for column, _ in self._builders()])
        given = floats("ranges", ranges)
        return np.array([[given[columns == j, 0].min(), given[columns == j, 1].max()] for j in range(len(self.inputs))])

    def steady(self, X: ArrayLike) -> Floats:
        """Return the features of inputs that have been held at X, (n, d), for longer than the reach: shape (n, p)."""
        X = self._checked(X)
        columns = [column for column, _ in self._builders()]
        F: Floats = X[:, columns]
        return F

    def purged(self, folds: Sequence[Fold], rows: Rows) -> list[Fold]:
        """Return the folds without the training rows that share a measurement with a tested row.

        Args:
            folds: training and test rows of each fold, as places in ``rows``.
            rows: the rows that the features belong to, ascending, as ``training_rows`` gives them.

        Raises:
            TrainingError: nothing is left to train on in a fold: rows drawn at random lie too close to each other.
        """
        purged = []
        for train, test in folds:
            tested = np.sort(rows[test])
            place = np.searchsorted(tested, rows[train])
            before = tested[np.maximum(place - 1, 0)]
            after = tested[np.minimum(place, len(tested) - 1)]
            distance = np.minimum(np.abs(rows[train] - before), np.abs(after - rows[train]))
            kept = np.asarray(train)[distance > self.span]
            if len(kept) == 0:
                raise TrainingError(
                    f"every training row of a fold shares measurements with a tested one: features and outputs stretch"
                    f" over {self.span + 1} rows. Hold out blocks of time or groups, in fewer folds",
                    span=self.span,
                )
            purged.append((kept, np.asarray(test)))
        return purged

    def to_json(self) -> dict[str, Any]:
        """Return the lookback as JSON values; ``from_json`` reads them again."""
        seen = [{"tag": each.tag, "lags": list(each.lags), "windows": list(each.windows)} for each in self.inputs]
        return {"inputs": seen, "horizon": self.horizon}

    @classmethod
    def from_json(cls, data: Any) -> "Lookback":
        """Return the lookback of JSON values.

        Raises:
            ParameterError: they are not of the form that ``to_json`` gives.
        """
        try:
            seen = tuple(
                InputHistory(each["tag"], tuple(each.get("lags", (0,))), tuple(each.get("windows", ())))
                for each in data["inputs"]
            )
            return cls(seen, data.get("horizon", 0))
        except (TypeError, KeyError, AttributeError) as error:
            raise ParameterError(
                f"a lookback needs inputs, each with tag, lags and windows, not {data!r:.80}"
            ) from error

    def _checked(self, X: ArrayLike) -> Floats:
        X = floats("X", X)
        if X.ndim != 2 or X.shape[1] != len(self.inputs):
            raise ShapeError(f"X has shape {X.shape}, but (n, {len(self.inputs)}) is needed, a column for each input")
        return X

    def _builders(self) -> list[tuple[int, Callable[[Floats], Floats]]]:
        """Return for each feature the column that it is made of, and how."""
        return [
            (column, build)
            for column, each in enumerate(self.inputs)
            for build in (*map(_lagged, each.lags), *map(_windowed, each.windows))
        ]


class Predictor(Protocol):
    """A model over features: a ``Surrogate`` that was fitted on them."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the features."""

    @property
    def outputs(self) -> Sequence[str]:
        """Tags of the outputs."""

    @property
    def input_ranges(self) -> Floats:
        """Lowest and highest value of each feature in the rows that it learned from, shape (p, 2)."""

    def predict(self, X: Any, /) -> Any:
        """Return the outputs (n, m) for features (n, p)."""


@dataclass(frozen=True)
class Steady:
    """A time-aware model as a model of held inputs: what comes when each stays where it is set.

    Attributes:
        model: predicts from the features.
        lookback: builds them.
    """

    model: Predictor
    lookback: Lookback

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs themselves."""
        return self.lookback.tags

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs, once the inputs have been held for the reach and the horizon."""
        return tuple(self.model.outputs)

    @property
    def input_ranges(self) -> Floats:
        """Lowest and highest value of each input in the rows that it learned from, shape (d, 2)."""
        return self.lookback.input_ranges(self.model.input_ranges)

    def predict(self, X: Any, /) -> Any:
        """Return the outputs (n, m) for inputs held at X (n, d)."""
        return self.model.predict(self.lookback.steady(X))


@dataclass(frozen=True)
class Recent:
    """A time-aware model after a past that is there: only the present row of inputs is free.

    Attributes:
        model: predicts from the features.
        lookback: builds them.
        past: the last rows of the inputs, shape (>= reach, d), in the order of time, finite.

    Raises:
        ShapeError: the past is shorter than the reach, or not one column for each input.
    """

    model: Predictor
    lookback: Lookback
    past: Floats

    def __post_init__(self) -> None:
        past = self.lookback._checked(self.past)
        reach = self.lookback.reach
        if len(past) < reach or not np.isfinite(past).all():
            raise ShapeError(f"the past must be at least {reach} rows of finite numbers, not shape {past.shape}")
        object.__setattr__(self, "past", past[len(past) - reach :].copy())

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs themselves, at the present row."""
        return self.lookback.tags

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs, ``horizon`` rows ahead."""
        return tuple(self.model.outputs)

    def predict(self, X: Any, /) -> Any:
        """Return the outputs (n, m) after the past and then one row of X (n, d), each row on its own."""
        X = self.lookback._checked(X)
        F = np.empty((len(X), len(self.lookback.names)))
        j = 0
        for column, each in enumerate(self.lookback.inputs):
            now, past = X[:, column], self.past[:, column]
            for lag in each.lags:
                F[:, j], j = now if lag == 0 else past[len(past) - lag], j + 1
            for window in each.windows:
                F[:, j], j = (now + past[len(past) - window + 1 :].sum()) / window, j + 1
        return self.model.predict(F)


def plain(tags: Sequence[str], seen: Mapping[str, InputHistory] | None = None, horizon: int = 0) -> Lookback:
    """Return the lookback of inputs that are seen as they are, but for those in ``seen``."""
    seen = seen or {}
    if unknown := [tag for tag in seen if tag not in tags]:
        raise ParameterError(f"{unknown[0]!r} is no input; there are {', '.join(tags)}", parameter="inputs")
    return Lookback(tuple(seen.get(tag, InputHistory(tag)) for tag in tags), horizon)


def _lagged(lag: int) -> Callable[[Floats], Floats]:
    def build(x: Floats) -> Floats:
        return np.concatenate([np.full(min(lag, len(x)), np.nan), x[: max(len(x) - lag, 0)]])

    return build


def _windowed(window: int) -> Callable[[Floats], Floats]:
    def build(x: Floats) -> Floats:
        # Summed within each window: a running sum would carry one missing value, and its rounding, to all rows after it
        whole = np.full(len(x), np.nan)
        if len(x) >= window:
            whole[window - 1 :] = np.lib.stride_tricks.sliding_window_view(x, window).sum(axis=1) / window
        return whole

    return build


def _rows_since_gap(n: int, times: ArrayLike | None) -> Rows:
    """Return how many rows lie before each one without a gap in time between them, shape (n,)."""
    if times is None:
        return np.arange(n)
    t = floats("times", times)
    if t.shape != (n,) or (np.diff(t) < 0).any():
        raise ShapeError(f"times must be {n} numbers in ascending order, one for each row; sort the rows by time first")
    step = np.diff(t)
    usual = float(np.median(step)) if n > 1 else 0.0
    is_first = np.concatenate([[True], ~(np.abs(step - usual) <= usual / 2)])  # a missing time is a gap too
    here = np.arange(n)
    return here - np.maximum.accumulate(np.where(is_first, here, 0))

"""Prediction intervals that keep their word: as wide as the errors on held-out rows were.

A cross-validation has predicted rows that the model had not seen. The level-quantile of those errors, corrected for
their finite number, is the half-width that would have held the wanted share of them; it is put around the prediction
of the model that learned from all rows. Where errors are larger in some places than in others, each is divided by
the error to expect at its place (its difficulty, learned from the errors by a forest), if the intervals come out
narrower at the same coverage. What is promised is what held-out rows showed: intervals from rows held out at random
speak for hours beside known ones, those from blocks of time or groups for new ones.

Notation:
    X: inputs, shape (n, d).    P: predictions, shape (n, m).    E: |measured - P| of held-out rows, shape (n, m).
    S: difficulty, shape (n, m), > 0, in the units of the outputs; 1 where it is not used.
    q: the level-quantile of E / S over held-out rows, shape (m,). The interval is P - q S to P + q S.
    g: groups of folds; coverage is measured in each with quantiles and difficulty from the others.

Source:
    Vovk (2015), Cross-conformal predictors, Annals of Mathematics and Artificial Intelligence 74, 9-28. Barber, Candes,
    Ramdas and Tibshirani (2021), Predictive inference with the jackknife+, Annals of Statistics 49, 486-507.
    Difficulty: Papadopoulos, Gammerman and Vovk (2008), Normalized nonconformity measures for regression, AIA 2008.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError, ModelFileError, ParameterError, ShapeError, TrainingError
from engine.surrogates.arrays import Bools, Floats
from engine.surrogates.forests import fit_extra_trees
from engine.surrogates.stored import ArraySpec, take
from engine.surrogates.trees import TreeEnsemble

if TYPE_CHECKING:
    from engine.surrogates.surrogate import Surrogate
    from engine.validation import CrossValidation

MEASURED_LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Levels at which coverage and width are measured and stored; any other level can be asked for."""

MOST_SCORES = 20_000
"""Scores that are kept for each output; of more, evenly spaced ranks are."""

MOST_GROUPS = 5
MOST_LEARNED = 5000
"""Rows that difficulty is learned from: it is a coarse thing, and is learned anew for each pair of groups."""

N_TREES = 30

NARROWER = 0.97
"""Difficulty has to make the intervals narrower by this factor, or it is left out."""

ASKED_LEVEL = 0.8

LOWEST_DIFFICULTY = 0.05
"""Of the mean error: errors that happened to be tiny promise nothing."""

_Ids = NDArray[np.intp]


class NotCalibrated(EngineError):  # noqa: N818  (called after what is wrong, as the others are)
    """An interval was asked of a model whose errors on held-out rows are not known."""

    code = "model.not_calibrated"
    title = "The model has no intervals: it was never calibrated on held-out rows."


@dataclass(frozen=True, eq=False)
class Intervals:
    """What half-widths are computed from.

    Attributes:
        scores: E / S of held-out rows, each column ascending, shape (q, m), q up to MOST_SCORES.
        n_rows: held-out rows behind them.
        levels: the levels at which coverage was measured, shape (L,).
        coverage: share of held-out rows within their interval, shape (L, m); see ``calibrate``.
        lowest: the same in the group of folds where it is lowest, shape (L, m).
        width: mean width of those intervals, shape (L, m), in the units of the outputs.
        scale: mean of E, shape (m,), > 0: the unit of the difficulty.
        is_scaled: the outputs whose intervals follow the difficulty, shape (m,); the others have one width.
        difficulty: forest from X and P to S / scale, shape (n, d + m) to (n, m); None where no output needs it.
    """

    scores: Floats
    n_rows: int
    levels: Floats
    coverage: Floats
    lowest: Floats
    width: Floats
    scale: Floats
    is_scaled: Bools
    difficulty: TreeEnsemble | None = field(default=None, repr=False)

    def half_widths(self, X: Floats, P: Floats, level: float) -> Floats:
        """Return half the width of each interval, shape (n, m), in the units of the outputs.

        Raises:
            ParameterError: the level is not a number between 0 and 1, or too high for the number of held-out rows.
        """
        q = _quantile(self.scores, level, self.n_rows)
        S = self.scale * _told(self.difficulty, X, P) if self.difficulty else np.ones_like(P)
        half: Floats = q * np.where(self.is_scaled, S, 1.0)
        return half

    def to_json(self) -> dict[str, Any]:
        """Return what was measured, by level, as values that go to JSON; lists are in the order of the outputs."""
        names = ("coverage", "lowest", "width")
        measured = [
            {"level": float(level)} | {name: getattr(self, name)[i].tolist() for name in names}
            for i, level in enumerate(self.levels)
        ]
        return {"n_rows": self.n_rows, "is_scaled": self.is_scaled.tolist(), "measured": measured}

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""
        names = ("scores", "levels", "coverage", "lowest", "width", "scale")
        stored = {name: getattr(self, name) for name in names}
        stored["n_rows"] = np.array([self.n_rows], np.int32)
        stored["is_scaled"] = self.is_scaled.astype(np.int32)
        forest = self.difficulty.arrays() if self.difficulty else {}
        return stored | {f"difficulty.{name}": array for name, array in forest.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "Intervals":
        """Return the intervals of stored arrays.

        Raises:
            ModelFileError: an array is missing or unknown, or has a wrong type, shape or value.
        """
        forest = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith("difficulty.")}
        n_levels = len(arrays["levels"]) if "levels" in arrays and arrays["levels"].ndim else 0
        measured = ArraySpec(np.float64, (n_levels, n_outputs))
        found = take(
            {name: array for name, array in arrays.items() if not name.startswith("difficulty.")},
            {
                "scores": ArraySpec(np.float64, (-1, n_outputs)),
                "levels": ArraySpec(np.float64, (-1,)),
                "coverage": measured,
                "lowest": measured,
                "width": measured,
                "scale": ArraySpec(np.float64, (n_outputs,), positive=True),
                "n_rows": ArraySpec(np.int32, (1,)),
                "is_scaled": ArraySpec(np.int32, (n_outputs,)),
            },
        )
        n_rows, is_scaled = int(found.pop("n_rows")[0]), found.pop("is_scaled") != 0
        is_sound = (found["scores"] >= 0).all() and (np.diff(found["scores"], axis=0) >= 0).all()
        if not is_sound or n_rows < len(found["scores"]):
            raise ModelFileError("the scores of the intervals do not ascend from 0, or are more than their rows")
        difficulty = TreeEnsemble.from_arrays(forest, n_inputs + n_outputs, n_outputs) if forest else None
        if is_scaled.any() != (difficulty is not None):
            raise ModelFileError("intervals that follow the difficulty need it, and others must not have it")
        return cls(n_rows=n_rows, is_scaled=is_scaled, difficulty=difficulty, **found)


def calibrate(
    surrogate: "Surrogate",
    cross_validation: "CrossValidation",
    *,
    seed: int = 0,
    on_step: Callable[[float], None] | None = None,
) -> "Surrogate":
    """Return the surrogate with intervals from the held-out errors of a cross-validation of its kind on its rows.

    Coverage is measured in groups of folds: the rows of each, with quantiles and difficulty from the others. That is
    what new rows can expect that are new in the way in which the folds are.

    Args:
        surrogate: the model that learned from all rows.
        cross_validation: of the same kind, hyperparameters, inputs and outputs.
        seed: of the forest of difficulties.
        on_step: is told the share of the work that is done; what it raises ends the work.

    Raises:
        ShapeError: the cross-validation is of other inputs or outputs.
        TrainingError: it held out fewer than two rows with finite predictions.
    """
    P, measured = cross_validation.predictions, cross_validation.measured
    d = len(surrogate.inputs)
    if tuple(cross_validation.scores) != surrogate.outputs or cross_validation.inputs.shape[1] != d:
        raise ShapeError(
            f"the cross-validation is of the outputs {list(cross_validation.scores)} from"
            f" {cross_validation.inputs.shape[1]} inputs, the model of {list(surrogate.outputs)} from {d}"
        )
    rows = np.flatnonzero((cross_validation.fold >= 0) & np.isfinite(P).all(axis=1))
    if len(rows) < 2:
        raise TrainingError(f"intervals need at least 2 held-out rows, but there are {len(rows)}", n_rows=len(rows))
    held_out = _HeldOut(
        surrogate.filled(cross_validation.inputs[rows]),
        P[rows],
        np.abs(measured - P)[rows],
        _groups(cross_validation.fold[rows]),
        seed,
        on_step or (lambda _share: None),
    )
    plain = held_out.constant()
    if len(held_out.groups) < 3:  # with two left out, nothing would be there to learn the difficulty from
        return replace(surrogate, intervals=plain)
    scaled = held_out.by_difficulty()
    return replace(surrogate, intervals=_for_each_output(plain, scaled, _is_narrower(scaled, plain)))


class _HeldOut:
    """Held-out rows: X (n, d), P (n, m), E (n, m) and group (n,), and the intervals that come of them."""

    def __init__(
        self, X: Floats, P: Floats, E: Floats, group: _Ids, seed: int, on_step: Callable[[float], None]
    ) -> None:
        self.X, self.P, self.E, self.group, self.seed = X, P, E, group, seed
        self.on_step, self.n_learned = on_step, 0
        mean = E.mean(axis=0)
        self.scale: Floats = np.where(mean > 0, mean, 1.0)
        self.groups = range(int(group.max()) + 1)

    def constant(self) -> Intervals:
        """Return intervals of one width."""
        ones = np.ones_like(self.E)
        return self._intervals(ones, lambda _g: (ones, ones), None)

    def by_difficulty(self) -> Intervals:
        """Return intervals as wide as the error to expect.

        A forest knows the errors that it learned from, so scores are taken where it did not: with groups f and g left
        out, it scores f for the quantiles that are tried on g; with g left out, it tells the widths in g.
        """
        pairs = {pair: self._learn(*pair) for pair in combinations(self.groups, 2)}
        own = np.empty_like(self.E)
        for g in self.groups:
            here = self.group == g
            own[here] = self._tell(self._learn(g), here)

        def without(g: int) -> tuple[Floats, Floats]:
            S = own.copy()
            for f in self.groups:
                if f != g:
                    S[self.group == f] = self._tell(pairs[min(f, g), max(f, g)], self.group == f)
            return S, own

        return self._intervals(own, without, self._learn())

    def _learn(self, *left_out: int) -> TreeEnsemble:
        rows = np.flatnonzero(~np.isin(self.group, left_out))
        if len(rows) > MOST_LEARNED:
            rows = np.sort(np.random.default_rng(self.seed).choice(rows, MOST_LEARNED, replace=False))
        params = {"n_trees": N_TREES, "max_depth": None, "min_rows_leaf": max(5, len(rows) // 50), "max_features": 1.0}
        features = _features(self.X, self.P)[rows]
        k, n_before = len(self.groups), self.n_learned
        n_forests = k * (k - 1) / 2 + k + 1
        self.n_learned += 1
        return fit_extra_trees(
            features,
            self.E[rows] / self.scale,
            params,
            self.seed,
            1,
            lambda share: self.on_step((n_before + share) / n_forests),
        )

    def _tell(self, forest: TreeEnsemble, rows: Any) -> Floats:
        return self.scale * _told(forest, self.X[rows], self.P[rows])

    def _intervals(
        self, S: Floats, without: Callable[[int], tuple[Floats, Floats]], difficulty: TreeEnsemble | None
    ) -> Intervals:
        """Return intervals with scores E / S; ``without(g)`` gives S for the quantiles and the widths tried on g."""
        levels = np.array(MEASURED_LEVELS)
        is_held = np.zeros((len(levels), *self.E.shape), dtype=np.bool_)
        widths = np.empty(is_held.shape)
        for g in self.groups:
            here = self.group == g
            to_rank, to_try = without(g)
            ranked = np.sort(self.E[~here] / to_rank[~here], axis=0)
            for i, level in enumerate(levels):
                q = _quantile(ranked, min(level, len(ranked) / (len(ranked) + 1)), len(ranked))
                is_held[i, here] = self.E[here] <= q * to_try[here]
                widths[i, here] = 2 * q * to_try[here]
        return Intervals(
            scores=_thinned(np.sort(self.E / S, axis=0)),
            n_rows=len(self.E),
            levels=levels,
            coverage=is_held.mean(axis=1),
            lowest=np.min([is_held[:, self.group == g].mean(axis=1) for g in self.groups], axis=0),
            width=widths.mean(axis=1),
            scale=self.scale,
            is_scaled=np.full(self.E.shape[1], difficulty is not None),
            difficulty=difficulty,
        )


def _is_narrower(scaled: Intervals, plain: Intervals) -> Bools:
    """Return for each output whether intervals by difficulty are narrower, and cover no less than they should.

    Narrower at the levels that people ask for: where half of the rows is enough, one narrow width holds the easy half.
    """
    asked = plain.levels >= ASKED_LEVEL
    narrower = (scaled.width / np.maximum(plain.width, np.finfo(float).tiny))[asked].mean(axis=0) < NARROWER
    enough = np.minimum(plain.coverage, plain.levels[:, None])[asked].mean(axis=0) - 0.01
    chosen: Bools = narrower & (scaled.coverage[asked].mean(axis=0) >= enough)
    return chosen


def _for_each_output(plain: Intervals, scaled: Intervals, is_scaled: Bools) -> Intervals:
    """Return the intervals by difficulty of these outputs, and those of one width of the others."""
    names = ("scores", "coverage", "lowest", "width")
    columns = {name: np.where(is_scaled, getattr(scaled, name), getattr(plain, name)) for name in names}
    return replace(scaled if is_scaled.any() else plain, is_scaled=is_scaled, **columns)


def _quantile(scores: Floats, level: float, n: int) -> Floats:
    """Return the ceil((n + 1) level)-th smallest of n scores, shape (m,), from the ascending ones that were kept."""
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ParameterError(
            f"the level of an interval must be a number between 0 and 1, both left out, not {level!r}",
            parameter="level",
            given=repr(level),
        )
    rank = int(np.ceil((n + 1) * level - 1e-9))
    if rank > n:
        raise ParameterError(
            f"{n} held-out rows tell intervals up to the level {n / (n + 1):.4g}, not {level:g}",
            parameter="level",
            given=float(level),
            highest=n / (n + 1),
        )
    kept: Floats = scores[-(-rank * len(scores) // n) - 1]
    return kept


def _thinned(scores: Floats) -> Floats:
    """Return at most MOST_SCORES rows: of evenly spaced ranks, each group of ranks by its largest."""
    n, q = len(scores), min(len(scores), MOST_SCORES)
    ranks = -(-np.arange(1, q + 1) * n // q)
    return scores[ranks - 1]


def _groups(fold: _Ids) -> _Ids:
    """Return folds as at most MOST_GROUPS groups of neighboring folds; a single fold is cut into blocks of rows."""
    _, numbered = np.unique(fold, return_inverse=True)
    k = int(numbered.max()) + 1
    if k == 1:
        numbered, k = np.arange(len(fold)), len(fold)
    n_groups = min(k, MOST_GROUPS)
    groups: _Ids = numbered * n_groups // k
    return groups


def _features(X: Floats, P: Floats) -> Floats:
    """Return what difficulty is learned from. A missing value goes left at every split, so it is made the lowest."""
    is_missing = np.isnan(X)
    if is_missing.any():
        lowest = np.nanmin(np.where(is_missing.all(axis=0), 0.0, X), axis=0)
        X = np.where(is_missing, lowest, X)
    return np.hstack([X, P])


def _told(difficulty: TreeEnsemble, X: Floats, P: Floats) -> Floats:
    """Return S / scale, shape (n, m)."""
    return np.maximum(difficulty.predict(np.hstack([X, P])), LOWEST_DIFFICULTY)

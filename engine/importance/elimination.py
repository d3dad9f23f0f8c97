"""Recursive elimination: inputs are left out one after the other, the least important first.

Notation:
    d: number of inputs.    s: number of inputs still in.    k: folds.
    R2(s): R2 with s inputs left, mean over outputs, mean over the folds.    se(s): its standard error over the folds.
    D(s): by how much R2 with s inputs falls short of the largest, fold by fold.

Which inputs go is decided anew in every fold, from its training rows alone: a score of inputs that were chosen with
the help of the rows that they are scored on would flatter itself. ``best`` takes the s of the largest R2(s);
``one_se`` the smallest s whose D(s) is on average no more than its standard error: fewer tags to keep in order for a
difference that may be chance. Folds are compared each with itself, since some are harder than others for any inputs.

Sources:
    Guyon, Weston, Barnhill and Vapnik (2002), Machine Learning 46, 389-422.
    Ambroise and McLachlan (2002), PNAS 99, 6562-6566: the choice within every fold.
    Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees, 3.4.3: one standard error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ParameterError, TrainingError
from engine.folds import Fold, nested
from engine.honest import Note
from engine.importance.of_models import model_importance
from engine.importance.permutation import increases, rows_of
from engine.importance.ranking import correlated_groups
from engine.surrogates import Surrogate, fit
from engine.surrogates.arrays import Floats
from engine.surrogates.encoding import Categories, may_miss
from engine.surrogates.kinds import find_kind
from engine.surrogates.params import OnStep

BY = ("permutation", "model")
RULES = ("one_se", "best")


@dataclass(frozen=True)
class Elimination:
    """What is left at every number of inputs, and how many to keep.

    Attributes:
        chosen: the inputs to keep, in the order of the columns.
        order: all inputs, the one that stayed longest first.
        rank: input -> 1 for those chosen, 2 for the last to leave before them, and so on; who left together share one.
        curve: for each number of inputs, ascending: {"n_inputs", "r2", "se", "per_fold", "inputs"}, where inputs are
            those left when all rows choose.
        n_best: number of inputs with the largest R2; len(chosen) is this or, by the rule "one_se", less.
        kept_in_folds: input -> share of the folds that would keep it at len(chosen).
        by, rule: what was asked for.
        notes: what must be known to read it.
    """

    chosen: tuple[str, ...]
    order: tuple[str, ...]
    rank: Mapping[str, int]
    curve: tuple[Mapping[str, Any], ...]
    n_best: int
    kept_in_folds: Mapping[str, float]
    by: str
    rule: str
    notes: tuple[Note, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as values that go to JSON."""
        return {
            "chosen": list(self.chosen),
            "order": list(self.order),
            "rank": dict(self.rank),
            "curve": [dict(point) for point in self.curve],
            "n_best": self.n_best,
            "kept_in_folds": dict(self.kept_in_folds),
            "by": self.by,
            "rule": self.rule,
            "notes": [note.to_json() for note in self.notes],
        }


Worth = Callable[[list[int]], Floats]
"""From the columns that are left to the importance of each."""


def backward(worth: Worth, d: int, *, fewest: int = 1, step: int | float = 1) -> list[list[int]]:
    """Return the columns that are left after each step, from all d down to ``fewest``.

    Args:
        worth: importance of each of the columns it is given.
        step: how many leave at a time, or which share of those left (below 1, at least one).
    """
    left = list(range(d))
    path = [left]
    while len(left) > fewest:
        n_leave = min(int(step) if step >= 1 else max(1, int(step * len(left))), len(left) - fewest)
        v = worth(left)
        # Of equals the later column goes
        leaving = {left[i] for i in np.lexsort((-np.arange(len(left)), v))[:n_leave]}
        left = [column for column in left if column not in leaving]
        path.append(left)
    return path


def eliminate(
    kind: str,
    X: Any,
    Y: Any,
    folds: Sequence[Fold],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = None,
    by: str = "permutation",
    rule: str = "one_se",
    fewest: int = 1,
    step: int | float = 1,
    n_repeats: int = 5,
    seed: int = 0,
    n_jobs: int = 1,
    on_step: OnStep | None = None,
    categories: Categories | None = None,
    missing: str = "refuse",
) -> Elimination:
    """Return which inputs to keep for a kind of model.

    Args:
        kind, X, Y, inputs, outputs, params, seed, n_jobs, categories, missing: as ``surrogates.fit`` takes them. A row
            is scored at every number of inputs, also where it lacks all that are left.
        folds: rows to train on and rows to test on, at least two.
        by: "permutation": shuffled among rows that the model has not seen: within a training fold those that the next
            fold holds out, for the final order those of every fold. "model": as ``model_importance`` reads it.
        rule: "one_se" or "best", how many to keep.
        fewest: how many are never left out.
        step: how many leave at a time, or which share of those left (below 1).
        n_repeats: shuffles of each input.
        on_step: called with the share of the work that is done, also within a training; what it raises ends the work.

    What a kind that chooses ("auto") has chosen is chosen anew at every training, by the folds that its rows fall into.

    Raises:
        ParameterError: an argument is not one of those allowed.
        TrainingError: there are fewer than two folds.
        ImportanceUnavailable: ``by`` is "model", and the kind cannot be read.
        ShapeError, NotFinite, ParameterError, TrainingError: as for ``fit``.
    """
    inputs, outputs = tuple(inputs), tuple(outputs)
    X, Y = rows_of(X, Y, inputs, outputs, has_gaps=may_miss(missing))
    _check(by, rule, step, len(folds))
    fewest = whole_number("fewest", fewest, 1, len(inputs))
    whole_number("n_repeats", n_repeats, 1, 10_000)
    seed = whole_number("seed", seed, 0, LARGEST_SEED)
    n_steps = len(backward(lambda left: np.zeros(len(left)), len(inputs), fewest=fewest, step=step))
    fits = _Fits(_n_fits(n_steps, len(folds), by), on_step)
    job = _Job(kind, X, Y, folds, inputs, outputs, params, by, n_repeats, seed, n_jobs, fits, categories or {}, missing)
    paths, scores = [], []
    for i, (train, test) in enumerate(folds):
        path = backward(partial(job.worth_within, i), len(inputs), fewest=fewest, step=step)
        paths.append(path)
        scores.append([job.score(columns, train, test) for columns in path])
    final = backward(job.worth_of_all, len(inputs), fewest=fewest, step=step)
    return _answer(job, final, paths, np.array(scores), rule)


def _n_fits(n_steps: int, n_folds: int, by: str) -> int:
    """Return how many trainings there will be: a score a step and fold, and what leaves at each step but the last."""
    return n_folds * n_steps + (n_steps - 1) * (n_folds + (n_folds if by == "permutation" else 1))


class _Fits:
    """Counts the trainings, and tells how far the work is."""

    def __init__(self, n_all: int, on_step: OnStep | None) -> None:
        self.n_done, self.n_all, self.on_step = 0, n_all, on_step

    def tell(self, share: float) -> None:
        """Take in how far the present training is."""
        if self.on_step:
            self.on_step((self.n_done + share) / self.n_all)

    def end(self) -> None:
        """Count a training that has ended."""
        self.n_done += 1
        self.tell(0.0)

    def between(self, _share: float) -> None:
        """Let whoever watches end the work between two trainings."""
        self.tell(0.0)


@dataclass(frozen=True, eq=False)
class _Job:
    kind: str
    X: Floats
    Y: Floats
    folds: Sequence[Fold]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[str, Any] | None
    by: str
    n_repeats: int
    seed: int
    n_jobs: int
    fits: _Fits
    categories: Categories = field(default_factory=dict)
    missing: str = "refuse"

    def fit(self, columns: list[int], rows: Any) -> Surrogate:
        inputs = [self.inputs[j] for j in columns]
        model = fit(
            self.kind,
            self.X[rows][:, columns],
            self.Y[rows],
            inputs=inputs,
            outputs=self.outputs,
            params=self.params,
            seed=self.seed,
            n_jobs=self.n_jobs,
            folds=self.folds_within(rows),
            on_step=self.fits.tell,
            categories={tag: names for tag, names in self.categories.items() if tag in inputs},
            missing=self.missing,
        )
        self.fits.end()
        return model

    def folds_within(self, rows: Any) -> list[Fold] | None:
        """Return the folds that these rows fall into, for a kind that chooses; None where they fall into no two."""
        if not find_kind(self.kind).chooses:
            return None
        return nested([*self.folds, (rows, rows[:0])], len(self.folds)) or None

    def score(self, columns: list[int], train: Any, test: Any) -> float:
        """Return R2 of held-out rows, mean over the outputs; an output that never changes there counts 0."""
        errors = (self.fit(columns, train).predict(self.X[test][:, columns]) - self.Y[test]) ** 2
        spread = self.Y[test].var(axis=0)
        return float(np.where(spread == 0, 0.0, 1 - errors.mean(axis=0) / np.where(spread == 0, 1.0, spread)).mean())

    def worth_within(self, fold: int, columns: list[int]) -> Floats:
        """Return importances from the training rows of a fold alone."""
        train = self.folds[fold][0]
        if self.by == "model":
            return self._read(columns, train)
        apart = np.intersect1d(train, self.folds[(fold + 1) % len(self.folds)][1])
        if not len(apart) or len(apart) == len(train):  # two folds: the next one's rows are all that is left
            apart = train[::2]
        return self._shuffled(columns, np.setdiff1d(train, apart), apart)

    def worth_of_all(self, columns: list[int]) -> Floats:
        """Return importances from all rows."""
        if self.by == "model":
            return self._read(columns, np.arange(len(self.X)))
        return np.asarray(np.mean([self._shuffled(columns, train, test) for train, test in self.folds], axis=0))

    def _read(self, columns: list[int], rows: Any) -> Floats:
        return model_importance(self.fit(columns, rows), self.X[rows][:, columns]).overall.values

    def _shuffled(self, columns: list[int], train: Any, test: Any) -> Floats:
        model, X, Y = self.fit(columns, train), self.X[test][:, columns], self.Y[test]
        spread = np.where(Y.var(axis=0) == 0, 1.0, Y.var(axis=0))
        seeds = [[self.seed, int(test[0]), column] for column in columns]
        watch = self.fits.between
        falls = [increases(model, X, Y, [j], self.n_repeats, own, watch).mean(axis=0) for j, own in enumerate(seeds)]
        return np.asarray((np.array(falls) / spread).mean(axis=1))


def _answer(job: _Job, final: list[list[int]], paths: list[list[list[int]]], scores: Floats, rule: str) -> Elimination:
    """Return the answer from the columns left at each step, of all rows and of each fold, and R2 (folds, steps)."""
    mean, se = scores.mean(axis=0), _standard_error(scores)
    best = len(mean) - 1 - int(np.argmax(mean[::-1]))  # of equals the one with fewer inputs
    short = scores[:, [best]] - scores
    place = best if rule == "best" else int(np.flatnonzero(short.mean(axis=0) <= _standard_error(short))[-1])
    names = job.inputs
    left_at = {column: step for step, columns in enumerate(final) for column in columns}  # the last step it was in
    kept = [sum(column in path[place] for path in paths) / len(paths) for column in range(len(names))]
    curve = [
        {
            "n_inputs": len(columns),
            "r2": float(mean[step]),
            "se": float(se[step]),
            "per_fold": scores[:, step].tolist(),
            "inputs": [names[j] for j in columns],
        }
        for step, columns in enumerate(final)
    ]
    chosen = tuple(names[j] for j in final[place])
    return Elimination(
        chosen=chosen,
        order=tuple(names[j] for j in sorted(left_at, key=lambda j: (-left_at[j], j))),
        rank={name: max(1, place - left_at[j] + 1) for j, name in enumerate(names)},
        curve=tuple(reversed(curve)),
        n_best=len(final[best]),
        kept_in_folds=dict(zip(names, kept, strict=True)),
        by=job.by,
        rule=rule,
        notes=_notes(job, chosen, float(mean[place])),
    )


def _standard_error(values: Floats) -> Floats:
    """Return the standard error of the mean over the first axis."""
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def _notes(job: _Job, chosen: tuple[str, ...], r2: float) -> tuple[Note, ...]:
    notes = []
    for group in correlated_groups(job.X, job.inputs, categories=job.categories):
        inside = [tag for tag in group.tags if tag in chosen]
        outside = [tag for tag in group.tags if tag not in chosen]
        if inside and outside:
            message = (
                f"{', '.join(map(repr, outside))} left, but {'moves' if len(outside) == 1 else 'move'} together with"
                f" {', '.join(map(repr, inside))} (rank correlation {group.mean:.2f} on average): the other way"
                " around may be as good a choice."
            )
            notes.append(Note("importance.shared", message, {**group.to_json(), "kept": inside, "left": outside}))
    if r2 <= 0:
        message = f"With these inputs held-out rows are predicted no better than by their mean (R2 {r2:.2f})."
        notes.append(Note("importance.no_skill", message, {"r2": r2}))
    return tuple(notes)


def _check(by: str, rule: str, step: float, n_folds: int) -> None:
    for name, given, allowed in (("by", by, BY), ("rule", rule, RULES)):
        if given not in allowed:
            raise ParameterError(f"{name} must be one of {', '.join(allowed)}, not {given!r}", parameter=name)
    if not step > 0 or (step >= 1 and step != int(step)):
        raise ParameterError(f"step must be a whole number from 1 or a share below 1, not {step!r}", parameter="step")
    if n_folds < 2:
        raise TrainingError(f"elimination needs at least 2 folds, but there are {n_folds}", n_folds=n_folds)

"""``auto``: the kind, or the blend of kinds, that predicts held-out rows of this very table best.

A search (``search``) compares candidates on held-out rows; the best of them is kept, or a blend of the best few if it
errs less on rows that its weights have not seen. No kind is kept that errs more than a linear model or the mean. What
was tried, with which error, and where the search was cut is told in ``choice``, which is stored with the model.

Notation:
    X, Y: inputs (n, d) and outputs (n, m).    M: candidates that are left in the end.
    error: as in ``search``: 1 is the error of the mean of the measured rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import TrainingError
from engine.folds import Fold, Validation
from engine.folds import folds as make_folds
from engine.surrogates.arrays import Floats
from engine.surrogates.blend import BlendForm, Member, blend_weights
from engine.surrogates.candidates import ladder
from engine.surrogates.fits import FitsDone
from engine.surrogates.params import OnStep, ParamValue
from engine.surrogates.search import SAMPLE, Candidate, Search, Table, Trial

FOLDS = Validation("random", 5)
"""How rows are held out for the choice when the caller does not say."""

BLEND_GAIN = 0.003
"""A blend costs the prediction time of all its members: it must err less than the best of them by this share."""

LARGEST_BLEND = 400 * 2**20
"""Bytes of all members together: beyond it the model could not be stored."""

LEAST_WEIGHT = 0.05
"""A member whose weight is below this for every output is left out."""


class _OutOfTimeError(Exception):
    """The time limit was reached within a fit, which is then as if it had not begun."""


@dataclass(frozen=True, eq=False)
class _Choice:
    """Which trials are kept, with which weights (M, m), and what is known of them."""

    members: list[Trial]
    weights: Floats
    error: float
    runs: list[tuple[str, int]]


def fit_auto(
    X: Floats,
    Y: Floats,
    params: Mapping[str, ParamValue],
    seed: int,
    n_jobs: int,
    on_step: OnStep,
    folds: Sequence[Fold] | None = None,
    fits: FitsDone | None = None,
) -> BlendForm:
    """Return the best form or blend that the search finds within its budget.

    A table of fewer than four rows has nothing to hold out: it gets a linear model.

    Args:
        folds: rows to learn from and rows to test on, by which candidates are compared; by default five at random.
        fits: those that an earlier run has done are not done again, and those that are done now are told.

    Raises:
        TrainingError: nothing could be fitted.
    """
    given = folds is not None
    if len(X) < 4 and not folds:
        return _unchosen(X, Y, seed, n_jobs, on_step)
    parts = folds or make_folds(replace(FOLDS, n_folds=min(FOLDS.n_folds, len(X))), len(X), seed=seed)
    table = Table(X, Y, parts, seed=seed, n_jobs=n_jobs)
    search, fits = Search(table, *ladder(len(X), X.shape[1], Y.shape[1])), fits or FitsDone()
    n_fits, cut = _run(search, params, lambda share: on_step(0.9 * share), fits)
    choice = _choose(search)
    form = _refit(table, choice, lambda share: on_step(0.9 + 0.1 * share), fits)
    told = _told(search, choice) | {"n_fits": n_fits, "cut": cut, "folds": "given" if given else "random"}
    held_out, fold = _held_out(table, choice)
    return replace(form, choice=told, held_out=held_out, fold=fold)


def _run(search: Search, params: Mapping[str, ParamValue], on_step: OnStep, fits: FitsDone) -> tuple[int, str | None]:
    """Do the fits of the search until it ends or is cut; return how many they were, and what cut them."""
    budget, limit = int(params["budget"] or 0), params["time_limit"]
    limit = float("inf") if limit is None or fits.cut is not None else limit
    began = monotonic()
    n_all = min(budget, search.most_fits())
    n_fits = 0
    for task in search.tasks():
        if n_fits == budget:
            return n_fits, "budget"
        if n_fits == fits.cut:
            return n_fits, "time"
        known = fits.known(n_fits, task.to_json(), search.table.shape(task))
        if known is not None:
            search.table.keep(task, known)
            began = monotonic() - fits.seconds(n_fits)  # of the limit only the rest is left
        else:
            # something is always fitted, however little time there is
            end = began + limit if n_fits else float("inf")
            try:
                outcome = search.table.run(task, _watched(on_step, n_fits, n_all, end))
            except _OutOfTimeError:
                fits.tell_cut(n_fits)
                return n_fits, "time"
            fits.tell(n_fits, task.to_json(), outcome, seconds=monotonic() - began)
        n_fits += 1
    return n_fits, None


def _watched(on_step: OnStep, n_fits: int, n_all: int, end: float) -> OnStep:
    """Return what a fit tells its progress to; it ends the fit when time is over."""

    def told(share: float) -> None:
        if monotonic() >= end:
            raise _OutOfTimeError
        on_step(min((n_fits + share) / n_all, 1.0))

    told(0.0)
    return told


def _choose(search: Search) -> _Choice:
    """Return the best trial, or the blend of the best few if held-out rows speak for it."""
    ranked, runs = search.best()
    if not ranked:
        reasons = {trial.candidate.kind: trial.failure for trial in search.trials}
        raise TrainingError(f"no kind of surrogate could be fitted: {reasons}", reasons=reasons)
    sd = search.table.sd
    best, n_outputs = ranked[0], len(sd)
    single = _Choice([best], np.ones((1, n_outputs)), best.error(runs, sd), runs)
    able = _worth_blending(ranked, runs, sd)
    if len(able) < 2 or len(runs) < 2 or runs[0][0] != "full":
        return single
    P, Y, fold = _held_out_rows(search.table, able, runs)
    blended = _unseen(P, Y, fold)
    error = float((np.sqrt(((blended - Y) ** 2).mean(axis=0)) / sd).mean())
    if not error < single.error * (1 - BLEND_GAIN):
        return single
    weights = _weights(P, Y)
    kept = np.flatnonzero((weights > 0).any(axis=1))
    return _Choice([able[i] for i in kept], weights[kept], error, runs)


def _worth_blending(ranked: list[Trial], runs: list[tuple[str, int]], sd: Floats) -> list[Trial]:
    """Return the trials that err no more than the references, as many as a model file has room for."""
    bar = min((trial.error(runs, sd) for trial in ranked if trial.candidate.is_reference), default=np.inf)
    able, n_bytes = [], 0
    for trial in ranked:
        if trial.error(runs, sd) <= bar and n_bytes + trial.n_bytes <= LARGEST_BLEND:
            able.append(trial)
            n_bytes += trial.n_bytes
    return able


def _held_out_rows(
    table: Table, trials: Sequence[Trial], runs: Sequence[tuple[str, int]]
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return predictions (M, N, m), measurements (N, m) and fold (N,) of the N rows that were held out in full."""
    tests = [table.folds[fold][1] for _, fold in runs]
    P = np.stack([np.concatenate([trial.predictions[fold] for _, fold in runs]) for trial in trials])
    return P, table.Y[np.concatenate(tests)], np.repeat([fold for _, fold in runs], [len(test) for test in tests])


def _unseen(P: Floats, Y: Floats, fold: NDArray[np.intp]) -> Floats:
    """Return predictions (N, m) of the blend, each fold with the weights that the other folds give."""
    blended = np.empty_like(Y)
    for held_out in np.unique(fold):
        here = fold == held_out
        blended[here] = np.einsum("kj,kij->ij", _weights(P[:, ~here], Y[~here]), P[:, here])
    return blended


def _weights(P: Floats, Y: Floats) -> Floats:
    """Return the weights of each output, shape (M, m), without those that are hardly there."""
    weights = np.zeros((len(P), Y.shape[1]))
    for j, y in enumerate(Y.T):
        raw = blend_weights(P[:, :, j], y)
        kept = np.flatnonzero(raw >= min(LEAST_WEIGHT, raw.max()))
        weights[kept, j] = blend_weights(P[kept, :, j], y)
    return weights


def _refit(table: Table, choice: _Choice, on_step: OnStep, fits: FitsDone) -> BlendForm:
    """Return the blend of the chosen candidates, learned from all rows."""
    n = len(choice.members)

    def part(i: int) -> OnStep:
        return lambda share: on_step((i + share) / n)

    members = [_member(table, trial.candidate, i, part(i), fits) for i, trial in enumerate(choice.members)]
    on_step(1.0)
    return BlendForm(tuple(members), choice.weights)


def _member(table: Table, candidate: Candidate, i: int, on_step: OnStep, fits: FitsDone) -> Member:
    """Return the ``i``-th of the chosen candidates, learned from all rows now or by an earlier run."""
    arrays = fits.known_member(i, candidate.to_json())
    if arrays is not None and (known := table.restored(candidate, arrays)):
        return known
    member = table.fit(candidate, np.arange(len(table.X)), on_step)
    fits.tell_member(i, candidate.to_json(), member.form.arrays())
    return member


def _unchosen(X: Floats, Y: Floats, seed: int, n_jobs: int, on_step: OnStep) -> BlendForm:
    table = Table(X, Y, [(np.arange(len(X)), np.arange(len(X)))], seed=seed, n_jobs=n_jobs)
    member = table.fit(Candidate("linear", {}), np.arange(len(X)), on_step)
    told = {"members": [], "tried": [], "n_fits": 0, "cut": None, "folds": None, "notes": [_TOO_FEW]}
    return BlendForm((member,), np.ones((1, Y.shape[1])), choice=told)


_TOO_FEW = "There are too few rows to hold any out: a linear model was fitted, and nothing compared with it."


def _told(search: Search, choice: _Choice) -> dict[str, Any]:
    """Return what was tried and chosen as values that go to JSON."""
    sd = search.table.sd
    members = [
        _named(trial) | {"weights": weights.tolist()}
        for trial, weights in zip(choice.members, choice.weights, strict=True)
    ]
    return {
        "error": _finite(choice.error),
        "members": members,
        "tried": [_tried(trial, choice, sd) for trial in search.trials],
        "n_folds": len(choice.runs),
        "n_rows_sampled": SAMPLE if choice.runs[0][0] == "sample" else None,
        "notes": _notes(search),
    }


def _tried(trial: Trial, choice: _Choice, sd: Floats) -> dict[str, Any]:
    """Return what is known of one candidate: its error where the chosen one was compared, or where it got to."""
    runs = choice.runs if all(run in trial.squares for run in choice.runs) else list(trial.squares)
    state = "chosen" if trial in choice.members else "compared" if runs == choice.runs else "dropped"
    state = "failed" if trial.failure is not None else state if trial.squares else "not tried"
    return _named(trial) | {
        "state": state,
        "error": _finite(trial.error(runs, sd)) if runs else None,
        "n_fits": len(trial.squares),
        "failure": trial.failure,
    }


def _named(trial: Trial) -> dict[str, Any]:
    candidate = trial.candidate
    return {"kind": candidate.kind, "params": dict(candidate.params), "is_log": candidate.is_log}


def _notes(search: Search) -> list[str]:
    """Return a sentence for each kind whose every candidate errs more than a reference on the same rows."""
    run, sd = [(search.table.first_stage, 0)], search.table.sd
    errors: dict[str, float] = {}
    bar = np.inf
    for trial in search.trials:
        if run[0] in trial.squares:
            kind, error = trial.candidate.kind, trial.error(run, sd)
            errors[kind] = min(errors.get(kind, np.inf), error)
            bar = min(bar, error) if trial.candidate.is_reference else bar
    return [
        f"{kind} errs more on held-out rows than a linear model or the mean: {error:.3g} against {bar:.3g}"
        " standard deviations."
        for kind, error in errors.items()
        if error > bar and f"{error:.3g}" != f"{bar:.3g}"  # what looks the same is the same
    ]


def _held_out(table: Table, choice: _Choice) -> tuple[Floats | None, NDArray[np.intp] | None]:
    """Return predictions of rows held out, (n, m), NaN where none, by weights that have not seen them; and folds."""
    if choice.runs[0][0] != "full":
        return None, None
    P, Y, by_row = _held_out_rows(table, choice.members, choice.runs)
    rows = np.concatenate([table.folds[i][1] for _, i in choice.runs])
    found, fold = np.full(table.Y.shape, np.nan), np.full(len(table.Y), -1, dtype=np.intp)
    found[rows] = _unseen(P, Y, by_row) if len(choice.runs) > 1 else np.einsum("kj,kij->ij", choice.weights, P)
    fold[rows] = by_row
    return found, fold


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

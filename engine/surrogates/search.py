"""The search that ``auto`` makes: which kinds, with which hyperparameters, predict held-out rows best.

Candidates run against each other in rounds (successive halving over folds): one or two of each kind on the rows of one
fold, then the other candidates of the kinds that did well, the best of all on a second fold, a few on all folds, or on
as many as are needed. On large tables the rounds before the last learn from a sample. Each round decides by what was
measured before it and by nothing else, neither by the budget nor by the clock: a search that is cut after so many fits
did the same as every other search up to there.

Notation:
    X, Y: inputs (n, d) and outputs (n, m).    k: folds.
    error: root mean squared error over standard deviation of the output, mean over the outputs; the mean of the
        measured rows has error 1.

Source:
    Jamieson and Talwalkar (2016), Non-stochastic best arm identification and hyperparameter optimization, AISTATS 51.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.errors import ModelFileError, ParameterError, TrainingError
from engine.folds import Fold
from engine.surrogates.arrays import Bools, Floats
from engine.surrogates.blend import Member, to_log
from engine.surrogates.fits import Outcome
from engine.surrogates.params import OnStep, ParamValue

SAMPLE = 4000
"""Rows that the rounds before the last learn from, and at most as many that they test on, of tables that are larger."""

MOST_LEARNED = 15_000
"""Rows that the last round learns from: what is chosen learns from all rows, but only once."""

ENOUGH_TESTED = 1000
"""Held-out rows that are enough to decide by in the last round; there are never fewer than two folds."""

MOST_TWICE = 5
"""Candidates that get a second fold, beside the best of each kind."""

MOST_FINALISTS = 4
MOST_OF_A_KIND = 2
MOST_LOGARITHMS = 2
UNPROMISING = {"gaussian_process": 1.25, "neural_network": 1.6}
"""A kind whose best error is this many times the best of all is not tried with other hyperparameters: the dearer its
fits, the sooner."""

USUALLY_UNPROMISING = 1.5

HOPELESS = 1.6
"""A candidate whose error on one fold is this many times the best gets no second one."""

FAR_BEHIND = 1.3
"""A candidate whose error on two folds is this many times the best gets no more of them: a blend would not want it."""

LOG_RANGE = 20.0
"""An output whose largest value is this many times its smallest may be learned as its logarithm."""

LOG_GAIN = 0.97
"""Learning logarithms has to bring the best error down by this factor: it changes what a model does far outside the
data."""


@dataclass(frozen=True)
class Candidate:
    """What may be fitted.

    Attributes:
        kind: a key of KINDS.
        params: the hyperparameters that differ from its defaults.
        is_reference: it is compared to the end, and what errs more is not kept: the mean, and a linear model.
        is_log: it learns logarithms of outputs.
    """

    kind: str
    params: Mapping[str, ParamValue]
    is_reference: bool = False
    is_log: bool = False

    def to_json(self) -> list[Any]:
        """Return what is fitted, as values that go to JSON."""
        return [self.kind, dict(self.params), self.is_log]


@dataclass(eq=False)
class Trial:
    """What is known of one candidate.

    Attributes:
        squares: sum of squared errors of each output by stage and fold, each (m,).
        n_tested: rows behind them, by stage and fold.
        predictions: held-out predictions by fold, of the stage "full" only.
        failure: why it could not be fitted, if so.
        n_bytes: what its largest form takes to store.
    """

    candidate: Candidate
    squares: dict[tuple[str, int], Floats] = field(default_factory=dict)
    n_tested: dict[tuple[str, int], int] = field(default_factory=dict)
    predictions: dict[int, Floats] = field(default_factory=dict)
    failure: str | None = None
    n_bytes: int = 0

    @property
    def family(self) -> tuple[str, bool]:
        """What it is like: its kind, and whether it learns logarithms."""
        return self.candidate.kind, self.candidate.is_log

    def error(self, runs: Sequence[tuple[str, int]], sd: Floats) -> float:
        """Return the error over these stages and folds; infinite if one of them is missing or has failed."""
        if self.failure is not None or any(run not in self.squares for run in runs):
            return float("inf")
        squares = np.sum([self.squares[run] for run in runs], axis=0)
        mean_square = squares / sum(self.n_tested[run] for run in runs)
        error = float((np.sqrt(mean_square) / sd).mean())
        return error if np.isfinite(error) else float("inf")


@dataclass(frozen=True)
class Task:
    """One fit of the search: a candidate on the rows of a fold, or on a sample of them."""

    trial: Trial
    stage: str  # "sample" or "full"
    fold: int

    def to_json(self) -> list[Any]:
        """Return what is fitted on which rows, as values that go to JSON."""
        return [*self.trial.candidate.to_json(), self.stage, self.fold]


class Table:
    """The rows, the folds, and fitting on them."""

    def __init__(self, X: Floats, Y: Floats, folds: Sequence[Fold], *, seed: int, n_jobs: int) -> None:
        self.X, self.Y, self.seed, self.n_jobs = X, Y, seed, n_jobs
        self.folds = [(np.asarray(train), np.asarray(test)) for train, test in folds]
        sd = Y.std(axis=0)
        self.sd = np.where(sd > 0, sd, 1.0)
        self.is_large = max(len(train) for train, _ in self.folds) > 1.4 * SAMPLE
        positive = (Y.min(axis=0) > 0) & (Y.max(axis=0) > LOG_RANGE * np.abs(Y.min(axis=0)))
        self.may_be_log: Bools = positive

    @property
    def first_stage(self) -> str:
        """The stage of the rounds before the last."""
        return "sample" if self.is_large else "full"

    def n_final_folds(self) -> int:
        """Return how many folds decide in the end: enough for ENOUGH_TESTED rows, and two if there are two."""
        n_tested = np.cumsum([len(test) for _, test in self.folds])
        return min(len(self.folds), max(2, int(np.searchsorted(n_tested, ENOUGH_TESTED)) + 1))

    def rows(self, stage: str, fold: int) -> Fold:
        """Return the rows to learn from and to test on."""
        train, test = self.folds[fold]
        rng = np.random.default_rng([self.seed, fold])
        if stage == "full":
            return _sample(train, MOST_LEARNED, rng), test
        return _sample(train, SAMPLE, rng), _sample(test, SAMPLE, rng)

    def fit(self, candidate: Candidate, rows: Any, on_step: OnStep) -> Member:
        """Return the candidate, fitted on these rows."""
        from engine.surrogates.kinds import check_params, find_kind  # which has auto in its table

        is_log = self._is_log(candidate)
        Y = to_log(self.Y[rows], is_log)
        params = check_params(candidate.kind, candidate.params)
        form = find_kind(candidate.kind).fit(self.X[rows], Y, params, self.seed, self.n_jobs, on_step)
        return Member(candidate.kind, form, is_log)

    def restored(self, candidate: Candidate, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Member | None:
        """Return the candidate, fitted earlier, of the arrays of its form; None if they are not sound."""
        from engine.surrogates.kinds import find_kind

        try:
            form = find_kind(candidate.kind).form.from_arrays(arrays, self.X.shape[1], self.Y.shape[1])
        except ModelFileError:
            return None
        return Member(candidate.kind, form, self._is_log(candidate))

    def _is_log(self, candidate: Candidate) -> Bools:
        return self.may_be_log & candidate.is_log

    def run(self, task: Task, on_step: OnStep) -> Outcome:
        """Do one fit, keep what it came to, and return that. What a kind refuses is its failure."""
        train, test = self.rows(task.stage, task.fold)
        try:
            member = self.fit(task.trial.candidate, train, on_step)
        except (TrainingError, ParameterError) as error:
            outcome = Outcome(None, failure=str(error))
        else:
            # in the order that storing gives them: it decides the last bit of their sums
            predicted = np.ascontiguousarray(member.predict(self.X[test]))
            outcome = Outcome(predicted, sum(array.nbytes for array in member.form.arrays().values()))
        self.keep(task, outcome)
        return outcome

    def keep(self, task: Task, outcome: Outcome) -> None:
        """Keep in the trial what the held-out rows of a fit came to."""
        run, trial = (task.stage, task.fold), task.trial
        if outcome.predictions is None:
            trial.failure = outcome.failure
            return
        _train, test = self.rows(task.stage, task.fold)
        trial.n_bytes = max(trial.n_bytes, outcome.n_bytes)
        with np.errstate(over="ignore", invalid="ignore"):
            trial.squares[run] = ((outcome.predictions - self.Y[test]) ** 2).sum(axis=0)
        trial.n_tested[run] = len(test)
        if task.stage == "full":
            trial.predictions[task.fold] = outcome.predictions

    def shape(self, task: Task) -> tuple[int, int]:
        """Return the shape of the predictions of a fit."""
        return len(self.rows(task.stage, task.fold)[1]), self.Y.shape[1]


class Search:
    """The rounds. ``tasks`` gives one fit after the other; each must have run before the next is asked for."""

    def __init__(self, table: Table, firsts: Sequence[Candidate], others: Sequence[Candidate] = ()) -> None:
        self.table = table
        self.trials = [Trial(candidate) for candidate in firsts]
        self.others = others
        self.rounds: list[tuple[list[Trial], list[tuple[str, int]]]] = []

    def tasks(self) -> Iterator[Task]:
        """Give the fits of all rounds, in order."""
        stage, n_folds = self.table.first_stage, len(self.table.folds)
        yield from self._round(self.trials, [(stage, 0)])
        self.trials += self._promising([(stage, 0)])
        yield from self._round(self.trials, [(stage, 0)])
        kept = self._hopeful([(stage, 0)])
        if n_folds > 1:
            yield from self._round(kept, [(stage, 0), (stage, 1)])
        known = [(stage, fold) for fold in range(min(2, n_folds))]
        runs = [("full", fold) for fold in range(self.table.n_final_folds())]
        yield from self._round(self._finalists(kept, known), runs)

    def most_fits(self) -> int:
        """Return how many fits there can be at most."""
        n_final = self.table.n_final_folds() * (MOST_FINALISTS + MOST_LOGARITHMS + 2)
        return 2 * (len(self.trials) + len(self.others)) + n_final

    def best(self) -> tuple[list[Trial], list[tuple[str, int]]]:
        """Return the trials of the last round that finished a fold, best first, and the runs that all of them did."""
        for trials, runs in reversed(self.rounds):
            sound = [trial for trial in trials if trial.failure is None]
            n_done = min((sum(run in trial.squares for run in runs) for trial in sound), default=0)
            if n_done:
                return self._ranked(self._without_idle_logarithms(sound, runs[:n_done]), runs[:n_done]), runs[:n_done]
        first = [(self.table.first_stage, 0)]
        return self._ranked(self.trials, first), first

    def _round(self, trials: list[Trial], runs: list[tuple[str, int]]) -> Iterator[Task]:
        """Give the fits that these trials lack, fold by fold, so that a cut leaves folds that all have done."""
        self.rounds.append((trials, runs))
        for stage, fold in runs:
            for trial in trials:
                if trial.failure is None and (stage, fold) not in trial.squares:
                    yield Task(trial, stage, fold)

    def _promising(self, runs: list[tuple[str, int]]) -> list[Trial]:
        """Return the other candidates of the kinds that did well, and logarithms if an output spreads widely."""
        ranked = self._ranked(self.trials, runs)
        best = ranked[0].error(runs, self.table.sd) if ranked else 0.0
        kinds = {
            trial.candidate.kind
            for trial in ranked
            if trial.error(runs, self.table.sd) <= best * UNPROMISING.get(trial.candidate.kind, USUALLY_UNPROMISING)
        }
        may_be_log = self.table.may_be_log.any()
        return [Trial(each) for each in self.others if (may_be_log if each.is_log else each.kind in kinds)]

    def _hopeful(self, runs: list[tuple[str, int]]) -> list[Trial]:
        """Return the best, the best of each kind, both without what is hopeless, and the references."""
        ranked = self._ranked(self.trials, runs)
        of_kind = {trial.family: trial for trial in reversed(ranked)}  # the best of each
        bar = HOPELESS * ranked[0].error(runs, self.table.sd) if ranked else 0.0
        kept = [*ranked[: min(MOST_TWICE, (len(ranked) + 1) // 2)], *of_kind.values()]
        hopeful = [trial for trial in kept if trial.error(runs, self.table.sd) <= bar]
        return [trial for trial in ranked if trial in hopeful or trial.candidate.is_reference]

    def _finalists(self, trials: list[Trial], runs: list[tuple[str, int]]) -> list[Trial]:
        """Return the best few, not all of one kind nor all of logarithms, and the references."""
        ranked = self._ranked(trials, runs)
        bar = FAR_BEHIND * ranked[0].error(runs, self.table.sd) if ranked else 0.0
        room = {False: MOST_FINALISTS, True: MOST_LOGARITHMS}
        chosen: list[Trial] = []
        for trial in ranked:
            n_of_kind = sum(other.family == trial.family for other in chosen)
            n_alike = sum(other.candidate.is_log == trial.candidate.is_log for other in chosen)
            is_near = trial.error(runs, self.table.sd) <= bar
            if is_near and n_alike < room[trial.candidate.is_log] and n_of_kind < MOST_OF_A_KIND:
                chosen.append(trial)
        return chosen + [trial for trial in ranked if trial.candidate.is_reference and trial not in chosen]

    def _without_idle_logarithms(self, trials: list[Trial], runs: list[tuple[str, int]]) -> list[Trial]:
        """Return the trials without those of logarithms that do not clearly err less than all others."""
        plain = [trial for trial in trials if not trial.candidate.is_log]
        bar = LOG_GAIN * min((trial.error(runs, self.table.sd) for trial in plain), default=float("inf"))
        return [t for t in trials if not t.candidate.is_log or t.error(runs, self.table.sd) < bar]

    def _ranked(self, trials: Sequence[Trial], runs: list[tuple[str, int]]) -> list[Trial]:
        errors = {id(trial): trial.error(runs, self.table.sd) for trial in trials}
        done = [trial for trial in trials if np.isfinite(errors[id(trial)])]
        return sorted(done, key=lambda trial: errors[id(trial)])


def _sample(rows: Any, most: int, rng: np.random.Generator) -> Any:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))

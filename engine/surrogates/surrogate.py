"""Surrogates: models of a process module, learned from its rows, that predict outputs from inputs.

Notation:
    X: inputs, shape (n, d), in the units of the tags.    inputs: their d tags, in the order of the columns.
    Y: outputs, shape (n, m), likewise.                   outputs: their m tags.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ShapeError, TrainingError
from engine.folds import Fold
from engine.surrogates.arrays import Floats, matrix
from engine.surrogates.encoding import Categories, Encoding, may_miss, with_gaps
from engine.surrogates.fits import FitsDone
from engine.surrogates.intervals import Intervals, NotCalibrated
from engine.surrogates.kinds import Form, check_params, find_kind
from engine.surrogates.params import OnStep, ParamValue

LARGEST_TRAINED = 1e30
"""Numbers beyond this (either sign) are not measurements, and their squares would endanger the arithmetic."""

LARGEST_MODEL = 512 * 2**20
"""Bytes that the arrays of a model may take: what training may make is what a file may hold."""


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A trained model of one module. It never changes; ``fit`` and ``load`` make it.

    Attributes:
        kind: its kind, a key of KINDS or, made elsewhere, of IMPORTED.
        params: its complete hyperparameters.
        inputs, outputs: the tags of the columns of X and Y.
        n_rows: rows it was trained on; 0 for an imported model, of which that is not known.
        input_ranges, output_ranges: lowest and highest value of each tag in those rows, (d, 2) and (m, 2).
        input_sd, output_sd: standard deviation of each tag in those rows (divided by n), (d,) and (m,). Of both,
            missing cells are left out, and those of a categorical input are of the places of its categories.
        form: the arrays that predict.
        choice: of a kind that chooses, what it tried and chose, as values that go to JSON; else None.
        intervals: what ``predict_interval`` needs, once ``intervals.calibrate`` has been there; else None.
        encoding: how categories and missing cells become the columns that the form predicts from; None where the
            columns are the inputs.
    """

    kind: str
    params: Mapping[str, ParamValue]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    n_rows: int
    input_ranges: Floats = field(repr=False)
    output_ranges: Floats = field(repr=False)
    input_sd: Floats = field(repr=False)
    output_sd: Floats = field(repr=False)
    form: Form = field(repr=False)
    choice: Mapping[str, Any] | None = field(default=None, repr=False)
    intervals: Intervals | None = field(default=None, repr=False)
    encoding: Encoding | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        summaries = (self.input_ranges, self.output_ranges, self.input_sd, self.output_sd)
        of_intervals = self.intervals.arrays().values() if self.intervals else ()
        of_encoding = (self.encoding.fill, self.encoding.is_flagged) if self.encoding else ()
        for array in (*summaries, *self.form.arrays().values(), *of_intervals, *of_encoding):
            array.flags.writeable = False

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """The categories of each categorical input, in the order of their places."""
        return self.encoding.categories if self.encoding else MappingProxyType({})

    def predict(self, X: Any) -> Floats:
        """Return the predicted outputs, shape (n, m), for inputs X, shape (n, d); n may be 0.

        The same row gives the same bits whatever other rows are asked for with it, before or after storage.

        Raises:
            ShapeError: X is not a matrix with one column for each input.
            NotFinite: a cell of X is infinite or not a number, or missing (NaN) though the model was not trained to
                impute it.
            UnknownCategory: a cell of a categorical input is not the place of one of its categories.
        """
        return self._predicted(self.checked(X))

    def checked(self, X: Any) -> Floats:
        """Return X as the matrix of inputs that the model takes.

        Raises:
            ShapeError, NotFinite, UnknownCategory: as ``predict``.
        """
        return self.encoding.checked(X) if self.encoding else matrix("X", X, self.inputs)

    def filled(self, X: Any) -> Floats:
        """Return checked inputs without gaps: what is missing is filled by the model's rule."""
        checked = self.checked(X)
        return self.encoding.filled(checked) if self.encoding else checked

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[Floats, Floats]:
        """Return the lower and upper ends, (n, m) each, of intervals that hold this share of measurements.

        The promise is kept for rows like those that were held out when the model was calibrated; how well it was kept
        there is told in ``intervals.coverage``.

        Raises:
            ShapeError, NotFinite, UnknownCategory: as ``predict``.
            NotCalibrated: the model's errors on held-out rows are not known.
            ParameterError: the level is not between 0 and 1, or too high for the number of held-out rows.
        """
        if self.intervals is None:
            raise NotCalibrated(
                "this model has no intervals: calibrate it with a cross-validation of its kind on its rows",
                kind=self.kind,
            )
        P = self.predict(X)
        half = self.intervals.half_widths(self.filled(X), P, level)
        return P - half, P + half

    def _predicted(self, X: Floats) -> Floats:
        return self.form.predict(self.encoding.encoded(X) if self.encoding else X)


def fit(
    kind: str,
    X: Any,
    Y: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    n_jobs: int = 1,
    folds: Sequence[Fold] | None = None,
    on_step: OnStep | None = None,
    categories: Categories | None = None,
    missing: str = "refuse",
    fits: FitsDone | None = None,
) -> Surrogate:
    """Train a surrogate of this kind on rows X -> Y.

    Every kind takes categories and missing cells: the model turns them into numbers by a rule of its own
    (``encoding``), which is stored with it.

    Args:
        kind: a key of KINDS.
        X, Y: inputs (n, d) and outputs (n, m), finite, row by row; incomplete rows are the caller's to drop, but for
            inputs that are to be imputed.
        inputs, outputs: tags of the columns, each of its own name.
        params: hyperparameters that differ from the defaults; ``describe_params`` tells them.
        seed: of everything random, 0 to 2^32 - 1; the same seed on the same data gives the same bits.
        n_jobs: threads for training a forest; it changes the time and not a bit of the result.
        folds: for a kind that chooses ("auto"), rows to train on and rows to test on, as ``engine.folds`` gives them:
            what is chosen is chosen for rows that are held out like this. By default five folds at random.
        on_step: called while trees are grown, every tenth of a second or after each tree if that takes longer,
            with the share of the work that is done. What it raises ends the training.
        categories: the categories of each input that has some; X holds their places, 0 to c - 1.
        missing: "refuse" cells of X that are missing (NaN), or "impute" them: by the median or the most frequent
            category, with a column that says so for each input that was missing in training.
        fits: for a kind that chooses, the fits of its search that an earlier run of the same has done: they are not
            done again, and those that are done now are told. The others do not look at it.

    Raises:
        ParameterError: kind, a hyperparameter, seed, n_jobs or missing is not one that is allowed.
        ShapeError: X or Y is not a matrix with one column for each tag, or their rows differ in number.
        NotFinite: a cell is infinite or not a number, or missing where that is refused; in Y it always is.
        UnknownCategory: a cell of a categorical input is not the place of one of its categories.
        TrainingError: there are no rows or tags, a tag is there twice, a number is beyond 1e30, an input is missing
            in all rows, categories are none, or the model would be too large to store.
    """
    complete = check_params(kind, params)
    seed, n_jobs = whole_number("seed", seed, 0, LARGEST_SEED), whole_number("n_jobs", n_jobs, 1, 1024)
    inputs, outputs = distinct("inputs", inputs), distinct("outputs", outputs)
    X, Y = _trainable("X", X, inputs, may_miss(missing)), _trainable("Y", Y, outputs, False)
    if len(X) != len(Y):
        raise ShapeError(
            f"X has shape {X.shape} but Y has {Y.shape}: both need the same rows",
            X=list(X.shape),
            Y=list(Y.shape),
        )
    if len(X) == 0:
        raise TrainingError("there are no rows to train on; at least 1 is needed", n_rows=0)

    encoding = Encoding.of(X, inputs, categories, missing)
    found = find_kind(kind)
    choosing = {"folds": folds, "fits": fits} if found.chooses else {}
    with _pools(found.threaded).limit(limits=1):  # shared sums differ in the last bit
        form = found.fit(
            encoding.encoded(X) if encoding else X,
            Y,
            complete,
            seed,
            n_jobs,
            on_step or (lambda _share: None),
            **choosing,
        )
    _check_size(form)
    return Surrogate(
        kind=kind,
        params=MappingProxyType(complete),
        inputs=inputs,
        outputs=outputs,
        n_rows=len(X),
        input_ranges=np.stack([np.nanmin(X, axis=0), np.nanmax(X, axis=0)], axis=1),
        output_ranges=np.stack([Y.min(axis=0), Y.max(axis=0)], axis=1),
        input_sd=np.nanstd(X, axis=0),
        output_sd=Y.std(axis=0),
        form=form,
        choice=getattr(form, "choice", None),
        encoding=encoding,
    )


@cache
def _pools(modules: tuple[str, ...]) -> Any:
    """Return the threads of OpenMP and BLAS that NumPy and these modules have; finding them takes some milliseconds."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    for module in modules:  # only threads that are there already can be told
        import_module(module)
    return ThreadpoolController()


def _trainable(name: str, values: Any, tags: tuple[str, ...], has_gaps: bool) -> Floats:
    array = (with_gaps if has_gaps else matrix)(name, values, tags)
    beyond = np.argwhere(np.abs(array) > LARGEST_TRAINED)
    if len(beyond):
        row, column = (int(i) for i in beyond[0])
        raise TrainingError(
            f"{name} holds {array[row, column]:g} in row {row}, tag {tags[column]!r}: numbers beyond"
            f" {LARGEST_TRAINED:g} are no measurements",
            array=name,
            row=row,
            tag=tags[column],
        )
    return array


def distinct(name: str, tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags, at least one and each of its own name.

    Raises:
        TrainingError: they are not that; the message tells which are there twice.
    """
    if isinstance(tags, str) or not isinstance(tags, Iterable) or not all(isinstance(tag, str) for tag in tags):
        raise TrainingError(f"{name} must be a list of tags, not {tags!r}", argument=name)
    if len(tags) == 0:
        raise TrainingError(f"{name} is empty; at least one tag is needed", argument=name)
    twice = sorted(tag for tag, times in Counter(tags).items() if times > 1)
    if twice:
        raise TrainingError(f"{name} holds {', '.join(map(repr, twice))} more than once", argument=name, tags=twice)
    return tuple(tags)


def _check_size(form: Form) -> None:
    n_bytes = sum(array.nbytes for array in form.arrays().values())
    if n_bytes > LARGEST_MODEL:
        raise TrainingError(
            f"the model takes {n_bytes / 2**20:.0f} MB but at most"
            f" {LARGEST_MODEL / 2**20:.0f} MB can be stored; ask for fewer trees, or for more rows in a leaf",
            n_bytes=n_bytes,
            allowed=LARGEST_MODEL,
        )

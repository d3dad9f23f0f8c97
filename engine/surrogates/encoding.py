"""What a model makes of inputs that are no plain numbers: categories, and cells that are missing.

Notation:
    X: inputs, shape (n, d): numbers in the units of the tags. A categorical input holds the place of its category in
       the list of categories, 0 to c - 1. A missing cell is NaN.
    Z: what the model learns from, shape (n, D), D >= d, finite.

    a number         one column; where it is missing the median of the rows that the model was trained on
    a category       a column for each category, 1 where it is the one, else 0; where it is missing the most frequent
    was it missing   one more column, 1 where it was, for each input that was missing in some row of the training

So a model learns both: what such a row does on average, and what is different about rows in which a tag fails. The
rule belongs to the model and is stored with it: a cell that is missing in a new row is filled as one in training was.

Source:
    Missing-indicator with an imputed constant: Van Ness, Bosschieter, Halpin-Gregorio and Udell (2023), The missing
    indicator method, KDD, 2326-2337.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import floats
from engine.errors import EngineError, ModelFileError, ParameterError, ShapeError, TrainingError
from engine.surrogates.arrays import Bools, Floats, NotFinite, matrix
from engine.surrogates.stored import ArraySpec, take

MISSING = ("refuse", "impute")
"""What becomes of missing cells."""

MOST_COLUMNS = 2000
"""Columns that a model may learn from: categories beyond it are names, not kinds."""

Categories = Mapping[str, Sequence[str]]


class UnknownCategory(EngineError):  # noqa: N818  (called after what is wrong, as the others are)
    """A cell of a categorical input does not hold the place of one of its categories."""

    code = "model.unknown_category"
    title = "A cell holds no category that the model knows."


@dataclass(frozen=True, eq=False)
class Encoding:
    """The way from inputs X (n, d) to the columns Z (n, D) that a model learns from.

    Attributes:
        inputs: the tags of X.
        categories: of each categorical input, at least two different names.
        imputes: whether missing cells are filled; else they are refused.
        fill: what fills them, shape (d,): the median, or the place of the most frequent category.
        is_flagged: the inputs that have a column for "was it missing", shape (d,).
    """

    inputs: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    imputes: bool
    fill: Floats
    is_flagged: Bools

    @classmethod
    def of(cls, X: Floats, inputs: tuple[str, ...], categories: Categories | None, missing: str) -> "Encoding | None":
        """Return the encoding that rows X (n, d) ask for, NaN where a cell is missing; None if they need none.

        Raises:
            ParameterError: ``missing`` is neither "refuse" nor "impute".
            TrainingError: categories are of no input, fewer than two, too many or not different, or an input is
                missing in all rows.
            UnknownCategory: a cell of a categorical input is not the place of a category.
        """
        imputes, checked = may_miss(missing), _checked_categories(categories or {}, inputs)
        if not checked and not imputes:
            return None
        n_missing = np.isnan(X).sum(axis=0)
        empty = [tag for tag, n in zip(inputs, n_missing, strict=True) if n == len(X)]
        if empty:
            raise TrainingError(f"there is no value of {', '.join(map(repr, empty))} in any row", tags=empty)
        _check_codes(X, inputs, checked)
        fill = np.array([_usual(column, tag in checked) for tag, column in zip(inputs, X.T, strict=True)])
        return cls(inputs, MappingProxyType(checked), imputes, fill, n_missing > 0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of Z, for people."""
        return tuple(name for _, names in self._parts() for name in names)

    @property
    def origin(self) -> NDArray[np.intp]:
        """The input that each column of Z comes from, shape (D,)."""
        return np.concatenate([np.full(len(names), j, dtype=np.intp) for j, names in self._parts()])

    def checked(self, X: Any) -> Floats:
        """Return X as a matrix of inputs that the encoding takes, NaN where a cell is missing.

        Raises:
            ShapeError, NotFinite: it is no such matrix, or a cell is infinite, or missing and may not be.
            UnknownCategory: a cell of a categorical input is not the place of a category.
        """
        array = with_gaps("X", X, self.inputs) if self.imputes else matrix("X", X, self.inputs)
        _check_codes(array, self.inputs, self.categories)
        return array

    def filled(self, X: Floats) -> Floats:
        """Return checked inputs (n, d) without gaps."""
        return np.where(np.isnan(X), self.fill, X)

    def encoded(self, X: Floats) -> Floats:
        """Return Z, shape (n, D), for checked inputs."""
        is_missing, full = np.isnan(X), self.filled(X)
        parts = []
        for j, tag in enumerate(self.inputs):
            kinds = np.arange(len(self.categories[tag])) if tag in self.categories else None
            parts.append(full[:, [j]] if kinds is None else (full[:, [j]] == kinds).astype(np.float64))
            if self.is_flagged[j]:
                parts.append(is_missing[:, [j]].astype(np.float64))
        return np.ascontiguousarray(np.hstack(parts))

    def possible(self, X: Floats) -> Floats:
        """Return the rows (n, d) with categorical cells moved to the nearest place that holds a category."""
        last = np.array([len(self.categories[tag]) - 1 if tag in self.categories else -1 for tag in self.inputs])
        return np.where(last >= 0, np.clip(np.round(X), 0, np.maximum(last, 0)), X)

    def summed(self, V: Floats) -> Floats:
        """Return values of the columns, (D, m), added up to values of the inputs, (d, m)."""
        total = np.zeros((len(self.inputs), V.shape[1]))
        np.add.at(total, self.origin, V)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return what the model file tells of it beside the arrays."""
        return {
            "categories": {tag: list(names) for tag, names in self.categories.items()},
            "missing": MISSING[int(self.imputes)],
        }

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""
        return {"fill": self.fill, "is_flagged": self.is_flagged.astype(np.int32)}

    @classmethod
    def from_stored(
        cls, told: Any, arrays: Mapping[str, np.ndarray[Any, Any]], inputs: tuple[str, ...]
    ) -> "Encoding | None":
        """Return the encoding of a model file; None where it has none.

        Raises:
            ModelFileError: what is told is not what ``to_json`` gives, or the arrays do not fit.
        """
        if told is None and not arrays:
            return None
        if not isinstance(told, dict) or told.keys() != {"categories", "missing"} or told["missing"] not in MISSING:
            raise ModelFileError("what the model tells of its encoding is not its categories and 'missing'")
        try:
            categories = _checked_categories(told["categories"], inputs)
        except TrainingError as error:
            raise ModelFileError(f"the categories of the model are not allowed: {error}") from error
        d = len(inputs)
        found = take(arrays, {"fill": ArraySpec(np.float64, (d,)), "is_flagged": ArraySpec(np.int32, (d,))})
        if not np.isin(found["is_flagged"], (0, 1)).all():
            raise ModelFileError("is_flagged of the encoding holds numbers other than 0 and 1")
        encoding = cls(
            inputs, MappingProxyType(categories), told["missing"] == "impute", found["fill"], found["is_flagged"] == 1
        )
        if encoding.is_flagged.any() and not encoding.imputes:
            raise ModelFileError("the model flags missing cells, which it refuses")
        try:
            _check_codes(found["fill"][None], inputs, categories)
        except UnknownCategory as error:
            raise ModelFileError(f"what fills a missing category is none: {error}") from error
        return encoding

    def _parts(self) -> list[tuple[int, list[str]]]:
        """Return each input's place and the names of its columns."""
        parts = []
        for j, tag in enumerate(self.inputs):
            names = [f"{tag} = {name}" for name in self.categories[tag]] if tag in self.categories else [tag]
            parts.append((j, [*names, f"{tag} is missing"] if self.is_flagged[j] else names))
        return parts


def may_miss(missing: str) -> bool:
    """Return whether cells may be missing.

    Raises:
        ParameterError: ``missing`` is neither "refuse" nor "impute".
    """
    if missing not in MISSING:
        allowed = list(MISSING)
        raise ParameterError(
            f"missing must be 'refuse' or 'impute', not {missing!r:.40}", parameter="missing", allowed=allowed
        )
    return missing == MISSING[1]


def with_gaps(name: str, values: Any, tags: Sequence[str]) -> Floats:
    """Return ``values`` as ``arrays.matrix`` does, but with NaN where a cell is missing.

    Raises:
        ShapeError, NotFinite: as there; an infinite cell is not a missing one.
    """
    array = floats(name, values, NotFinite)
    if array.ndim != 2:
        raise ShapeError(f"{name} has shape {array.shape} but (n, {len(tags)}) is needed", array=name)
    matrix(name, np.where(np.isnan(array), 0.0, array), tags)  # it knows how to refuse the rest
    return np.ascontiguousarray(array)


def _usual(column: Floats, is_category: bool) -> float:
    """Return the median, or the most frequent category; of several the first."""
    known = column[~np.isnan(column)]
    return float(np.bincount(known.astype(np.intp)).argmax()) if is_category else float(np.median(known))


def _check_codes(X: Floats, inputs: Sequence[str], categories: Mapping[str, Sequence[str]]) -> None:
    for tag, names in categories.items():
        column = X[:, list(inputs).index(tag)]
        bad = np.flatnonzero(~(np.isnan(column) | np.isin(column, np.arange(len(names)))))
        if len(bad):
            row = int(bad[0])
            raise UnknownCategory(
                f"X holds {column[row]:g} in row {row}, tag {tag!r}, which has {len(names)} categories, numbered from"
                f" 0: {', '.join(map(repr, names[:8]))}{' and others' if len(names) > 8 else ''}",
                row=row,
                tag=tag,
                given=float(column[row]),
                n_categories=len(names),
            )


def _checked_categories(categories: Any, inputs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the categories in the order of the inputs."""
    if not isinstance(categories, Mapping):
        raise TrainingError(f"categories must map tags to lists of names, not {categories!r:.40}")
    strange = [tag for tag in categories if tag not in inputs]
    if strange:
        raise TrainingError(f"there are categories of {strange[0]!r:.80}, which is no input", tag=str(strange[0]))
    for tag, names in categories.items():
        is_list = isinstance(names, Sequence) and not isinstance(names, str)
        if not is_list or not all(isinstance(name, str) for name in names) or len(set(names)) < max(len(names), 2):
            raise TrainingError(f"the categories of {tag!r} are not a list of two or more different names", tag=tag)
    n_columns = len(inputs) + sum(map(len, categories.values()))
    if categories and n_columns > MOST_COLUMNS:
        widest = max(categories, key=lambda tag: len(categories[tag]))
        raise TrainingError(
            f"with their categories the inputs make {n_columns} columns, more than {MOST_COLUMNS}; most are of"
            f" {widest!r}, which has {len(categories[widest])}",
            tag=widest,
            n_columns=n_columns,
        )
    return {tag: tuple(categories[tag]) for tag in inputs if tag in categories}

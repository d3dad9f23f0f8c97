"""The rows and columns of a mixed-integer program while it is written.

Every column lies between 0 and 1: inputs and outputs of models are shifted by their lower bound and divided by their
span, so that the solver's tolerances mean the same for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.solvers.ranking import Floats


@dataclass(frozen=True)
class Column:
    """A quantity of the problem as a column u of the program: its value is ``low + span * u``."""

    index: int
    low: float
    span: float


@dataclass
class Sum:
    """An affine form over columns: constant + sum of coefficient * u."""

    constant: float = 0.0
    coefficients: dict[int, float] = field(default_factory=dict)

    def add(self, index: int, coefficient: float) -> None:
        """Add coefficient * u of a column."""
        self.coefficients[index] = self.coefficients.get(index, 0.0) + coefficient

    def add_value(self, column: Column, factor: float) -> None:
        """Add factor * the value of a column, in its own unit."""
        self.constant += factor * column.low
        if column.span:
            self.add(column.index, factor * column.span)

    def plus(self, other: "Sum", factor: float = 1.0) -> "Sum":
        """Return self + factor * other."""
        found = Sum(self.constant + factor * other.constant, dict(self.coefficients))
        for index, coefficient in other.coefficients.items():
            found.add(index, factor * coefficient)
        return found


class Matrix:
    """A program: minimize a sum over columns in [0, 1], some of them 0 or 1 only, under rows."""

    def __init__(self) -> None:
        self.is_integer: list[bool] = []
        self.most: list[float] = []
        self._rows: list[int] = []
        self._columns: list[int] = []
        self._values: list[float] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.objective = Sum()

    def column(self, *, is_integer: bool = False, most: float = 1.0) -> int:
        """Add a column from 0 to ``most`` and return its index."""
        self.is_integer.append(is_integer)
        self.most.append(most)
        return len(self.is_integer) - 1

    def row(self, coefficients: Mapping[int, float], *, lower: float = -np.inf, upper: float = np.inf) -> None:
        """Add a row: lower <= sum of coefficient * u <= upper."""
        index = len(self.lower)
        for column, value in coefficients.items():
            self._rows.append(index)
            self._columns.append(column)
            self._values.append(value)
        self.lower.append(lower)
        self.upper.append(upper)

    def keep(self, total: Sum, *, lower: float | None = None, upper: float | None = None, scale: float = 1.0) -> None:
        """Add a row that keeps a sum within bounds, divided by a scale so that rows are of one size."""
        self.row(
            {index: value / scale for index, value in total.coefficients.items()},
            lower=-np.inf if lower is None else (lower - total.constant) / scale,
            upper=np.inf if upper is None else (upper - total.constant) / scale,
        )

    def used(self) -> set[int]:
        """Return the columns that stand in a row."""
        return set(self._columns)

    def arrays(self) -> dict[str, Any]:
        """Return the program as plain arrays, as ``engine.exact.solve`` reads them."""
        c = np.zeros(len(self.is_integer))
        for index, value in self.objective.coefficients.items():
            c[index] = value
        return {
            "c": c,
            "rows": np.array(self._rows, dtype=np.int64),
            "columns": np.array(self._columns, dtype=np.int64),
            "values": np.array(self._values, dtype=np.float64),
            "lower": np.array(self.lower, dtype=np.float64),
            "upper": np.array(self.upper, dtype=np.float64),
            "is_integer": np.array(self.is_integer, dtype=np.int64),
            "most": np.array(self.most, dtype=np.float64),
        }

    def value(self, column: Column, u: Floats) -> float:
        """Return the value of a column at a solution."""
        return column.low + column.span * (float(u[column.index]) if column.span else 0.0)

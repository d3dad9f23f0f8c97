"""How far a point is from everything that was ever measured, and which hours were like it.

Notation
    X   history: n rows of d inputs, in the units of the tags      s_j  standard deviation of input j, 0 if constant
    x   a point, (d,), same units

    D(x, y) = sqrt( sum over numbers j with s_j > 0 of ((x_j - y_j) / s_j)^2  +  number of categories that differ )

Euclidean distance with every input counted in its own standard deviations, and a category other than the point's as
one unit. A number that is constant in the history has no scale and adds nothing; a point that differs there was never
seen, and ``unseen`` says so by name.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from engine.checks import floats, whole_number
from engine.distances import squared_distances
from engine.errors import ShapeError

Floats = NDArray[np.float64]

CHUNK = 65_536
"""Rows whose distances are computed at once."""

MOST_SPACING_ROWS = 5_000
LEAST_SPACING_ROWS = 250
MOST_SPACING_PAIRS = 25_000_000
"""Rows whose nearest neighbor is looked up for ``spacing``, evenly spread over the history. With many inputs every
lookup compares with nearly all rows, a quarter of a microsecond each: the pairs bound it to seconds, and a median over
the fewest rows is still within some 5 %."""


class History:
    """Rows that were measured, to compare points with.

    Args:
        X: shape (n, d), finite, n >= 1, in the units of the tags.
        inputs: the d tags.
        sd: scale of each input, shape (d,), finite, >= 0; 0 only says "constant". Default: the standard deviations
            of X (divided by n). A column without two different values is constant whatever its sd is.
        categories: inputs whose values are codes without order.

    Raises:
        ShapeError: X is not a matrix of finite numbers with one column for each tag, or sd does not fit it.
    """

    def __init__(
        self,
        X: ArrayLike,
        inputs: Sequence[str],
        sd: ArrayLike | None = None,
        *,
        categories: Collection[str] = (),
    ) -> None:
        self.X = floats("the history", X).copy()
        self.inputs = tuple(inputs)
        if self.X.ndim != 2 or self.X.shape[1] != len(self.inputs) or len(self.X) == 0:
            raise ShapeError(f"a history of {len(self.inputs)} inputs cannot have shape {self.X.shape}")
        if not np.isfinite(self.X).all():
            raise ShapeError("a history needs finite numbers in every cell; drop incomplete rows first")
        with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e150; the check below says what came of it
            scale = self.X.std(axis=0) if sd is None else floats("sd", sd).copy()
        if scale.shape != (len(self.inputs),) or not np.isfinite(scale).all() or (scale < 0).any():
            raise ShapeError(f"sd must be {len(self.inputs)} finite numbers of at least 0, not {scale.tolist()}")
        # By the values and not by sd == 0: the computed sd of a constant column can be a rounding error
        self._varies = (self.X[0] != self.X).any(axis=0) & (scale > 0)
        self._is_category = np.array([tag in categories for tag in self.inputs], dtype=np.bool_)
        self._counts = self._varies | self._is_category
        self._scale = scale[self._counts]
        self._X = np.asfortranarray(self.X[:, self._counts])  # distances are summed tag by tag
        self._spacing: float | None = None

    def nearest(self, x: ArrayLike, k: int = 1) -> tuple[NDArray[np.intp], Floats]:
        """Return the indices of the k rows nearest to x, shape (d,), and their distances D, both of shape (k,).

        Nearest first, equally near rows in the order of the history; all rows if there are fewer than k. A distance
        that overflows is infinite.

        Raises:
            ShapeError: x is not d finite numbers.
            ParameterError: k is not a whole number from 1.
        """
        k = whole_number("k", k, 1)
        squares = self._squares(x)
        rows = _smallest(squares, k)
        return rows, np.sqrt(squares[rows])

    def n_within(self, x: ArrayLike, distance: float) -> int:
        """Return how many rows lie no farther from x, shape (d,), than this distance D.

        Raises:
            ShapeError: x is not d finite numbers.
        """
        return int(np.count_nonzero(np.sqrt(self._squares(x)) <= distance))

    def unseen(self, x: ArrayLike) -> tuple[str, ...]:
        """Return the inputs that never changed in the history but have another value at x, or a category of no row.

        Raises:
            ShapeError: x is not d finite numbers.
        """
        point = self._checked(x)
        is_in_no_row = (point != self.X).all(axis=0)
        differs = is_in_no_row & (self._is_category | ~self._varies)
        return tuple(tag for tag, is_unseen in zip(self.inputs, differs, strict=True) if is_unseen)

    def spacing(self) -> float:
        """Return the typical distance between neighbors: the median over rows of D to the nearest other row.

        NaN if there is one row only. A long history is judged by some of its rows, evenly spread, each against all
        others (see MOST_SPACING_ROWS). Computed once.
        """
        if self._spacing is None:
            self._spacing = self._measured_spacing()
        return self._spacing

    def _squares(self, x: ArrayLike) -> Floats:
        """Return the squares of the distances from x to all rows, shape (n,)."""
        point, is_category = self._checked(x)[None, self._counts], self._is_category[self._counts]
        starts = range(0, len(self._X), CHUNK)
        with np.errstate(over="ignore"):
            parts = [self._X[start : start + CHUNK] for start in starts]
            squares = [squared_distances(point, rows, self._scale, is_category)[0] for rows in parts]
        return np.concatenate(squares)

    def _checked(self, x: ArrayLike) -> Floats:
        point = floats("the point", x)
        if point.shape != (len(self.inputs),) or not np.isfinite(point).all():
            raise ShapeError(f"a point needs {len(self.inputs)} finite numbers, not {point.tolist()}")
        return point

    def _measured_spacing(self) -> float:
        n = len(self.X)
        if n == 1:
            return float("nan")
        if self._X.shape[1] == 0:
            return 0.0
        n_asked = min(n, MOST_SPACING_ROWS, max(LEAST_SPACING_ROWS, MOST_SPACING_PAIRS // n))
        asked = np.unique(np.linspace(0, n - 1, n_asked).round().astype(np.intp))
        if self._is_category.any():  # a tree knows numbers only
            return float(np.median([self._to_the_nearest_other(i) for i in asked]))
        Z = self._X / self._scale
        # Two nearest: the row itself, at distance 0, and the nearest other (0 too if the row is there twice)
        distances, _ = cKDTree(Z).query(Z[asked], k=2)
        return float(np.median(distances[:, 1]))

    def _to_the_nearest_other(self, i: int) -> float:
        squares = self._squares(self.X[i])
        squares[i] = np.inf
        return float(np.sqrt(squares.min()))


def comparable_rows(
    X_fixed: ArrayLike,
    values: ArrayLike,
    k: int,
    sd: ArrayLike | None = None,
    *,
    categories: Collection[int] = (),
) -> NDArray[np.intp]:
    """Return the rows whose fixed inputs are nearest to these values: what was normal under these conditions.

    Args:
        X_fixed: history of the fixed inputs alone, shape (n, q), finite. With q = 0 every row is comparable, and
            the first k are returned.
        values: what they are fixed at, shape (q,).
        k: how many rows; all if there are fewer.
        sd: scale of each input; default as for ``History``.
        categories: columns whose values are codes without order.

    Returns:
        Indices of the rows, nearest first by D, equally near ones in the order of the history.

    Raises:
        ShapeError, ParameterError: as for ``History`` and its ``nearest``.
    """
    X = floats("the history", X_fixed)
    names = [f"fixed input {j}" for j in range(X.shape[1])] if X.ndim == 2 else []
    return History(X, names, sd, categories=[names[j] for j in categories]).nearest(values, k)[0]


def _smallest(values: Floats, k: int) -> NDArray[np.intp]:
    """Return the indices of the k smallest values, ascending, equals by index; without sorting the rest."""
    if k < len(values):
        limit = np.partition(values, k - 1)[k - 1]
        candidates = np.flatnonzero(values <= limit)
    else:
        candidates = np.arange(len(values))
    order = np.argsort(values[candidates], kind="stable")
    return candidates[order][:k]

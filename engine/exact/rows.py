"""A forest of boxes as rows of a mixed-integer program.

Notation
    u_j     an axis as a column in [0, 1]              b_jk   1 where the cell of axis j is at most k, else 0
    x_l     1 where the point lies in box l, else 0    t_jk   edge k of axis j, as a value of u_j

    sum of x_l over a partition = 1;   b_j0 <= b_j1 <= ...                                                          (1)
    sum of x_l with last_lj <= k  <=  b_jk  and  sum of x_l with first_lj > k  <=  1 - b_jk, for each partition     (2)
    the same with what is missing in each row as a column, and each row less the one before it                     (2')
    u_j >= t_j0 + sum over k of (t_jk+1 - t_jk) (1 - b_jk), and EPSILON above an edge that does not belong to it    (3)
    u_j <= t_j1 + sum over k of (t_jk+2 - t_jk+1) (1 - b_jk)
    output = base + sum of value_l x_l                                                                              (4)

Rows (2) take all boxes of a tree on one side of an edge together, not only those below one split: with one input they
have no fractional corner left, and with few inputs few. A box stands in many of them; in rows (2'), which say the same,
in two for each axis, but they take several times as long to relax: they are for forests whose rows (2) would not fit
into memory. Rows (3) tie an axis to its cells with a margin: a point within
EPSILON above a threshold, as a share of the column's span, is not looked at.

Sources
    (1)  Misic (2020), Operations Research 68, 1605-1624.
    (2)  Biggs and Perakis (2025), Machine Learning, doi 10.1007/s10994-025-06771-8: boxes that share a feature.
    (3)  Mistry, Letsios, Krennrich, Lee and Misener (2021), INFORMS J. Computing 33, 1103-1119: linking constraints.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.exact.boxes import Axis, Cells, Forest
from engine.exact.columns import Matrix
from engine.solvers.ranking import Floats

EPSILON = 1e-6

MOST_ENTRIES = 10_000_000
"""Entries of the rows (2) beyond which the rows (2') are written."""

Indices = NDArray[np.int64]


class Places:
    """Where the columns of a forest lie in the arrays: behind those of the matrix, binaries first.

    Attributes:
        binaries: of each axis, the index of its first b.
        boxes: of each partition, the index of its first x.
        n: number of all columns.
    """

    def __init__(self, matrix: Matrix, forest: Forest) -> None:
        n = len(matrix.is_integer)
        ends = n + np.cumsum([axis.n_cells - 1 for axis in forest.axes], dtype=np.int64)
        self.binaries: list[int] = [n, *ends.tolist()][: len(forest.axes)]
        begin = int(ends[-1]) if len(ends) else n
        ends = begin + np.cumsum([len(each) for each in forest.partitions], dtype=np.int64)
        self.boxes: list[int] = [begin, *ends.tolist()][: len(forest.partitions)]
        self.n_binaries = begin - n
        self.n = int(ends[-1]) if len(ends) else begin


def arrays(matrix: Matrix, forest: Forest) -> dict[str, Any]:
    """Return a matrix together with the rows of its forest, as ``engine.exact.solve`` reads them."""
    own, places, used = matrix.arrays(), Places(matrix, forest), used_columns(matrix, forest)
    rows = _Rows(len(matrix.lower), places.n)
    add_sides = _add_sides if _n_entries(forest) <= MOST_ENTRIES else _add_steps
    for axis, binaries in zip(forest.axes, places.binaries, strict=True):
        _add_order(rows, axis, binaries)
        if axis.column.index in used:
            _add_ties(rows, axis, binaries)
    for partition, boxes in zip(forest.partitions, places.boxes, strict=True):
        rows.add(np.zeros(len(partition)), boxes + np.arange(len(partition)), 1.0, [1.0], [1.0])
        for k, (axis, binaries) in enumerate(zip(forest.axes, places.binaries, strict=True)):
            add_sides(rows, partition.first[:, k], partition.last[:, k], boxes, binaries, axis.n_cells)
    for m, column in enumerate(forest.outputs):
        if column.index in used and column.span:
            _add_output(rows, forest, places, m)
    is_integer = np.zeros(rows.n_columns - len(matrix.is_integer), dtype=np.int64)
    is_integer[: places.n_binaries] = 1
    return {
        "c": np.append(_costs(own["c"], forest, places), np.zeros(rows.n_columns - places.n)),
        "rows": np.concatenate([own["rows"], *rows.rows]),
        "columns": np.concatenate([own["columns"], *rows.columns]),
        "values": np.concatenate([own["values"], *rows.values]),
        "lower": np.concatenate([own["lower"], *rows.lower]),
        "upper": np.concatenate([own["upper"], *rows.upper]),
        "is_integer": np.append(own["is_integer"], is_integer),
        "most": np.append(own["most"], np.ones(len(is_integer))),
    }


def used_columns(matrix: Matrix, forest: Forest) -> set[int]:
    """Return the columns whose value matters: those in a row of the matrix, and outputs that trees compare.

    The others are left untied, which relaxes much faster: where an axis lies within its cell is then of no account.
    """
    links = {axis.column.index for axis in forest.axes} & {column.index for column in forest.outputs}
    return links | set(matrix.used())


def _costs(c: Floats, forest: Forest, places: Places) -> Floats:
    """Return the costs of all columns, with those of outputs moved to the boxes that they are sums of."""
    costs = np.append(c, np.zeros(places.n - len(c)))
    for m, column in enumerate(forest.outputs):
        if column.span and costs[column.index]:
            per_unit = costs[column.index] / column.span
            costs[column.index] = 0.0
            for partition, boxes in zip(forest.partitions, places.boxes, strict=True):
                costs[boxes : boxes + len(partition)] += per_unit * partition.values[:, m]
            costs[places.boxes[0] : places.boxes[0] + len(forest.partitions[0])] += per_unit * (
                forest.base[m] - column.low
            )
    return costs


class _Rows:
    """Rows while they are gathered, whole blocks at a time, and columns that belong to them alone."""

    def __init__(self, n: int, n_columns: int) -> None:
        self.n, self.n_columns = n, n_columns
        self.rows: list[Indices] = []
        self.columns: list[Indices] = []
        self.values: list[Floats] = []
        self.lower: list[Floats] = []
        self.upper: list[Floats] = []

    def put(self, rows: Any, columns: Any, values: Any) -> None:
        """Put values into rows of the block that ``close`` ends; rows count from its beginning."""
        rows = np.asarray(rows, dtype=np.int64)
        self.rows.append(self.n + rows)
        self.columns.append(np.broadcast_to(np.asarray(columns, dtype=np.int64), rows.shape))
        self.values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape))

    def close(self, lower: Any, upper: Any) -> None:
        """End a block with the bounds of its rows."""
        self.lower.append(np.asarray(lower, dtype=np.float64))
        self.upper.append(np.asarray(upper, dtype=np.float64))
        self.n += len(self.lower[-1])

    def more_columns(self, n: int) -> int:
        """Add columns, which cost nothing, and return the index of the first."""
        self.n_columns += n
        return self.n_columns - n

    def add(self, rows: Any, columns: Any, values: Any, lower: Any, upper: Any) -> None:
        """Add a block."""
        self.put(rows, columns, values)
        self.close(lower, upper)


def _add_order(rows: _Rows, axis: Axis, binaries: int) -> None:
    n = axis.n_cells - 2
    if n > 0:
        k = np.arange(n)
        rows.put(k, binaries + k, 1.0)
        rows.add(k, binaries + k + 1, -1.0, np.full(n, -np.inf), np.zeros(n))


def _add_ties(rows: _Rows, axis: Axis, binaries: int) -> None:
    t = (axis.edges - axis.column.low) / axis.column.span
    low, high = t[:-1] + EPSILON, t[1:]
    low[0] = t[0] if axis.is_closed else low[0]
    for row, ends in enumerate((low, high)):  # u - ends_0 - sum of steps (1 - b)
        rows.put([row], axis.column.index, 1.0)
        rows.put(np.full(len(ends) - 1, row), binaries + np.arange(len(ends) - 1), np.diff(ends))
    rows.close([low[-1], -np.inf], [np.inf, high[-1]])


def _add_sides(rows: _Rows, first: Cells, last: Cells, boxes: int, binaries: int, n_cells: int) -> None:
    """Add the rows of all boxes that end at or before an edge, and of all that begin behind it (2)."""
    ends, begins = np.unique(last), np.unique(first) - 1
    ends, begins = ends[ends < n_cells - 1], begins[begins >= 0]
    by_last, by_first = np.argsort(last, kind="stable"), np.argsort(-first, kind="stable")
    n_left = np.searchsorted(last[by_last], ends, side="right")
    n_right = np.searchsorted(-first[by_first], -begins, side="left")
    for order, counts, edges, sign in ((by_last, n_left, ends, -1.0), (by_first, n_right, begins, 1.0)):
        row = np.repeat(np.arange(len(edges)), counts)
        rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows.put(row, boxes + order[rank], 1.0)
        rows.put(np.arange(len(edges)), binaries + edges, sign)
        rows.close(np.full(len(edges), -np.inf), np.full(len(edges), 0.0 if sign < 0 else 1.0))


def _add_steps(rows: _Rows, first: Cells, last: Cells, boxes: int, binaries: int, n_cells: int) -> None:
    """Add the same as differences of neighboring rows (2')."""
    ends, begins = np.unique(last), np.unique(first)[::-1] - 1
    ends, begins = ends[ends < n_cells - 1], begins[begins >= 0]
    for edges, edge_of_box, sign in ((ends, last, -1.0), (-begins, 1 - first, 1.0)):  # both ascend
        n = len(edges)
        if not n:
            continue
        row, missing, k = np.searchsorted(edges, edge_of_box), rows.more_columns(n), np.arange(n)
        is_in = np.flatnonzero(row < n)
        rows.put(row[is_in], boxes + is_in, 1.0)
        for columns, value in ((missing + k, 1.0), (binaries + np.abs(edges), sign)):
            rows.put(k, columns, value)
            rows.put(k[1:], columns[:-1], -value)
        rest = np.zeros(n)
        rest[0] = 0.0 if sign < 0 else 1.0
        rows.close(rest, rest)


def _n_entries(forest: Forest) -> float:
    """Return about how many entries the rows (2) have."""
    return sum(
        0.5 * len(each) * (len(np.unique(each.first[:, k])) + len(np.unique(each.last[:, k])))
        for each in forest.partitions
        for k, axis in enumerate(forest.axes)
        if axis.n_cells > 1
    )


def _add_output(rows: _Rows, forest: Forest, places: Places, m: int) -> None:
    column = forest.outputs[m]
    for partition, boxes in zip(forest.partitions, places.boxes, strict=True):
        has_value = np.flatnonzero(partition.values[:, m])
        rows.put(np.zeros(len(has_value)), boxes + has_value, partition.values[has_value, m] / column.span)
    rest = (column.low - forest.base[m]) / column.span
    rows.add([0], column.index, -1.0, [rest], [rest])

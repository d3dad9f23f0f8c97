"""Boxes that lie outside of what limits and the trust envelope allow, by interval arithmetic.

A row of the matrix is a sum of columns between two bounds. Within a box every axis has its own narrow range: where the
least that the sum can be is above its upper bound, or the most below its lower one, no point of the box is allowed.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from engine.exact.boxes import Forest, Partition, trimmed
from engine.exact.program import Program
from engine.exact.rows import EPSILON
from engine.solvers.ranking import Floats, Truths


def allowed(program: Program) -> Forest | None:
    """Return the forest without the boxes in which no point keeps the rows of the matrix; None if nothing is left."""
    forest = program.forest
    rows = _Rows(program)
    if not rows.n:
        return forest
    partitions = tuple(each.chosen(rows.allow(each)) for each in forest.partitions)
    if not all(map(len, partitions)):
        return None
    first = np.zeros(len(forest.axes), dtype=np.int32)
    last = np.array([axis.n_cells - 1 for axis in forest.axes], dtype=np.int32)
    return trimmed(replace(forest, partitions=partitions), first, last)


class _Rows:
    """The rows of a matrix that speak of axes, with their coefficients of the axes and what the rest can be."""

    def __init__(self, program: Program) -> None:
        from scipy.sparse import csr_matrix

        given, axes = program.matrix.arrays(), program.forest.axes
        shape = (len(given["lower"]), len(given["c"]))
        A = csr_matrix((given["values"], (given["rows"], given["columns"])), shape=shape)
        places = [axis.column.index for axis in axes]
        speaks = np.flatnonzero(np.diff(A[:, places].indptr)) if len(places) else np.empty(0, dtype=np.intp)
        self.n = len(speaks)
        self._edges = [(axis.edges - axis.column.low) / axis.column.span for axis in axes]
        self._C = A[speaks][:, places].toarray()
        most = given["most"].copy()
        most[places] = 0.0
        self._upper = given["upper"][speaks] - _sums(A[speaks].minimum(0), most) + EPSILON
        self._lower = given["lower"][speaks] - _sums(A[speaks].maximum(0), most) - EPSILON

    def allow(self, partition: Partition) -> Truths:
        """Return which boxes of a partition have a point that may keep all rows, shape (n,)."""
        low = np.column_stack([edges[partition.first[:, k]] for k, edges in enumerate(self._edges)])
        high = np.column_stack([edges[partition.last[:, k] + 1] for k, edges in enumerate(self._edges)])
        up, down = np.maximum(self._C, 0.0).T, np.minimum(self._C, 0.0).T
        is_low_enough = np.all(low @ up + high @ down <= self._upper, axis=1)
        is_high_enough = np.all(high @ up + low @ down >= self._lower, axis=1)
        may: Truths = is_low_enough & is_high_enough
        return may


def _sums(A: Any, most: Floats) -> Floats:
    total: Floats = A @ most
    return total

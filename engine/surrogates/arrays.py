"""The arrays that go into a surrogate: their types, and the checks that stand at its door."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import floats
from engine.errors import EngineError, ShapeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class NotFinite(EngineError):  # noqa: N818  (called after what is wrong, as the others are)
    """A value given to a surrogate is missing (NaN), infinite or not a number."""

    code = "model.not_finite"
    title = "A surrogate needs a finite number in every cell."


def matrix(name: str, values: Any, tags: Sequence[str]) -> Floats:
    """Return ``values`` as a float64 matrix with one finite column for each of ``tags``.

    Raises:
        ShapeError: not a matrix, or not len(tags) columns; the message names both shapes.
        NotFinite: a cell is text, NaN or infinite; the message names the first such row and tag.
    """
    array = floats(name, values, NotFinite)
    if array.ndim != 2 or array.shape[1] != len(tags):
        raise ShapeError(
            f"{name} has shape {array.shape} but (n, {len(tags)}) is needed, one column for each of {_shown(tags)}",
            array=name,
            given=list(array.shape),
            wanted=["n", len(tags)],
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise NotFinite(
            f"{name} holds {array[row, column]} in row {row}, tag {tags[column]!r}."
            f" Cells that are not finite: {len(bad)}. Leave out incomplete rows or fill them",
            array=name,
            row=row,
            tag=tags[column],
            n_cells=len(bad),
        )
    return np.ascontiguousarray(array)


def _shown(tags: Sequence[str]) -> str:
    names = [repr(tag) for tag in tags[:8]]
    return ", ".join(names) + (f" and {len(tags) - 8} more" if len(tags) > 8 else "")

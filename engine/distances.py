"""How far points are from rows: numbers in their scales, categories by whether they are the same.

Notation
    x, y   two points, (d,), in the units of the tags      s_j   scale of tag j

    D(x, y)^2 = sum over numbers j of ((x_j - y_j) / s_j)^2  +  number of categorical tags in which x and y differ

A category other than the point's is one unit away, whichever it is: the places of categories in a list are no amounts.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def squared_distances(points: Floats, rows: Floats, scale: Floats, is_category: NDArray[np.bool_]) -> Floats:
    """Return D^2 of points, (n, d), and rows, (r, d): shape (n, r).

    Args:
        scale: of each tag, shape (d,), above 0; that of a categorical tag is not looked at.
        is_category: which tags are categorical, shape (d,).
    """
    squares = np.zeros((len(points), len(rows)))
    for j, is_kind in enumerate(is_category):  # tag by tag: one sum in one order
        # Differences before scaling: rows equally far on two sides of a point are then equal to the last bit
        difference = points[:, j, None] - rows[None, :, j]
        squares += difference != 0 if is_kind else (difference / scale[j]) ** 2
    return squares

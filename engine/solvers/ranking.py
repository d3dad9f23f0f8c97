"""Which of two points is better: feasibility first.

Notation
    f  objective, any unit, smaller is better
    v  total violation of the limits, >= 0; 0 means feasible

Of two feasible points the one with the lower f is better, a feasible point is better than an infeasible one, and
of two infeasible points the one that violates less is better (then f decides). Since a feasible point has v = 0,
all three rules are one: compare (v, f) as pairs, v first.

Only order is used, never a difference or a ratio of objectives. So a solver that ranks by this module takes the
same steps whatever the unit and the offset of the objective are.

Source
    Deb (2000), Comput. Methods Appl. Mech. Eng. 186, 311-338, section 3.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


def is_better(f: Floats, v: Floats, than_f: Floats, than_v: Floats) -> Truths:
    """Return where the first points are strictly better than the second ones; all of shape (n,)."""
    better: Truths = (v < than_v) | ((v == than_v) & (f < than_f))
    return better


def is_at_least_as_good(f: Floats, v: Floats, as_f: Floats, as_v: Floats) -> Truths:
    """Return where the first points are better than, or equal to, the second ones; all of shape (n,)."""
    as_good: Truths = (v < as_v) | ((v == as_v) & (f <= as_f))
    return as_good


def best_first(f: Floats, v: Floats) -> NDArray[np.intp]:
    """Return the indices of the points from the best to the worst, shape (n,); equals keep their order."""
    return np.lexsort((f, v))


def usable(f: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Return f, (n,) or (n, p), and v with infinity, the worst there is, where one of them is not finite.

    Such a point could not be computed, so that not even its feasibility is known: it ranks below every point that
    could, also below infeasible ones. A value of minus infinity is a failed computation too, never an optimum.
    """
    if np.isfinite(f).all() and np.isfinite(v).all():
        return f.copy(), v.copy()
    known = np.isfinite(f.reshape(len(f), -1)).all(axis=1) & np.isfinite(v)
    return np.where(known.reshape(-1, *[1] * (f.ndim - 1)), f, np.inf), np.where(known, v, np.inf)

"""Points of several objectives: who dominates whom, how good a front is, and which of its points to show.

Notation
    F    objectives, (n, p), all minimized           v   total violation, (n,), 0 where feasible
    a dominates b: a is at least as good in every objective and better in one; with violations, a feasible point
    dominates every infeasible one, and of two infeasible points the one that violates less dominates (Deb 2000)

Sources
    fronts, crowding   Deb, Pratap, Agarwal and Meyarivan (2002), IEEE Trans. Evol. Comput. 6, 182-197.
    hypervolume        Zitzler and Thiele (1998), PPSN V, 292-301; by slices: While et al. (2006), IEEE Trans. Evol.
                       Comput. 10, 29-38.
    knee               Das (1999), Structural Optimization 18, 107-115.
    thin               Gonzalez (1985), Theoretical Computer Science 38, 293-306 (farthest point first).
    gd, igd            Van Veldhuizen (1999), AFIT/DS/ENG/99-01; Coello and Reyes Sierra (2004), MICAI, 688-697;
                       plus forms: Ishibuchi et al. (2015), EMO, 110-125.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import ShapeError

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Ints = NDArray[np.intp]


def nondominated(F: Floats) -> Truths:
    """Return which points no other one dominates, shape (n,); equal points stand or fall together."""
    if F.shape[1] == 2:
        return _nondominated_of_two(F)
    if len(F) <= 512:
        return np.logical_not(_dominates(F).any(axis=0))
    order = np.lexsort(F.T[::-1])  # who dominates a point comes before it
    kept = np.empty((0, F.shape[1]))
    is_kept = np.zeros(len(F), dtype=np.bool_)
    for chunk in np.array_split(order, -(-len(F) // 256)):
        survivors = chunk[~_dominated_by(F[chunk], kept)]
        survivors = survivors[nondominated(F[survivors])]
        is_kept[survivors] = True
        kept = np.concatenate([kept, F[survivors]])
    return is_kept


def fronts(F: Floats, v: Floats | None = None) -> Ints:
    """Return the front of each point, shape (n,): 0 is not dominated, 1 only by points of front 0, and so on.

    With violations, each infeasible point comes after all feasible ones, those of one violation together.
    """
    n = len(F)
    front = np.empty(n, dtype=np.intp)
    feasible = np.arange(n) if v is None else np.flatnonzero(v == 0)
    n_fronts = 0
    if len(feasible):
        front[feasible] = _peeled(F[feasible])
        n_fronts = int(front[feasible].max()) + 1
    if v is not None and len(feasible) < n:
        infeasible = np.flatnonzero(v != 0)
        _, place = np.unique(v[infeasible], return_inverse=True)
        front[infeasible] = n_fronts + place
    return front


def crowding_distance(F: Floats) -> Floats:
    """Return how far the neighbors of each point of one front are from each other, shape (n,); infinite at the ends.

    Objectives count in their range over the front; one without a range does not count. Of points that equal each other
    all but the first get 0: a second one adds nothing.
    """
    same = _repeats(F)
    if same.any():
        distance = np.zeros(len(F))
        distance[~same] = crowding_distance(F[~same])
        return distance
    n = len(F)
    if n <= 2:
        return np.full(n, np.inf)
    order = np.argsort(F, axis=0, kind="stable")
    values = np.take_along_axis(F, order, axis=0)
    span = values[-1] - values[0]
    gaps = np.full(F.shape, np.inf)
    gaps[1:-1] = (values[2:] - values[:-2]) / np.where(span > 0, span, np.inf)
    distance = np.zeros(n)
    for j in np.flatnonzero(span > 0):
        distance[order[:, j]] += gaps[:, j]
    return distance


def hypervolume(F: Floats, reference: Sequence[float] | Floats) -> float:
    """Return the volume that the points dominate up to the reference point; points beyond it add nothing.

    Exact for any number of objectives; its time grows with the power of the objectives.

    Raises:
        ShapeError: F and the reference differ in the number of objectives.
    """
    reference = np.asarray(reference, dtype=np.float64)
    if F.ndim != 2 or reference.shape != F.shape[1:]:
        raise ShapeError(f"points of shape {F.shape} need a reference of {F.shape[-1]} numbers, not {reference.shape}")
    inside = F[(reference > F).all(axis=1)]
    return _volume(inside[nondominated(inside)], reference) if len(inside) else 0.0


def knee(F: Floats) -> int:
    """Return the point of a front that lies farthest inside of the plane through its ends.

    Objectives count in their range over the front, so that the plane is where they add up to 1.
    """
    return int(np.argmin(normalized(F).sum(axis=1)))


def thin(F: Floats, n: int, keep: Ints | None = None) -> Ints:
    """Return at most n points of a front that lie far from each other, as indices, ascending.

    Points that must be there (``keep``) come first, then the best in each objective, then always the point that is
    farthest from all that are taken. Points that equal a taken one are never taken.
    """
    Z = normalized(F)
    ends = np.argmin(Z, axis=0)
    wanted = dict.fromkeys([*(keep.tolist() if keep is not None else []), *ends.tolist()])
    taken: list[int] = []
    nearest = np.full(len(F), np.inf)
    for i in wanted:
        if len(taken) < n and nearest[i] > 0:
            taken.append(i)
            nearest = np.minimum(nearest, np.linalg.norm(Z - Z[i], axis=1))
    while len(taken) < n and nearest.max() > 0:
        i = int(np.argmax(nearest))
        taken.append(i)
        nearest = np.minimum(nearest, np.linalg.norm(Z - Z[i], axis=1))
    return np.array(sorted(taken), dtype=np.intp)


def normalized(F: Floats) -> Floats:
    """Return F with the best of each objective at 0 and the worst at 1; one without a range is 0."""
    low, high = F.min(axis=0), F.max(axis=0)
    Z: Floats = (F - low) / np.where(high > low, high - low, 1.0)
    return Z


def gd(F: Floats, front: Floats) -> float:
    """Return the mean distance from the points to the nearest of a true front: how close they came."""
    return float(_distances(F, front).min(axis=1).mean())


def igd(F: Floats, front: Floats) -> float:
    """Return the mean distance from a true front to the nearest of the points: how much of it they cover."""
    return float(_distances(F, front).min(axis=0).mean())


def gd_plus(F: Floats, front: Floats) -> float:
    """Return GD where only what a point is worse in counts as distance."""
    return float(_distances(F, front, only_worse=True).min(axis=1).mean())


def igd_plus(F: Floats, front: Floats) -> float:
    """Return IGD where only what a point is worse in counts as distance: it never rewards a dominated set."""
    return float(_distances(F, front, only_worse=True).min(axis=0).mean())


def _distances(F: Floats, front: Floats, *, only_worse: bool = False) -> Floats:
    difference = F[:, None, :] - front[None, :, :]
    if only_worse:
        difference = np.maximum(difference, 0)
    distances: Floats = np.sqrt((difference**2).sum(axis=2))
    return distances


def _repeats(F: Floats) -> Truths:
    """Return which points equal an earlier one."""
    order = np.lexsort(F.T[::-1])
    found = np.zeros(len(F), dtype=np.bool_)
    found[order[1:]] = (F[order[1:]] == F[order[:-1]]).all(axis=1)
    return found


def _dominates(F: Floats) -> Truths:
    """Return D, (n, n): D[i, j] where i dominates j."""
    n, p = F.shape
    no_worse = np.ones((n, n), dtype=np.bool_)
    for j in range(p):
        no_worse &= F[:, None, j] <= F[None, :, j]
    return no_worse & ~no_worse.T  # no worse, and not equal


def _dominated_by(F: Floats, others: Floats) -> Truths:
    no_worse = np.ones((len(others), len(F)), dtype=np.bool_)
    is_better = np.zeros_like(no_worse)
    for j in range(F.shape[1]):
        no_worse &= others[:, None, j] <= F[None, :, j]
        is_better |= others[:, None, j] < F[None, :, j]
    return np.asarray((no_worse & is_better).any(axis=0))


def _nondominated_of_two(F: Floats) -> Truths:
    order = np.lexsort((F[:, 1], F[:, 0]))
    first, second = F[order, 0], F[order, 1]
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], second[:-1]]))
    is_kept = second < best_before
    # equal to the last kept point: not dominated either
    same = np.concatenate([[False], (first[1:] == first[:-1]) & (second[1:] == second[:-1])])
    for i in np.flatnonzero(same):
        is_kept[i] = is_kept[i - 1]
    found = np.empty(len(F), dtype=np.bool_)
    found[order] = is_kept
    return found


def _peeled(F: Floats) -> Ints:
    """Return the front of each of feasible points, by taking away those that nothing left dominates."""
    D = _dominates(F)
    n_dominating = D.sum(axis=0)
    front = np.full(len(F), -1, dtype=np.intp)
    rank = 0
    left = np.ones(len(F), dtype=np.bool_)
    while left.any():
        now = np.logical_and(left, n_dominating == 0)
        front[now] = rank
        left[now] = False
        n_dominating = n_dominating - D[now].sum(axis=0)
        rank += 1
    return front


def _volume(F: Floats, reference: Floats) -> float:
    """Return the hypervolume of points that do not dominate each other and lie within the reference."""
    if len(F) == 0:
        return 0.0
    if F.shape[1] == 1:
        return float(reference[0] - F.min())
    order = np.argsort(F[:, -1], kind="stable")
    F = F[order]
    if F.shape[1] == 2:
        heights = np.append(F[1:, 1], reference[1]) - F[:, 1]
        return float(((reference[0] - np.minimum.accumulate(F[:, 0])) * heights).sum())
    tops = np.append(F[1:, -1], reference[-1])
    total = 0.0
    for i in np.flatnonzero(tops > F[:, -1]):
        below = F[: i + 1, :-1]
        total += _volume(below[nondominated(below)], reference[:-1]) * float(tops[i] - F[i, -1])
    return total

"""The trust envelope: the region in which a model has seen enough to be believed, as a limit with a dial.

Notation
    X     history: n rows of the q tags of the envelope, in the units of the tags
    z     a row with each tag in its standard deviations, from its mean; a categorical tag is 0 where it agrees, else 1
    level share of the history that the envelope keeps, 0 < level <= 1: the dial

Two forms, both calibrated on the history itself:

    distance     D(x) = mean of the distances in z from x to its k nearest rows. The limit is what a share ``level`` of
                 the rows keep to the other rows. It follows the data wherever they bend or part.
    polyhedral   A x <= b: a box, sums and differences of pairs, and principal directions, each face as far out as the
                 share ``level`` of the rows that are least extreme in any direction. It can be written into a linear
                 program, so that a certificate and the solver that it certifies speak of one set.

The violation of an envelope is what a solver sees: 0 inside, and beyond it the excess over the limit as a share of it
(distance), or in standard deviations along the worst face (polyhedral).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.checks import floats
from engine.distances import squared_distances
from engine.errors import ParameterError, ShapeError, TrainingError

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

LEVEL = 0.99
"""The usual setting of the dial."""

N_NEIGHBORS = 5
"""k: enough that one odd row alone does not vouch for its surroundings."""

MOST_ROWS = 2_000
"""Rows that distances are taken to, evenly spread over a longer history. The limit is calibrated on the same rows."""

MOST_PAIRS = 300
"""Pairs of tags that get faces of their own; with more than 25 tags, those that are most correlated."""

CHUNK = 1 << 20
"""Distances that are held at once."""

ROUNDING = 1e-9


class Envelope(Protocol):
    """A region of trust over some tags."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of its points, in their order."""

    def violation(self, X: Floats) -> Floats:
        """Return how far points X, (n, q), lie outside, shape (n,): 0 inside."""

    def report(self, x: Floats) -> dict[str, Any]:
        """Return where a point, (q,), lies, as JSON values; always with ``form``, ``level`` and ``is_inside``."""


@dataclass(frozen=True, eq=False)
class DistanceEnvelope:
    """Points that lie as near to rows of the history as those lie to each other. ``fit`` makes it.

    Attributes:
        tags: the q tags.
        level: share of the rows that keep the limit.
        limit: the largest D inside.
        rows: places of the rows Z in the history, shape (r,).
        Z: those rows, scaled, shape (r, q).
        center, scale: of the tags, shape (q,); z = (x - center) / scale.
        is_category: which tags are categorical, shape (q,).
    """

    tags: tuple[str, ...]
    level: float
    limit: float
    rows: Ints = field(repr=False)
    Z: Floats = field(repr=False)
    center: Floats = field(repr=False)
    scale: Floats = field(repr=False)
    is_category: NDArray[np.bool_] = field(repr=False)

    @classmethod
    def fit(
        cls,
        X: ArrayLike,
        tags: Sequence[str],
        *,
        level: float = LEVEL,
        sd: ArrayLike | None = None,
        categories: Sequence[str] = (),
    ) -> "DistanceEnvelope":
        """Return the envelope of a history.

        Args:
            X: shape (n, q), finite, n >= 2.
            tags: the q tags.
            level: the dial, above 0 and at most 1.
            sd: scale of each tag, shape (q,); default: the standard deviations of X.
            categories: tags whose values are codes without order.

        Raises:
            ShapeError: X is not a matrix of finite numbers with a column for each tag, or sd does not fit.
            TrainingError: there are fewer than two rows.
            ParameterError: the level is not one.
        """
        X, level = _checked_history(X, tags), checked_level(level)
        center, scale = _scaling(X, sd)
        is_category = np.array([tag in categories for tag in tags], dtype=np.bool_)
        center[is_category], scale[is_category] = 0.0, 1.0
        rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), MOST_ROWS)).round().astype(np.intp))
        found = cls(tuple(tags), level, math.inf, rows, (X[rows] - center) / scale, center, scale, is_category)
        to_others = found._distances(found.Z, n_nearest=min(N_NEIGHBORS, len(rows) - 1), skips_itself=True)
        limit = float(np.quantile(to_others, level, method="higher"))
        return replace(found, limit=max(limit, 1e-9))  # a history of one repeated row has no spread at all

    def distance(self, X: Floats) -> Floats:
        """Return D of points X, (n, q): shape (n,), in standard deviations."""
        return self._distances((X - self.center) / self.scale, n_nearest=min(N_NEIGHBORS, len(self.rows)))

    def violation(self, X: Floats) -> Floats:
        """Return max(0, D / limit - 1) of points X, (n, q): shape (n,)."""
        excess = self.distance(X) / self.limit - 1
        return np.where(excess <= ROUNDING, 0.0, excess)  # NaN stays NaN

    def report(self, x: Floats) -> dict[str, Any]:
        """Return where a point lies, with its nearest rows and how many are as near as rows usually have neighbors."""
        square = self._squares((x[None] - self.center) / self.scale)[0]
        nearest = np.argsort(square, kind="stable")[:N_NEIGHBORS]
        distance = float(self.distance(x[None])[0])
        return {
            "form": "distance",
            "level": self.level,
            "is_inside": bool(self.violation(x[None])[0] == 0),
            "distance": distance,
            "limit": self.limit,
            "nearest": [{"row": int(self.rows[i]), "distance": math.sqrt(square[i])} for i in nearest],
            "n_within_limit": int((square <= self.limit**2).sum()),
            "n_rows": len(self.rows),
        }

    def _distances(self, Z: Floats, *, n_nearest: int, skips_itself: bool = False) -> Floats:
        """Return the mean distance of Z, (n, q), to its nearest rows, shape (n,)."""
        D = np.empty(len(Z))
        step = max(1, CHUNK // len(self.Z))
        for start in range(0, len(Z), step):
            squares = self._squares(Z[start : start + step])
            if skips_itself:
                here = np.arange(len(squares))
                squares[here, start + here] = np.inf
            nearest = np.partition(squares, n_nearest - 1, axis=1)[:, :n_nearest]
            D[start : start + step] = np.sqrt(nearest).mean(axis=1)
        return D

    def _squares(self, Z: Floats) -> Floats:
        """Return the squared distances of Z, (n, q), to all rows, (n, r)."""
        return squared_distances(Z, self.Z, np.ones(len(self.tags)), self.is_category)


@dataclass(frozen=True, eq=False)
class PolyhedralEnvelope:
    """Points that are no more extreme in any of its directions than the history. ``fit`` makes it.

    Attributes:
        tags: the q tags.
        level: share of the rows that lie inside.
        A, b: its faces, A x <= b, (r, q) and (r,), in the units of the tags; each row has length 1 in z, so that
            A x - b is in standard deviations.
        faces: what each face is, for people, such as "T1 + T2".
    """

    tags: tuple[str, ...]
    level: float
    A: Floats = field(repr=False)
    b: Floats = field(repr=False)
    faces: tuple[str, ...] = field(repr=False)

    @classmethod
    def fit(
        cls, X: ArrayLike, tags: Sequence[str], *, level: float = LEVEL, sd: ArrayLike | None = None
    ) -> "PolyhedralEnvelope":
        """Return the envelope of a history; arguments and errors as ``DistanceEnvelope.fit``.

        Of the rows, the share ``level`` that is least extreme is kept, where a row is as extreme as in the direction
        in which fewest rows lie beyond it; every face then touches the outermost row that is kept.
        """
        X, level = _checked_history(X, tags), checked_level(level)
        center, scale = _scaling(X, sd)
        Z = (X - center) / scale
        directions, names = _directions(Z, tags)
        projected = Z @ directions.T  # (n, r)
        n_beyond = len(Z) - 1 - np.argsort(np.argsort(projected, axis=0, kind="stable"), axis=0, kind="stable")
        kept = np.argsort(-n_beyond.min(axis=1), kind="stable")[: math.ceil(level * len(Z))]
        b = projected[kept].max(axis=0)
        A = directions / scale
        return cls(tuple(tags), level, A, b + A @ center, names)

    def violation(self, X: Floats) -> Floats:
        """Return the excess of points X, (n, q), over the worst face, in standard deviations: shape (n,)."""
        excess = (X @ self.A.T - self.b).max(axis=1)
        return np.where(excess <= ROUNDING * max(1.0, float(np.abs(self.b).max())), 0.0, excess)

    def report(self, x: Floats) -> dict[str, Any]:
        """Return where a point lies: its excess, and the faces that it touches or is beyond."""
        excess = self.A @ x - self.b
        return {
            "form": "polyhedral",
            "level": self.level,
            "is_inside": bool(self.violation(x[None])[0] == 0),
            "excess": float(excess.max()),
            "faces": [name for name, over in zip(self.faces, excess, strict=True) if over > -1e-6],
            "n_faces": len(self.b),
        }


@dataclass(frozen=True)
class JointEnvelope:
    """The envelopes of several modules as one: a point is inside if every module trusts what it is given.

    Attributes:
        parts: module -> its envelope, over tags of the whole process.
    """

    parts: Mapping[str, Envelope]

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag of a part, once."""
        return tuple(dict.fromkeys(tag for part in self.parts.values() for tag in part.tags))

    def violation(self, X: Floats) -> Floats:
        """Return the sum of the parts' violations, shape (n,)."""
        total = np.zeros(len(X))
        for part, columns in self._columns():
            total += part.violation(X[:, columns])
        return total

    def report(self, x: Floats) -> dict[str, Any]:
        """Return the report of every part, by module."""
        told = [part.report(x[columns]) for part, columns in self._columns()]
        return {
            "form": "joint",
            "level": min((each["level"] for each in told), default=1.0),
            "is_inside": all(each["is_inside"] for each in told),
            "modules": dict(zip(self.parts, told, strict=True)),
        }

    def _columns(self) -> list[tuple[Envelope, list[int]]]:
        place = {tag: i for i, tag in enumerate(self.tags)}
        return [(part, [place[tag] for tag in part.tags]) for part in self.parts.values()]


def checked_level(level: Any) -> float:
    """Return the dial as a float; ParameterError unless it is above 0 and at most 1."""
    is_number = isinstance(level, int | float) and not isinstance(level, bool)
    if not is_number or not 0 < level <= 1:
        raise ParameterError(f"the trust level must be above 0 and at most 1, not {level!r:.40}", parameter="level")
    return float(level)


def _directions(Z: Floats, tags: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    """Return unit vectors in z, (r, q), each with its opposite, and what they are."""
    q = len(tags)
    unit = np.eye(q)
    found = [(unit[i], f"{tag}") for i, tag in enumerate(tags)]
    for i, j in _pairs(Z):
        found.append(((unit[i] + unit[j]) / math.sqrt(2), f"{tags[i]} + {tags[j]}"))
        found.append(((unit[i] - unit[j]) / math.sqrt(2), f"{tags[i]} - {tags[j]}"))
    if q > 2:
        _, _, principal = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)
        found += [(direction, f"principal direction {i}") for i, direction in enumerate(principal, start=1)]
    vectors = np.array([direction for direction, _ in found])
    names = [name for _, name in found]
    return np.concatenate([vectors, -vectors]), (*(f"{n}, high" for n in names), *(f"{n}, low" for n in names))


def _pairs(Z: Floats) -> list[tuple[int, int]]:
    """Return the pairs of tags that get faces: all, or those that are most correlated."""
    q = Z.shape[1]
    i, j = np.triu_indices(q, 1)
    if len(i) > MOST_PAIRS:
        strength = np.abs(Z.T @ Z)[i, j]
        most = np.sort(np.argsort(-strength, kind="stable")[:MOST_PAIRS])
        i, j = i[most], j[most]
    return list(zip(i.tolist(), j.tolist(), strict=True))


def _scaling(X: Floats, sd: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return center and scale of each tag; a tag that never changed counts a hundredth of its value as one."""
    center = X.mean(axis=0)
    scale = X.std(axis=0) if sd is None else floats("sd", sd).copy()
    if scale.shape != center.shape or not np.isfinite(scale).all() or (scale < 0).any():
        raise ShapeError(f"sd must be {len(center)} finite numbers of at least 0, not {scale.tolist()!r:.80}")
    is_constant = (X[0] == X).all(axis=0) | (scale == 0)
    center[is_constant] = X[0, is_constant]
    scale[is_constant] = np.maximum(np.abs(X[0, is_constant]) / 100, 1e-9)
    return center, scale


def _checked_history(X: ArrayLike, tags: Sequence[str]) -> Floats:
    X = floats("the history", X)
    if X.ndim != 2 or X.shape[1] != len(tags) or not tags:
        raise ShapeError(f"a history of {len(tags)} tags cannot have shape {X.shape}")
    if not np.isfinite(X).all():
        raise ShapeError("a history needs finite numbers in every cell; drop incomplete rows first")
    if len(X) < 2:
        raise TrainingError(f"a trust envelope needs at least 2 rows of history, but there are {len(X)}", n_rows=len(X))
    return X

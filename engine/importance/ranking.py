"""An answer to "which inputs matter?": values, ranks, how sure both are, and which inputs share what they have.

Notation:
    d, m: number of inputs and of outputs.
    v: importance of each input, shape (d,), larger is more; its unit is the method's.
    rank: 1 for the largest v; equal values share the best rank of theirs.
    rho: Spearman's rank correlation of two inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ShapeError
from engine.honest import Note
from engine.surrogates.arrays import Floats, Ints
from engine.surrogates.encoding import Categories, with_gaps

CORRELATED = 0.8
"""Inputs whose |rho| is at least this on average count as one group."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """Importances of the inputs for one output, or for all together.

    Attributes:
        values: v, shape (d,).
        rank: shape (d,), 1 for the most important.
        low, high: ends of the interval of each value, shape (d,); None where the method knows no spread.
        rank_low, rank_high: ends of the interval of each rank, whole numbers, shape (d,); None likewise.
    """

    values: Floats
    rank: Ints
    low: Floats | None = None
    high: Floats | None = None
    rank_low: Ints | None = None
    rank_high: Ints | None = None

    @classmethod
    def of(cls, values: ArrayLike, draws: Floats | None = None, level: float = 0.9) -> "Ranks":
        """Return the ranks of values (d,), with intervals from draws of them, shape (draws, d), if there are any."""
        v = np.asarray(values, dtype=np.float64)
        if draws is None:
            return cls(v, _best_rank(v))
        tail = (1 - level) / 2
        low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
        best, worst = _best_rank(draws), draws.shape[1] + 1 - _best_rank(-draws)
        rank_low = np.quantile(best, tail, axis=0, method="lower").astype(np.int64)
        rank_high = np.quantile(worst, 1 - tail, axis=0, method="higher").astype(np.int64)
        return cls(v, _best_rank(v), low, high, rank_low, rank_high)

    def to_json(self, inputs: Sequence[str]) -> list[dict[str, Any]]:
        """Return a row for each input, most important first, as values that go to JSON."""
        rows = []
        for j in map(int, np.argsort(-self.values, kind="stable")):
            row: dict[str, Any] = {"input": inputs[j], "value": float(self.values[j]), "rank": int(self.rank[j])}
            if self.low is not None and self.high is not None:
                row["interval"] = [float(self.low[j]), float(self.high[j])]
            if self.rank_low is not None and self.rank_high is not None:
                row["rank_interval"] = [int(self.rank_low[j]), int(self.rank_high[j])]
            rows.append(row)
        return rows


@dataclass(frozen=True)
class Group:
    """Inputs that move together.

    Attributes:
        tags: two or more inputs, in the order of the columns.
        least, mean: smallest and mean |rho| of their pairs.
        together: what permuting all of them at once costs, by output and, as "", on the mean of all; None where the
            method does not ask.
    """

    tags: tuple[str, ...]
    least: float
    mean: float
    together: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the group as values that go to JSON."""
        together = None if self.together is None else dict(self.together)
        return {"tags": list(self.tags), "least": self.least, "mean": self.mean, "together": together}


@dataclass(frozen=True, eq=False)
class Importance:
    """How much each input matters.

    Attributes:
        method: how it was measured, for programs.
        unit: what a value says, for people.
        inputs: the d inputs.
        overall: on the mean of all outputs.
        by_output: output -> the same for it alone.
        groups: inputs that move together and share what they have.
        notes: what must be known to read the values.
        level: share of repetitions that the intervals hold.
    """

    method: str
    unit: str
    inputs: tuple[str, ...]
    overall: Ranks
    by_output: Mapping[str, Ranks]
    groups: tuple[Group, ...] = ()
    notes: tuple[Note, ...] = ()
    level: float = 0.9

    @property
    def order(self) -> tuple[str, ...]:
        """The inputs, most important first."""
        return tuple(self.inputs[j] for j in np.argsort(-self.overall.values, kind="stable"))

    def to_json(self) -> dict[str, Any]:
        """Return everything as values that go to JSON."""
        return {
            "method": self.method,
            "unit": self.unit,
            "level": self.level,
            "overall": self.overall.to_json(self.inputs),
            "by_output": {output: ranks.to_json(self.inputs) for output, ranks in self.by_output.items()},
            "groups": [group.to_json() for group in self.groups],
            "notes": [note.to_json() for note in self.notes],
        }


def ranked(V: Floats, outputs: Sequence[str], draws: Floats | None = None, level: float = 0.9) -> dict[str, Any]:
    """Return the fields ``overall`` and ``by_output`` of importances V (d, m), with draws of shape (draws, d, m)."""
    mean = None if draws is None else draws.mean(axis=2)
    by_output = {
        output: Ranks.of(V[:, k], None if draws is None else draws[:, :, k], level) for k, output in enumerate(outputs)
    }
    return {"overall": Ranks.of(V.mean(axis=1), mean, level), "by_output": MappingProxyType(by_output)}


def correlated_groups(
    X: ArrayLike, inputs: Sequence[str], *, at_least: float = CORRELATED, categories: Categories | None = None
) -> tuple[Group, ...]:
    """Return the inputs that move together: clusters by average linkage of 1 - |rho|; those alone are left out.

    Args:
        X: shape (n, d), finite; NaN where a cell is missing, which counts as the median of its column.
        inputs: its d tags.
        at_least: |rho| that the pairs of two clusters need on average to become one.
        categories: of each categorical input. Three or more have no order, so that they move with nothing.

    Raises:
        ShapeError, NotFinite: X is not a matrix of numbers with a column for each input.
        ShapeError: it has fewer than two rows.
    """
    rho = np.abs(rank_correlation(_without_gaps(with_gaps("X", X, inputs))))
    if len(inputs) < 2:
        return ()
    has_order = np.array([len((categories or {}).get(tag, ())) < 3 for tag in inputs])
    rho = np.where(has_order[:, None] & has_order, rho, np.eye(len(inputs)))
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = squareform(np.clip(1 - rho, 0, 1), checks=False)
    label = fcluster(linkage(distance, "average"), 1 - at_least, criterion="distance")
    groups = []
    for cluster in dict.fromkeys(label.tolist()):
        members = np.flatnonzero(label == cluster).tolist()
        if len(members) > 1:
            pairs = rho[np.ix_(members, members)][np.triu_indices(len(members), 1)]
            groups.append(Group(tuple(inputs[j] for j in members), float(pairs.min()), float(pairs.mean())))
    return tuple(groups)


def _without_gaps(X: Floats) -> Floats:
    """Return X with the median of a column in place of what is missing there."""
    gaps = np.isnan(X)
    if not gaps.any():
        return X
    known = np.where(gaps.all(axis=0), 0.0, X)  # a column without any value has no median
    return np.where(gaps, np.nanmedian(known, axis=0), X)


def rank_correlation(X: Floats) -> Floats:
    """Return rho of every pair of columns, shape (d, d); 0 between a constant column and any other.

    Raises:
        ShapeError: there are fewer than two rows.
    """
    from scipy.stats import rankdata

    if len(X) < 2:
        raise ShapeError(f"a correlation needs at least 2 rows, but X has shape {X.shape}")
    return correlation(rankdata(X, axis=0))


def correlation(X: Floats) -> Floats:
    """Return Pearson's correlation of every pair of columns, (d, d); 0 between a constant column and any other."""
    centered = X - X.mean(axis=0)
    centered[:, np.ptp(X, axis=0) == 0] = 0.0
    norm = np.sqrt((centered**2).sum(axis=0))
    Z = centered / np.where(norm == 0, 1.0, norm)
    R: Floats = np.clip(Z.T @ Z, -1.0, 1.0)
    np.fill_diagonal(R, 1.0)
    return R


def shared_notes(groups: Sequence[Group], inputs: Sequence[str], overall: Ranks) -> tuple[Note, ...]:
    """Return a note for each group, with what its members have alone and, where it is known, together."""
    place = {tag: j for j, tag in enumerate(inputs)}
    notes = []
    for group in groups:
        alone = max(float(overall.values[place[tag]]) for tag in group.tags)
        message = (
            f"{_listed(group.tags)} move together (rank correlation {group.mean:.2f} on average), so they share"
            " importance: a model can take from one what another tells, and which it took may be chance. Judge them as"
            " one"
        )
        if group.together is not None:
            together = group.together[""]
            message += f": shuffled together they cost {together:.3g}, the most important of them alone {alone:.3g}"
        details = {**group.to_json(), "alone": alone}
        notes.append(Note("importance.shared", message + ".", details))
    return tuple(notes)


def _best_rank(values: Floats) -> Ints:
    """Return ranks along the last axis, 1 for the largest; equals share the best rank of theirs."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-values, method="min", axis=-1), dtype=np.int64)


def _listed(tags: Sequence[str]) -> str:
    names = [repr(tag) for tag in tags[:6]] + ([f"{len(tags) - 6} more"] if len(tags) > 6 else [])
    return f"{', '.join(names[:-1])} and {names[-1]}"

"""Minimum redundancy, maximum relevance: inputs that tell much about the output and little about each other.

Notation:
    X: inputs, shape (n, d).    Y: outputs, shape (n, m).    S: inputs picked so far.
    V_j: relevance of input j: what it tells about the outputs, mean over them.
    W_j: redundancy of input j: what it tells about the inputs of S, mean over them.

The first pick has the largest V_j, each later one the largest V_j - W_j ("difference") or V_j / W_j ("quotient").

    measure                V                               W
    mutual_information     I(x_j; y), by neighbors         I(x_j; x_i)                                MID, MIQ
    correlation            |Spearman's rho|                |rho|
    f_test                 F = (n - 2) r^2 / (1 - r^2)     |Pearson's r|                              FCD, FCQ

Where x_j is categorical, the information comes from neighbors within categories, or from counts where both are; the
other two measures need numbers. What is missing counts as a value of its own for the information: that a probe fails
may tell something. No correlation knows such a value.

For the F-test V and W are not of one kind, as in the paper: there the quotient is the better choice.

Sources:
    Ding and Peng (2005), J. Bioinformatics and Computational Biology 3, 185-205.
    Peng, Long and Ding (2005), IEEE Trans. Pattern Analysis and Machine Intelligence 27, 1226-1238.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ParameterError
from engine.importance.information import (
    MOST_ROWS,
    estimate,
    estimate_of_categories,
    information_of_counts,
    normal_scores,
)
from engine.importance.permutation import rows_of
from engine.importance.ranking import correlation, rank_correlation
from engine.surrogates.arrays import Bools, Floats
from engine.surrogates.encoding import Categories, may_miss
from engine.surrogates.params import OnStep

MEASURES = ("mutual_information", "correlation", "f_test")
CRITERIA = ("difference", "quotient")

LEAST = 0.01
"""What a redundancy counts at least in a quotient: an estimate near 0 would make any input the best."""


@dataclass(frozen=True)
class Selection:
    """Inputs in the order in which they were picked.

    Attributes:
        inputs: those picked, first the most relevant.
        relevance: V of each.
        redundancy: W of each with those picked before it; 0 for the first.
        score: V - W or V / W of each when it was picked; V for the first.
        measure, criterion: what was asked for.
        estimator: how the measure was computed, in words.
        all_relevance: input -> V, also of those not picked.
    """

    inputs: tuple[str, ...]
    relevance: tuple[float, ...]
    redundancy: tuple[float, ...]
    score: tuple[float, ...]
    measure: str
    criterion: str
    estimator: str
    all_relevance: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return everything as values that go to JSON."""
        names = ("input", "relevance", "redundancy", "score")
        rows = zip(self.inputs, self.relevance, self.redundancy, self.score, strict=True)
        return {
            "picked": [dict(zip(names, row, strict=True)) for row in rows],
            "measure": self.measure,
            "criterion": self.criterion,
            "estimator": self.estimator,
            "all_relevance": self.all_relevance,
        }


def select(
    X: Any,
    Y: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    n_inputs: int | None = None,
    measure: str = "mutual_information",
    criterion: str = "difference",
    k: int = 3,
    seed: int = 0,
    on_step: OnStep | None = None,
    categories: Categories | None = None,
    missing: str = "refuse",
) -> Selection:
    """Return inputs picked for what they tell about the outputs beyond what the earlier ones told.

    Args:
        X, Y: rows, (n, d) and (n, m), n >= 2, finite; in X NaN where a cell is missing, if that is allowed.
        n_inputs: how many to pick; default all, which ranks them.
        measure, criterion: from the table above.
        k: neighbors for mutual information.
        seed: of the noise that tells equal values apart, for mutual information.
        on_step: called after each input, with the share of the work that is done; what it raises ends the work.
        categories, missing: as ``surrogates.fit`` takes them.

    Raises:
        ParameterError: an argument is not one of those allowed, or the measure takes neither categories nor gaps.
        ShapeError, NotFinite: X or Y is not a matrix of finite numbers that fits its tags, or they differ in rows.
    """
    inputs, outputs = tuple(inputs), tuple(outputs)
    X, Y = rows_of(X, Y, inputs, outputs, has_gaps=may_miss(missing))
    is_kind = np.array([tag in (categories or {}) for tag in inputs], dtype=np.bool_)
    for name, given, allowed in (("measure", measure, MEASURES), ("criterion", criterion, CRITERIA)):
        if given not in allowed:
            raise ParameterError(f"{name} must be one of {', '.join(allowed)}, not {given!r}", parameter=name)
    unordered = [tag for j, tag in enumerate(inputs) if is_kind[j] or np.isnan(X[:, j]).any()]
    _check_measurable(measure, unordered)
    n_inputs = len(inputs) if n_inputs is None else whole_number("n_inputs", n_inputs, 1, len(inputs))
    k = whole_number("k", k, 1, len(X) - 1)
    measured = _measured(X, Y, is_kind, measure, k, whole_number("seed", seed, 0, LARGEST_SEED))
    n_asked, n_all = count(1), len(inputs) + n_inputs

    def told(of_input: Callable[[int], Any], j: int) -> Any:
        found = of_input(j)
        if on_step:
            on_step(next(n_asked) / n_all)
        return found

    V = np.array([told(measured.relevance, j) for j in range(len(inputs))])
    picks = pick(V, partial(told, measured.redundancy), n_inputs, criterion)
    return Selection(
        inputs=tuple(inputs[j] for j, _, _ in picks),
        relevance=tuple(float(V[j]) for j, _, _ in picks),
        redundancy=tuple(w for _, w, _ in picks),
        score=tuple(score for _, _, score in picks),
        measure=measure,
        criterion=criterion,
        estimator=measured.estimator,
        all_relevance=dict(zip(inputs, V.tolist(), strict=True)),
    )


def _check_measurable(measure: str, tags: Sequence[str]) -> None:
    """Refuse a correlation with inputs that hold categories or gaps."""
    if tags and measure != MEASURES[0]:
        raise ParameterError(
            f"measure {measure!r} needs a number in every cell, but {', '.join(map(repr, tags))} hold categories, which"
            f" have no order, or lack values; ask for {MEASURES[0]!r}",
            parameter="measure",
            tags=list(tags),
        )


def pick(
    V: Floats, redundancy: Callable[[int], Floats], n: int, criterion: str = "difference"
) -> list[tuple[int, float, float]]:
    """Return n picks as (input, W, score).

    Args:
        V: relevance of each input, shape (d,).
        redundancy: from an input to what every input tells about it, shape (d,).
    """
    is_left, W = np.ones(len(V), dtype=np.bool_), np.zeros(len(V))
    picks: list[tuple[int, float, float]] = []
    for n_picked in range(n):
        score = V - W if criterion == "difference" or n_picked == 0 else V / np.maximum(W, LEAST)
        j = int(np.argmax(np.where(is_left, score, -np.inf)))
        picks.append((j, float(W[j]), float(score[j])))
        is_left[j] = False
        W = (W * n_picked + redundancy(j)) / (n_picked + 1)
    return picks


@dataclass(frozen=True)
class _Measured:
    """What inputs tell: about the outputs, of one input; about each other, of one input with all; and how in words."""

    relevance: Callable[[int], float]
    redundancy: Callable[[int], Floats]
    estimator: str


def _measured(X: Floats, Y: Floats, is_kind: Bools, measure: str, k: int, seed: int) -> _Measured:
    d = X.shape[1]
    if measure == "mutual_information":
        rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), MOST_ROWS)).round().astype(np.intp))
        Z = np.hstack([X, Y])[rows]
        has_gaps = bool(np.isnan(Z).any())
        Z = np.where(np.isnan(Z), np.inf, Z)  # a value of its own, beyond all others
        is_constant = np.equal(Z, Z[0]).all(axis=0)
        counted = {j: np.unique(Z[:, j], return_inverse=True)[1] for j in np.flatnonzero(is_kind).tolist()}
        scores = np.stack([normal_scores(z, seed + j) for j, z in enumerate(Z.T)], axis=1)

        def told(i: int, j: int) -> float:
            if is_constant[i] or is_constant[j]:
                return 0.0
            if i in counted and j in counted:
                return information_of_counts(counted[i], counted[j])
            i, j = (j, i) if j in counted else (i, j)
            if i in counted:
                return estimate_of_categories(counted[i], scores[:, j], k)
            return estimate(scores[:, i], scores[:, j], k)

        return _Measured(
            relevance=lambda j: float(np.mean([told(j, d + o) for o in range(Y.shape[1])])),
            redundancy=lambda j: np.array([told(j, i) if i != j else 0.0 for i in range(d)]),
            estimator=f"Kraskov's estimate from {k} neighbors of {len(rows)} rows, in nats"
            + ("; Ross's for categories and a number, counts for categories alone" if counted else "")
            + ("; a missing cell is a value of its own" if has_gaps else ""),
        )
    R = np.abs(rank_correlation(np.hstack([X, Y])) if measure == "correlation" else correlation(np.hstack([X, Y])))
    relevance = R[:d, d:]
    if measure == "f_test":
        squares = np.minimum(relevance**2, 1 - 1e-12)
        relevance = (len(X) - 2) * squares / (1 - squares)
    words = "Spearman's rank correlation" if measure == "correlation" else "F of a regression on one input, Pearson's r"
    return _Measured(lambda j: float(relevance[j].mean()), lambda j: R[j, :d], words)

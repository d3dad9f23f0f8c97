"""An answer beside the operating point of now: what changes, by how much, and what each change buys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.attribution import attribute
from engine.evaluator import Evaluator, Report

SAME = 1e-9
"""A variable that moved by less than this share of its range, or of its value, did not change."""


@dataclass(frozen=True)
class Change:
    """One variable that the answer sets differently.

    Attributes:
        tag, before, after: the variable and its values, in its unit.
        buys: its share of the gain in the objective, positive where it helps; the shares add up to the gain.
        moves: its share of what becomes of each term: expression -> units of the expression.
    """

    tag: str
    before: float
    after: float
    buys: float
    moves: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """The answer against the operating point of now, at the same fixed inputs.

    Attributes:
        inputs, outputs: of now, by tag, the outputs as the model predicts them.
        objective: of now.
        is_feasible: whether it keeps all limits.
        broken: the limits that it breaks, by their expressions.
        gain: by how much the answer is better: objective now - objective then.
        terms: each term's value now and then: ({"of", "before", "after"}, ...).
        changes: what the answer sets differently, what buys most first.
        is_exact: whether the shares were computed from all combinations of changes, or estimated from orders of them.
    """

    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    objective: float
    is_feasible: bool
    broken: tuple[str, ...]
    gain: float
    terms: tuple[Mapping[str, Any], ...]
    changes: tuple[Change, ...]
    is_exact: bool


def compare(evaluator: Evaluator, answer: Report, current: Mapping[str, float], *, seed: int = 0) -> Comparison:
    """Return how an answer compares with the operating point of now.

    Args:
        evaluator: the problem with its model.
        answer: the report on the answer.
        current: tag -> value of now for every variable; other tags are not looked at.
        seed: of the orders of changes that are drawn, where there are many.

    Raises:
        ProblemError: a variable has no value in ``current``.
    """
    before = evaluator.starts([], current)[0]
    after = np.array([variable.value for variable in answer.variables])
    now = evaluator.report(before)
    changed = _changed(evaluator, before, after)
    shares = attribute(lambda masks: _values(evaluator, before, after, changed, masks), len(changed), seed=seed)
    names = [term.of for term in answer.terms]
    changes = [
        Change(
            tag=answer.variables[i].tag,
            before=float(before[i]),
            after=float(after[i]),
            buys=-float(share[0]),
            moves=dict(zip(names, share[1:].tolist(), strict=True)),
        )
        for i, share in zip(changed, shares.shares, strict=True)
    ]
    return Comparison(
        inputs=now.inputs,
        outputs=now.outputs,
        objective=now.objective,
        is_feasible=now.is_feasible,
        broken=tuple(limit.of for limit in now.limits if not limit.is_kept),
        gain=now.objective - answer.objective,
        terms=tuple(
            {"of": then.of, "before": term.value, "after": then.value}
            for term, then in zip(now.terms, answer.terms, strict=True)
        ),
        changes=tuple(sorted(changes, key=lambda change: -change.buys)),
        is_exact=shares.is_exact,
    )


def _changed(evaluator: Evaluator, before: Any, after: Any) -> list[int]:
    size = np.maximum(evaluator.upper - evaluator.lower, SAME * np.abs(after))
    return np.flatnonzero(np.abs(after - before) > SAME * size).tolist()


def _values(evaluator: Evaluator, before: Any, after: Any, changed: list[int], masks: Any) -> Any:
    """Return the objective and the value of each term where only the changes of each mask are made, (n, 1 + terms)."""
    X = np.tile(before, (len(masks), 1))
    X[:, changed] = np.where(masks, after[changed], X[:, changed])
    return evaluator.values(X)

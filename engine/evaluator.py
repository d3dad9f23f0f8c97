"""A problem together with the model that computes it: whole populations in one prediction, and a report on one point.

Notation
    n  points                               X_free  values of the variables, (n, number of variables)
    d  inputs of the model                  X       values of all inputs, (n, d), in the model's order
    m  outputs of the model                 Y       predicted outputs, (n, m)
    l  limits                               all in the units of the tags

Scales that the problem leaves open are filled in once, here, so that terms and limits of any unit can be added: the
standard deviation of the expression over PROBE points spread evenly over the box (a Latin hypercube with a fixed seed),
or 1 if it does not vary there. A single term has scale 1: there is nothing to compare it with, and its unit is kept.
The report tells every scale that was used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.checks import floats
from engine.errors import ProblemError, ShapeError
from engine.expressions import Expression
from engine.problem import Limit, Problem, Term, Variable
from engine.solvers.space import Space, latin_hypercube
from engine.trust import Envelope

Floats = NDArray[np.float64]

PROBE = 256
"""Points at which the spread of an expression is measured when no scale is given."""

ROUNDING = 1e-9
"""A limit counts as kept while its bound is exceeded by no more than this share of the bound, or of the scale where
that is less (of the scale alone at a bound of 0): arithmetic is not exact. The scale alone would not do: that of exp(x)
may be 1e40, and a billionth of it forgives everything."""

ACTIVE = 0.01
"""A limit is active when its value is within this share of its scale of a bound; a variable, of its range."""


class Model(Protocol):
    """What can be optimized over: a ``Surrogate``, or anything else that predicts named outputs from named inputs."""

    @property
    def inputs(self) -> Sequence[str]:
        """Tags of the columns that ``predict`` takes."""

    @property
    def outputs(self) -> Sequence[str]:
        """Tags of the columns that ``predict`` returns."""

    def predict(self, X: Any, /) -> Any:
        """Return the outputs, (n, m), for inputs X, (n, d)."""


@dataclass(frozen=True)
class Evaluation:
    """The values of n points.

    Attributes:
        objective: what is minimized, shape (n,): the sum of the objectives.
        objectives: each objective on its own, shape (n, number of objectives), in the order of Problem.objectives.
        violation: of each limit, in its scale, shape (n, l), >= 0; NaN where the limit's value is.
        distrust: by how far the points lie outside of the trust envelope, shape (n,), >= 0; 0 without one.
        total_violation: the sum of both, shape (n,); 0 where the point is feasible.
        outputs: predicted outputs, shape (n, m).
    """

    objective: Floats
    objectives: Floats
    violation: Floats
    distrust: Floats
    total_violation: Floats
    outputs: Floats


@dataclass(frozen=True)
class TermReport:
    """What one term came to: its value in its own unit, and its cost in its scale (before the weight)."""

    of: str
    goal: str
    value: float
    target: float | None
    cost: float
    weight: float
    scale: float
    objective: str | None = None


@dataclass(frozen=True)
class LimitReport:
    """How one limit stands.

    Attributes:
        of, lower, upper, scale: the limit, with the scale that was used; of an equality, the bounds of its tolerance.
        value: of its expression, in its own unit.
        margin: distance to the nearer bound, same unit: kept by this much, or broken by it if negative.
        is_kept: whether it holds (up to ROUNDING).
        is_active: whether the value is so close to a bound that the limit shapes the answer (see ACTIVE), or beyond.
    """

    of: str
    lower: float | None
    upper: float | None
    value: float
    margin: float
    is_kept: bool
    is_active: bool
    scale: float


@dataclass(frozen=True)
class VariableReport:
    """Where a variable ended: ``at`` names the bound that it lies at (see ACTIVE), if any; "both" if they are one."""

    tag: str
    value: float
    lower: float
    upper: float
    at: str | None


@dataclass(frozen=True)
class Report:
    """One point, told in the units and directions of the plant.

    Attributes:
        inputs: every input, free and fixed, by tag, in the model's order.
        outputs: every predicted output, by tag.
        objective: what was minimized: the sum of weight * cost.
        is_feasible: whether all limits are kept.
        total_violation: sum of the violations, each in its scale; 0 if feasible.
        terms, limits, variables: in the order of the problem.
        objectives: each objective by its name ("objective" if it has none), if there are several.
        trust: where the point lies to the trust envelope; None without one.
    """

    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    objective: float
    is_feasible: bool
    total_violation: float
    terms: tuple[TermReport, ...]
    limits: tuple[LimitReport, ...]
    variables: tuple[VariableReport, ...]
    objectives: Mapping[str, float]
    trust: Mapping[str, Any] | None


class Evaluator:
    """Computes a problem with a model.

    Args:
        problem: what is wanted.
        model: what predicts it.
        envelope: the region where the model is trusted: a limit like the others; None for none.

    Raises:
        ProblemError: the problem does not fit the model, or the envelope speaks of tags that the model does not have.
        ShapeError: the model does not return one row of outputs for each row of inputs.

    Attributes:
        problem: the problem with every scale filled in.
        model: as given.
        lower, upper, steps, choices: the space of the variables, shape (number of variables,) each.
    """

    def __init__(self, problem: Problem, model: Model, envelope: Envelope | None = None) -> None:
        problem.check(model.inputs, model.outputs)
        self.model, self._envelope = model, envelope
        _check_envelope(envelope, model)
        self._terms = [Expression.parse(term.of) for term in problem.terms]
        self._limits = [Expression.parse(limit.of) for limit in problem.limits]
        self._free = [list(model.inputs).index(variable.tag) for variable in problem.variables]
        self._fixed = np.array([problem.fixed.get(tag, np.nan) for tag in model.inputs], dtype=np.float64)
        self.lower = np.array([variable.lower for variable in problem.variables], dtype=np.float64)
        self.upper = np.array([variable.upper for variable in problem.variables], dtype=np.float64)
        self.steps = np.array([variable.spacing for variable in problem.variables], dtype=np.float64)
        self.choices = np.array([variable.type == "categorical" for variable in problem.variables])
        self.problem = self._with_scales(problem)

    def evaluate(self, X_free: ArrayLike) -> Evaluation:
        """Return the values of the points X_free, predicted in one call.

        Raises:
            ShapeError: X_free is not (n, number of variables), or the model's answer is not (n, m).
        """
        return self._computed(*self._predicted(X_free))

    def report(self, x_free: ArrayLike) -> Report:
        """Return everything about one point, shape (number of variables,).

        Raises:
            ShapeError: x_free does not have this shape, or the model's answer is not (1, m).
        """
        x_free = floats("the point", x_free)
        columns, Y = self._predicted(x_free[None, ...])
        point = self._computed(columns, Y)
        terms = zip(self.problem.terms, self._terms, strict=True)
        limits = zip(self.problem.limits, self._limits, strict=True)
        return Report(
            inputs={tag: float(columns[tag][0]) for tag in self.model.inputs},
            outputs=dict(zip(self.model.outputs, Y[0].tolist(), strict=True)),
            objective=float(point.objective[0]),
            is_feasible=bool(point.total_violation[0] == 0),
            total_violation=float(point.total_violation[0]),
            terms=tuple(_term_report(term, expression.evaluate(columns)) for term, expression in terms),
            limits=tuple(_limit_report(limit, expression.evaluate(columns)) for limit, expression in limits),
            variables=tuple(
                VariableReport(variable.tag, x, variable.lower, variable.upper, _bound_at(x, variable))
                for variable, x in zip(self.problem.variables, x_free.tolist(), strict=True)
            ),
            objectives=self._named(point.objectives[0]),
            trust=self._trust(columns),
        )

    def values(self, X_free: ArrayLike) -> Floats:
        """Return the objective and then the value of each term in its own unit, shape (n, 1 + number of terms).

        Raises:
            ShapeError: as ``evaluate``.
        """
        columns, Y = self._predicted(X_free)
        terms = [expression.evaluate(columns) for expression in self._terms]
        return np.column_stack([self._computed(columns, Y).objective, *terms])

    def objective_spread(self) -> float:
        """Return the standard deviation of the objective over PROBE points spread evenly over the space."""
        return spread(self.evaluate(self._probe()).objective)

    def starts(self, points: Sequence[Mapping[str, float]], current: Mapping[str, float] | None = None) -> Floats:
        """Return points given by tag as values of the variables, shape (number of points, number of variables).

        Args:
            points: each a value for every variable; other tags are not looked at.
            current: the operating point of now, if one was given: it comes first.

        Raises:
            ProblemError: a variable has no value in one of them.
        """
        named = {f"start {i}": point for i, point in enumerate(points)}
        named = named if current is None else {"current": current, **named}
        points = list(named.values())
        for name, point in named.items():
            if missing := [variable.tag for variable in self.problem.variables if variable.tag not in point]:
                raise ProblemError(f"{name} has no value for {missing[0]!r}", path=name, tag=missing[0])
        rows = [[point[variable.tag] for variable in self.problem.variables] for point in points]
        return floats("starts", rows).reshape(len(rows), len(self._free))

    def _trust(self, columns: Mapping[str, Floats]) -> dict[str, Any] | None:
        if self._envelope is None:
            return None
        return self._envelope.report(np.array([columns[tag][0] for tag in self._envelope.tags]))

    def _probe(self) -> Floats:
        space = Space(self.lower, self.upper, self.steps, self.choices)
        return space.to_box(latin_hypercube(np.random.default_rng(0), PROBE, space.c))

    def _named(self, objectives: Floats) -> dict[str, float]:
        names = self.problem.objectives
        if len(names) == 1:
            return {}
        return {name or "objective": float(value) for name, value in zip(names, objectives, strict=True)}

    def _predicted(self, X_free: ArrayLike) -> tuple[dict[str, Floats], Floats]:
        """Return the columns of all inputs and outputs by tag, (n,) each, and Y."""
        given = floats("X_free", X_free)
        if given.ndim != 2 or given.shape[1] != len(self._free):
            raise ShapeError(f"points have shape {given.shape}, but there are {len(self._free)} variables")
        X = np.empty((len(given), len(self._fixed)))
        X[:] = self._fixed
        X[:, self._free] = given
        Y = floats("what the model returned", self.model.predict(X))
        wanted = (len(X), len(self.model.outputs))
        if Y.shape != wanted:
            raise ShapeError(f"the model returned shape {Y.shape} for {len(X)} points, but {wanted} is needed")
        tags = (*self.model.inputs, *self.model.outputs)
        return dict(zip(tags, (*X.T, *Y.T), strict=True)), Y

    def _computed(self, columns: Mapping[str, Floats], Y: Floats) -> Evaluation:
        names = self.problem.objectives
        objectives = np.zeros((len(Y), len(names)))
        violation = np.zeros((len(Y), len(self._limits)))
        distrust = np.zeros(len(Y))
        if self._envelope:
            distrust = self._envelope.violation(np.column_stack([columns[tag] for tag in self._envelope.tags]))
        with np.errstate(over="ignore", invalid="ignore"):
            for term, expression in zip(self.problem.terms, self._terms, strict=True):
                j = names.index(term.objective)
                objectives[:, j] += term.weight * cost(term, expression.evaluate(columns))
            for j, (limit, expression) in enumerate(zip(self.problem.limits, self._limits, strict=True)):
                violation[:, j] = excess(limit, expression.evaluate(columns))
            total = violation.sum(axis=1) + distrust
            return Evaluation(objectives.sum(axis=1), objectives, violation, distrust, total, Y)

    def _with_scales(self, problem: Problem) -> Problem:
        is_single = len(problem.terms) == 1
        open_terms = any(term.scale is None for term in problem.terms) and not is_single
        open_limits = any(limit.scale is None for limit in problem.limits)
        if open_terms or open_limits:
            columns, _ = self._predicted(self._probe())
        terms = [
            term
            if term.scale is not None
            else replace(term, scale=1.0 if is_single else spread(part.evaluate(columns)))
            for term, part in zip(problem.terms, self._terms, strict=True)
        ]
        limits = [
            limit if limit.scale is not None else replace(limit, scale=spread(part.evaluate(columns)))
            for limit, part in zip(problem.limits, self._limits, strict=True)
        ]
        return replace(problem, terms=tuple(terms), limits=tuple(limits))


def _check_envelope(envelope: Envelope | None, model: Model) -> None:
    known = {*model.inputs, *model.outputs}
    if envelope and (unknown := [tag for tag in envelope.tags if tag not in known]):
        raise ProblemError(f"the trust envelope speaks of {unknown[0]!r}, which the model does not have", tags=unknown)


def cost(term: Term, value: Floats) -> Floats:
    """Return the cost of a term whose scale is filled in, shape of ``value``; less is better whatever the goal is."""
    scale = term.scale or 1.0
    if term.goal == "maximize":
        return -value / scale
    if term.goal == "target":
        return np.abs(value - float(term.value or 0.0)) / scale
    return value / scale


def excess(limit: Limit, value: Floats) -> Floats:
    """Return by how much a limit is broken, in its scale, shape of ``value``; 0 where it is kept up to ROUNDING."""
    scale = limit.scale or 1.0
    violation = np.zeros_like(value)
    for bound, sign in zip(limit.bounds, (-1.0, 1.0), strict=True):
        if bound is not None:
            beyond = sign * (value - bound)
            forgiven = ROUNDING * (min(scale, abs(bound)) if bound else scale)
            violation = np.maximum(violation, np.where(beyond <= forgiven, 0.0, beyond / scale))  # NaN stays NaN
    return violation


def spread(values: Floats) -> float:
    """Return the standard deviation of the finite values, or 1 where they do not vary: any scale serves there."""
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        sd = float(finite.std()) if len(finite) else 0.0
    is_rounding = len(finite) > 0 and sd <= 1e-12 * float(np.abs(finite).max())
    return sd if 0 < sd < np.inf and not is_rounding else 1.0


def _term_report(term: Term, value: Floats) -> TermReport:
    return TermReport(
        of=term.of,
        goal=term.goal,
        value=float(value[0]),
        target=term.value,
        cost=float(cost(term, value)[0]),
        weight=term.weight,
        scale=term.scale or 1.0,
        objective=term.objective,
    )


def _limit_report(limit: Limit, value: Floats) -> LimitReport:
    scale, at = limit.scale or 1.0, float(value[0])
    lower, upper = limit.bounds
    above_lower = np.inf if lower is None else at - lower
    below_upper = np.inf if upper is None else upper - at
    margin = float(np.minimum(above_lower, below_upper))  # NaN where the value is
    return LimitReport(
        of=limit.of,
        lower=lower,
        upper=upper,
        value=at,
        margin=margin,
        is_kept=bool(excess(limit, value)[0] == 0),
        is_active=bool(margin <= ACTIVE * scale),
        scale=scale,
    )


def _bound_at(x: float, variable: Variable) -> str | None:
    lower, upper = variable.lower, variable.upper
    if variable.type == "categorical":  # the first of a list is no lower bound
        return None
    if lower == upper:
        return "both"
    near = ACTIVE * (upper - lower)
    return "lower" if x - lower <= near else "upper" if upper - x <= near else None

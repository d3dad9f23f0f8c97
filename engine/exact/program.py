"""A problem and its model, or a whole process of models, as one mixed-integer program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.evaluator import Evaluator
from engine.exact import rows
from engine.exact.boxes import Forest, Leaves, index, read_leaves
from engine.exact.columns import Column, Matrix, Sum
from engine.exact.forms import add_linear, add_network
from engine.expressions import Expression
from engine.problem import Problem
from engine.process_model import ProcessModel
from engine.surrogates.linear import LinearForm
from engine.surrogates.neural_network import NetworkForm
from engine.surrogates.trees import TreeEnsemble
from engine.trust import Envelope, JointEnvelope, PolyhedralEnvelope

MOST_LEAVES = 150_000
"""Leaves of all trees together beyond which a program is not even written."""


class NotEligible(EngineError):  # noqa: N818  (an answer, not a fault)
    """The problem or its model cannot be written as a mixed-integer program."""

    code = "certificate.not_eligible"
    title = "No certificate can be given for this problem."


def eligible(problem: Problem, model: Any, envelope: Envelope | None = None) -> list[str]:
    """Return why no certificate can be given, in words; empty if one can."""
    spoken = [(f"terms[{i}]", term.of) for i, term in enumerate(problem.terms)]
    spoken += [(f"limits[{i}]", limit.of) for i, limit in enumerate(problem.limits)]
    reasons = [
        f"{path} ({of}) is not a weighted sum of tags" for path, of in spoken if Expression.parse(of).affine() is None
    ]
    if len(problem.objectives) > 1:
        reasons.append("there are several objectives, and a proof is of one")
    for part in model.parts if isinstance(model, ProcessModel) else [model]:
        reasons += _of_model(getattr(part, "model", part), getattr(part, "name", None))
    reasons += _of_envelope(envelope)
    return reasons


@dataclass(frozen=True)
class Program:
    """A written program.

    Attributes:
        matrix: its rows and columns, apart from those of trees.
        variables: tag -> the column of a free input.
        columns: tag -> the column of any input or output; a fixed one has no index and no span.
        forest: the trees of all modules.
    """

    matrix: Matrix
    variables: Mapping[str, Column]
    columns: Mapping[str, Column]
    forest: Forest

    @property
    def n_binaries(self) -> int:
        """Number of columns that are whole numbers."""
        return sum(self.matrix.is_integer) + sum(axis.n_cells - 1 for axis in self.forest.axes)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.arrays()["lower"])

    def arrays(self) -> dict[str, Any]:
        """Return everything as plain arrays, as ``engine.exact.solve`` reads them."""
        return rows.arrays(self.matrix, self.forest)


def write(evaluator: Evaluator, envelope: Envelope | None = None) -> Program:
    """Return the program of a problem whose scales are filled in.

    Raises:
        NotEligible: it cannot be written; the message says why.
    """
    problem, model = evaluator.problem, evaluator.model
    if reasons := eligible(problem, model, envelope):
        raise NotEligible(f"no certificate can be given: {'; '.join(reasons)}", reasons=reasons)
    matrix = Matrix()
    columns = {tag: Column(-1, float(value), 0.0) for tag, value in problem.fixed.items()}
    variables = {}
    for variable in problem.variables:
        columns[variable.tag] = variables[variable.tag] = _input(matrix, variable)
    trees = _Trees()
    parts: Sequence[Any] = model.parts if isinstance(model, ProcessModel) else [model]
    for part in parts:
        surrogate = getattr(part, "model", part)
        inputs = [columns[tag] for tag in part.inputs]
        if isinstance(surrogate.form, TreeEnsemble):
            columns |= zip(part.outputs, trees.add(surrogate.form, inputs, matrix), strict=True)
        else:
            sums = _outputs(surrogate.form, inputs, matrix)
            columns |= {tag: _output(matrix, total) for tag, total in zip(part.outputs, sums, strict=True)}
    _add_objective(problem, columns, matrix)
    for limit in problem.limits:
        lower, upper = limit.bounds
        matrix.keep(_affine(limit.of, columns), lower=lower, upper=upper, scale=limit.scale or 1.0)
    for part_envelope in _polyhedra(envelope):
        for a, b in zip(part_envelope.A, part_envelope.b, strict=True):
            total = Sum()
            for tag, factor in zip(part_envelope.tags, a, strict=True):
                total.add_value(columns[tag], float(factor))
            matrix.keep(total, upper=float(b))
    return Program(matrix, variables, columns, trees.forest())


def _input(matrix: Matrix, variable: Any) -> Column:
    span = variable.upper - variable.lower
    column = Column(matrix.column(), variable.lower, span)
    if variable.spacing and span:
        n_steps = float(np.floor(span / variable.spacing * (1 + 1e-12) + 1e-9))
        steps = matrix.column(is_integer=True, most=n_steps)
        matrix.row({column.index: 1.0, steps: -variable.spacing / span}, lower=0.0, upper=0.0)
    return column


def _output(matrix: Matrix, total: Sum) -> Column:
    """Return a column of its own for an output, so that modules above can compare it with their thresholds."""
    low = total.constant + sum(min(0.0, c) * matrix.most[i] for i, c in total.coefficients.items())
    high = total.constant + sum(max(0.0, c) * matrix.most[i] for i, c in total.coefficients.items())
    column = Column(matrix.column(), low, high - low)
    if high > low:
        link = total.plus(Sum(-low, {column.index: -(high - low)}))
        matrix.keep(link, lower=0.0, upper=0.0, scale=high - low)
    return column


def _outputs(form: Any, inputs: list[Column], matrix: Matrix) -> list[Sum]:
    return add_linear(form, inputs) if isinstance(form, LinearForm) else add_network(form, inputs, matrix)


class _Trees:
    """The trees of all modules while they are gathered, the lowest module first."""

    def __init__(self) -> None:
        self._trees: list[tuple[Leaves, list[Column], range]] = []
        self._outputs: list[Column] = []
        self._base: list[float] = []

    def add(self, form: TreeEnsemble, inputs: list[Column], matrix: Matrix) -> list[Column]:
        """Add the trees of a module and return the columns of its outputs."""
        trees = [read_leaves(form, int(root), inputs) for root in form.root]
        low = form.base + sum(tree.values.min(axis=0) for tree in trees)
        high = form.base + sum(tree.values.max(axis=0) for tree in trees)
        places = range(len(self._outputs), len(self._outputs) + len(form.base))
        columns = [Column(matrix.column(), float(a), float(b - a)) for a, b in zip(low, high, strict=True)]
        self._trees += [(tree, inputs, places) for tree in trees]
        self._outputs += columns
        self._base += form.base.tolist()
        return columns

    def forest(self) -> Forest:
        """Return them over one set of axes."""
        return index(self._trees, self._outputs, np.array(self._base))


def _add_objective(problem: Problem, columns: Mapping[str, Column], matrix: Matrix) -> None:
    objective = Sum()
    for term in problem.terms:
        value, factor = _affine(term.of, columns), term.weight / (term.scale or 1.0)
        if term.goal != "target":
            objective = objective.plus(value, -factor if term.goal == "maximize" else factor)
            continue
        reach = max(abs(_extreme(value, matrix, sign) - float(term.value or 0.0)) for sign in (-1.0, 1.0)) or 1.0
        miss = matrix.column()
        for sign in (-1.0, 1.0):  # miss * reach >= +-(value - target)
            side = Sum(sign * float(term.value or 0.0), {miss: reach}).plus(value, -sign)
            matrix.keep(side, lower=0.0, scale=reach)
        objective.add(miss, factor * reach)
    matrix.objective = objective


def _extreme(total: Sum, matrix: Matrix, sign: float) -> float:
    return total.constant + sum(
        (max(0.0, c) if sign > 0 else min(0.0, c)) * matrix.most[i] for i, c in total.coefficients.items()
    )


def _affine(of: str, columns: Mapping[str, Column]) -> Sum:
    constant, coefficients = Expression.parse(of).affine() or (0.0, {})
    total = Sum(constant)
    for tag, factor in coefficients.items():
        total.add_value(columns[tag], factor)
    return total


def _of_model(surrogate: Any, name: str | None) -> list[str]:
    form, who = getattr(surrogate, "form", None), f"the model of {name!r}" if name else "the model"
    if getattr(surrogate, "encoding", None) is not None:
        return [f"{who} encodes its inputs"]
    if isinstance(form, TreeEnsemble):
        n_leaves = int((form.feature < 0).sum())
        return [f"{who} has {n_leaves} leaves, more than {MOST_LEAVES}"] if n_leaves > MOST_LEAVES else []
    if not isinstance(form, LinearForm | NetworkForm):
        kind = getattr(surrogate, "kind", type(surrogate).__name__)
        return [f"{who} is of the kind {kind!r}; linear models, trees and neural networks can be proved over"]
    return []


def _of_envelope(envelope: Envelope | None) -> list[str]:
    if envelope is None or isinstance(envelope, PolyhedralEnvelope):
        return []
    if isinstance(envelope, JointEnvelope):
        return [reason for part in envelope.parts.values() for reason in _of_envelope(part)][:1]
    return ["the trust envelope is of the form 'distance', which has no linear rows; use 'polyhedral'"]


def _polyhedra(envelope: Envelope | None) -> list[PolyhedralEnvelope]:
    if isinstance(envelope, JointEnvelope):
        return [each for part in envelope.parts.values() for each in _polyhedra(part)]
    return [envelope] if isinstance(envelope, PolyhedralEnvelope) else []

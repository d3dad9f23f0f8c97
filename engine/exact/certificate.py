"""The certificate: a proven bound on the objective, and a point that was evaluated by the models themselves."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from engine.checks import floats
from engine.errors import ParameterError
from engine.evaluator import Evaluator, Model, Report
from engine.exact.points import point_of
from engine.exact.process import Clock, answered
from engine.exact.program import Program, write
from engine.exact.rounds import Round, tightened
from engine.exact.solve import INFEASIBLE, LIMIT, OPTIMAL
from engine.optimize import jsonable
from engine.problem import Problem
from engine.trust import Envelope

PROVEN = 1e-5
"""A gap up to this share of the value is proven: the solver's own tolerances are of this size."""

AGREES = 1e-5
"""By how much the models' own prediction may differ from the program's, as a share of the objective or its spread."""

LONGEST = 3600.0


@dataclass(frozen=True)
class Certificate:
    """What was proved.

    Attributes:
        value: the best objective known, evaluated by the models; None if no feasible point is known.
        bound: no point of the problem is better than this; None if nothing was proved.
        gap: (value - bound) / |value|; None if one of them is missing.
        is_proven: whether the gap is at most PROVEN: the value is the optimum.
        is_infeasible: whether it was proved that nothing is feasible.
        status: "optimal", "time limit", "infeasible", "mismatch" or "failed".
        reason: what the status means here, in a sentence.
        inputs, outputs: of the point behind the value; empty without one.
        n_binaries, n_rows: size of the program.
        seconds: wall time.
    """

    value: float | None
    bound: float | None
    gap: float | None
    is_proven: bool
    is_infeasible: bool
    status: str
    reason: str
    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    n_binaries: int
    n_rows: int
    seconds: float = field(compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain


def certify(
    problem: Problem,
    model: Model,
    *,
    envelope: Envelope | None = None,
    start: Mapping[str, float] | None = None,
    time_limit: float = 120.0,
    on_wait: Callable[[float], object] | None = None,
) -> Certificate:
    """Return how far the best known point is from the best there can be.

    Args:
        problem: with terms and limits that are weighted sums of tags.
        model: a Surrogate with a linear model, trees or a network of rectified linear units, or a ProcessModel of
            those.
        envelope: polyhedral, or joint of polyhedral ones.
        start: tag -> value of a point that is known, such as a population solver's best: the program looks for
            nothing worse, and it is the answer where the program finds none in time.
        time_limit: seconds, above 0 and at most LONGEST; the process is killed a little after that.
        on_wait: called about ten times a second with the seconds so far; what it raises ends the work.

    Raises:
        NotEligible: the problem cannot be written as a program; the message names every reason.
        ProblemError: the problem does not fit the model.
        ParameterError: the time limit is not allowed.
    """
    if not isinstance(time_limit, int | float) or not 0 < time_limit <= LONGEST:
        raise ParameterError(f"the time limit must be above 0 and at most {LONGEST:g} s, not {time_limit!r:.40}")
    clock = Clock(time_limit, on_wait)
    evaluator = Evaluator(problem, model, envelope)
    program = write(evaluator, envelope)
    known = None if start is None else evaluator.report(evaluator.starts([start])[0])
    if known is not None and not known.is_feasible:
        known = None
    reached = Round(program, known)
    if program.forest.partitions:
        reached = tightened(evaluator, program, known, clock)
    answer = {"status": INFEASIBLE if reached.known is None else OPTIMAL}
    if not reached.is_decided:
        answer = _solved(reached, clock)
    return _certificate(evaluator, program, reached, answer, clock)


def _solved(reached: Round, clock: Clock) -> dict[str, Any]:
    """Return the answer of branch and bound on what the rounds have left."""
    program, known = reached.program, reached.known
    if known is not None:
        program.matrix.keep(program.matrix.objective, upper=known.objective + AGREES * max(1.0, abs(known.objective)))
    return answered("solve", program.arrays(), clock)


def _certificate(
    evaluator: Evaluator, program: Program, reached: Round, answer: dict[str, Any], clock: Clock
) -> Certificate:
    (status, reason), best, bound = _told(answer["status"]), reached.known, reached.bound
    constant = program.matrix.objective.constant
    if answer.get("bound") is not None:
        bound = max(answer["bound"] + constant, -np.inf if bound is None else bound)
    mismatch = None if best is None else _off(program, best)
    if answer.get("x") is not None:
        point = evaluator.report(point_of(evaluator, reached.program, floats("x", answer["x"])))
        mismatch = mismatch or _broken(answer["value"] + constant, point)
        if best is None or point.objective < best.objective:
            best = point
    if answer["status"] == INFEASIBLE and best is not None:
        status, reason, bound = "optimal", "nothing better than the known point exists", best.objective
    if mismatch:
        status, reason, bound, best = "mismatch", f"{mismatch}: nothing is certified", None, reached.known
    value = None if best is None else best.objective
    bound = bound if bound is None or value is None else min(bound, value)
    gap = None if value is None or bound is None else (value - bound) / max(abs(value), 1e-9)
    return Certificate(
        value=value,
        bound=bound,
        gap=gap,
        is_proven=gap is not None and gap <= PROVEN,
        is_infeasible=answer["status"] == INFEASIBLE and best is None,
        status=status,
        reason=reason,
        inputs={} if best is None else best.inputs,
        outputs={} if best is None else best.outputs,
        n_binaries=program.n_binaries,
        n_rows=program.n_rows,
        seconds=clock.passed,
    )


def _broken(promised: float, point: Report) -> str | None:
    """Return how the models contradict what the program promises of a point; None if they do not."""
    if point.is_feasible and abs(point.objective - promised) <= AGREES * max(1.0, abs(promised)):
        return None
    where = "" if point.is_feasible else ", outside of the limits"
    return f"the program promises {promised:.9g} but the models give {point.objective:.9g}{where}"


def _off(program: Program, point: Report) -> str | None:
    """Return which output of the trees at a point is not what the models say; None if all are."""
    values = {**point.inputs, **point.outputs}
    sums = program.forest.sums({column.index: values[tag] for tag, column in program.columns.items()})
    tags = {column.index: tag for tag, column in program.columns.items()}
    for column, promised in zip(program.forest.outputs, sums, strict=True):
        value = values[tags[column.index]]
        if not abs(value - promised) <= AGREES * max(column.span, abs(value)):  # NaN is no agreement
            return f"the program says that {tags[column.index]!r} is {promised:.9g} but the model gives {value:.9g}"
    return None


def _told(status: int) -> tuple[str, str]:
    return {
        OPTIMAL: ("optimal", "the program was solved to its end"),
        LIMIT: ("time limit", "the time ran out; the bound is what was proved by then"),
        INFEASIBLE: ("infeasible", "no point keeps all limits"),
    }.get(status, ("failed", "the solver's process was ended, or gave no answer"))

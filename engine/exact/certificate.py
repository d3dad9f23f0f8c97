"""The certificate: a proven bound on the objective, and a point that was evaluated by the models themselves."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.checks import floats
from engine.errors import ParameterError
from engine.evaluator import Evaluator, Model, Report
from engine.exact.points import point_of
from engine.exact.program import Program, write
from engine.optimize import jsonable
from engine.problem import Problem
from engine.trust import Envelope

PROVEN = 1e-5
"""A gap up to this share of the value is proven: the solver's own tolerances are of this size."""

AGREES = 1e-5
"""By how much the models' own prediction may differ from the program's, as a share of the objective or its spread."""

LONGEST = 3600.0
_POLL = 0.1
_OPTIMAL, _LIMIT, _INFEASIBLE = 0, 1, 2


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
    began = time.perf_counter()
    if not isinstance(time_limit, int | float) or not 0 < time_limit <= LONGEST:
        raise ParameterError(f"the time limit must be above 0 and at most {LONGEST:g} s, not {time_limit!r:.40}")
    evaluator = Evaluator(problem, model, envelope)
    program = write(evaluator, envelope)
    known = None if start is None else evaluator.report(evaluator.starts([start])[0])
    if known is not None and not known.is_feasible:
        known = None
    if known is not None:
        program.matrix.keep(program.matrix.objective, upper=known.objective + AGREES * max(1.0, abs(known.objective)))
    answer = _solved(program, time_limit, on_wait)
    return _certificate(evaluator, program, answer, known, time.perf_counter() - began)


def _solved(program: Program, time_limit: float, on_wait: Callable[[float], object] | None) -> dict[str, Any]:
    """Return the answer of the solver's process; {"status": -1} if it did not answer."""
    arrays: dict[str, Any] = {"time_limit": np.array(0.9 * time_limit), **program.arrays()}
    began = time.perf_counter()
    with tempfile.TemporaryFile(prefix="setpoint-") as file:
        np.savez(file, **arrays)
        file.seek(0)
        with subprocess.Popen(
            [sys.executable, "-m", "engine.exact.solve"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        ) as process:
            try:
                return _waited_for(process, began, time_limit, on_wait)
            finally:
                process.kill()


def _waited_for(
    process: "subprocess.Popen[bytes]", began: float, time_limit: float, on_wait: Callable[[float], object] | None
) -> dict[str, Any]:
    while True:
        try:
            output, _ = process.communicate(timeout=_POLL)
            return dict(json.loads(output)) if process.returncode == 0 else {"status": -1}
        except subprocess.TimeoutExpired:
            waited = time.perf_counter() - began
        if waited > time_limit + 2.0:
            return {"status": -1}
        if on_wait:
            on_wait(waited)


def _certificate(
    evaluator: Evaluator, program: Program, answer: dict[str, Any], known: Report | None, seconds: float
) -> Certificate:
    status, reason = _told(answer["status"])
    bound = None if answer.get("bound") is None else answer["bound"] + program.matrix.objective.constant
    best = known
    if answer.get("x") is not None:
        point = evaluator.report(point_of(evaluator, program, floats("x", answer["x"])))
        promised = answer["value"] + program.matrix.objective.constant
        allowed = AGREES * max(1.0, abs(promised))
        if not point.is_feasible or abs(point.objective - promised) > allowed:
            status, bound = "mismatch", None
            reason = (
                f"the program promises {promised:.9g} but the models give {point.objective:.9g}"
                f"{'' if point.is_feasible else ', outside of the limits'}: nothing is certified"
            )
        elif best is None or point.objective < best.objective:
            best = point
    if answer["status"] == _INFEASIBLE and known is not None:
        status, reason, bound = "optimal", "nothing better than the known point exists", known.objective
    value = None if best is None else best.objective
    gap = None if value is None or bound is None else max(0.0, value - bound) / max(abs(value), 1e-9)
    return Certificate(
        value=value,
        bound=bound,
        gap=gap,
        is_proven=gap is not None and gap <= PROVEN,
        is_infeasible=answer["status"] == _INFEASIBLE and known is None,
        status=status,
        reason=reason,
        inputs={} if best is None else best.inputs,
        outputs={} if best is None else best.outputs,
        n_binaries=program.n_binaries,
        n_rows=program.n_rows,
        seconds=seconds,
    )


def _told(status: int) -> tuple[str, str]:
    return {
        _OPTIMAL: ("optimal", "the program was solved to its end"),
        _LIMIT: ("time limit", "the time ran out; the bound is what was proved by then"),
        _INFEASIBLE: ("infeasible", "no point keeps all limits"),
    }.get(status, ("failed", "the solver's process was ended, or gave no answer"))

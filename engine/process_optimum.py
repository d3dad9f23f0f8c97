"""Find the set-points of a whole process: layer by layer, all layers at once, or in talks between them.

    cascade      The top is solved with its links free within what its data have seen. Its best link values are handed
                 down as targets; each lower module is solved to hit them, and hands its own links' values further
                 down. A module with targets and an objective of its own: targets first, then its own objective among
                 what hits them as well.
    joint        Only inputs from outside are free; predictions flow up, and limits hold at every layer. What it finds
                 can be attained within the models by construction.
    negotiated   What a lower layer cannot reach goes back up as a price: analytical target cascading with an augmented
                 Lagrangian. Upper modules come to meet what was reached, lower ones what is asked, until the worst miss
                 is small; the answer is the best of all rounds when the models are composed.

Whatever the mode, the answer is what the composed models say of the control inputs that were found, with nothing
assumed of the links. What a mode promises before that is told beside it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.checks import whole_number
from engine.comparison import Comparison, compare
from engine.errors import ParameterError
from engine.evaluator import Evaluator, Report
from engine.fronts import Front
from engine.layered import CLOSE, Found, Layers, Round
from engine.optimize import Optimum, jsonable, minimize
from engine.problem import Limit, Problem
from engine.process_model import ProcessModel
from engine.relaxation import Broken, broken
from engine.solvers.base import checked_budget, checked_seed
from engine.stages import ProcessStep, Stages
from engine.trust import Envelope

MODES = ("joint", "cascade", "negotiated")


@dataclass(frozen=True)
class LinkReport:
    """What became of one link.

    Attributes:
        module, tag, source, source_tag: the link, as in the graph.
        target: what the upper module wants; None in the mode "joint", where nothing is wanted of a link.
        promised: what the lower module reached when it was solved alone; None likewise.
        reached: what the composed models say.
        miss, miss_sd: reached - target, in units and in standard deviations.
    """

    module: str
    tag: str
    source: str
    source_tag: str
    target: float | None
    promised: float | None
    reached: float
    miss: float | None
    miss_sd: float | None


@dataclass(frozen=True)
class ModuleReport:
    """One module at the answer: what goes in and comes out, by the module's own tags, and where that lies."""

    name: str
    inputs: Mapping[str, float]
    outputs: Mapping[str, float]


@dataclass(frozen=True)
class ProcessOptimum(Report):
    """The answer for a process: the report on the composed models, and how it was found.

    Attributes:
        mode: how the layers were solved.
        promised: the objective that the modules promise on their own; in the mode "joint" the objective itself.
        modules: each module at the answer, lower ones first.
        links: what became of each link.
        cuts: what was assumed of each cut stream, and what the models imply.
        rounds: of the talks, in the mode "negotiated".
        broken: what the answer breaks, if nothing feasible was found.
        front: with several objectives, in the mode "joint".
        comparison: the answer beside the operating point of now, if one was given.
        notes: what a reader should know, as text.
        curve: as in ``Optimum``, in the mode "joint"; otherwise empty.
        evaluations: evaluations of a model: of all modules at once in the mode "joint", else of one module each.
        solver, seed, budget: with the problem and the models, what it takes to repeat the run.
        seconds: how long it took. The only thing in here that may differ.
    """

    mode: str
    promised: float
    modules: tuple[ModuleReport, ...]
    links: tuple[LinkReport, ...]
    cuts: tuple[Mapping[str, Any], ...]
    rounds: tuple[Round, ...]
    broken: tuple[Broken, ...]
    front: Front | None
    comparison: Comparison | None
    notes: tuple[str, ...]
    curve: tuple[tuple[int, float, float], ...]
    evaluations: int
    solver: str
    seed: int
    budget: int
    seconds: float = field(compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values; a number that is not finite is null."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain


def optimize_process(
    process: ProcessModel,
    problem: Problem,
    *,
    mode: str = "joint",
    solver: str = "auto",
    budget: int = 10_000,
    seed: int = 0,
    envelopes: Mapping[str, Envelope] | None = None,
    current: Mapping[str, float] | None = None,
    closes_cuts: bool = False,
    n_recipes: int = 20,
    on_step: Callable[[ProcessStep], object] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> ProcessOptimum:
    """Return the best set-points of a process that a mode finds; the same arguments give the same answer.

    Args:
        process: the modules with their models.
        problem: over the tags of the process: its variables are inputs from outside, its other inputs are fixed.
        mode: one of MODES.
        solver: a key of SOLVERS, of every search.
        budget: evaluations in all: of the whole process in the mode "joint", else of single modules.
        seed: of everything random, from 0.
        envelopes: module -> where its model is trusted, over the module's own inputs.
        current: the operating point of now, a value for every variable.
        closes_cuts: whether assumed and implied values of cut streams must agree within CLOSE standard deviations; in
            the mode "joint" only. Otherwise their mismatch is told.
        n_recipes, on_step, resume: as ``minimize`` takes them.

    Raises:
        ParameterError: mode, solver, budget or seed is not one that is allowed, or cuts cannot be closed in the mode.
        ProblemError: the problem does not fit the process, cannot be served layer by layer, or a variable has no value
            in ``current``.
        ProcessGraphError: an envelope does not fit its module.
        SolverStateError: ``resume`` is damaged or of another run.
    """
    began = time.perf_counter()
    budget, seed = checked_budget(budget), checked_seed(seed)
    whole_number("n_recipes", n_recipes, 1)
    if mode not in MODES:
        raise ParameterError(f"mode must be one of {', '.join(MODES)}, not {mode!r:.40}", parameter="mode")
    if closes_cuts:
        check_closing(process, mode)
        problem = closed(process, problem)
    joint_envelope = process.envelope(envelopes or {})
    evaluator = Evaluator(problem, process, joint_envelope)
    evaluator.starts([], current or None)  # to be refused before the work, not when the answer is compared with it
    front: Front | None = None
    curve: tuple[tuple[int, float, float], ...] = ()
    if mode == "joint":
        best = _joint(evaluator, process, joint_envelope, solver, budget, seed, current, n_recipes, on_step, resume)
        found, front, curve = Found(_free(best)), best.front, best.curve
        evaluations = best.evaluations
    else:
        stages = Stages(solver=solver, seed=seed, budget=budget, on_step=on_step, resume=resume)
        layers = Layers(process, problem, evaluator, envelopes or {}, stages, budget, current)
        found = layers.cascade() if mode == "cascade" else layers.negotiated()
        evaluations = stages.evaluations
    report = evaluator.report([found.decided[variable.tag] for variable in problem.variables])
    values = {**report.inputs, **report.outputs}
    return ProcessOptimum(
        **vars(Report(**{name: getattr(report, name) for name in Report.__dataclass_fields__})),
        mode=mode,
        promised=report.objective if found.promised is None else found.promised,
        modules=tuple(_module_report(part.name, process, values) for part in process.parts),
        links=_links(process, found, values),
        cuts=tuple(process.mismatch(values)),
        rounds=tuple(found.rounds),
        broken=broken(report),
        front=front,
        comparison=compare(evaluator, report, current, seed=seed) if current else None,
        notes=tuple(found.notes),
        curve=curve,
        evaluations=evaluations,
        solver=solver,
        seed=seed,
        budget=budget,
        seconds=time.perf_counter() - began,
    )


def closed(process: ProcessModel, problem: Problem) -> Problem:
    """Return a problem with the limits that close the cuts of a process, within CLOSE standard deviations."""
    closing = tuple(Limit(process.closing(name), equal=0.0, tolerance=CLOSE, scale=1.0) for name in process.cuts)
    return Problem(problem.variables, problem.fixed, problem.terms, (*problem.limits, *closing))


def check_closing(process: ProcessModel, mode: str) -> None:
    """See that cuts can be closed in a mode: no module alone knows both what is assumed and what is implied.

    Raises:
        ParameterError: they cannot.
    """
    if process.cuts and mode != "joint":
        raise ParameterError(
            f"cuts are closed in the mode 'joint', not {mode!r}: assume values for them", parameter="closes_cuts"
        )


def _joint(
    evaluator: Evaluator,
    process: ProcessModel,
    envelope: Envelope | None,
    solver: str,
    budget: int,
    seed: int,
    current: Mapping[str, float] | None,
    n_recipes: int,
    on_step: Callable[[ProcessStep], object] | None,
    resume: Mapping[str, Any] | None,
) -> Optimum:
    return minimize(
        evaluator.problem,
        process,
        solver=solver,
        budget=budget,
        seed=seed,
        envelope=envelope,
        current=current,
        n_recipes=n_recipes,
        on_step=on_step and (lambda step: on_step(ProcessStep("whole process", **vars(step)))),
        resume=resume,
    )


def _free(best: Optimum) -> dict[str, float]:
    return {variable.tag: variable.value for variable in best.variables}


def _module_report(name: str, process: ProcessModel, values: Mapping[str, float]) -> ModuleReport:
    part = process.part(name)
    return ModuleReport(
        name=name,
        inputs={tag: values[source] for tag, source in zip(part.model.inputs, part.sources, strict=True)},
        outputs={tag: values[tag] for tag in part.outputs},
    )


def _links(process: ProcessModel, found: Found, values: Mapping[str, float]) -> tuple[LinkReport, ...]:
    told = []
    for link in process.graph.links:
        target, reached = found.targets.get(link.source_tag), values[link.source_tag]
        told.append(
            LinkReport(
                **vars(link),
                target=target.value if target else None,
                promised=found.reached.get(link.source_tag) if target else None,
                reached=reached,
                miss=reached - target.value if target else None,
                miss_sd=(reached - target.value) / target.sd if target else None,
            )
        )
    return tuple(told)

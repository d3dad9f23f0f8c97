"""Optimizations of whole processes: asked for with the models that stand for the modules, carried out, reported."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import TaskKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Model, Module, Optimization, OptimizationModel, Process, Task
from app.utils import sqlite
from app.version import VERSION
from app.viewModels import (
    categories,
    model_history,
    optimization_nearest,
    optimization_options,
    optimization_problem,
    process_graph,
    surrogates,
    task_queue,
)
from app.viewModels.access import visible
from app.viewModels.model_history import History
from engine.layers import check_layers
from engine.problem import Problem
from engine.process_model import ProcessModel
from engine.process_optimum import MODES as KNOWN_MODES
from engine.process_optimum import ProcessOptimum, check_closing
from engine.run import check_solver
from engine.trust import Envelope

MODES = list(KNOWN_MODES)
"""The ways in which layers are solved; the first is the default."""


@dataclass(frozen=True)
class Outline:
    """What is known of a model without its file: its tags, and the ranges of its inputs."""

    inputs: list[str]
    outputs: list[str]
    input_ranges: list[list[float]]

    def predict(self, X: Any, /) -> Any:
        """Refuse: an outline is there to check a problem by."""
        raise NotImplementedError


@dataclass(frozen=True)
class Asked:
    """What is asked of an optimization of a process.

    Attributes:
        models: module -> the model that stands for it; the others are those in production.
        options: what ``optimization_options.asked`` takes.
    """

    terms: Sequence[Mapping[str, Any]]
    mode: str
    solver: str
    budget: int
    seed: int
    name: str | None
    limits: Sequence[Mapping[str, Any]]
    bounds: Mapping[str, Sequence[float]]
    inputs: Mapping[str, Mapping[str, Any]]
    fixed: Mapping[str, float | str]
    models: Mapping[str, UUID]
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        *,
        terms: Sequence[Mapping[str, Any]],
        limits: Sequence[Mapping[str, Any]] = (),
        bounds: Mapping[str, Sequence[float]] | None = None,
        inputs: Mapping[str, Mapping[str, Any]] | None = None,
        fixed: Mapping[str, float | str] | None = None,
        mode: str,
        models: Mapping[str, UUID] | None = None,
        solver: str,
        budget: int,
        seed: int = 0,
        name: str | None = None,
        **options: Any,
    ) -> Self:
        """Return it from the fields of a request."""
        return cls(
            terms=terms,
            mode=mode,
            solver=solver,
            budget=budget,
            seed=seed,
            name=name,
            limits=limits,
            bounds=bounds or {},
            inputs=inputs or {},
            fixed=fixed or {},
            models=models or {},
            options=options,
        )

    def at_cuts(self, process: ProcessModel) -> Self:
        """Return it with what is measured now of streams whose cuts are closed standing for what is assumed of them."""
        if not self.options.get("closes_cuts"):
            return self
        current = optimization_options.with_assumed(self.options.get("current"), process.cuts)
        return replace(self, options={**self.options, "current": current})


def start(process_id: UUID, *, actor: Actor, **asked: Any) -> Task:
    """Queue the search for the best set-points of a process. The problem is checked here and now.

    Args:
        asked: what ``Asked.of`` takes.

    Raises:
        AppError: PROCESS_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, MODEL_NOT_FOUND, MODEL_NOT_TRAINED,
            MODULE_WITHOUT_MODEL, INVALID_INPUT.
        EngineError: the problem contradicts itself or does not fit the process.
    """
    wanted = Asked.of(**asked)
    with sqlite.reading():
        wanted, chosen, problem = _prepared(process_id, wanted, actor)
        db.session.commit()
    task = _add(process_id, wanted, chosen, problem, actor)
    try:
        db.session.commit()
    except IntegrityError as error:  # a model was deleted at this very moment
        db.session.rollback()
        raise AppError(ErrorCode.MODEL_NOT_FOUND, "It was deleted at this moment.") from error
    return task


def add(process_id: UUID, asked: Asked, *, actor: Actor) -> Task:
    """Add an optimization and its task to the caller's transaction.

    Raises:
        AppError, EngineError: as ``start``.
    """
    asked, chosen, problem = _prepared(process_id, asked, actor)
    return _add(process_id, asked, chosen, problem, actor)


def check(modules: Sequence[Module], outlines: Mapping[str, Outline], asked: Asked, kinds: Mapping[str, str]) -> None:
    """Refuse what could not be optimized over models like these, which take numbers, before they are trained.

    Args:
        outlines: module -> what its model takes and gives.
        kinds: module -> the kind of its model.

    Raises:
        AppError: INVALID_INPUT.
        EngineError: as ``start``.
    """
    composed = _composed(modules, outlines)
    _problem(composed, asked.at_cuts(composed), kinds, declared={}, known={})


def outlines(process: Process, asked: Mapping[str, UUID], *, without: Set[str]) -> dict[str, tuple[Outline, str]]:
    """Return what the models take and give, and their kinds, of all modules but some.

    Raises:
        AppError: INVALID_INPUT, MODEL_NOT_FOUND, MODEL_NOT_TRAINED, MODULE_WITHOUT_MODEL.
    """
    chosen = _models(process, asked, without=without)
    return {name: (_outline(model), optimization_options.kind_of(model)) for name, model in chosen.items()}


def _prepared(process_id: UUID, asked: Asked, actor: Actor) -> tuple[Asked, dict[str, Model], Problem]:
    """Return what is asked, with nothing left to be assumed; the models that are asked over; the checked problem."""
    process = visible(Process, process_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
    chosen = _models(process, asked.models)
    composed = _composed(process.modules, {name: _outline(model) for name, model in chosen.items()})
    kinds = {name: optimization_options.kind_of(model) for name, model in chosen.items()}
    declared, known = optimization_problem.declared_types(*chosen.values()), categories.of_all(*chosen.values())
    asked = asked.at_cuts(composed)
    return asked, chosen, _problem(composed, asked, kinds, declared=declared, known=known)


def _problem(
    composed: ProcessModel,
    asked: Asked,
    kinds: Mapping[str, str],
    *,
    declared: Mapping[str, Mapping[str, Any]],
    known: categories.Known,
) -> Problem:
    problem = optimization_problem.of_process(
        composed,
        terms=asked.terms,
        limits=asked.limits,
        bounds=asked.bounds,
        types=asked.inputs,
        fixed=asked.fixed,
        closes_cuts=asked.options.get("closes_cuts", False),
        declared=declared,
        known=known,
    )
    check_solver(asked.solver, len(problem.objectives))
    optimization_options.check_starts(problem, asked.options.get("starts", 1))
    optimization_options.check_current(problem, asked.options.get("current"), composed.cuts)
    if asked.mode != "joint":
        check_layers(composed, problem)
    if asked.options.get("closes_cuts"):
        check_closing(composed, asked.mode)
    if asked.options.get("certify"):
        optimization_options.check_certificate(
            problem, {f"the model of {name!r}": kind for name, kind in kinds.items()}
        )
    return problem


def _add(process_id: UUID, asked: Asked, chosen: Mapping[str, Model], problem: Problem, actor: Actor) -> Task:
    process = visible(Process, process_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)  # again: time may have passed
    known = categories.of_all(*chosen.values())
    optimization = Optimization(
        id=new_id(),
        name=asked.name or optimization_problem.in_words(problem, known),
        project_id=process.project_id,
        process_id=process.id,
        mode=asked.mode,
        problem=problem.to_json(),
        options=optimization_options.asked(**asked.options, known=known),
        solver=asked.solver,
        budget=asked.budget,
        seed=asked.seed,
        created_by=actor.id,
        modules=[OptimizationModel(module_name=name, model_id=model.id) for name, model in chosen.items()],
    )
    task = task_queue.submit(
        TaskKind.OPTIMIZE,
        project_id=process.project_id,
        subject_id=optimization.id,
        payload={"optimization_id": str(optimization.id)},
        actor=actor,
    )
    optimization.task_id = task.id
    db.session.add(optimization)
    return task


@dataclass(frozen=True)
class ProcessSearch:
    """An optimization of a process as its worker has it.

    Attributes:
        optimization: what was asked.
        process: the models.
        envelopes: module -> where its model is trusted.
        histories: module -> the rows that its model was trained on.
    """

    optimization: Optimization
    process: ProcessModel
    envelopes: Mapping[str, Envelope]
    histories: Mapping[str, History]


def load(optimization_id: UUID) -> ProcessSearch:
    """Return what it takes to carry an optimization of a process out. Its transaction has ended when it returns.

    Raises:
        AppError: MODEL_DAMAGED.
        EngineError: the modules are no longer those that the models were trained for.
    """
    optimization = db.session.get_one(Optimization, optimization_id)
    modules = list(optimization.process.modules)
    chosen = {each.module_name: each.model for each in optimization.modules}
    versions = {name: model.dataset_version for name, model in chosen.items()}
    db.session.commit()  # reading the store may take long
    composed = _composed(modules, {name: surrogates.held(model) for name, model in chosen.items()})
    histories = {name: model_history.of(model, versions[name]) for name, model in chosen.items()}
    envelopes = {}
    for part in composed.parts:
        known = categories.of(chosen[part.name])
        inputs = list(part.model.inputs)
        found = optimization_options.envelope(optimization.options, histories[part.name], inputs, known)
        if found is not None:
            envelopes[part.name] = found
    return ProcessSearch(optimization, composed, envelopes, histories)


def report(search: ProcessSearch, optimum: ProcessOptimum) -> dict[str, Any]:
    """Return what was found, with what it takes to find it again. Writes nothing."""
    optimization = search.optimization
    known = categories.of_all(*(each.model for each in optimization.modules))
    return categories.in_report(_placed(optimum.to_json(), search.histories, known), known) | {
        "models": {
            each.module_name: {
                "id": str(each.model_id),
                "number": each.model.number,
                "kind": each.model.kind,
                "scores": each.model.metrics["scores"],
                "validation": each.model.metrics["validation"],
            }
            for each in optimization.modules
        },
        "repeat": {
            "problem": optimization.problem,
            "mode": optimization.mode,
            "options": optimization.options,
            "solver": optimization.solver,
            "seed": optimization.seed,
            "budget": optimization.budget,
            "models": {each.module_name: each.model.artifact_sha256 for each in optimization.modules},
            "product_version": VERSION,
        },
    }


def _placed(found: dict[str, Any], histories: Mapping[str, History], known: categories.Known) -> dict[str, Any]:
    """Return an answer with the measured rows that are nearest to what each module is given."""
    modules = [
        module | {"nearest": optimization_nearest.about(module["inputs"], histories[module["name"]], categorical=known)}
        for module in found["modules"]
    ]
    trust = found["trust"] and {
        **found["trust"],
        "modules": {
            name: optimization_nearest.in_table(each, histories[name].places)
            for name, each in found["trust"]["modules"].items()
        },
    }
    return found | {"modules": modules, "trust": trust}


def _models(process: Process, asked: Mapping[str, UUID], *, without: Set[str] = frozenset()) -> dict[str, Model]:
    """Return the model of every module but some: the one asked for, or the one in production."""
    names = {module.name for module in process.modules}
    if unknown := [name for name in asked if name not in names]:
        raise AppError(
            ErrorCode.INVALID_INPUT, f"models: the process has no module {unknown[0]!r}.", path="models", tags=unknown
        )
    wanted = [module for module in process.modules if module.name not in without]
    return {module.name: _model(module, asked.get(module.name)) for module in wanted}


def _model(module: Module, model_id: UUID | None) -> Model:
    wanted = model_id or module.production_model_id
    if wanted is None:
        raise AppError(
            ErrorCode.MODULE_WITHOUT_MODEL,
            f"Module {module.name!r} has no model in production: promote one, or name one in 'models'.",
            module_id=str(module.id),
        )
    model = db.session.scalar(select(Model).where(Model.id == wanted, Model.module_id == module.id))
    if model is None:
        raise AppError(ErrorCode.MODEL_NOT_FOUND, f"Module {module.name!r} has no model {wanted}.", id=str(wanted))
    if model.metrics is None:
        raise AppError(ErrorCode.MODEL_NOT_TRAINED, f"It is {model.state}.", state=model.state, model_id=str(model.id))
    return model


def _outline(model: Model) -> Outline:
    inputs = [entry["tag"] for entry in model.inputs]
    return Outline(inputs, list(model.outputs), [model.ranges[tag] for tag in inputs])


def _composed(modules: Sequence[Module], models: Mapping[str, Any]) -> ProcessModel:
    return ProcessModel(process_graph.of(modules), models)

"""Optimizations: asked for, looked at, renamed, deleted; their results are recorded by the worker that found them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import ResultState, TaskKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Model, Module, Optimization, Task
from app.utils import sqlite
from app.utils.paging import Page, ordering, page_of
from app.viewModels import (
    categories,
    model_history,
    optimization_options,
    optimization_problem,
    optimization_report,
    surrogates,
    task_queue,
)
from app.viewModels.access import seen_by, visible
from app.viewModels.model_history import History
from engine.lookback import Steady
from engine.optimize import Optimum
from engine.run import check_solver
from engine.solvers import SOLVERS as KNOWN_SOLVERS
from engine.surrogates import Surrogate
from engine.trust import Envelope

SOLVERS = list(KNOWN_SOLVERS)
"""The solvers that can be asked for; the first is the default."""

LARGEST_BUDGET = 1_000_000
LARGEST_SEED = 2**32 - 1

SORT_FIELDS = {"created_at": Optimization.created_at, "name": Optimization.name}


def start(
    model_id: UUID,
    *,
    terms: Sequence[Mapping[str, Any]],
    limits: Sequence[Mapping[str, Any]] = (),
    bounds: Mapping[str, Sequence[float]] | None = None,
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    fixed: Mapping[str, float | str] | None = None,
    solver: str,
    budget: int,
    seed: int = 0,
    name: str | None = None,
    actor: Actor,
    **options: Any,
) -> Task:
    """Queue the search for the best inputs of a trained model. The problem is completed and checked here and now.

    Args:
        inputs: input -> its type and step, for those that are not real.
        options: what ``optimization_options.asked`` takes.

    Raises:
        AppError: MODEL_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, MODEL_NOT_TRAINED, INVALID_INPUT (with the field).
        EngineError: the problem contradicts itself or does not fit the model.
    """
    with sqlite.reading():
        model = visible(Model, model_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
        db.session.refresh(model, ["dataset_version"])
        db.session.commit()  # the model's rows may have to be read, which takes long
        problem = optimization_problem.complete(
            model, terms=terms, limits=limits, bounds=bounds or {}, types=inputs or {}, fixed=fixed or {}
        )
        db.session.commit()
    check_solver(solver, len(problem.objectives))
    optimization_options.check_starts(problem, options.get("starts", 1))
    optimization_options.check_current(problem, options.get("current"))
    if options.get("certify"):
        optimization_options.check_certificate(problem, {"the model": optimization_options.kind_of(model)})

    model = visible(Model, model_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)  # again: time has passed
    optimization = Optimization(
        id=new_id(),
        name=name or optimization_problem.in_words(problem, categories.of(model)),
        project_id=model.project_id,
        model_id=model.id,
        problem=problem.to_json(),
        options=optimization_options.asked(**options, known=categories.of(model)),
        solver=solver,
        budget=budget,
        seed=seed,
        created_by=actor.id,
    )
    task = task_queue.submit(
        TaskKind.OPTIMIZE,
        project_id=model.project_id,
        subject_id=optimization.id,
        payload={"optimization_id": str(optimization.id)},
        actor=actor,
    )
    optimization.task_id = task.id
    db.session.add(optimization)
    try:
        db.session.commit()
    except IntegrityError as error:  # the model was deleted at this very moment
        db.session.rollback()
        raise AppError(ErrorCode.MODEL_NOT_FOUND, id=str(model_id)) from error
    return task


def start_for_module(module_id: UUID, *, actor: Actor, **asked: Any) -> Task:
    """Queue the search over the model that a module has in production.

    Raises:
        AppError: MODULE_NOT_FOUND, SCOPE_MISSING, MODULE_WITHOUT_MODEL, and what ``start`` raises.
        EngineError: as ``start``.
    """
    with sqlite.reading():
        module = visible(Module, module_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
        db.session.commit()
    if module.production_model_id is None:
        raise AppError(ErrorCode.MODULE_WITHOUT_MODEL, "Promote a model of it first.", module_id=str(module_id))
    return start(module.production_model_id, actor=actor, **asked)


def page(
    *,
    actor: Actor,
    page: int,
    per_page: int,
    sort: str = "-created_at",
    project_id: UUID | None = None,
    model_id: UUID | None = None,
    process_id: UUID | None = None,
    state: ResultState | None = None,
) -> Page:
    """Return one page of the optimizations that the actor may see, newest first unless sorted otherwise."""
    named = {"project_id": project_id, "model_id": model_id, "process_id": process_id}
    wanted = {name: value for name, value in named.items() if value is not None}
    statement = seen_by(select(Optimization).filter_by(**wanted), Optimization, actor)
    if state is not None:
        statement = statement.where(Optimization.state == state)
    statement = statement.order_by(ordering(sort, SORT_FIELDS), Optimization.id.desc())
    return page_of(db.session, statement.options(joinedload(Optimization.task)), page=page, per_page=per_page)


def get(optimization_id: UUID, *, actor: Actor) -> Optimization:
    """Return an optimization.

    Raises:
        AppError: OPTIMIZATION_NOT_FOUND.
    """
    return visible(Optimization, optimization_id, to=actor, needs=Scope.OPTIMIZATION_READ)


def rename(optimization_id: UUID, *, name: str, actor: Actor) -> Optimization:
    """Give an optimization another name.

    Raises:
        AppError: OPTIMIZATION_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED.
    """
    optimization = visible(Optimization, optimization_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
    optimization.name = name
    db.session.commit()
    return optimization


def delete(optimization_id: UUID, *, actor: Actor) -> None:
    """Delete an optimization whose work has ended.

    Raises:
        AppError: OPTIMIZATION_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, OPTIMIZATION_RUNNING.
    """
    optimization = visible(Optimization, optimization_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
    if optimization.state is ResultState.RUNNING:
        raise AppError(ErrorCode.OPTIMIZATION_RUNNING, "Cancel its task first.", task_id=str(optimization.task_id))
    db.session.delete(optimization)
    db.session.commit()


@dataclass(frozen=True)
class Search:
    """An optimization as its worker has it: what was asked, the model, the rows behind it, and where it is trusted."""

    optimization: Optimization
    surrogate: Surrogate | Steady
    history: History
    envelope: Envelope | None


def load(optimization_id: UUID) -> Search:
    """Return what it takes to carry an optimization out. Its transaction has ended when it returns.

    Raises:
        AppError: MODEL_DAMAGED.
    """
    optimization = db.session.get_one(Optimization, optimization_id)
    model = optimization.model
    version = model.dataset_version
    db.session.commit()  # reading the store may take long
    surrogate, history = surrogates.held(model), model_history.of(model, version)
    known = categories.of(model)
    envelope = optimization_options.envelope(optimization.options, history, list(surrogate.inputs), known)
    return Search(optimization, surrogate, history, envelope)


def is_of_process(optimization_id: UUID) -> bool:
    """Whether an optimization is of a whole process, and not of one model."""
    return db.session.get_one(Optimization, optimization_id).process_id is not None


def report(search: Search, optimum: Optimum) -> dict[str, Any]:
    """Return what was found, held against what was measured. Writes nothing."""
    return optimization_report.report(search.optimization, optimum, search.history)


def finish(optimization_id: UUID, result: dict[str, Any]) -> dict[str, Any]:
    """Record what was found, in the caller's transaction. Returns the task's result."""
    db.session.get_one(Optimization, optimization_id).result = result
    return {"optimization_id": str(optimization_id), **optimization_report.summary(result)}

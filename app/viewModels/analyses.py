"""Analyses: asked for, looked at, renamed, deleted; what they find is recorded by the worker that found it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Bundle

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import AnalysisKind, ResultState, TaskKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Analysis, DatasetVersion, Model, Task
from app.utils.paging import Page, ordering, page_of
from app.viewModels import (
    analysis_params,
    analysis_report,
    model_history,
    module_tags,
    surrogates,
    task_queue,
    training,
)
from app.viewModels.access import seen_by, visible
from app.viewModels.model_history import History
from app.viewModels.training import Order
from app.viewModels.training_rows import Rows
from engine.lookback import Steady
from engine.surrogates import Surrogate
from engine.surrogates.kinds import IMPORTED

SORT_FIELDS = {"created_at": Analysis.created_at, "name": Analysis.name}

_LISTED = Bundle(  # without results, which may be large
    "analysis",
    *(getattr(Analysis, name) for name in ("id", "name", "kind", "project_id", "model_id", "task_id", "params")),
    Analysis.created_at,
    Analysis.created_by,
    Analysis.state.label("state"),
)


def start(
    model_id: UUID,
    *,
    kind: AnalysisKind,
    params: Mapping[str, Any],
    name: str | None = None,
    actor: Actor,
) -> Task:
    """Queue an analysis of a trained model. What is asked is checked here and now.

    Args:
        params: complete, as the kind takes them.

    Raises:
        AppError: MODEL_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, MODEL_NOT_TRAINED, INVALID_INPUT (with the field),
            ROWS_INVALID, OPTIMIZATION_NOT_FOUND.
        EngineError: a model of this kind does not say what is asked.
    """
    model = visible(Model, model_id, to=actor, needs=Scope.MODEL_WRITE)
    if model.metrics is None:
        raise AppError(ErrorCode.MODEL_NOT_TRAINED, f"It is {model.state}.", state=model.state)
    complete = analysis_params.complete(model, kind, params, actor=actor)
    analysis = Analysis(
        id=new_id(),
        name=name or analysis_params.in_words(kind, complete),
        kind=kind,
        project_id=model.project_id,
        model_id=model.id,
        params=complete,
        created_by=actor.id,
    )
    task = task_queue.submit(
        TaskKind.ANALYZE,
        project_id=model.project_id,
        subject_id=analysis.id,
        payload={"analysis_id": str(analysis.id)},
        actor=actor,
    )
    analysis.task_id = task.id
    db.session.add(analysis)
    try:
        db.session.commit()
    except IntegrityError as error:  # the model was deleted at this very moment
        db.session.rollback()
        raise AppError(ErrorCode.MODEL_NOT_FOUND, id=str(model_id)) from error
    return task


def page(
    *,
    actor: Actor,
    page: int,
    per_page: int,
    sort: str = "-created_at",
    project_id: UUID | None = None,
    model_id: UUID | None = None,
    kind: AnalysisKind | None = None,
    state: ResultState | None = None,
) -> Page:
    """Return one page of the analyses that the actor may see, newest first unless sorted otherwise."""
    named = {"project_id": project_id, "model_id": model_id, "kind": kind}
    wanted = [getattr(Analysis, name) == value for name, value in named.items() if value is not None]
    if state is not None:
        wanted.append(Analysis.state == state)
    statement = seen_by(select(_LISTED).where(*wanted), Analysis, actor)
    statement = statement.order_by(ordering(sort, SORT_FIELDS), Analysis.id.desc())
    return page_of(db.session, statement, page=page, per_page=per_page)


def get(analysis_id: UUID, *, actor: Actor) -> Analysis:
    """Return an analysis.

    Raises:
        AppError: ANALYSIS_NOT_FOUND.
    """
    return visible(Analysis, analysis_id, to=actor, needs=Scope.MODEL_READ)


def rename(analysis_id: UUID, *, name: str, actor: Actor) -> Analysis:
    """Give an analysis another name.

    Raises:
        AppError: ANALYSIS_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED.
    """
    analysis = visible(Analysis, analysis_id, to=actor, needs=Scope.MODEL_WRITE)
    analysis.name = name
    db.session.commit()
    return analysis


def delete(analysis_id: UUID, *, actor: Actor) -> None:
    """Delete an analysis whose work has ended.

    Raises:
        AppError: ANALYSIS_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, ANALYSIS_RUNNING.
    """
    analysis = visible(Analysis, analysis_id, to=actor, needs=Scope.MODEL_WRITE)
    if analysis.state is ResultState.RUNNING:
        raise AppError(ErrorCode.ANALYSIS_RUNNING, "Cancel its task first.", task_id=str(analysis.task_id))
    db.session.delete(analysis)
    db.session.commit()


@dataclass(frozen=True)
class Study:
    """An analysis as its worker has it: what was asked, of which model, and how to come by what the model knows.

    Points hold the places of categories.
    """

    kind: AnalysisKind
    params: dict[str, Any]
    model: Model
    version: DatasetVersion

    def surrogate(self) -> Surrogate:
        """Return the trained model, over what it sees of its inputs.

        Raises:
            AppError: MODEL_DAMAGED.
        """
        return surrogates.of(self.model)

    def held(self) -> Surrogate | Steady:
        """Return the trained model over the inputs themselves: what comes when they are held, if it sees their past.

        Raises:
            AppError: MODEL_DAMAGED.
        """
        return surrogates.held(self.model)

    def history(self) -> History:
        """Return the measured rows of the inputs themselves."""
        return model_history.of(self.model, self.version)

    @property
    def is_imported(self) -> bool:
        """Whether the model was made elsewhere, so that nothing is known of its training."""
        return self.model.kind in IMPORTED

    def measured(self) -> tuple[np.ndarray, np.ndarray]:
        """Return measured inputs and outputs, (n, d) and (n, m), of rows within the ranges that the model is for."""
        history, ranges = self.history(), self.model.ranges
        inputs = module_tags.names(self.model.inputs)
        X, Y = history.matrix(inputs), history.matrix(self.model.outputs)
        lower, upper = np.array([ranges[tag] for tag in inputs]).T
        is_within = ((lower <= X) & (upper >= X)).all(axis=1)
        return X[is_within], Y[is_within]

    def training(self) -> tuple[Order, Rows]:
        """Return what the model was trained as and on, with what it sees of its inputs, and how rows were held out."""
        return training.load(self.model.id)


def load(analysis_id: UUID) -> Study:
    """Return what it takes to carry an analysis out. Its transaction has ended when it returns."""
    analysis = db.session.get_one(Analysis, analysis_id)
    model = analysis.model
    params = analysis_params.placed(model, analysis.params)
    study = Study(AnalysisKind(analysis.kind), params, model, model.dataset_version)
    db.session.commit()  # reading the store may take long
    return study


def finish(analysis_id: UUID, found: dict[str, Any]) -> dict[str, Any]:
    """Record what was found, in the caller's transaction. Returns the task's result."""
    analysis = db.session.get_one(Analysis, analysis_id)
    analysis.result = analysis_report.report(analysis, found)
    return {"analysis_id": str(analysis_id), "kind": analysis.kind}

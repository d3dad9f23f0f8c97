"""Processes: graphs of modules, the layers of a plant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from app.extensions import db
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Model, Module, Process, Project
from app.utils.paging import Page, ordering, page_of
from app.viewModels import modules as process_modules
from app.viewModels import process_graph
from app.viewModels.access import visible
from engine.process import Link

SORT_FIELDS = {"name": Process.name, "created_at": Process.created_at}


@dataclass(frozen=True)
class Graph:
    """A process with everything in it. ``layers`` are names of modules, upstream first."""

    process: Process
    modules: list[Module]
    links: Sequence[Link]
    layers: Sequence[Sequence[str]]


def create(
    project_id: UUID, *, name: str, description: str = "", modules: Sequence[dict[str, Any]] = (), actor: Actor
) -> Graph:
    """Make a process, with its modules if they are given: all of them, or nothing.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, PROCESS_NAME_TAKEN, DATASET_NOT_FOUND, MODULE_TAG_UNKNOWN,
            MODULE_TAG_NOT_NUMERIC.
        ProcessGraphError: the modules do not form a graph.
    """
    project = visible(Project, project_id, to=actor, needs=Scope.PROCESS_WRITE)
    process = Process(id=new_id(), project_id=project.id, name=name, description=description, created_by=actor.id)
    db.session.add(process)
    _flush_with_own_name(process)
    made = [process_modules.build(process, actor=actor, **module) for module in modules]
    process_graph.of(made)
    db.session.add_all(made)
    db.session.commit()
    return graph(process)


def page(project_id: UUID, *, actor: Actor, page: int, per_page: int, sort: str = "name") -> Page:
    """Return one page of a project's processes.

    Raises:
        AppError: PROJECT_NOT_FOUND.
    """
    project = visible(Project, project_id, to=actor, needs=Scope.PROCESS_READ)
    statement = select(Process).where(Process.project_id == project.id)
    return page_of(
        db.session, statement.order_by(ordering(sort, SORT_FIELDS), Process.id), page=page, per_page=per_page
    )


def get(process_id: UUID, *, actor: Actor) -> Graph:
    """Return a process with everything in it.

    Raises:
        AppError: PROCESS_NOT_FOUND.
    """
    return graph(visible(Process, process_id, to=actor, needs=Scope.PROCESS_READ))


def change(process_id: UUID, *, name: str | None = None, description: str | None = None, actor: Actor) -> Graph:
    """Rename or describe a process.

    Raises:
        AppError: PROCESS_NOT_FOUND, SCOPE_MISSING, PROCESS_NAME_TAKEN.
    """
    process = visible(Process, process_id, to=actor, needs=Scope.PROCESS_WRITE)
    if name is not None:
        process.name = name
    if description is not None:
        process.description = description
    _flush_with_own_name(process)
    db.session.commit()
    return graph(process)


def delete(process_id: UUID, *, actor: Actor) -> None:
    """Delete a process and its modules, as long as none of them has models.

    Raises:
        AppError: PROCESS_NOT_FOUND, SCOPE_MISSING, PROCESS_IN_USE (with the modules that have models).
    """
    process = visible(Process, process_id, to=actor, needs=Scope.PROCESS_WRITE)
    modules = process_modules.locked(process)
    counts = db.session.execute(
        select(Module.id, Module.name, func.count())
        .join(Model, Model.module_id == Module.id)
        .where(Module.process_id == process.id)
        .group_by(Module.id, Module.name)
        .order_by(Module.name)
    )
    if used := [{"id": str(row[0]), "name": row[1], "n_models": row[2]} for row in counts]:
        raise AppError(ErrorCode.PROCESS_IN_USE, "Some of its modules have models; delete those first.", modules=used)
    for module in modules:
        db.session.delete(module)
    db.session.flush()
    db.session.delete(process)
    db.session.commit()


def graph(process: Process) -> Graph:
    """Return a process with everything in it."""
    statement = select(Module).where(Module.process_id == process.id).order_by(Module.created_at, Module.id)
    with_what_is_shown = statement.options(joinedload(Module.dataset), joinedload(Module.production_model))
    modules = list(db.session.scalars(with_what_is_shown))
    found = process_graph.of(modules)
    return Graph(process=process, modules=modules, links=found.links, layers=found.layers)


def _flush_with_own_name(process: Process) -> None:
    name = process.name
    try:
        db.session.flush()
    except IntegrityError as error:
        db.session.rollback()
        raise AppError(ErrorCode.PROCESS_NAME_TAKEN, f"There is a process {name!r} already.", name=name) from error

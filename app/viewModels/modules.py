"""Modules: the parts of a process, each learned from a data set."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Dataset, Model, Module, Process
from app.utils.paging import Page, ordering, page_of
from app.viewModels import module_tags, process_graph
from app.viewModels.access import visible
from app.viewModels.datasets import newest_version
from app.viewModels.locks import lock

SORT_FIELDS = {"name": Module.name, "created_at": Module.created_at}


def create(process_id: UUID, *, actor: Actor, **module: Any) -> Module:
    """Add a module to a process; ``build`` tells what it is made of.

    Raises:
        AppError: PROCESS_NOT_FOUND, SCOPE_MISSING, MODULE_NAME_TAKEN, and what ``build`` raises.
        ProcessGraphError: with it, the modules would not form a graph.
    """
    process = visible(Process, process_id, to=actor, needs=Scope.PROCESS_WRITE)
    others = locked(process)
    made = build(process, actor=actor, **module)
    _check_name(made.name, others)
    process_graph.of([*others, made])
    db.session.add(made)
    _commit_with_own_name(made.name)
    return made


def build(
    process: Process,
    *,
    name: str,
    dataset_id: UUID,
    inputs: Sequence[dict[str, Any]],
    outputs: Sequence[str],
    horizon: int = 0,
    actor: Actor,
) -> Module:
    """Return a new module that its data set can teach. It is not in the database yet.

    Args:
        inputs: {"tag", "role"} each, and for the role ``link`` also {"source", "source_tag"}: another module's name,
            and its output if that has another tag there. {"lags", "windows"} are what is seen of its past, in rows.
        horizon: rows that the outputs lie ahead of the inputs.

    Raises:
        AppError: DATASET_NOT_FOUND, MODULE_TAG_UNKNOWN, MODULE_TAG_NOT_NUMERIC.
        ParameterError: a lag, a window or the horizon is not allowed.
    """
    module = Module(
        id=new_id(),
        project_id=process.project_id,
        process_id=process.id,
        dataset_id=dataset_id,
        name=name,
        inputs=[_complete(given) for given in inputs],
        outputs=list(outputs),
        horizon=horizon,
        created_by=actor.id,
    )
    _check_tags(module)
    return module


def page(process_id: UUID, *, actor: Actor, page: int, per_page: int, sort: str = "created_at") -> Page:
    """Return one page of a process's modules.

    Raises:
        AppError: PROCESS_NOT_FOUND.
    """
    process = visible(Process, process_id, to=actor, needs=Scope.PROCESS_READ)
    statement = select(Module).where(Module.process_id == process.id)
    return page_of(db.session, statement.order_by(ordering(sort, SORT_FIELDS), Module.id), page=page, per_page=per_page)


def get(module_id: UUID, *, actor: Actor) -> Module:
    """Return a module.

    Raises:
        AppError: MODULE_NOT_FOUND.
    """
    return visible(Module, module_id, to=actor, needs=Scope.PROCESS_READ)


def change(
    module_id: UUID,
    *,
    name: str | None = None,
    dataset_id: UUID | None = None,
    inputs: Sequence[dict[str, Any]] | None = None,
    outputs: Sequence[str] | None = None,
    horizon: int | None = None,
    actor: Actor,
) -> Module:
    """Change a module. Links of other modules follow a new name.

    Its models keep the inputs and outputs that they were trained with. If they are no longer the module's, the model in
    production is taken out of it, and ``unset_production_model`` of the module that is returned holds it.

    Raises:
        AppError: MODULE_NOT_FOUND, SCOPE_MISSING, MODULE_NAME_TAKEN, DATASET_NOT_FOUND, MODULE_TAG_UNKNOWN,
            MODULE_TAG_NOT_NUMERIC.
        ProcessGraphError: so changed, the modules would not form a graph.
        ParameterError: a lag, a window or the horizon is not allowed.
    """
    module = visible(Module, module_id, to=actor, needs=Scope.PROCESS_WRITE)
    modules = locked(module.process)
    others = [other for other in modules if other.id != module.id]
    with db.session.no_autoflush:  # nothing reaches the database before all is checked
        if name is not None and name != module.name:
            _check_name(name, others)
            _follow(module.name, name, modules)
            module.name = name
        if dataset_id is not None:
            module.dataset_id = dataset_id
        if inputs is not None:
            module.inputs = [_complete(given) for given in inputs]
        if outputs is not None:
            module.outputs = list(outputs)
        if horizon is not None:
            module.horizon = horizon
        if any(given is not None for given in (dataset_id, inputs, outputs, horizon)):
            _check_tags(module)
        process_graph.of(modules)
        unset = module.production_model
        if unset is not None and not module_tags.fits(unset, module):
            module.unset_production_model, module.production_model_id = unset, None
    _commit_with_own_name(module.name)
    db.session.refresh(module)
    return module


def delete(module_id: UUID, *, actor: Actor) -> None:
    """Delete a module that has no models and that no other module is linked to.

    Raises:
        AppError: MODULE_NOT_FOUND, SCOPE_MISSING, MODULE_IN_USE (with what uses it).
    """
    module = visible(Module, module_id, to=actor, needs=Scope.PROCESS_WRITE)
    others = [other for other in locked(module.process) if other.id != module.id]
    users = {
        "n_models": db.session.scalar(select(func.count()).where(Model.module_id == module.id)),
        "linked_by": [o.name for o in others if any(given.get("source") == module.name for given in o.inputs)],
    }
    if held := {kind: found for kind, found in users.items() if found}:
        raise AppError(ErrorCode.MODULE_IN_USE, "Details tell what uses it.", **held)
    db.session.delete(module)
    db.session.commit()


def locked(process: Process) -> list[Module]:
    """Return a process's modules as they are now; nobody else changes the graph before this transaction ends."""
    lock(process)
    statement = select(Module).where(Module.process_id == process.id).order_by(Module.created_at, Module.id)
    return list(db.session.scalars(statement.with_for_update().execution_options(populate_existing=True)))


def _complete(given: dict[str, Any]) -> dict[str, Any]:
    """Return an input with the source's tag filled in, and without a past that is no more than the present."""
    whole = {"tag": given["tag"], "role": given["role"]}
    if given["role"] == "link":
        whole |= {"source": given["source"], "source_tag": given.get("source_tag") or given["tag"]}
    lags, windows = sorted(given.get("lags", [0])), sorted(given.get("windows", []))
    return whole if (lags, windows) == ([0], []) else whole | {"lags": lags, "windows": windows}


def _follow(old: str, new: str, modules: Sequence[Module]) -> None:
    for module in modules:
        if any(given.get("source") == old for given in module.inputs):
            module.inputs = [
                {**given, "source": new} if given.get("source") == old else given for given in module.inputs
            ]


def _check_tags(module: Module) -> None:
    # locked against being deleted; others may read and refer to it
    dataset = db.session.get(Dataset, module.dataset_id, with_for_update={"read": True, "key_share": True})
    if dataset is None or dataset.project_id != module.project_id:
        raise AppError(
            ErrorCode.DATASET_NOT_FOUND,
            f"The project has no data set {module.dataset_id} for the module {module.name!r}.",
            id=str(module.dataset_id),
        )
    module_tags.check(module.inputs, module.outputs, newest_version(dataset))
    for given in module.inputs:  # one by one: that a tag is there twice is for the graph to say
        module_tags.lookback([given], module.horizon)


def _check_name(name: str, others: Sequence[Module]) -> None:
    if any(other.name == name for other in others):
        raise _name_taken(name)


def _commit_with_own_name(name: str) -> None:
    try:
        db.session.commit()
    except IntegrityError as error:  # a database may hold names equal that differ in case
        db.session.rollback()
        raise _name_taken(name) from error


def _name_taken(name: str) -> AppError:
    return AppError(ErrorCode.MODULE_NAME_TAKEN, f"There is a module {name!r} already.", name=name)

"""The model registry: asking for a training, and what one can do with what came of it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import ModelState, TaskKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Analysis, DatasetVersion, Model, Module, Optimization, OptimizationModel, Task
from app.utils.paging import Page, ordering, page_of
from app.viewModels import downloads, model_objects, module_tags, task_queue
from app.viewModels.access import seen_by, visible
from app.viewModels.downloads import Download
from app.viewModels.locks import lock
from engine.surrogates import KINDS, check_params, describe_params
from engine.surrogates.router import WAYS
from engine.validation import Validation

PARAMS_OF_KIND = {kind: describe_params(kind) for kind in KINDS}
"""JSON schema of the hyperparameters of every kind that can be trained."""

ROUTE_WAYS = list(WAYS)
"""The ways to a prediction that are measured against each other."""

SORT_FIELDS = {"created_at": Model.created_at, "name": Model.name, "number": Model.number, "kind": Model.kind}
_SHOWN_WITH = (joinedload(Model.task), joinedload(Model.module), joinedload(Model.dataset_version))


def train(module_id: UUID, *, actor: Actor, **asked: Any) -> Task:
    """Make the next model of a module and queue its training. The model is the task's subject.

    Args:
        asked: what ``add_training`` takes.

    Raises:
        AppError, ParameterError: as ``add_training``.
    """
    task = add_training(module_id, actor=actor, **asked)
    try:
        db.session.commit()
    except IntegrityError as error:  # the version was deleted meanwhile; the module is locked
        db.session.rollback()
        raise AppError(ErrorCode.DATASET_VERSION_NOT_FOUND, "It was deleted at this moment.") from error
    return task


def add_training(
    module_id: UUID,
    *,
    kind: str,
    params: Mapping[str, Any] | None = None,
    validation: Mapping[str, Any] | None = None,
    seed: int = 0,
    compares_at_random: bool = True,
    missing: str = "drop",
    dataset_version: int | None = None,
    name: str | None = None,
    actor: Actor,
) -> Task:
    """Add the next model of a module and its training to the caller's transaction.

    Without a validation, rows are held out by ``group`` if one is named, else by blocks of time if the table has a time
    tag, else at random: neighboring rows of a plant resemble each other, and random folds would flatter.

    Args:
        compares_at_random: find the score at random too, to stand beside the honest one. It takes as long again.
        missing: what is done with rows that lack an input: "drop" them, or "impute" it by a rule that is stored.

    Raises:
        AppError: MODULE_NOT_FOUND, SCOPE_MISSING, DATASET_VERSION_NOT_FOUND, MODULE_TAG_UNKNOWN,
            MODULE_TAG_NOT_NUMERIC, VALIDATION_UNFIT, INVALID_INPUT (cells of a past cannot be imputed).
        ParameterError: the kind, a hyperparameter or the validation is not one that is allowed.
    """
    module = visible(Module, module_id, to=actor, needs=Scope.MODEL_WRITE)
    complete = check_params(kind, params)
    version = version_of(module, dataset_version)
    module_tags.check(module.inputs, module.outputs, version)
    held_out = _validation(validation or {}, version)
    _check_missing(missing, module)

    number = next_number(module)
    model_id = new_id()
    task = task_queue.submit(
        TaskKind.TRAIN,
        project_id=module.project_id,
        subject_id=model_id,
        payload={"model_id": str(model_id)},
        actor=actor,
    )
    model = Model(
        id=model_id,
        project_id=module.project_id,
        module_id=module.id,
        number=number,
        name=name or f"{KINDS[kind].title} {number}",
        kind=kind,
        params=complete,
        options={"compares": compares_at_random, "horizon": module.horizon, "missing": missing},
        validation=held_out.to_json(),
        seed=seed,
        dataset_version_id=version.id,
        inputs=module.inputs,
        outputs=module.outputs,
        task_id=task.id,
        created_by=actor.id,
    )
    db.session.add(model)
    return task


def page(
    *,
    actor: Actor,
    page: int,
    per_page: int,
    sort: str = "-created_at",
    project_id: UUID | None = None,
    module_id: UUID | None = None,
    kind: str | None = None,
    state: ModelState | None = None,
) -> Page:
    """Return one page of the models that the actor may see, newest first unless sorted otherwise."""
    named = {"project_id": project_id, "module_id": module_id, "kind": kind}
    wanted = {name: value for name, value in named.items() if value is not None}
    statement = seen_by(select(Model).filter_by(**wanted), Model, actor).options(*_SHOWN_WITH)
    if state is not None:
        statement = statement.where(Model.state == state)
    statement = statement.order_by(ordering(sort, SORT_FIELDS), Model.id.desc())
    return page_of(db.session, statement, page=page, per_page=per_page)


def page_of_module(module_id: UUID, *, actor: Actor, **query: Any) -> Page:
    """Return one page of a module's models, as ``page`` does.

    Raises:
        AppError: MODULE_NOT_FOUND.
    """
    visible(Module, module_id, to=actor, needs=Scope.MODEL_READ)
    return page(module_id=module_id, actor=actor, **query)


def get(model_id: UUID, *, actor: Actor) -> Model:
    """Return a model.

    Raises:
        AppError: MODEL_NOT_FOUND.
    """
    return visible(Model, model_id, to=actor, needs=Scope.MODEL_READ)


def rename(model_id: UUID, *, name: str, actor: Actor) -> Model:
    """Give a model another name.

    Raises:
        AppError: MODEL_NOT_FOUND, SCOPE_MISSING.
    """
    model = visible(Model, model_id, to=actor, needs=Scope.MODEL_WRITE)
    model.name = name
    db.session.commit()
    return model


def delete(model_id: UUID, *, actor: Actor) -> None:
    """Delete a model and its stored file.

    Raises:
        AppError: MODEL_NOT_FOUND, SCOPE_MISSING, MODEL_IN_USE (in production, at work, or used by optimizations or
            analyses).
    """
    model = visible(Model, model_id, to=actor, needs=Scope.MODEL_WRITE)
    lock(model.module)  # nobody shall promote it meanwhile
    if users := _users(model):
        raise AppError(ErrorCode.MODEL_IN_USE, "Details name what uses it.", **users)
    key = model.artifact_key
    db.session.delete(model)
    try:
        db.session.commit()
    except IntegrityError as error:  # an optimization or analysis was asked for meanwhile
        db.session.rollback()
        raise AppError(ErrorCode.MODEL_IN_USE) from error
    if key:
        model_objects.discard(key)


def promote(model_id: UUID, *, actor: Actor) -> Model:
    """Make this model the one that its module uses.

    Raises:
        AppError: MODEL_NOT_FOUND, SCOPE_MISSING, MODEL_NOT_TRAINED, MODEL_OUTDATED (the module has changed since).
    """
    model = put_in_production(model_id, actor=actor)
    db.session.commit()
    return model


def put_in_production(model_id: UUID, *, actor: Actor) -> Model:
    """Make this model the one that its module uses, in the caller's transaction.

    Raises:
        AppError: as ``promote``.
    """
    model = visible(Model, model_id, to=actor, needs=Scope.MODEL_WRITE)
    if model.metrics is None:
        raise AppError(ErrorCode.MODEL_NOT_TRAINED, f"It is {model.state}.", state=model.state)
    lock(model.module)
    if not module_tags.fits(model, model.module):
        raise AppError(
            ErrorCode.MODEL_OUTDATED,
            f"Train a model for what {model.module.name!r} takes and gives now.",
            model_inputs=model.inputs,
            model_outputs=model.outputs,
            module_inputs=model.module.inputs,
            module_outputs=model.module.outputs,
        )
    model.module.production_model_id = model.id
    return model


def demote(model_id: UUID, *, actor: Actor) -> Model:
    """Take a model out of production. One that is not there stays as it is.

    Raises:
        AppError: MODEL_NOT_FOUND, SCOPE_MISSING.
    """
    model = visible(Model, model_id, to=actor, needs=Scope.MODEL_WRITE)
    lock(model.module)  # or it could take out the model that somebody promotes meanwhile
    if model.is_production:
        model.module.production_model_id = None
    db.session.commit()
    return model


def file(model_id: UUID, *, actor: Actor) -> Download:
    """Return a trained model's stored file.

    Raises:
        AppError: MODEL_NOT_FOUND, MODEL_NOT_TRAINED, OBJECT_NOT_FOUND.
    """
    model = get(model_id, actor=actor)
    if model.artifact_key is None:
        raise AppError(ErrorCode.MODEL_NOT_TRAINED, f"It is {model.state}.", state=model.state)
    file_name = f"{model.module.name} {model.number}.safetensors"
    db.session.commit()  # a download may take long
    return downloads.of_object(model.artifact_key, file_name)


def version_of(module: Module, number: int | None) -> DatasetVersion:
    """Return the version with this number, or the newest, of the data set that a module learns from.

    Raises:
        AppError: DATASET_VERSION_NOT_FOUND.
    """
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == module.dataset_id)
    if number is not None:
        statement = statement.where(DatasetVersion.number == number)
    version = db.session.scalar(statement.order_by(DatasetVersion.number.desc()).limit(1))
    if version is None:
        raise AppError(
            ErrorCode.DATASET_VERSION_NOT_FOUND,
            f"The data set {module.dataset.name!r} has no version {number}.",
            dataset_id=str(module.dataset_id),
            number=number,
        )
    return version


def _validation(asked: Mapping[str, Any], version: DatasetVersion) -> Validation:
    """Return how rows are held out: as asked, or else as the table allows."""
    usual = "group" if asked.get("group") else "time" if version.time_tag else "random"
    validation = Validation.from_json({"scheme": usual, **asked})
    if validation.scheme == "time" and version.time_tag is None:
        raise AppError(
            ErrorCode.VALIDATION_UNFIT,
            f"Version {version.number} of the data set has no time tag; hold rows out by a group, or at random.",
            scheme="time",
        )
    if validation.scheme == "group" and validation.group not in module_tags.types(version):
        raise AppError(
            ErrorCode.VALIDATION_UNFIT,
            f"Version {version.number} of the data set has no tag {validation.group!r} to hold rows out by.",
            scheme="group",
            group=validation.group,
        )
    return validation


def _check_missing(missing: str, module: Module) -> None:
    if missing == "impute" and not module_tags.lookback(module.inputs, module.horizon).is_plain:
        detail = f"missing: {module.name!r} sees its inputs' past, where rows that lack a value are left out."
        raise AppError(ErrorCode.INVALID_INPUT, detail, path="missing")


def next_number(module: Module) -> int:
    """Count up in the database, so that two who ask at once get two numbers."""
    lock(module)
    module.last_model_number += 1
    return module.last_model_number


def _users(model: Model) -> dict[str, Any]:
    """Return what would miss the model, by kind; empty when nothing would."""
    in_processes = select(OptimizationModel.optimization_id).where(OptimizationModel.model_id == model.id)
    is_user = or_(Optimization.model_id == model.id, Optimization.id.in_(in_processes))
    optimizations = db.session.execute(
        select(Optimization.id, Optimization.name).where(is_user).order_by(Optimization.id)
    )
    analyses = db.session.execute(
        select(Analysis.id, Analysis.name).where(Analysis.model_id == model.id).order_by(Analysis.id)
    )
    users = {
        "production_of": [{"id": str(model.module.id), "name": model.module.name}] if model.is_production else [],
        "optimizations": [{"id": str(row.id), "name": row.name} for row in optimizations],
        "analyses": [{"id": str(row.id), "name": row.name} for row in analyses],
        "task_id": str(model.task_id) if model.state is ModelState.TRAINING else None,
    }
    return {kind: found for kind, found in users.items() if found}

"""Pipelines: the modules of a process trained and put into production, then the process optimized, in one submit.

A pipeline is a task whose children do the work. It waits in the line for them, and between them makes its own short
steps, each one transaction under its lease: so that whatever dies when, a step was made once or not at all. Which step
is next follows from which children there are, and how they have ended; nothing else needs to be remembered.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Priority, TaskKind, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Model, Module, Process, Task
from app.viewModels import (
    models,
    module_tags,
    process_optimizations,
    submissions,
    task_needs,
    task_queue,
    task_subjects,
    tasks,
    users,
)
from app.viewModels.access import visible
from app.viewModels.process_optimizations import Asked, Outline
from app.viewModels.submissions import Submission
from app.viewModels.task_queue import Lease
from engine.surrogates import check_params

Trainings = Mapping[str, Mapping[str, Any]]


def start(
    process_id: UUID,
    *,
    training: Mapping[str, Any] | None = None,
    modules: Trainings | None = None,
    imports: Sequence[UUID] = (),
    optimization: Mapping[str, Any] | None = None,
    actor: Actor,
) -> Task:
    """Queue the training of a process's modules and then its optimization.

    Args:
        training: how every module is trained that ``modules`` does not name; without it, only those are.
        modules: module -> how it is trained, as ``models.add_training`` takes it.
        imports: tasks that read new data in. As long as one is unfinished, what is trained on is not known, so the
            trainings are made when it has succeeded.
        optimization: as ``process_optimizations.Asked.of`` takes it; None ends with the models in production.

    Raises:
        AppError: PROCESS_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, INVALID_INPUT, TASK_NOT_FOUND, TASK_NEED_FAILED,
            and what ``models.add_training`` and ``process_optimizations.check`` raise.
        EngineError: a kind, a hyperparameter, a validation or the problem is not one that is allowed.
    """
    process = visible(Process, process_id, to=actor, needs=Scope.MODEL_WRITE)
    trainings = _trainings(process, training, modules or {})
    unread = _unfinished_imports(imports, process.project_id)
    if optimization is not None:
        visible(Process, process_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
        _check_chosen(trainings, optimization.get("models", {}))
    task = task_queue.submit(
        TaskKind.PIPELINE,
        project_id=process.project_id,
        subject_id=process.id,
        payload={
            "process_id": str(process.id),
            "imports": [str(task_id) for task_id in imports],
            "trainings": {str(module.id): dict(asked) for module, asked in trainings.items()},
            "optimization": _plain(optimization),
        },
        needs=unread,
        actor=actor,
    )
    if not unread:  # else what they learn from is not known yet
        with _parts_of(task.id, submissions.present().priority, submissions.present().needs):
            _add_trainings(task, actor)
        task_needs.add(task.id, [child.id for child in _children(task)])
        if optimization is not None:
            _check_optimization(process, trainings, Asked.of(**optimization))
    _flush()
    db.session.commit()
    db.session.refresh(task)
    return task


def is_at_its_end(lease: Lease) -> bool:
    """Whether every task that a pipeline is made of has succeeded."""
    task = db.session.get_one(Task, lease.task_id)
    children = _children(task)
    n_wanted = len(task.payload["trainings"]) + (task.payload["optimization"] is not None)
    return len(children) == n_wanted and all(child.state == TaskState.SUCCEEDED for child in children)


def advance(lease: Lease) -> list[UUID]:
    """Make the next step in the caller's transaction. Returns the tasks that must succeed before the one after it.

    Raises:
        AppError: SCOPE_MISSING and others (whoever asked may no longer do this, or something has changed since).
        EngineError: the problem does not fit the models.
    """
    task = db.session.get_one(Task, lease.task_id, populate_existing=True)
    actor = _actor(lease)
    with _parts_of(task.id, Priority(lease.priority)):
        _add_trainings(task, actor)
        for child in _children(task):
            if child.state in (TaskState.FAILED, TaskState.CANCELLED):  # the pipeline is tried again
                tasks.queue_again(child, by=actor)
        if all(child.state == TaskState.SUCCEEDED for child in _children(task)):
            _optimize(task, actor)
    _flush()
    return [child.id for child in _children(task) if not TaskState(child.state).has_ended]


def finish(lease: Lease) -> dict[str, Any]:
    """Put what was trained into production if nothing came after it, in the caller's transaction.

    Returns:
        The task's result.

    Raises:
        AppError: as ``advance``.
    """
    task = db.session.get_one(Task, lease.task_id)
    if task.payload["optimization"] is None:
        _promote(task, _actor(lease))
    optimization = next((child for child in _children(task) if child.kind == TaskKind.OPTIMIZE), None)
    return {
        "models": {model.module.name: str(model.id) for model in _models(task)},
        "optimization_id": optimization and str(optimization.subject_id),
    }


def _actor(lease: Lease) -> Actor:
    """Return whoever asked for a pipeline, whose rights every step is made with."""
    actor = users.acting(lease.created_by)
    if actor is None:
        raise AppError(ErrorCode.SCOPE_MISSING, "The account of whoever asked for this is not active any more.")
    return actor


def _add_trainings(task: Task, actor: Actor) -> None:
    """Add the trainings that there are none of yet."""
    made, read = {model.module_id for model in _models(task)}, _versions_read(task)
    for module_id, asked in task.payload["trainings"].items():
        if UUID(module_id) not in made:
            module = visible(Module, UUID(module_id), to=actor, needs=Scope.MODEL_WRITE)
            version = read.get(str(module.dataset_id))
            models.add_training(module.id, actor=actor, **{"dataset_version": version, **asked})


def _versions_read(task: Task) -> dict[str, int]:
    """Return for each data set the number of the version that the pipeline's imports have made of it."""
    ids = [UUID(each) for each in task.payload["imports"]]
    results = db.session.scalars(select(Task.result).where(Task.id.in_(ids)).order_by(Task.id))
    return {made["dataset_id"]: made["version"] for made in results}


def _optimize(task: Task, actor: Actor) -> None:
    """Put what was trained into production, and add the optimization over it."""
    _promote(task, actor)
    if (asked := task.payload["optimization"]) is not None:
        wanted = Asked.of(**asked | {"models": _ids(asked["models"]) | _chosen(task)})
        process_optimizations.add(UUID(task.payload["process_id"]), wanted, actor=actor)


def _promote(task: Task, actor: Actor) -> None:
    for model in _models(task):
        models.put_in_production(model.id, actor=actor)


def _chosen(task: Task) -> dict[str, UUID]:
    return {model.module.name: model.id for model in _models(task)}


def _children(task: Task) -> list[Task]:
    """Return the parts of a pipeline whose work is still there, in the order in which they were submitted."""
    db.session.flush()
    statement = select(Task).where(Task.parent_id == task.id).order_by(Task.id)
    children = db.session.scalars(statement.execution_options(populate_existing=True))
    return [child for child in children if task_subjects.is_there(child)]


def _models(task: Task) -> list[Model]:
    """Return the models of a pipeline, in an order in which all pipelines lock their modules."""
    ids = [child.subject_id for child in _children(task) if child.kind == TaskKind.TRAIN]
    return list(db.session.scalars(select(Model).where(Model.id.in_(ids)).order_by(Model.module_id)))


@contextmanager
def _parts_of(task_id: UUID, priority: Priority, needs: tuple[UUID, ...] = ()) -> Iterator[None]:
    """Let what is submitted within be parts of a pipeline, as urgent as it is."""
    with submissions.asked(Submission(priority=priority, needs=needs, parent_id=task_id)):
        yield


def _flush() -> None:
    try:
        db.session.flush()
    except IntegrityError as error:  # a model or a version was deleted at this very moment
        db.session.rollback()
        raise AppError(ErrorCode.CONFLICT) from error


def _trainings(process: Process, training: Mapping[str, Any] | None, named: Trainings) -> dict[Module, Mapping]:
    """Return how each module is trained, those that are."""
    by_name = {module.name: module for module in process.modules}
    if unknown := [name for name in named if name not in by_name]:
        _refuse("modules", f"the process has no module {unknown[0]!r}", unknown)
    asked = {
        module: named.get(name, training) for name, module in by_name.items() if training is not None or name in named
    }
    if not asked:
        _refuse("training", "the process has no modules", [])
    for each in asked.values():
        check_params(each["kind"], each.get("params"))
    return asked


def _unfinished_imports(imports: Sequence[UUID], project_id: UUID) -> list[UUID]:
    """Return those of the imports that must be waited for."""
    unread = task_needs.unfinished(imports, project_id=project_id)
    kinds = dict(db.session.execute(select(Task.id, Task.kind).where(Task.id.in_(imports))).all())
    if others := [str(task_id) for task_id in imports if kinds[task_id] != TaskKind.IMPORT]:
        _refuse("imports", f"task {others[0]} reads no data in", others)
    return unread


def _check_chosen(trainings: Mapping[Module, Mapping[str, Any]], chosen: Mapping[str, UUID]) -> None:
    if both := [module.name for module in trainings if module.name in chosen]:
        _refuse("optimization.models", f"{both[0]!r} is trained; the model of it that is made is taken", both)


def _check_optimization(process: Process, trainings: Mapping[Module, Mapping[str, Any]], asked: Asked) -> None:
    """Refuse now what could not be optimized after hours of training, as far as the tables tell.

    Of inputs that hold text they do not: which categories there are is learned.
    """
    tables = {
        module: models.version_of(module, trainings.get(module, {}).get("dataset_version"))
        for module in process.modules
    }
    if not all(module_tags.are_numbers(module.inputs, table) for module, table in tables.items()):
        return
    others = process_optimizations.outlines(process, asked.models, without={module.name for module in trainings})
    made = {module.name: (_outline(module, each), _kind(module, each["kind"])) for module, each in trainings.items()}
    found = {**others, **made}
    process_optimizations.check(
        process.modules,
        {name: outline for name, (outline, _) in found.items()},
        asked,
        {name: kind for name, (_, kind) in found.items()},
    )


def _outline(module: Module, training: Mapping[str, Any]) -> Outline:
    """Return what a module's model will take and give, by the table that it learns from."""
    profile = {tag["name"]: tag for tag in models.version_of(module, training.get("dataset_version")).tags}
    inputs = module_tags.names(module.inputs)
    return Outline(inputs, list(module.outputs), [[profile[tag]["min"], profile[tag]["max"]] for tag in inputs])


def _kind(module: Module, kind: str) -> str:
    return kind if module_tags.lookback(module.inputs, module.horizon).is_plain else "model of the past"


def _plain(optimization: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return an optimization's fields as JSON values."""
    if optimization is None:
        return None
    return {**optimization, "models": {name: str(each) for name, each in optimization.get("models", {}).items()}}


def _ids(models: Mapping[str, str]) -> dict[str, UUID]:
    return {name: UUID(each) for name, each in models.items()}


def _refuse(path: str, reason: str, names: Sequence[str]) -> NoReturn:
    raise AppError(ErrorCode.INVALID_INPUT, f"{path}: {reason}.", path=path, names=list(names))

"""Models as ONNX files: handing out those that were trained here, and taking in those that were made elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.exc import IntegrityError

from app.extensions import db, object_store
from app.libs.actor import Actor
from app.libs.enums import TaskKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import DatasetVersion, Model, Module, Task
from app.utils import sqlite
from app.utils.object_store import ObjectInfo, ObjectNotFound
from app.viewModels import model_objects, models, module_tags, surrogates, task_queue, training_rows
from app.viewModels.access import visible
from app.viewModels.downloads import Download
from app.viewModels.incoming_files import IncomingFile
from engine.errors import TrainingError
from engine.surrogates import InputDeclaration, OnnxRefused, Surrogate, to_onnx
from engine.surrogates.onnx_import import LARGEST_FILE, TYPES
from engine.validation import Validation, score

KIND = "onnx"
INPUT_TYPES = list(TYPES)

NOT_HELD_OUT = {"scheme": "none", "n_folds": 0, "group": None}
"""The validation of an imported model: who knows which rows it was made from."""

_MAY_FLATTER = {
    "code": "validation.none",
    "message": "This model was made elsewhere, perhaps from these very rows: its scores may flatter.",
    "details": {},
}


def export(model_id: UUID, *, actor: Actor) -> Download:
    """Return a trained model as an ONNX file, which was held against the model before.

    Raises:
        AppError: MODEL_NOT_FOUND, MODEL_NOT_TRAINED, MODEL_DAMAGED.
        NotExportable: the model cannot be written as an ONNX file.
    """
    model = models.get(model_id, actor=actor)
    file_name = f"{model.module.name} {model.number}.onnx"
    db.session.commit()
    content = to_onnx(surrogates.of(model))
    return Download(file_name, len(content), iter((content,)))


def admit(module_id: UUID, *, actor: Actor) -> None:
    """Refuse whoever may not add models to the module. Asked before the upload is read.

    Raises:
        AppError: MODULE_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED.
    """
    with sqlite.reading():
        visible(Module, module_id, to=actor, needs=Scope.MODEL_WRITE)
        db.session.commit()


def add(
    module_id: UUID,
    *,
    file: IncomingFile,
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[str] | None = None,
    name: str | None = None,
    dataset_version: int | None = None,
    actor: Actor,
) -> Task:
    """Make the next model of a module from an ONNX file. The file is stored; a worker looks at it.

    Args:
        inputs: tag, lower and upper bound, and type of each input, in the order of the file's columns.
        outputs: tags of the file's columns, in their order; by default the module's.
        dataset_version: number of the version that the model is held against; by default the newest.

    Raises:
        AppError: MODULE_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, DATASET_VERSION_NOT_FOUND, MODULE_TAG_UNKNOWN,
            MODULE_TAG_NOT_NUMERIC, TOO_LARGE, INVALID_INPUT (other tags than those of the module, or one that looks
            into the past).
        ParameterError: bounds or type of an input are not allowed.
    """
    declared = [InputDeclaration(**given) for given in inputs]
    _check_size(file)
    with sqlite.reading():
        module = visible(Module, module_id, to=actor, needs=Scope.MODEL_WRITE)
        _check_tags(module, [each.tag for each in declared], outputs)
        db.session.commit()
    model_id = new_id()
    source_key = model_objects.source_key(model_id)
    object_store.put(source_key, file.stream)
    try:
        module = visible(Module, module_id, to=actor, needs=Scope.MODEL_WRITE)
        return _queued(model_id, source_key, module, declared, outputs, name, dataset_version, actor)
    except Exception:
        db.session.rollback()
        model_objects.discard(source_key)
        raise


@dataclass(frozen=True)
class Order:
    """A file that is to be taken in, and the measured rows that it is held against.

    Attributes:
        X, Y: complete rows within the declared bounds, (n, d) and (n, m), n >= 1.
        n_dropped: rows of the table that are not.
    """

    model_id: UUID
    source_key: str
    inputs: list[InputDeclaration]
    outputs: list[str]
    X: np.ndarray
    Y: np.ndarray
    n_dropped: int


def load(payload: Mapping[str, Any]) -> Order:
    """Return what is to be taken in. Its transaction has ended when it returns.

    Raises:
        TrainingError: no complete row of the table lies within the declared bounds.
    """
    model = db.session.get_one(Model, UUID(payload["model_id"]))
    version, lookback, outputs = model.dataset_version, module_tags.lookback_of(model), list(model.outputs)
    db.session.commit()  # reading the table may take long
    rows = training_rows.read(version, lookback, outputs, Validation("random"))
    declared = [InputDeclaration(**given) for given in payload["inputs"]]
    bounds = np.array([[each.lower, each.upper] for each in declared])
    within = ((bounds[:, 0] <= rows.X) & (bounds[:, 1] >= rows.X)).all(axis=1)
    if not within.any():
        raise TrainingError(
            f"none of the {len(within)} complete rows of the table lies within the declared bounds, so that nothing can"
            " be said of what the model is worth",
            n_rows=len(within),
        )
    n_dropped = rows.n_dropped + int(np.count_nonzero(~within))
    return Order(model.id, payload["source_key"], declared, outputs, rows.X[within], rows.Y[within], n_dropped)


def content(order: Order) -> bytes:
    """Return the file as it came in.

    Raises:
        AppError: OBJECT_NOT_FOUND (the import failed before, and the file was swept meanwhile).
    """
    try:
        with object_store.open(order.source_key, length=LARGEST_FILE + 1) as stream:
            return stream.read()
    except ObjectNotFound as error:
        raise AppError(ErrorCode.OBJECT_NOT_FOUND, "The file is gone; import it again.") from error


def metrics(order: Order, surrogate: Surrogate) -> dict[str, Any]:
    """Return what the model makes of the measured rows. They may be rows that it was made from, and ``scheme`` says so.

    Raises:
        OnnxRefused: it has no finite prediction of one of them.
    """
    predicted = surrogate.predict(order.X)
    if bad := int(np.count_nonzero(~np.isfinite(predicted).all(axis=1))):
        raise OnnxRefused(
            f"the ONNX file has no finite prediction of {bad} measured rows within its bounds", n_rows=bad
        )
    return {
        "validation": NOT_HELD_OUT,
        "scores": score(order.Y, predicted, order.outputs),
        "per_fold": [],
        "random": None,
        "notes": [_MAY_FLATTER],
        "intervals": None,
        "n_rows": len(order.X),
        "n_rows_validated": 0,
        "n_rows_dropped": order.n_dropped,
    }


def finish(
    order: Order, surrogate: Surrogate, stored: ObjectInfo, *, metrics: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Write the imported model into its row, in the caller's transaction. Returns the task's result."""
    model = db.session.get_one(Model, order.model_id, populate_existing=True)
    model.metrics = metrics
    tags = [*surrogate.inputs, *surrogate.outputs]
    model.ranges = dict(zip(tags, [*surrogate.input_ranges.tolist(), *surrogate.output_ranges.tolist()], strict=True))
    model.seconds = round(seconds, 3)
    model.artifact_key = stored.key
    model.artifact_sha256 = stored.sha256
    db.session.flush()
    names = ("validation", "scores", "notes", "n_rows", "n_rows_dropped")
    return {"model_id": str(model.id), **{name: metrics[name] for name in names}, "seconds": model.seconds}


def _queued(
    model_id: UUID,
    source_key: str,
    module: Module,
    declared: Sequence[InputDeclaration],
    outputs: Sequence[str] | None,
    name: str | None,
    dataset_version: int | None,
    actor: Actor,
) -> Task:
    """Make the model and queue its import, if the module is still as it was."""
    _check_tags(module, [each.tag for each in declared], outputs)
    version = models.version_of(module, dataset_version)
    module_tags.check(module.inputs, module.outputs, version, takes_text=False)
    number = models.next_number(module)
    task = task_queue.submit(
        TaskKind.TRAIN,
        project_id=module.project_id,
        subject_id=model_id,
        payload={"model_id": str(model_id), "source_key": source_key, "inputs": [vars(each) for each in declared]},
        actor=actor,
    )
    as_declared = {given["tag"]: given for given in module.inputs}
    model = Model(
        id=model_id,
        project_id=module.project_id,
        module_id=module.id,
        number=number,
        name=name or f"Imported model {number}",
        kind=KIND,
        params={},
        options={"types": {each.tag: {"type": each.type} for each in declared if each.type != "real"}},
        validation=NOT_HELD_OUT,
        seed=0,
        dataset_version_id=version.id,
        inputs=[as_declared[each.tag] for each in declared],
        outputs=list(outputs or module.outputs),
        task_id=task.id,
        created_by=actor.id,
    )
    db.session.add(model)
    _commit(version)
    return task


def _commit(version: DatasetVersion) -> None:
    number = version.number
    try:
        db.session.commit()
    except IntegrityError as error:  # the version was deleted meanwhile; the module is locked
        db.session.rollback()
        raise AppError(ErrorCode.DATASET_VERSION_NOT_FOUND, "It was deleted at this moment.", number=number) from error


def _check_size(file: IncomingFile) -> None:
    n_bytes = file.stream.seek(0, 2)
    file.stream.seek(0)
    if n_bytes > LARGEST_FILE:
        detail = f"The file has {n_bytes} bytes; an ONNX file may have {LARGEST_FILE}."
        raise AppError(ErrorCode.TOO_LARGE, detail, n_bytes=n_bytes, largest=LARGEST_FILE)


def _check_tags(module: Module, inputs: Sequence[str], outputs: Sequence[str] | None) -> None:
    """Refuse tags that are not exactly those of the module, in whatever order."""
    if not module_tags.lookback(module.inputs, module.horizon).is_plain:
        detail = f"inputs: {module.name!r} sees its inputs' past; an imported model takes inputs as they are."
        raise AppError(ErrorCode.INVALID_INPUT, detail, path="inputs")
    taken = module_tags.names(module.inputs)
    for path, given, wanted in (("inputs", inputs, taken), ("outputs", outputs or module.outputs, module.outputs)):
        if sorted(given) != sorted(wanted):
            detail = (
                f"{path}: the module has {', '.join(map(repr, wanted))}, each once; the file is said to have others."
            )
            raise AppError(ErrorCode.INVALID_INPUT, detail, path=path, given=list(given), wanted=list(wanted))

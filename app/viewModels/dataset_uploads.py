"""Uploads on their way in: checked at once for what can be seen at once, then stored and queued."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO
from uuid import UUID

from app.extensions import db, object_store
from app.libs.actor import Actor
from app.libs.enums import TaskKind
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Dataset, DatasetVersion, Project, Task
from app.utils import sqlite
from app.viewModels import dataset_imports, dataset_objects, datasets, task_queue
from app.viewModels.access import visible
from app.viewModels.dataset_imports import Upload
from app.viewModels.incoming_files import Content, IncomingFile
from engine.tables import DerivedTag, Reading


@dataclass(frozen=True)
class Accepted:
    """What became of an upload: the task that imports it, or the version that the same upload was made into before."""

    task: Task | None = None
    dataset: Dataset | None = None
    version: DatasetVersion | None = None


def admit_to_project(project_id: UUID, *, actor: Actor) -> None:
    """Refuse whoever may not add data sets to the project. Asked before the upload is read.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED.
    """
    with sqlite.reading():
        visible(Project, project_id, to=actor, needs=Scope.DATASET_WRITE)
        db.session.commit()


def admit_to_dataset(dataset_id: UUID, *, actor: Actor) -> None:
    """Refuse whoever may not add versions to the data set. Asked before the upload is read.

    Raises:
        AppError: DATASET_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED.
    """
    with sqlite.reading():
        visible(Dataset, dataset_id, to=actor, needs=Scope.DATASET_WRITE)
        db.session.commit()


def add_to_project(
    project_id: UUID,
    *,
    file: IncomingFile,
    name: str | None = None,
    description: str = "",
    time_zone: str | None = None,
    reading: Mapping[str, Any] | None = None,
    derived: Sequence[Mapping[str, Any]] | None = None,
    actor: Actor,
) -> Accepted:
    """Take a file in as a data set of the project; under a name that the project has already, as a further version.

    Args:
        name: of the data set; by default the file's name without its ending.
        description: of a new data set.
        time_zone: of time stamps that name none; by default UTC.
        reading: options of ``engine.tables.Reading``; what is left out is guessed.
        derived: derived tags, as ``engine.tables.DerivedTag`` takes them.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, TOO_LARGE.
        EngineError: the name, the first bytes, the reading or a derived tag cannot be used.
    """
    options, tags = _reading(reading or {}, time_zone), _derived(derived or ())
    content = Content.of(file)
    name = name or PurePath(content.file_name).stem
    with sqlite.reading():
        visible(Project, project_id, to=actor, needs=Scope.DATASET_WRITE)
        dataset = dataset_imports.find_dataset(project_id, name)
        known = _known(dataset, content, options, tags) if dataset else None
        db.session.commit()
    if known:
        return known
    upload = Upload(
        version_id=new_id(),
        dataset_id=dataset.id if dataset else new_id(),
        dataset_name=name,
        description=description,
        reading=options,
        derived=tags,
        **vars(content),
    )
    return _store_and_queue(upload, file.stream, project_id, actor)


def add_to_dataset(
    dataset_id: UUID,
    *,
    file: IncomingFile,
    time_zone: str | None = None,
    reading: Mapping[str, Any] | None = None,
    derived: Sequence[Mapping[str, Any]] | None = None,
    actor: Actor,
) -> Accepted:
    """Take a file in as a further version. What is not said about its reading is as it was for the newest version.

    Raises:
        AppError: DATASET_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, TOO_LARGE.
        EngineError: the name, the first bytes, the reading or a derived tag cannot be used.
    """
    content = Content.of(file)
    with sqlite.reading():
        dataset = visible(Dataset, dataset_id, to=actor, needs=Scope.DATASET_WRITE)
        newest = datasets.newest_version(dataset)
        before = newest.reading_asked
        options = _reading(before if reading is None else {"time_zone": before["time_zone"], **reading}, time_zone)
        tags = _derived(newest.derived if derived is None else derived)
        known = _known(dataset, content, options, tags)
        db.session.commit()
    if known:
        return known
    upload = Upload(
        version_id=new_id(),
        dataset_id=dataset.id,
        dataset_name=None,
        description="",
        reading=options,
        derived=tags,
        **vars(content),
    )
    return _store_and_queue(upload, file.stream, dataset.project_id, actor)


def _reading(options: Mapping[str, Any], time_zone: str | None) -> Reading:
    return Reading.from_json({**options, "time_zone": time_zone} if time_zone else options)


def _derived(declarations: Sequence[Mapping[str, Any]]) -> tuple[DerivedTag, ...]:
    return tuple(DerivedTag.from_json(declaration) for declaration in declarations)


def _known(dataset: Dataset, content: Content, reading: Reading, derived: tuple[DerivedTag, ...]) -> Accepted | None:
    wanted = dataset_imports.fingerprint(content.sha256, reading, derived)
    version = dataset_imports.find_version(dataset.id, wanted)
    return Accepted(dataset=datasets.with_versions(dataset), version=version) if version else None


def _store_and_queue(upload: Upload, stream: BinaryIO, project_id: UUID, actor: Actor) -> Accepted:
    """Store the file while no transaction is open, then queue its import, if the actor still may."""
    object_store.put(upload.source_key, stream)
    try:
        visible(Project, project_id, to=actor, needs=Scope.DATASET_WRITE)
        task = task_queue.submit(
            TaskKind.IMPORT,
            project_id=project_id,
            subject_id=upload.dataset_id,
            payload=upload.to_json(),
            actor=actor,
        )
        db.session.commit()
    except Exception:
        db.session.rollback()
        dataset_objects.discard(upload.source_key)
        raise
    return Accepted(task=task)

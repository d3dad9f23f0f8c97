"""Uploads on their way in: checked at once for what can be seen at once, then stored and queued."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from flask import current_app

from app.extensions import db, object_store
from app.libs.actor import Actor
from app.libs.enums import TaskKind
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.libs.scope import Scope
from app.models import Dataset, DatasetVersion, Project, Task
from app.utils import sqlite
from app.viewModels import dataset_imports, dataset_objects, datasets, task_queue
from app.viewModels.access import visible
from app.viewModels.dataset_imports import Upload
from engine.tables import HEAD_BYTES, DerivedTag, FileFormat, Reading, sniff

LONGEST_NAME = 200


class NamedStream(Protocol):
    """A file as it comes in: a name that is not to be trusted, and bytes that can be read twice."""

    filename: str | None
    stream: BinaryIO


@dataclass(frozen=True)
class Accepted:
    """What became of an upload: the task that imports it, or the version that the same upload was made into before."""

    task: Task | None = None
    dataset: Dataset | None = None
    version: DatasetVersion | None = None


@dataclass(frozen=True)
class _Content:
    """What can be said of a file without parsing it."""

    file_name: str
    file_format: FileFormat
    n_bytes: int
    sha256: str


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
    file: NamedStream,
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
        time_zone: of time stamps that name none; by default UTC.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, TOO_LARGE.
        EngineError: the name, the first bytes, the reading or a derived tag cannot be used.
    """
    options = _reading(reading or {}, time_zone=time_zone)
    derived_tags = tuple(DerivedTag.from_json(tag) for tag in derived or ())
    content = _look_at(file)
    name = name or PurePath(content.file_name).stem
    with sqlite.reading():
        dataset = dataset_imports.find_dataset(project_id, name)
        known = _known(dataset, content, options, derived_tags) if dataset else None
        db.session.commit()
    if known:
        return known
    upload = Upload(
        version_id=new_id(),
        dataset_id=dataset.id if dataset else new_id(),
        dataset_name=name,
        description=description,
        reading=options,
        derived=derived_tags,
        **vars(content),
    )
    return _store_and_queue(upload, file.stream, within=(Project, project_id), actor=actor)


def add_to_dataset(
    dataset_id: UUID,
    *,
    file: NamedStream,
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
    with sqlite.reading():
        dataset = visible(Dataset, dataset_id, to=actor, needs=Scope.DATASET_WRITE)
        newest = datasets.newest_version(dataset)
        db.session.commit()
    before = newest.reading_asked
    options = _reading(
        {"time_zone": before["time_zone"], **(before if reading is None else reading)}, time_zone=time_zone
    )
    derived_tags = tuple(DerivedTag.from_json(tag) for tag in (newest.derived if derived is None else derived))
    content = _look_at(file)
    with sqlite.reading():
        known = _known(dataset, content, options, derived_tags)
        db.session.commit()
    if known:
        return known
    upload = Upload(
        version_id=new_id(),
        dataset_id=dataset_id,
        dataset_name=None,
        description="",
        reading=options,
        derived=derived_tags,
        **vars(content),
    )
    return _store_and_queue(upload, file.stream, within=(Dataset, dataset_id), actor=actor)


def _reading(options: Mapping[str, Any], *, time_zone: str | None) -> Reading:
    return Reading.from_json({**options, "time_zone": time_zone} if time_zone else options)


def _look_at(file: NamedStream) -> _Content:
    """Return what can be said of a file without parsing it. The stream is at its beginning again afterwards."""
    stream, file_name = file.stream, tidy_name(file.filename or "")
    largest = current_app.config["SETTINGS"].upload_max_bytes
    n_bytes = stream.seek(0, 2)
    if n_bytes > largest:
        detail = f"The file has {n_bytes} bytes; this server takes {largest}."
        raise AppError(ErrorCode.TOO_LARGE, detail, n_bytes=n_bytes, largest=largest)
    stream.seek(0)
    file_format = sniff(stream.read(HEAD_BYTES), file_name)
    stream.seek(0)
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    return _Content(file_name, file_format, n_bytes, sha256)


def tidy_name(given: str) -> str:
    """Return a file's name without folders and control characters, short enough to keep; its ending stays."""
    name = re.sub(r"[\x00-\x1f\x7f]", "", PureWindowsPath(given).name).strip()
    path = PurePath(name)
    return path.stem[: LONGEST_NAME - len(path.suffix)] + path.suffix if len(name) > LONGEST_NAME else name


def _known(dataset: Dataset, content: _Content, reading: Reading, derived: tuple[DerivedTag, ...]) -> Accepted | None:
    wanted = dataset_imports.fingerprint(content.sha256, reading, derived)
    version = dataset_imports.find_version(dataset.id, wanted)
    return Accepted(dataset=datasets.with_versions(dataset), version=version) if version else None


def _store_and_queue(upload: Upload, stream: BinaryIO, *, within: tuple[type, UUID], actor: Actor) -> Accepted:
    """Store the file while no transaction is open, then queue its import, if the actor still may."""
    object_store.put(upload.source_key, stream)
    try:
        model, row_id = within
        place = visible(model, row_id, to=actor, needs=Scope.DATASET_WRITE)
        task = task_queue.submit(
            TaskKind.IMPORT,
            project_id=place.id if model is Project else place.project_id,
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

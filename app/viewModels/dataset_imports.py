"""From an accepted upload to a data set version."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

from sqlalchemy import select, update

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import Dataset, DatasetVersion, Project, Task
from app.viewModels import dataset_objects
from app.viewModels.task_queue import Lease
from engine.tables import DerivedTag, FileFormat, Reading, Table


@dataclass(frozen=True)
class Upload:
    """A file that was stored, and what is to be made of it. It travels as the payload of the import's task.

    ``dataset_name`` is that of the data set to make, should the project have none of it; without one, the data set
    must still be there when the import ends.
    """

    version_id: UUID
    dataset_id: UUID
    dataset_name: str | None
    description: str
    file_name: str
    file_format: FileFormat
    n_bytes: int
    sha256: str
    reading: Reading
    derived: tuple[DerivedTag, ...]

    @property
    def fingerprint(self) -> str:
        """The sha256 over everything that the version follows from: the same upload, the same version."""
        return fingerprint(self.sha256, self.reading, self.derived)

    @property
    def source_key(self) -> str:
        """Where the file is kept."""
        return dataset_objects.source_key(self.version_id)

    def to_json(self) -> dict[str, Any]:
        """Return the upload as a task's payload."""
        changes = {
            "version_id": str(self.version_id),
            "dataset_id": str(self.dataset_id),
            "reading": self.reading.to_json(),
            "derived": [tag.to_json() for tag in self.derived],
        }
        return asdict(self) | changes

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> Self:
        """Return the upload of a task's payload."""
        changes = {
            "version_id": UUID(payload["version_id"]),
            "dataset_id": UUID(payload["dataset_id"]),
            "reading": Reading.from_json(payload["reading"]),
            "derived": tuple(DerivedTag.from_json(tag) for tag in payload["derived"]),
        }
        return cls(**{**payload, **changes})


def fingerprint(sha256: str, reading: Reading, derived: tuple[DerivedTag, ...]) -> str:
    """Return the sha256 over the content, the options asked for and the derived tags."""
    parts = [sha256, reading.to_json(), [tag.to_json() for tag in derived]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def find_version(dataset_id: UUID, wanted: str) -> DatasetVersion | None:
    """Return the version of a data set that has this fingerprint."""
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id)
    return db.session.scalars(statement.where(DatasetVersion.fingerprint == wanted)).one_or_none()


def find_dataset(project_id: UUID, name: str) -> Dataset | None:
    """Return a project's data set of this name."""
    statement = select(Dataset).where(Dataset.project_id == project_id, Dataset.name == name)
    return db.session.scalars(statement).one_or_none()


def publish(
    upload: Upload, table: Table, *, tags: list[dict[str, Any]], parquet_key: str, lease: Lease
) -> DatasetVersion:
    """Add the version, and its data set if there is none yet, to the caller's transaction.

    Returns:
        The new version; or the one that another upload of the same was made into in the meantime.

    Raises:
        AppError: DATASET_NOT_FOUND (it was deleted since the upload).
    """
    _wait_for_other_imports(lease.project_id)
    dataset = _dataset_of(upload, lease)
    known = find_version(dataset.id, upload.fingerprint)
    if known is not None:
        return known
    dataset.last_number += 1
    version = DatasetVersion(
        id=upload.version_id,
        dataset=dataset,
        number=dataset.last_number,
        sha256=upload.sha256,
        fingerprint=upload.fingerprint,
        file_name=upload.file_name,
        file_format=upload.file_format,
        n_bytes=upload.n_bytes,
        n_rows=table.frame.height,
        n_tags=table.frame.width,
        source_key=upload.source_key,
        parquet_key=parquet_key,
        reading_asked=upload.reading.to_json(),
        reading=table.reading.to_json(),
        derived=[tag.to_json() for tag in upload.derived],
        tags=tags,
        notes=[note.to_json() for note in table.notes],
        time_tag=table.time_tag,
        created_by=lease.created_by,
    )
    db.session.add(version)
    db.session.flush()
    return version


def _wait_for_other_imports(project_id: UUID) -> None:
    """Let one import of a project publish at a time: what it finds missing is then still missing when it adds it."""
    db.session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))


def _dataset_of(upload: Upload, lease: Lease) -> Dataset:
    dataset = db.session.get(Dataset, upload.dataset_id, populate_existing=True, with_for_update=True)
    if dataset is None and upload.dataset_name is None:
        raise AppError(ErrorCode.DATASET_NOT_FOUND, "It was deleted after the upload.", id=str(upload.dataset_id))
    if dataset is None:
        dataset = find_dataset(lease.project_id, upload.dataset_name)
    if dataset is None:
        dataset = Dataset(
            id=upload.dataset_id,
            project_id=lease.project_id,
            name=upload.dataset_name,
            description=upload.description,
            last_number=0,
            created_by=lease.created_by,
        )
        db.session.add(dataset)
    elif dataset.id != upload.dataset_id:  # made under this name by somebody else in the meantime
        db.session.execute(update(Task).where(Task.id == lease.task_id).values(subject_id=dataset.id))
    return dataset

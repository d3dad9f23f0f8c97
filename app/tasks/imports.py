"""Reading an upload into a data set version."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from app.extensions import object_store
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.tasks.claim import CancelledError, Claim
from app.utils.object_store import ObjectNotFound
from app.viewModels import dataset_imports, dataset_objects
from app.viewModels.dataset_imports import Upload
from app.viewModels.task_queue import LeaseLostError
from engine.errors import EngineError
from engine.solvers.state import State
from engine.tables import (
    Note,
    Reading,
    Table,
    derive,
    from_parquet_bytes,
    parquet_bytes,
    profile,
    read_table,
    write_parquet,
)


def import_upload(claim: Claim) -> None:
    """Make an upload into a data set version. If it cannot become one, nothing of it stays behind.

    An unexpected fault may strike while the version is being committed, so it deletes nothing: a later
    sweep of the store knows what is in use.
    """
    upload = Upload.from_json(claim.payload)
    parquet_key = dataset_objects.parquet_key(upload.version_id, claim.lease.fence)
    try:
        table = _read(upload, claim)
        tags = _profile(table, upload, claim)
        _store(table, parquet_key, claim)
        with claim.success() as result:
            version = dataset_imports.publish(upload, table, tags=tags, parquet_key=parquet_key, lease=claim.lease)
            is_new = version.id == upload.version_id
            result.update(dataset_id=str(version.dataset_id), version=version.number, is_new=is_new)
    except LeaseLostError:
        dataset_objects.discard(parquet_key)  # the source is for the worker that has the task now
        raise
    except (AppError, EngineError, CancelledError):
        dataset_objects.discard(parquet_key, upload.source_key)
        raise
    if not is_new:
        dataset_objects.discard(parquet_key, upload.source_key)


def _read(upload: Upload, claim: Claim) -> Table:
    """Return the table: as an earlier attempt has parsed it, or parsed here."""
    if (state := claim.checkpoints.load()) is not None:
        return _restored(state)
    table = _parse(upload, claim)
    claim.checkpoints.save(lambda: _kept(table))
    return table


def _kept(table: Table) -> State:
    """Return a parsed table as a checkpoint."""
    return {
        "parquet": np.frombuffer(parquet_bytes(table.frame), dtype=np.uint8),
        "reading": table.reading.to_json(),
        "notes": [note.to_json() for note in table.notes],
        "time_tag": table.time_tag,
        "units": dict(table.units),
    }


def _restored(state: State) -> Table:
    return Table(
        frame=from_parquet_bytes(state["parquet"].tobytes()),
        reading=Reading.from_json(state["reading"]),
        notes=tuple(Note(**note) for note in state["notes"]),
        time_tag=state["time_tag"],
        units=state["units"],
    )


def _parse(upload: Upload, claim: Claim) -> Table:
    try:
        with object_store.local_file(upload.source_key) as path:
            table = read_table(
                path, upload.file_format, upload.reading, lambda done: claim.step(0.7 * done, stage="read")
            )
    except ObjectNotFound as error:
        raise AppError(ErrorCode.OBJECT_NOT_FOUND, "The uploaded file is gone from the object store.") from error
    return derive(table, upload.derived)


def _profile(table: Table, upload: Upload, claim: Claim) -> list[dict[str, Any]]:
    derived = {tag.name for tag in upload.derived}
    tags = []
    for tag in table.frame.columns:
        claim.step(0.7 + 0.2 * len(tags) / table.frame.width, stage="profile")
        (described,) = profile(table.frame.select(tag))
        tags.append({**described, "unit": table.units.get(tag), "is_derived": tag in derived})
    return tags


def _store(table: Table, key: str, claim: Claim) -> None:
    claim.step(0.9, stage="store")
    with tempfile.TemporaryDirectory(prefix="setpoint-") as folder:
        path = Path(folder) / "table.parquet"
        write_parquet(table.frame, path)
        claim.check()
        with path.open("rb") as file:
            object_store.put(key, file)

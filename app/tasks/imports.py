"""Reading an upload into a data set version."""

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

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
    load_parquet,
    profile,
    read_table,
    write_parquet,
)


def import_upload(claim: Claim) -> None:
    """Make an upload into a data set version. If it cannot become one, nothing of it stays behind.

    An unexpected fault may strike while the version is being committed, so it deletes nothing: a later
    sweep of the store knows what is in use.
    """
    upload, kept = Upload.from_json(claim.payload), _KeptTable(claim)
    try:
        table = kept.load() or kept.store(_parse(upload, claim))
        tags = _profile(table, upload, claim)
        with claim.success() as result:
            version = dataset_imports.publish(upload, table, tags=tags, parquet_key=kept.key, lease=claim.lease)
            is_new = version.id == upload.version_id
            result.update(dataset_id=str(version.dataset_id), version=version.number, is_new=is_new)
    except LeaseLostError:
        kept.let_go()  # the source is for the worker that has the task now
        raise
    except (AppError, EngineError, CancelledError):
        dataset_objects.discard(kept.key, upload.source_key)
        raise
    if not is_new:
        dataset_objects.discard(kept.key, upload.source_key)


class _KeptTable:
    """The table of an import in the object store, where the version will have it; a checkpoint names it.

    Attributes:
        key: where it is; where it shall be, before.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._is_named = False
        self.key = dataset_objects.parquet_key(UUID(claim.payload["version_id"]), claim.lease.fence)

    def load(self) -> Table | None:
        """Return the table as an earlier attempt has parsed it; None if none has come so far."""
        state = self._claim.checkpoints.load()
        if state is None:
            return None
        self.key, self._is_named = state["parquet_key"], True
        with object_store.local_file(self.key) as path:
            frame = load_parquet(path)
        return Table(
            frame=frame,
            reading=Reading.from_json(state["reading"]),
            notes=tuple(Note(**note) for note in state["notes"]),
            time_tag=state["time_tag"],
            units=state["units"],
        )

    def store(self, table: Table) -> Table:
        """Store a table that was parsed, and return it."""
        _store(table, self.key, self._claim)
        self._claim.checkpoints.save(lambda: self._state(table))
        return table

    def let_go(self) -> None:
        """Leave the task to another worker, and the table too if that may have been told of it."""
        if not self._is_named:
            dataset_objects.discard(self.key)

    def _state(self, table: Table) -> State:
        self._is_named = True
        return {
            "parquet_key": self.key,
            "reading": table.reading.to_json(),
            "notes": [note.to_json() for note in table.notes],
            "time_tag": table.time_tag,
            "units": dict(table.units),
        }


def _parse(upload: Upload, claim: Claim) -> Table:
    try:
        with object_store.local_file(upload.source_key) as path:
            table = read_table(
                path, upload.file_format, upload.reading, lambda done: claim.step(0.6 * done, stage="read")
            )
    except ObjectNotFound as error:
        raise AppError(ErrorCode.OBJECT_NOT_FOUND, "The uploaded file is gone from the object store.") from error
    return derive(table, upload.derived)


def _store(table: Table, key: str, claim: Claim) -> None:
    claim.step(0.6, stage="store")
    with tempfile.TemporaryDirectory(prefix="setpoint-") as folder:
        path = Path(folder) / "table.parquet"
        write_parquet(table.frame, path)
        claim.check()
        with path.open("rb") as file:
            object_store.put(key, file)


def _profile(table: Table, upload: Upload, claim: Claim) -> list[dict[str, Any]]:
    derived = {tag.name for tag in upload.derived}
    tags = []
    for tag in table.frame.columns:
        claim.step(0.75 + 0.25 * len(tags) / table.frame.width, stage="profile")
        (described,) = profile(table.frame.select(tag))
        tags.append({**described, "unit": table.units.get(tag), "is_derived": tag in derived})
    return tags

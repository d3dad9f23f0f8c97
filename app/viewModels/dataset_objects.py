"""The stored objects of data sets: each version has two of its own, the file as it came and the table as Parquet.

No object is shared, so whoever deletes a version deletes its objects, without asking who else may need them.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select

from app.extensions import db, object_store
from app.libs.enums import TaskKind
from app.models import DatasetVersion, Task
from app.utils.clock import now_ms
from app.utils.object_store import ObjectStoreError

log = structlog.get_logger(__name__)
PREFIX = "datasets/"


def source_key(version_id: UUID) -> str:
    """Return where the file of a version is kept as it came."""
    return f"{PREFIX}{version_id}/source"


def parquet_key(version_id: UUID, fence: int) -> str:
    """Return where the import with this fence keeps the table: two workers never write to one place."""
    return f"{PREFIX}{version_id}/table-{fence}"


def discard(*keys: str) -> None:
    """Delete objects that nothing uses any more. What a store that is away keeps is left to ``sweep``."""
    for key in keys:
        try:
            object_store.delete(key)
        except ObjectStoreError:
            log.warning("object_not_deleted", key=key, exc_info=True)


def sweep(*, older_than: timedelta) -> int:
    """Delete objects that no version and no unfinished import uses, and return how many.

    They stay behind when a server dies between storing a file and accepting it, when an import is cancelled before it
    began, or when its worker dies. Younger ones are left alone: they may be about to be accepted.
    """
    oldest = now_ms() - int(older_than.total_seconds() * 1000)
    found = [stat.key for stat in object_store.list(PREFIX) if stat.modified_ms < oldest]
    # what is unfinished is asked first: an import that ends in between has its version in the second answer
    imports = select(Task.payload).where(Task.kind == TaskKind.IMPORT, Task.ended_at.is_(None))
    unfinished = {payload.get("version_id") for payload in db.session.scalars(imports)}
    kept = {key for row in db.session.execute(_KEYS) for key in row}
    db.session.commit()
    abandoned = [key for key in found if key not in kept and key.split("/")[1] not in unfinished]
    discard(*abandoned)
    return len(abandoned)


_KEYS = select(DatasetVersion.source_key, DatasetVersion.parquet_key)

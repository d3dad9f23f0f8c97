"""The stored files of models: one for each trained model, which goes when its model goes."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from app.extensions import db, object_store
from app.libs.enums import TaskKind
from app.models import Model, Task
from app.utils.clock import now_ms
from app.viewModels.dataset_objects import discard

PREFIX = "models/"


def key(model_id: UUID, fence: int) -> str:
    """Return where the training with this fence keeps the file: two workers never write to one place."""
    return f"{PREFIX}{model_id}/{fence}.safetensors"


def source_key(model_id: UUID) -> str:
    """Return where the file of an imported model waits for its import; ``sweep`` takes it if that fails."""
    return f"{PREFIX}{model_id}/source.onnx"


def discard_unowned(model_id: UUID, key: str) -> None:
    """Delete a file unless the model came to own it after all, in a transaction of its own."""
    db.session.rollback()  # whatever failed
    owned = db.session.scalar(select(Model.artifact_key).where(Model.id == model_id))
    db.session.commit()
    if owned != key:
        discard(key)


def sweep(*, older_than: timedelta) -> int:
    """Delete files that no model owns and no unfinished training may be about to store, and return how many.

    They stay behind when a worker dies between storing a file and ending its task, or when the store was away as a
    model was deleted.
    """
    oldest = now_ms() - int(older_than.total_seconds() * 1000)
    found = [stat.key for stat in object_store.list(PREFIX) if stat.modified_ms < oldest]
    # what is unfinished is asked first: a training that ends in between has its file in the second answer
    trainings = select(Task.subject_id).where(Task.kind == TaskKind.TRAIN, Task.ended_at.is_(None))
    unfinished = {str(model_id) for model_id in db.session.scalars(trainings)}
    owned = set(db.session.scalars(select(Model.artifact_key).where(Model.artifact_key.is_not(None))))
    db.session.commit()
    abandoned = [key for key in found if key not in owned and key.split("/")[1] not in unfinished]
    discard(*abandoned)
    return len(abandoned)

"""Trained models in memory: read from the store once, checked, and kept while they are used.

Whoever can write to the object store must not thereby run code here. So a stored file counts only if its sha256 is the
one that training recorded in the database, and it is read as plain arrays that are checked again.
"""

import hashlib
from collections import OrderedDict
from threading import Lock

from app.extensions import object_store
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import Model
from app.utils.object_store import ObjectNotFound
from app.viewModels import module_tags
from engine.errors import ModelFileError
from engine.lookback import Steady
from engine.surrogates import Surrogate
from engine.surrogates.model_file import LARGEST_FILE, from_bytes
from engine.surrogates.routes import routed


class Shelf:
    """Surrogates by the sha256 of their files, those used last, up to so many bytes of files together."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.n_bytes = 0
        self._kept: OrderedDict[str, tuple[Surrogate, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, sha256: str) -> Surrogate | None:
        """Return the surrogate of this file if it is kept."""
        with self._lock:
            if sha256 not in self._kept:
                return None
            self._kept.move_to_end(sha256)
            return self._kept[sha256][0]

    def put(self, sha256: str, surrogate: Surrogate, n_bytes: int) -> None:
        """Keep a surrogate; those used longest ago make room. One that is larger than all room is not kept."""
        with self._lock:
            if sha256 in self._kept or n_bytes > self.most_bytes:
                return
            self._kept[sha256] = (surrogate, n_bytes)
            self.n_bytes += n_bytes
            while self.n_bytes > self.most_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self.n_bytes -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.n_bytes = 0


shelf = Shelf(most_bytes=128 * 1024**2)


def of(model: Model) -> Surrogate:
    """Return the surrogate of a trained model. Reads the store: end your transaction before.

    Raises:
        AppError: MODEL_NOT_TRAINED, MODEL_DAMAGED (the stored file is gone, or is not the one that training stored).
    """
    if model.artifact_key is None or model.artifact_sha256 is None:
        raise AppError(ErrorCode.MODEL_NOT_TRAINED, model_id=str(model.id))
    surrogate = shelf.get(model.artifact_sha256)
    if surrogate is None:
        content = _read(model)
        surrogate = _surrogate(model, content)
        shelf.put(model.artifact_sha256, surrogate, len(content))
    return surrogate


def held(model: Model) -> Surrogate | Steady:
    """Return a model of the module's inputs themselves; one that sees the past is asked what comes when they are held.

    Raises:
        AppError: as ``of``.
    """
    surrogate, lookback = of(model), module_tags.lookback_of(model)
    return surrogate if lookback.is_plain else Steady(surrogate, lookback)


def _read(model: Model) -> bytes:
    try:
        with object_store.open(model.artifact_key, length=LARGEST_FILE + 1) as stream:
            content = stream.read()
    except ObjectNotFound as error:
        raise _damaged(model, "The stored file of this model is gone.") from error
    if hashlib.sha256(content).hexdigest() != model.artifact_sha256:
        raise _damaged(model, "The stored file of this model was altered or damaged: its sha256 is another one.")
    return content


def _surrogate(model: Model, content: bytes) -> Surrogate:
    try:
        return routed(from_bytes(content), model.routes)
    except ModelFileError as error:  # of another version, or recorded by somebody who could write to the database
        raise _damaged(model, f"The stored file of this model cannot be used: {error}.") from error


def _damaged(model: Model, detail: str) -> AppError:
    return AppError(ErrorCode.MODEL_DAMAGED, f"{detail} Train the model again.", model_id=str(model.id))

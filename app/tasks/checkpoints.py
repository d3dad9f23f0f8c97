"""How far a task has come, kept in the object store: what kills its worker takes seconds of work, not hours.

The state is written beside the task's row, never into it: the row only names the newest one, under the lease. So a
worker that has lost its task may still write an object, but nobody will read it, and the sweep takes it away.
"""

import io
from collections.abc import Callable

import structlog
from flask import current_app

from app.extensions import db, object_store
from app.tasks.pace import Pace
from app.utils import sqlite
from app.utils.object_store import ObjectNotFound, ObjectStoreUnavailable
from app.viewModels import checkpoint_objects, task_queue
from app.viewModels.task_queue import Lease, LeaseLostError
from engine.solvers.state import SolverStateError, State, from_bytes, to_bytes

log = structlog.get_logger(__name__)

LARGEST = 64 * 1024**2
"""A state above this is not kept: writing it every few seconds would be most of the work."""

SHARE, LONGEST_S = 0.01, 60.0
"""Of the work's time, for keeping its state; but that is never older than a minute."""


class Checkpoints:
    """The checkpoints of a claimed task. A state is a flat dictionary of arrays and JSON values."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._key = lease.checkpoint_key
        self._n = 0
        period_s = current_app.config["SETTINGS"].task_checkpoint_seconds
        self._pace = Pace(period_s, share=SHARE, longest_s=LONGEST_S, waits=True)

    def load(self) -> State | None:
        """Return the state that an earlier attempt left; None if there is none that can be read."""
        if self._key is None:
            return None
        db.session.commit()  # reading the store may take long
        try:
            with object_store.open(self._key, length=LARGEST) as stream:
                state = from_bytes(stream.read())
        except (ObjectNotFound, SolverStateError) as error:
            log.warning("checkpoint_unreadable", key=self._key, error=str(error))
            return None
        log.info("checkpoint_loaded", key=self._key)
        return state

    def save(self, state: Callable[[], State], *, at_once: bool = False) -> None:
        """Keep the state, unless another was kept a short while ago.

        Raises:
            LeaseLostError: the task was taken away.
        """
        if not at_once and not self._pace.is_due():
            return
        with self._pace.taking():
            content = to_bytes(state())
            if len(content) > LARGEST:
                log.warning("checkpoint_too_large", n_bytes=len(content), largest=LARGEST)
                return
            try:
                self._keep(content)
            except ObjectStoreUnavailable as error:  # the work goes on; the next one may succeed
                log.warning("checkpoint_not_kept", error=str(error))

    def discard(self) -> None:
        """Delete the newest one: the task has succeeded."""
        if self._key is not None:
            checkpoint_objects.discard(self._key)

    def _keep(self, content: bytes) -> None:
        self._n += 1
        key, before = checkpoint_objects.key(self._lease.task_id, self._lease.fence, self._n), self._key
        object_store.put(key, io.BytesIO(content))
        db.session.commit()  # whatever the work was reading
        try:
            with sqlite.writing():
                task_queue.keep_checkpoint(self._lease, key)
                db.session.commit()
        except LeaseLostError:
            checkpoint_objects.discard(key)
            raise
        self._key = key
        if before is not None:
            checkpoint_objects.discard(before)

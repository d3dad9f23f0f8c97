"""Large work in parts, each a task of its own, so that many workers do it together and one alone still does it all.

The task that has the work begins with it. As soon as it can tell that what is left takes long, it submits what is left
as parts and goes back into the line until they have succeeded; whoever claims it then puts them together. What was
found does not depend on that: a part computes what the whole would have computed, to the last bit.
"""

import hashlib
import io
import time
from collections.abc import Iterator

import structlog
from flask import current_app

from app.extensions import db, object_store
from app.libs.enums import TaskState
from app.tasks.claim import Claim
from app.utils.object_store import ObjectNotFound
from app.viewModels import task_parts
from app.viewModels.task_parts import Part
from app.viewModels.task_queue import LeaseLostError
from engine.solvers.state import State, from_bytes, to_bytes

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""After so many seconds the rest is foretold."""


class WorthFanningOut(Exception):  # noqa: N818 (no error: it ends the work here so that it goes on elsewhere)
    """What is left takes so long that others shall help."""


class Watch:
    """Foretells how long the rest of some work takes, by how long its beginning took.

    Args:
        n_all: how many parts are to be computed.
    """

    def __init__(self, n_all: int) -> None:
        self._n_all, self._began = n_all, time.monotonic()
        self._threshold_s = current_app.config["SETTINGS"].task_fan_out_seconds

    def look(self, done: float) -> None:
        """Say how many parts are computed by now, and what share of the next one.

        Raises:
            WorthFanningOut: the rest is worth it.
        """
        seconds, left = time.monotonic() - self._began, self._n_all - done
        if left <= 1 or done <= 0 or (seconds < LOOK_S and done < 1):
            return
        if seconds / done * left >= self._threshold_s:
            raise WorthFanningOut


def store(claim: Claim, found: State, *, seconds: float) -> None:
    """End a part: keep what it has found for its whole.

    Raises:
        LeaseLostError: the task was taken away; nothing of it is left.
    """
    key = task_parts.key(claim.lease)
    stored = object_store.put(key, io.BytesIO(to_bytes(found)))
    try:
        with claim.success() as result:
            result.update(key=stored.key, sha256=stored.sha256, seconds=round(seconds, 3))
    except LeaseLostError:
        task_parts.discard(key)
        raise


def found(claim: Claim) -> Iterator[tuple[Part, State]]:
    """Yield the parts of a task that have succeeded, each with what it has found. One that is damaged is left out."""
    parts = task_parts.of(claim.lease)
    db.session.commit()  # reading the store may take long
    for part in parts:
        if part.state is not TaskState.SUCCEEDED or part.result is None:
            continue
        try:
            with object_store.open(part.result["key"]) as stream:
                content = stream.read()
        except ObjectNotFound:
            log.warning("part_gone", part=str(part.task_id))
            continue
        if hashlib.sha256(content).hexdigest() != part.result["sha256"]:
            log.warning("part_damaged", part=str(part.task_id))
            continue
        yield part, from_bytes(content)

"""A claimed task in the hands of its worker: heartbeat, progress, and its end."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self
from uuid import UUID

import structlog
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.libs.enums import EventType, TaskState
from app.tasks.checkpoints import Checkpoints
from app.tasks.heart import LOOK_PERIOD_S, Heart
from app.tasks.log_lines import LogLines
from app.tasks.pace import Pace
from app.utils import sqlite
from app.utils.memory import resident_bytes
from app.viewModels import task_limits, task_queue
from app.viewModels.task_log import Fact
from app.viewModels.task_queue import Lease, LeaseLostError

log = structlog.get_logger(__name__)
PROGRESS_PERIOD_S = 0.1  # at most ten progress events a second
PROGRESS_SHARE, PROGRESS_LONGEST_S = 0.01, 2.0  # of the work's time; and no watcher waits for longer
END_WITHIN_S = 5.0  # for so long the database is waited for by a process that is to be killed


class CancelledError(Exception):
    """Somebody asked for the task to stop, and now it does. ``so_far`` is what it has come to, if that is of use."""

    so_far: dict[str, Any] | None = None


class Claim:
    """The task that this worker has, and the only way in which its work writes anything.

    The thread of a ``Heart`` extends the lease, so that long native calls do not lose it. It also learns of a cancel
    request; the next ``step`` of the work then raises ``CancelledError``. Where the process has more memory than it
    may, the thread ends the task and the process: the work itself cannot be trusted to notice.
    """

    def __init__(self, lease: Lease, heart: Heart, *, lease_ms: int, memory_limit: int | None = None) -> None:
        self.lease = lease
        self.payload = lease.payload
        self.has_ended = False
        self.waits = False
        self.checkpoints = Checkpoints(lease)
        self._lease_ms, self._memory_limit = lease_ms, memory_limit
        self._app = current_app._get_current_object()
        self._stop_asked = threading.Event()
        self._lost = threading.Event()
        self._heart = heart
        self._beats_every = max(1, int(min(lease_ms / 1000 / 3, 1.0) / LOOK_PERIOD_S))
        self._within = ExitStack()
        self._pace = Pace(PROGRESS_PERIOD_S, share=PROGRESS_SHARE, longest_s=PROGRESS_LONGEST_S)
        self._lines = LogLines()

    def __enter__(self) -> Self:
        self._within.enter_context(self._heart.looking(self._look))
        self._within.enter_context(self._lines)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._within.close()
        if not self.has_ended:
            db.session.rollback()
            with suppress(LeaseLostError, SQLAlchemyError):
                self._tell_lines()

    def step(self, done: float, **data: Any) -> None:
        """Tell how far the work is (0 to 1), with what else a watcher wants to know. Called often, it tells seldom.

        Raises:
            CancelledError: the task shall stop.
            LeaseLostError: the task was taken away.
        """
        self.check()
        if done >= 1 or self._pace.is_due():
            with self._pace.taking():
                self.tell((EventType.PROGRESS, {"done": round(done, 4), **data}), progress=done)

    def check(self) -> None:
        """Raise if the work shall not go on; cheap enough for an inner loop."""
        if self._lost.is_set():
            raise LeaseLostError(self.lease.task_id)
        if self._stop_asked.is_set():
            raise CancelledError

    def tell(self, *facts: Fact, **changes: Any) -> None:
        """Add facts to the task's log at once.

        Raises:
            LeaseLostError: the task was taken away; nothing was written.
        """
        db.session.commit()  # whatever the work was reading
        with sqlite.writing():
            task_queue.write(self.lease, [*self._lines.take(), *facts], **changes)
            db.session.commit()

    @contextmanager
    def success(self) -> Iterator[dict[str, Any]]:
        """Open the transaction in which the work's result appears together with the task's success.

        Fill the dictionary with the task's result. Should the lease be lost, or the block fail, nothing appears.
        """
        self.check()
        db.session.commit()
        result: dict[str, Any] = {}
        with sqlite.writing():
            yield result
            if lines := self._lines.take():
                task_queue.write(self.lease, lines)
            task_queue.end(self.lease, TaskState.SUCCEEDED, result=result)
            db.session.commit()
        self.has_ended = True

    def wait_for(self, submit: Callable[[], Sequence[UUID]]) -> None:
        """Submit other tasks and put this one back into the line until they have succeeded, in one transaction.

        The body returns after this; the worker is free for the tasks that are waited for.

        Args:
            submit: adds the tasks to the transaction, and returns what is to be waited for.

        Raises:
            CancelledError: the task shall stop; nothing was submitted.
            LeaseLostError: the task was taken away; nothing was submitted.
        """
        self.check()
        db.session.commit()
        with sqlite.writing():
            needs = submit()
            if lines := self._lines.take():
                task_queue.write(self.lease, lines)
            try:
                task_queue.hand_back(self.lease, needs)
            except LeaseLostError:
                if task_queue.extend(self.lease, lease_ms=self._lease_ms) is TaskState.STOPPING:
                    raise CancelledError from None
                raise
            db.session.commit()
        self.has_ended = self.waits = True

    def _look(self, n: int) -> None:
        """Look at the memory, and now and then extend the lease: on the heart's thread, for the ``n``-th time."""
        self._check_memory()
        if n % self._beats_every or self._lost.is_set():
            return
        try:
            with self._app.app_context():
                state = task_queue.extend(self.lease, lease_ms=self._lease_ms)
                self._tell_lines()
        except LeaseLostError:
            self._lost.set()
        except Exception:  # a lease outlasts some beats that fail; the next one may succeed
            log.warning("heartbeat_failed", task_id=str(self.lease.task_id), exc_info=True)
        else:
            if state is TaskState.STOPPING:
                self._stop_asked.set()

    def _check_memory(self) -> None:
        """End the task and this process if it has more memory than it may."""
        if self._memory_limit is None or (had := resident_bytes()) <= self._memory_limit:
            return
        log.error("task_memory_limit", task_id=str(self.lease.task_id), n_bytes=had, limit=self._memory_limit)
        at_last = threading.Timer(END_WITHIN_S, _end_process)
        at_last.daemon = True
        at_last.start()
        try:
            with self._app.app_context(), sqlite.writing():
                task_queue.end(self.lease, TaskState.FAILED, error=task_limits.memory_error(had, self._memory_limit))
                db.session.commit()
        except Exception:  # the next attempt will come to this again
            log.warning("memory_limit_not_told", task_id=str(self.lease.task_id), exc_info=True)
        _end_process()

    def _tell_lines(self) -> None:
        """Write what was logged and not told with something else."""
        if lines := self._lines.take():
            with sqlite.writing():
                task_queue.write(self.lease, lines)
                db.session.commit()


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

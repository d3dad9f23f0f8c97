"""The thread that looks after what a worker carries, one task after another, also while native code has the worker."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

LOOK_PERIOD_S = 0.2  # memory can grow by gigabytes in a second


class Heart:
    """One thread for all tasks that a message carries: a thread for each would cost a short task a tenth of its time.

    It is started with the first task, and ends with the block. It is never at work for a task that was let go.
    """

    def __init__(self) -> None:
        self._done = threading.Event()
        self._at_work = threading.Lock()
        self._look: Callable[[int], None] | None = None
        self._counter = itertools.count(1)
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()

    @contextmanager
    def looking(self, look: Callable[[int], None]) -> Iterator[None]:
        """Have ``look`` called with 1, 2, ... about every LOOK_PERIOD_S within the block, and not after it."""
        with self._at_work:
            self._look, self._counter = look, itertools.count(1)
        if self._thread.ident is None:
            self._thread.start()
        try:
            yield
        finally:
            with self._at_work:
                self._look = None

    def _run(self) -> None:
        while not self._done.wait(LOOK_PERIOD_S):
            with self._at_work:
                if self._look is not None:
                    self._look(next(self._counter))

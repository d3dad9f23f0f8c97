"""How often work may stop to tell how far it is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Pace:
    """Lets something be done now and then: never sooner than after a period, and for a small share of all time.

    What takes long, since the database or the object store is slow, is done less often, but never less than each
    ``longest_s`` seconds.
    """

    def __init__(self, period_s: float, *, share: float, longest_s: float, waits: bool = False) -> None:
        self._period_s, self._share, self._longest_s = period_s, share, longest_s
        self._due_at = time.monotonic() + period_s if waits else 0.0

    def is_due(self) -> bool:
        """Return whether it is time again."""
        return time.monotonic() >= self._due_at

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Do it, and learn how long it took."""
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            pause = min(max(self._period_s, (ended - began) / self._share), max(self._longest_s, self._period_s))
            self._due_at = ended + pause

"""The process in which a program is solved, and how long it may take."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_POLL = 0.1


class OutOfTimeError(Exception):
    """The time of a proof has run out in the middle of a step; it never leaves ``engine.exact``."""


class Clock:
    """The time of one proof.

    Args:
        seconds: how long it may take.
        on_wait: called about ten times a second with the seconds so far; what it raises ends the work.
    """

    def __init__(self, seconds: float, on_wait: Callable[[float], object] | None = None) -> None:
        self._began, self._seconds, self._on_wait = time.perf_counter(), seconds, on_wait

    @property
    def passed(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left, >= 0."""
        return max(0.0, self._seconds - self.passed)

    def tick(self) -> None:
        """Tell whoever waits."""
        if self._on_wait:
            self._on_wait(self.passed)

    def step(self) -> None:
        """Tell whoever waits, between two steps of our own.

        Raises:
            OutOfTimeError: there is no time for another.
        """
        self.tick()
        if not self.left:
            raise OutOfTimeError


def answered(way: str, program: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Return what ``engine.exact.solve`` answers, asked in one of its ways; {"status": -1} if it does not in time."""
    with tempfile.TemporaryFile(prefix="setpoint-") as file:
        np.savez(file, time_limit=np.array(0.9 * clock.left), **program)
        file.seek(0)
        with subprocess.Popen(  # noqa: S603  (our own module, and a way that the code names)
            [sys.executable, "-m", "engine.exact.solve", way],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        ) as process:
            try:
                return _waited_for(process, clock)
            finally:
                process.kill()


def _waited_for(process: "subprocess.Popen[bytes]", clock: Clock) -> dict[str, Any]:
    end = clock.passed + clock.left + 2.0
    while True:
        try:
            output, _ = process.communicate(timeout=_POLL)
            return dict(json.loads(output)) if process.returncode == 0 else {"status": -1}
        except subprocess.TimeoutExpired:
            if clock.passed > end:
                return {"status": -1}
            clock.tick()

"""A child's log: it writes into the file itself, so a slow terminal never holds it up; we read along."""

import contextlib
import os
import shutil
from pathlib import Path

MAX_BYTES = 10_000_000
N_KEPT = 3  # older files: web.log.1 .. web.log.3


class Log:
    """One log file, read along from where it ended when this run began."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._rotate_if_large()
        self._started_at = self._position = path.stat().st_size if path.exists() else 0
        self._unfinished = b""

    def open(self) -> int:
        """Return a descriptor for a child to write to. It appends, so it stays good after a rotation."""
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read_new_lines(self) -> list[str]:
        """Return the whole lines written since the last call, and keep the file under its limit."""
        if self.path.stat().st_size == self._position:
            return []
        with self.path.open("rb") as file:
            file.seek(self._position)
            fresh = file.read()
        self._position += len(fresh)
        *lines, self._unfinished = (self._unfinished + fresh).split(b"\n")
        self._rotate_if_large()
        return [line.decode(errors="replace") for line in lines]

    def since_start(self) -> str:
        """Return what this run's process has written so far (since the last rotation)."""
        with self.path.open("rb") as file:
            file.seek(self._started_at)
            return file.read().decode(errors="replace")

    def tail(self, n_lines: int = 15) -> str:
        """Return this run's last lines, indented, for a report of what went wrong."""
        lines = [line for line in self.since_start().splitlines() if line.strip()]
        return "\n".join(f"    {line}" for line in lines[-n_lines:])

    def _rotate_if_large(self) -> None:
        """Copy a large file aside and empty it, under the hands of a child that goes on writing."""
        if not self.path.exists() or self.path.stat().st_size < self.max_bytes:
            return
        for number in range(N_KEPT - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        shutil.copy(self.path, self.path.with_name(f"{self.path.name}.1"))  # keeps the mode
        os.truncate(self.path, 0)
        self._started_at = self._position = 0


def say(message: str) -> None:
    """Tell the person at the terminal, if there still is one: a run outlives a closed pipe."""
    if message:
        with contextlib.suppress(OSError, ValueError):
            print(message, flush=True)

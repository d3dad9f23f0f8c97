"""What the launcher's tests share: waiting for a condition, looking at processes, tiny child programs."""

import os
import sys
import time
from pathlib import Path

import pytest

from launcher.supervisor import Supervisor


@pytest.fixture(scope="session")
def eventually():
    """Wait for a condition; fail when it does not come true in time."""

    def wait(condition, *, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not true within {seconds} s"
            time.sleep(0.02)
        return value

    return wait


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z" if status.parent.parent.exists() else True
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(name="is_running")
def _is_running():
    return is_running


@pytest.fixture
def program(tmp_path):
    """Return the command line of a small Python program, given its text."""

    def write(text: str) -> list[str]:
        path = tmp_path / f"program_{len(list(tmp_path.glob('program_*')))}.py"
        path.write_text(text)
        return [sys.executable, "-S", str(path)]

    return write


@pytest.fixture
def supervisor(tmp_path):
    """A supervisor with short graces, stopped at the end of the test."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with Supervisor(cwd=tmp_path, log_folder=logs, environment=os.environ, grace=1.0, base_grace=1.0) as started:
        yield started

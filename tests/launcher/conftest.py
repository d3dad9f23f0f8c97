"""What the launcher's tests share: waiting for a condition, looking at processes, tiny child programs."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Process:
    """A process of this machine as the system lists it; `state` starts with Z when only its status is left."""

    pid: int
    parent: int
    state: str
    command: str


def all_processes() -> dict[int, Process]:
    """Return the machine's processes by number: from /proc, or from `ps` where there is none (macOS)."""
    if Path("/proc/self/stat").exists():
        found = [_from_proc(path) for path in Path("/proc").iterdir() if path.name.isdigit()]
    else:
        options = ["-A", "-ww", "-o", "pid=,ppid=,state=,args="]
        listed = subprocess.run(["ps", *options], capture_output=True, text=True, check=True).stdout
        lines = [line.split(maxsplit=3) for line in listed.splitlines()]
        found = [Process(int(pid), int(parent), state, " ".join(rest)) for pid, parent, state, *rest in lines]
    return {process.pid: process for process in found if process is not None}


def _from_proc(folder: Path) -> Process | None:
    try:
        state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended meanwhile
    return Process(int(folder.name), int(parent), state, command)


@pytest.fixture(scope="session")
def processes():
    return all_processes


@pytest.fixture(scope="session")
def is_running(processes):
    """Tell whether a process runs; one that has ended but was not waited for does not."""

    def is_running(pid: int) -> bool:
        process = processes().get(pid)
        return process is not None and not process.state.startswith("Z")

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

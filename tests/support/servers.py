"""What is the same for every server that a test starts."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # not on the PATH of everybody
START_S = 60.0
STOP_S = 20.0


class MissingPackage(Exception):  # noqa: N818
    """A server is not installed; the one-line message says how to install what is missing."""

    def __init__(self, *packages: str) -> None:
        super().__init__(f"Missing: apt-get install -y --no-install-recommends {' '.join(packages)}")
        self.packages = packages


class ServerFailed(Exception):  # noqa: N818
    """A server did not start or answer; the message ends with what it logged last."""


def find_program(name: str, *, package: str, folders: Sequence[str | Path] = ()) -> Path:
    """Return the program's path, or raise MissingPackage."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    if found := shutil.which(name, path=path):
        return Path(found)
    raise MissingPackage(package)


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port: int) -> bool:
    """Tell whether something listens on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], what: str, *, deadline_s: float = START_S, pause_s: float = 0.02) -> None:
    """Return once the condition holds; raise TimeoutError, saying what was waited for, if it never does.

    Args:
        pause_s: between two looks; longer where a look costs more than that.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline_s:.0f} s for {what}")
        time.sleep(pause_s)


@contextmanager
def server_folder(user: str | None = None) -> Iterator[Path]:
    """A folder for a server's data, owned by the user that runs it, removed at the end.

    Not pytest's ``tmp_path``: that one lies in a folder which other users may not enter.
    """
    with tempfile.TemporaryDirectory(prefix="setpoint-test-", ignore_cleanup_errors=True) as name:
        if user:
            shutil.chown(name, user)
        yield Path(name)


@contextmanager
def serve(
    command: Sequence[str | Path],
    *,
    folder: Path,
    is_ready: Callable[[], bool],
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the folder until the block ends, then stop it.

    Args:
        is_ready: tells whether it answers; asked again and again, only while the process lives.
        user: run as this user, which only root can ask for.
        env: its environment; ours when not given.

    Raises:
        ServerFailed: it ended, or did not answer in time.
    """
    log = folder / "server.log"
    name = Path(command[0]).name
    with log.open("wb") as output:
        process = subprocess.Popen(
            _dying_with_us([str(part) for part in command]),
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal is for pytest, which then stops us
            **_as_user(user),
        )
    try:
        wait_until(lambda: process.poll() is not None or is_ready(), f"{name} to answer")
        if process.poll() is not None:
            raise ServerFailed(f"{name} ended with status {process.returncode}")
        yield process
    except (ServerFailed, TimeoutError) as error:
        raise ServerFailed(f"{error}; its log ends with:\n{log.read_text(errors='replace')[-2000:]}") from None
    finally:
        _stop(process, stop_signal)


def run(command: Sequence[str | Path], *, folder: Path, user: str | None = None) -> None:
    """Run a command to its end; raise ServerFailed with its output if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **_as_user(user),
    )
    if done.returncode:
        raise ServerFailed(f"{Path(command[0]).name} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def _as_user(user: str | None) -> dict:
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def _dying_with_us(command: list[str]) -> list[str]:
    """Let the kernel stop the server if the test run is killed (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    process.send_signal(stop_signal)  # does nothing to a process that has ended
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

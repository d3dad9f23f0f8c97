"""An instance: the folder that holds everything one server keeps, for one run at a time."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import LaunchError

SECRETS_FILE = "secrets.env"
LOCK_FILE = "lock"
SECRET_NAMES = ("SECRET_KEY", "JWT_SECRET_KEY", "REDIS_PASSWORD")


def prepare(folder: Path) -> None:
    """Make the instance's folder and its sub-folders, for the owner's eyes only.

    Raises:
        LaunchError: it cannot be made or written to.
    """
    try:
        for path in (folder, folder / "logs", folder / "valkey"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(f"Cannot make the instance folder {folder}: {error.strerror}.") from error


@contextmanager
def locked(folder: Path, *, patience: float = 10.0) -> Iterator[int]:
    """Hold the instance's lock; yields its descriptor, which also holds it in a child that inherits it.

    A lock whose launcher is dead belongs to a keeper that is still ending the children: that is waited for.

    Raises:
        LaunchError: another launcher runs this instance.
    """
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience
        while not _try_lock(lock):
            pid = os.pread(lock, 20, 0).decode().strip()
            if _is_alive(pid) or time.monotonic() > deadline:
                raise LaunchError(f"The instance {folder} is already running, as process {pid or 'unknown'}.")
            time.sleep(0.1)
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    """Tell whether this launcher lives. An empty pid is a launcher between its lock and its first write."""
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def load_secrets(folder: Path, names: tuple[str, ...] = SECRET_NAMES) -> dict[str, str]:
    """Return the instance's secrets, after making those that are missing.

    Raises:
        LaunchError: the file is damaged, or others on this machine can read it.
    """
    path = folder / SECRETS_FILE
    found = _read_secrets(path)
    missing = [name for name in names if name not in found]
    if missing:
        found |= {name: secrets.token_urlsafe(32) for name in missing}
        _write_secrets(path, found)
    return found


def _read_secrets(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    if path.stat().st_mode & 0o077:
        raise LaunchError(f"Others can read {path}; make it private again with: chmod 600 '{path}'.")
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        name, separator, value = line.partition("=")
        if line.startswith("#") or not line.strip():
            continue
        if not (name.isidentifier() and separator and value):
            raise LaunchError(f"Line {number} of {path} is not NAME=value; restore the file from a backup.")
        found[name] = value
    return found


def _write_secrets(path: Path, values: dict[str, str]) -> None:
    """Write all of them or none: a crash leaves the old file."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("# Made at the first start. Whoever has these can sign in as anybody: keep them private.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)

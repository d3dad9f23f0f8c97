"""The command lines of Setpoint's processes. A test holds compose.yaml and the Dockerfile to them."""

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

WEB = ("gunicorn", "-c", "gunicorn.py", "wsgi:app")
WORKER = ("celery", "-A", "wsgi:celery", "worker")
BEAT = ("celery", "-A", "wsgi:celery", "beat")
PREPARE = ("flask", "prepare")
COAL_UNIT = ROOT / "examples" / "coal_unit" / "run.py"


def program(command: Sequence[str], *options: str) -> list[str]:
    """Return the arguments that start a command with our own interpreter, whatever the PATH says.

    `-P` keeps our gunicorn.py from standing in for the package of that name.
    """
    return [sys.executable, "-P", "-m", *command, *options]


def script(path: Path, *options: str) -> list[str]:
    """Return the arguments that start a Python file with our own interpreter."""
    return [sys.executable, str(path), *options]

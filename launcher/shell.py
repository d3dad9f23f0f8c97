"""The `flask` program inside an instance: accounts and the database, for whoever looks after the server."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from launcher import commands, instance, server
from launcher.errors import LaunchError


def run(folder: Path, arguments: Sequence[str]) -> int:
    """Run `flask` with these arguments on the instance in `folder`, also while it runs; return its exit status.

    Raises:
        LaunchError: there is no instance in the folder.
    """
    if not (folder / instance.SECRETS_FILE).exists():
        raise LaunchError(f"There is no instance in {folder}: `make run` makes one.")
    environment = server.environment(folder, instance.load_secrets(folder), os.environ)
    environment.setdefault("SETPOINT_REDIS_URL", server.redis_url_of(folder))
    environment.setdefault("SETPOINT_LOG_LEVEL", "WARNING")  # the answer, not the log of how it came about
    return subprocess.run(
        commands.program(("flask",), *arguments), cwd=commands.ROOT, env=environment, check=False
    ).returncode

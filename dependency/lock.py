"""`make lock`: resolve Pipfile into Pipfile.lock, and export that for pip, each line with its hashes.

Where packages come from is a matter of each machine's pip, so no registry address stays in the files.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
LOCK = FOLDER.parent / "Pipfile.lock"
EXPORTS = {
    "requirements.txt": "packages",
    "requirements-demo.txt": "packages demo",
    "requirements-dev.txt": "packages demo dev-packages",
    "requirements-bench.txt": "packages demo dev-packages bench",
}


def pipenv(*arguments: str) -> str:
    """Run pipenv on our own .venv and return what it prints; its messages go to the terminal."""
    environment = os.environ | {"PIPENV_VERBOSITY": "-1", "PIPENV_VENV_IN_PROJECT": "1"}
    command = [sys.executable, "-m", "pipenv", *arguments]
    return subprocess.run(  # noqa: S603  (our own arguments)
        command, cwd=LOCK.parent, env=environment, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def strip_sources() -> None:
    """Take the registry's address and name out of the lock."""
    lock = json.loads(LOCK.read_text())
    lock["_meta"]["sources"] = []
    for category in lock.values():
        for package in category.values():
            if isinstance(package, dict):
                package.pop("index", None)
    LOCK.write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n")


def main() -> None:
    pipenv("lock", "--quiet", "--categories", EXPORTS["requirements-bench.txt"])
    strip_sources()
    for name, categories in EXPORTS.items():
        lines = pipenv("requirements", "--hash", "--exclude-index", "--categories", categories)
        (FOLDER / name).write_text(lines)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"setpoint: pipenv could not finish: exit status {error.returncode}.")

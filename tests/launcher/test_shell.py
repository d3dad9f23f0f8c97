"""`python -m launcher flask ...`: looking after an instance from its machine's shell."""

import os
import subprocess
import sys

from launcher import instance
from launcher.commands import ROOT


def flask(folder, *arguments):
    """Run it as a person would, with nothing of ours in the environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SETPOINT_")}
    command = [sys.executable, "-m", "launcher", "flask", "--instance", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_accounts_of_an_instance_are_looked_after_without_knowing_its_secrets(tmp_path):
    folder = tmp_path / "my plant 电厂"
    instance.prepare(folder)
    instance.load_secrets(folder)

    prepared = flask(folder, "prepare")
    made = flask(folder, "user", "create", "erika", "--role", "engineer")
    listed = flask(folder, "user", "list")

    assert prepared.returncode == 0, prepared.stderr
    assert made.returncode == 0, made.stderr
    assert listed.stdout == "erika\tengineer\tactive\n"


def test_a_folder_without_an_instance_is_refused_in_one_sentence(tmp_path):
    refused = flask(tmp_path, "user", "list")

    assert refused.returncode == 1
    assert refused.stderr == f"setpoint: There is no instance in {tmp_path}: `make run` makes one.\n"

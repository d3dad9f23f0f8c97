"""The session in docs/api_guide.md, run as it stands there, against a whole Setpoint."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.libs.actor import Actor
from tests.conftest import PASSWORD
from tests.support.deployment import ROOT, deployment

GUIDE = (ROOT / "docs" / "api_guide.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The guide's fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder for the PATH in which there is a ``curl``: the machine's own, or a small stand-in where it has none."""
    own = shutil.which("curl")
    curl = tmp_path / "curl"
    if own:
        curl.symlink_to(own)
    else:
        curl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/curl.py" "$@"\n')
        curl.chmod(0o755)
    return tmp_path


def test_the_session_of_the_guide_runs_as_it_stands_there(app, engineer: Actor, commands: Path):
    with deployment(app.config["SETTINGS"], web_workers=1) as url:
        env = os.environ | {
            "URL": url,
            "NAME": engineer.username,
            "PASSWORD": PASSWORD,
            "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        *session, signing_out = blocks("sh")
        follow = 'export URL TOKEN TASK\npython3 - <<"PYTHON"\n' + "\n".join(blocks("python")) + "PYTHON\n"
        script = "set -eu\n" + "\n".join([*session, follow, signing_out])

        done = subprocess.run(
            ["bash", "-c", script + 'curl -sS -H "$AUTH" "$URL/api/v1/me" | field code\n'],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert re.search(r'"ssc": ?6\.\d+', said), "the preview shows the derived tag"
    assert "'r2': 0." in said
    assert re.search(r"^(FW606|S833|1JT66801S)$", said, re.MULTILINE), "what the model goes by"
    assert "\nTrue\n" in said, "feasible, and in production"
    numbers = [
        int(number) for number in re.findall(r"^(\d+) (?:state|progress|metric|result|log) ", said, re.MULTILINE)
    ]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "every live event comes once"
    assert "{'state': 'queued'}" in said
    assert said.rstrip().endswith("auth.session_ended")

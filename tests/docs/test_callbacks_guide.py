"""The example in docs/callbacks.md, run as it stands there: a task's end reaches its receiver, who believes it."""

import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from app.libs.enums import CallbackState
from tests.support.deployment import ROOT, deployment
from tests.support.servers import accepts, free_port, wait_until

GUIDE = (ROOT / "docs" / "callbacks.md").read_text(encoding="utf-8")
TABLE = b"a,b,y\n" + b"".join(b"%d,%d,%d\n" % (k % 10, k % 7, 3 * (k % 10) - 2 * (k % 7)) for k in range(70))


def blocks(language):
    """The guide's fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def module_id(client, headers, project, work):
    url = f"/api/v1/projects/{project.id}"
    table = {"name": "history", "file": (io.BytesIO(TABLE), "history.csv")}
    client.post(f"{url}/datasets", data=table, headers=headers)
    work()
    [dataset] = client.get(f"{url}/datasets", headers=headers).json["items"]
    inputs = [{"tag": tag, "role": "control"} for tag in ("a", "b")]
    module = {"name": "boiler", "dataset_id": dataset["id"], "inputs": inputs, "outputs": ["y"]}
    process = client.post(f"{url}/processes", json={"name": "unit", "modules": [module]}, headers=headers)
    return process.json["modules"][0]["id"]


@contextmanager
def receiver_of_the_guide(folder, env):
    """Run the guide's receiver; yields the file into which it prints."""
    said = folder / "said"
    with said.open("wb") as output:
        running = subprocess.Popen([sys.executable, "-c", blocks("python")[0]], env=env, stdout=output, stderr=output)
        try:
            wait_until(lambda: accepts(int(env["PORT"])), "the receiver")
            yield said
        finally:
            running.kill()
            running.wait()


def test_the_receiver_of_the_guide_hears_of_the_end_and_believes_it(app, headers, project, module_id, tmp_path):
    curl = tmp_path / "curl"
    if own := shutil.which("curl"):
        curl.symlink_to(own)
    else:
        curl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/curl.py" "$@"\n')
        curl.chmod(0o755)
    submit, get_key = blocks("sh")
    inside = replace(app.config["SETTINGS"], callback_private_addresses="allow", task_sweep_seconds=1)
    port = free_port()
    with deployment(inside, web_workers=1, beat=True) as url:
        env = os.environ | {
            "URL": url,
            "AUTH": f"Authorization: {headers['Authorization']}",
            "PROJECT": str(project.id),
            "MODULE": module_id,
            "PORT": str(port),
            "HOOK": f"http://127.0.0.1:{port}/ended",
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
        }
        key = bash(get_key + 'printf %s "$CALLBACK_KEY"', env)
        with receiver_of_the_guide(tmp_path, env | {"CALLBACK_KEY": key}) as said:
            forged = requests.post(env["HOOK"], b'{"id": "1"}', headers={"Setpoint-Timestamp": "1"}, timeout=10)
            bash(submit, env)
            wait_until(lambda: "model.train" in said.read_text(), "the end to be told")

            assert forged.status_code == 403
            assert "model.train succeeded" in said.read_text()


def bash(script, env):
    done = subprocess.run(
        ["bash", "-c", "set -eu\n" + script], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_state_of_a_delivery_is_told():
    assert re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)[-4:] == list(CallbackState)

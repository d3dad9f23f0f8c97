"""`python -m launcher run` as a person uses it: real processes, in a path with spaces and Chinese."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Run:
    """A running launcher, its output so far, and the processes below it."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.output = folder.with_name(f"{folder.name}-{time.monotonic_ns()}.out")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launcher", "run", "--instance", str(folder), *arguments],
                cwd=ROOT,
                env={k: v for k, v in os.environ.items() if not k.startswith("SETPOINT_")} | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def url(self) -> str:
        match = re.search(r"Setpoint is ready at (http://\S+)", self.text)
        assert match or self.process.poll() is None, self.text
        return match[1] if match else ""

    def descendants(self, processes: dict) -> set[int]:
        """Return every process below the launcher, at any depth."""
        found = {self.process.pid}
        while more := {process.pid for process in processes.values() if process.parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def get(self, path: str) -> tuple[int, dict]:
        with DIRECT.open(f"{self.url}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("launcher") / "a plant" / "机组 №1" / "instance"


@contextlib.contextmanager
def running(folder, eventually):
    """Start the launcher on the instance, wait until it is ready, and end it if it still runs afterwards."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    run = Run(folder, "--port", "0")
    try:
        eventually(lambda: run.url, seconds=START_SECONDS)
        yield run
    finally:
        if run.process.poll() is None:
            run.process.terminate()
        run.process.wait(timeout=15)


@pytest.fixture
def started(folder, eventually):
    with running(folder, eventually) as run:
        yield run


@pytest.fixture(scope="module")
def after_a_crash(folder, eventually, processes):
    """Kill a running launcher and start the instance again; return the processes of the first, and the second."""
    with running(folder, eventually) as crashed:
        below = crashed.descendants(processes())
        crashed.process.kill()
    with running(folder, eventually) as after:
        yield below, after


def sign_in(run: Run, password: str) -> int:
    body = json.dumps({"username": "admin", "password": password}).encode()
    request = urllib.request.Request(f"{run.url}/api/v1/auth/login", body, {"Content-Type": "application/json"})
    with DIRECT.open(request, timeout=30) as answer:
        return answer.status


def test_the_first_start_makes_an_admin_and_ctrl_c_ends_everything_in_time(
    started, folder, eventually, processes, is_running
):
    password = re.search(r"sign in as admin with the password (\S+)", started.text)[1]

    assert started.get("/readyz")[1]["status"] == "ready"
    assert sign_in(started, password) == 200
    # keeper, Valkey, gunicorn and its worker, Celery and at least one of its pool
    eventually(lambda: len(started.descendants(processes())) >= 6, seconds=START_SECONDS)
    below = started.descendants(processes())
    refused = Run(folder)
    assert refused.process.wait(timeout=30) == 1
    assert refused.text == (f"setpoint: The instance {folder} is already running, as process {started.process.pid}.\n")
    with idle_connection(started.url):
        began = time.monotonic()
        os.killpg(started.process.pid, signal.SIGINT)  # as a terminal does
        status = started.process.wait(timeout=15)

    assert (status, time.monotonic() - began < 10) == (0, True)
    assert not [pid for pid in below if is_running(pid)]
    assert "Valkey is now ready to exit" in (folder / "logs" / "valkey.log").read_text()
    assert password not in "".join(path.read_text() for path in (folder / "logs").iterdir())


def idle_connection(url: str):
    """Return a connection that was used once and is kept alive."""
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    return contextlib.closing(connection)


def test_a_killed_launcher_leaves_nothing_and_the_next_start_waits_for_that(after_a_crash, is_running):
    below, after = after_a_crash

    assert not [pid for pid in below if is_running(pid)]
    assert after.get("/readyz")[0] == 200
    assert "password" not in after.text  # it is the same instance: there is an admin


def test_a_process_that_dies_ends_the_run_with_its_name(after_a_crash, processes, is_running):
    _, started = after_a_crash
    below = started.descendants(processes())
    worker = next(
        process.pid
        for process in processes().values()
        if process.parent == started.process.pid and "celery" in process.command
    )

    os.kill(worker, signal.SIGKILL)

    assert started.process.wait(timeout=15) == 1
    assert "setpoint: worker was killed by SIGKILL.\n" in started.text
    assert "Traceback" not in started.text
    assert not [pid for pid in below if is_running(pid)]


def test_a_port_that_is_taken_is_refused_in_one_sentence(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = Run(folder, "--port", str(port))

        assert refused.process.wait(timeout=30) == 1

    assert refused.text == f"setpoint: Port {port} on 127.0.0.1 is already in use; choose another one.\n"


def test_a_setting_that_is_unknown_stops_the_start_with_its_name(folder):
    refused = Run(folder, "--port", "0", SETPOINT_REGISTATION="open")

    assert refused.process.wait(timeout=60) == 1
    assert "setpoint: The instance cannot be prepared: flask ended with exit status 1." in refused.text
    assert "SETPOINT_REGISTATION" in refused.text

"""Setpoint under attack: web, workers and beat as processes of their own that can be killed and started again."""

import json
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from urllib3 import encode_multipart_formdata

from app.extensions import db
from app.models import Task
from app.settings import PREFIX, Settings
from app.utils import sqlite
from tests.faults.nursery import Nursery, Program
from tests.support.deployment import ROOT, environment
from tests.support.servers import free_port, server_folder, wait_until

Json = dict[str, Any]
ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Process:
    """A program that is started again after it was killed, in a process group of its own."""

    name: str
    command: list[str]
    env: dict[str, str]
    log: Path
    nursery: Nursery
    file_size_limit: int | None = None
    pid: int | None = None

    def start(self) -> None:
        self.pid = self.nursery.start(Program(self.command, self.env, str(self.log), self.file_size_limit))

    def kill(self) -> None:
        """SIGKILL, for it and all its children: nothing is said, nothing is finished."""
        if self.pid is not None:
            self.nursery.kill(self.pid)
        self.pid = None


@dataclass
class Plant:
    """A running deployment, and a client that tries again while the web is down."""

    url: str
    web: Process
    workers: list[Process]
    beat: Process
    headers: dict[str, str] = field(default_factory=dict)
    credentials: tuple[str, str] | None = None

    @property
    def processes(self) -> list[Process]:
        return [self.web, *self.workers, self.beat]

    def sign_in(self, username: str, password: str) -> None:
        self.credentials = (username, password)
        answer = self.post("/auth/login", {"username": username, "password": password})
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def get(self, path: str) -> Json:
        return self._call("GET", path)

    def post(self, path: str, body: Json | None = None, *, key: str | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        return self._call("POST", path, data, {"Idempotency-Key": key} if key else {})

    def upload(self, path: str, fields: dict[str, Any], *, key: str) -> Json:
        """Post a form; a file is a name with bytes."""
        data, content_type = encode_multipart_formdata(fields)
        return self._call("POST", path, data, {"Idempotency-Key": key, "Content-Type": content_type})

    def train(self, module_id: str, n: int, *, first: int = 0, n_trees: int = 60) -> list[str]:
        """Submit trainings of a second or more each, under keys numbered from ``first``; return their tasks."""
        asked = {"kind": "random_forest", "params": {"n_trees": n_trees}}
        path = f"/modules/{module_id}/models"
        return [self.post(path, asked | {"seed": k}, key=f"training-{k}")["id"] for k in range(first, first + n)]

    def _call(self, method: str, path: str, data: bytes | None = None, extra: dict[str, str] | None = None) -> Json:
        """Call the API; while nobody answers, as after a kill, call again."""
        sent = {"Content-Type": "application/json"} | self.headers | (extra or {})
        deadline = time.monotonic() + 60
        while True:
            request = urllib.request.Request(f"{self.url}/api/v1{path}", data, sent, method=method)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return json.loads(answer.read() or b"{}")
            except urllib.error.HTTPError as refusal:
                if refusal.code == 401 and self.credentials and path != "/auth/login":
                    self.sign_in(*self.credentials)  # the token is older than fifteen minutes
                    sent |= self.headers
                elif refusal.code < 500 or time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: {refusal.code} {refusal.read()!r}") from refusal
            except (OSError, HTTPException, ValueError):  # nobody there, or killed in the middle of an answer
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)  # between two tries; what is waited for is the answer

    def tasks(self, ids: list[str]) -> list[Json]:
        return [self.get(f"/tasks/{task_id}") for task_id in ids]

    def wait_for_end(self, ids: list[str], *, deadline_s: float) -> list[Json]:
        left = list(ids)

        def all_ended() -> bool:
            while left and self.get(f"/tasks/{left[-1]}")["state"] in ENDED:
                left.pop()
            return not left

        try:  # now and then: who asks without a pause takes the processor from the work
            wait_until(all_ended, f"{len(ids)} tasks to end", deadline_s=deadline_s, pause_s=0.2)
        except TimeoutError as error:
            found = [(task["kind"], task["state"], task["attempt"], task["error"]) for task in self.tasks(left)]
            raise AssertionError(f"{error}; left are {found}") from None
        return self.tasks(ids)


@contextmanager
def plant(
    settings: Settings,
    nursery: Nursery,
    *,
    n_workers: int = 3,
    celery_app: str = "wsgi:celery",
    file_size_limit: int | None = None,
    **changes: Any,
) -> Iterator[Plant]:
    """Run a deployment until the block ends: one web process with threads, workers of one child each, beat."""
    port = free_port()
    given = {"task_lease_seconds": 4, "task_sweep_seconds": 1, "task_checkpoint_seconds": 1, **changes}
    env = environment(settings) | {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}
    env |= {f"{PREFIX}WEB_BIND": f"127.0.0.1:{port}", f"{PREFIX}LOG_LEVEL": "INFO", "OMP_NUM_THREADS": "1"}
    celery = [sys.executable, "-m", "celery", "--app", celery_app, "--workdir", str(ROOT)]
    gunicorn = [sys.executable, "-c", "from gunicorn.app.wsgiapp import run; run()", "--chdir", str(ROOT)]
    with ExitStack() as stack:
        folder = stack.enter_context(server_folder())

        def process(name: str, command: list[str]) -> Process:
            return Process(name, command, env, folder / f"{name}.log", nursery)

        running = Plant(
            url=f"http://127.0.0.1:{port}",
            web=process("web", [*gunicorn, "--config", str(ROOT / "gunicorn.py"), "wsgi:app"]),
            workers=[
                process(f"worker{i}", [*celery, "worker", "--concurrency", "1", "--hostname", f"w{i}@%h"])
                for i in range(n_workers)
            ],
            beat=process("beat", [*celery, "beat", "--schedule", str(folder / "beat")]),
        )
        try:
            for each in running.workers:
                each.file_size_limit = file_size_limit
            for each in running.processes:
                each.start()
            wait_until(lambda: _is_ready(running.url), "the web to answer")
            yield running
        finally:
            for each in running.processes:
                each.kill()
                print(f"--- {each.name}\n{each.log.read_text(errors='replace')[-3000:]}")  # shown if the test fails


@contextmanager
def attack(app: Flask, running: Plant, *, seed: int, n_kills: int) -> Iterator[list[str]]:
    """Kill processes while the block runs, each started again at once, at moments drawn from the seed.

    Between two kills some task was begun, so that a slow machine is not killed idle. Yields the names of the killed.
    """
    chance, over, killed = random.Random(seed), threading.Event(), []
    # mostly workers, since that is where work is lost
    aims = [*running.workers * 3, running.beat, running.web]

    def go_on() -> None:
        n_seen = 0
        while len(killed) < n_kills and not over.wait(0.1):
            if (n_now := _n_begun(app)) == n_seen or over.wait(chance.uniform(1, 4)):
                continue
            aim, n_seen = chance.choice(aims), n_now
            aim.kill()
            aim.start()
            killed.append(aim.name)

    with ThreadPoolExecutor(1) as attacker:
        attacking = attacker.submit(go_on)
        try:
            yield killed
        finally:
            over.set()
        attacking.result()


def _n_begun(app: Flask) -> int:
    with app.app_context(), sqlite.reading():
        return int(db.session.scalar(select(func.sum(Task.attempt))) or 0)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False

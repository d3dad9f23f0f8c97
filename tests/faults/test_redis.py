"""Redis is killed while tasks run: with its append-only file, and with all its data lost."""

import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from app.extensions import db
from app.models import Model, TaskEvent
from launcher import valkey
from tests.support.servers import free_port, server_folder, wait_until

TRAINING = {"kind": "extra_trees", "params": {"n_trees": 60}}


@dataclass
class KillableRedis:
    """A Redis that writes every change to its append-only file."""

    folder: Path
    port: int
    password: str
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {"bind": "127.0.0.1", "port": self.port, "requirepass": self.password, "appendonly": "yes"}
        options |= {"appendfsync": "always", "save": ""}
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.running = subprocess.Popen(
            [str(valkey.binary()), *given], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers, "Redis to answer")

    def kill(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()

    def lose_everything(self) -> None:
        for each in self.folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url, socket_timeout=1) as client:
                return client.ping()
        except RedisError:
            return False


@contextmanager
def killable_redis() -> Iterator[KillableRedis]:
    with server_folder() as folder:
        redis = KillableRedis(folder, free_port(), secrets.token_hex(16))
        redis.start()
        try:
            yield redis
        finally:
            redis.kill()


@pytest.mark.parametrize("loses_data", [False, True], ids=["with its file", "with its data lost"])
def test_no_accepted_task_is_lost_or_doubled_when_redis_dies(app, site, settings, engineer, plant_on, loses_data):
    with killable_redis() as redis:
        running = plant_on(replace(settings, redis_url=redis.url), n_workers=2)
        revoked = dict(running.headers)
        running.post("/auth/logout")
        running.sign_in(*running.credentials)

        tasks = []
        for i in range(4):
            path = f"/modules/{site.module_id}/models"
            tasks.append(running.post(path, TRAINING | {"seed": i}, key=f"{loses_data}-{i}")["id"])
            if i in (0, 2):
                redis.kill()
                if loses_data:
                    redis.lose_everything()
                tasks.append(running.post(path, TRAINING | {"seed": i}, key=f"without-{loses_data}-{i}")["id"])
                redis.start()
        ended = running.wait_for_end(tasks, deadline_s=240)

        assert {task["state"] for task in ended} == {"succeeded"}
        running.credentials, running.headers = None, revoked
        with pytest.raises(AssertionError, match="401"):
            running.get("/tasks")
    with app.app_context():
        assert db.session.query(Model).count() == 1 + len(tasks)
        numbers = db.session.query(TaskEvent.task_id, TaskEvent.number).order_by(TaskEvent.task_id, TaskEvent.number)
        by_task: dict = {}
        for task_id, number in numbers:
            by_task.setdefault(str(task_id), []).append(number)
        for task in ended:
            assert by_task[task["id"]] == list(range(1, task["last_event"] + 1))

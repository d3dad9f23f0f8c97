"""A whole Setpoint in processes of its own, and clients that follow it live."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import socketio
from flask import Flask
from flask_jwt_extended import create_access_token

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Queue, TaskKind
from app.libs.ids import new_id
from app.models import LoginSession, Project
from app.viewModels import accounts, task_queue
from app.viewModels.task_queue import Lease
from tests.conftest import PASSWORD
from tests.support.deployment import deployment
from tests.support.servers import wait_until

TABLE = b"a,b,y\n" + b"".join(b"%d,%d,%d\n" % (k % 10, k % 7, 3 * (k % 10) - 2 * (k % 7)) for k in range(70))


class Api:
    """The API as a script uses it."""

    def __init__(self, url: str, username: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.token = self.post("/auth/login", json={"username": username, "password": PASSWORD})["access_token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def get(self, path: str, **kwargs: Any) -> Any:
        return self._answer(self.http.get(f"{self.url}/api/v1{path}", timeout=60, **kwargs))

    def post(self, path: str, **kwargs: Any) -> Any:
        return self._answer(self.http.post(f"{self.url}/api/v1{path}", timeout=60, **kwargs))

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        return self._answer(self.http.request(method, f"{self.url}/api/v1{path}", timeout=60, **kwargs))

    def wait_for(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the task once it has ended."""
        path = f"/tasks/{task['id']}"
        wait_until(lambda: self.get(path)["ended_at"] is not None, f"task {task['kind']}", pause_s=0.1)
        return self.get(path)

    def events(self, task_id: str) -> list[dict[str, Any]]:
        """The whole log, page by page."""
        found: list[dict[str, Any]] = []
        while page := self.get(f"/tasks/{task_id}/events", params={"after": len(found)})["items"]:
            found += page
        return found

    @staticmethod
    def _answer(answer: requests.Response) -> Any:
        assert answer.ok, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


class Follower:
    """A Socket.IO client that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.refusals: list[dict[str, Any]] = []
        self.let_go_of: list[str] = []
        self.reasons: list[str] = []
        self.changes: list[dict[str, Any]] = []
        self.client = socketio.Client()
        handle = self.client.eio._trigger_event  # it starts a thread for each message, which may overtake each other
        self.client.eio._trigger_event = lambda event, *args, **options: handle(
            event, *args, **options | {"run_async": False}
        )
        self.client.on("task_event", self._keep)
        self.client.on("connect_error", self.refusals.append)
        self.client.on("unsubscribed", self._keep_end)
        self.client.on("tasks_unsubscribed", lambda told: self.reasons.append(told["reason"]))
        self.client.on("task_changed", self.changes.append)

    def connect(self, url: str, token: str) -> None:
        self.client.connect(url, auth={"token": token}, transports=["websocket"], wait_timeout=20)

    def subscribe(self, task_id: str, after: int = 0) -> dict[str, Any]:
        return self.client.call("subscribe", {"task_id": task_id, "after": after}, timeout=20)

    def say(self, event: str, message: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.client.call(event, message, timeout=20)

    def wait_for_end(self, deadline_s: float = 180) -> None:
        """Return once the client was told of the task's end."""
        with self._changed:
            assert self._changed.wait_for(self._has_ended, deadline_s), f"told only {len(self.told)} events"

    def _keep(self, event: dict[str, Any]) -> None:
        with self._changed:
            self.told.append(event)
            self._changed.notify_all()

    def _keep_end(self, told: dict[str, Any]) -> None:
        self.let_go_of.append(told["task_id"])
        self.reasons.append(told["reason"])

    def _has_ended(self) -> bool:
        return any(e["data"].get("state") in {"succeeded", "failed", "cancelled"} for e in self.told)


@pytest.fixture(scope="module")
def server(migrated_app: Flask) -> Iterator[str]:
    """Two gunicorn workers and a Celery worker on the application's database, Redis and object store."""
    with deployment(migrated_app.config["SETTINGS"], web_workers=2) as url:
        yield url


@pytest.fixture
def api(server: str, engineer: Actor) -> Api:
    return Api(server, engineer.username)


@pytest.fixture
def follow(server: str) -> Iterator[Callable[[str], Follower]]:
    """Connect a client with a token; all are disconnected at the end."""
    followers: list[Follower] = []

    def connect(token: str) -> Follower:
        followers.append(Follower())
        followers[-1].connect(server, token)
        return followers[-1]

    yield connect
    for follower in followers:
        follower.client.disconnect()


@pytest.fixture
def module_id(api: Api) -> str:
    """A module with a trained model in production: y = 3 a - 2 b."""
    project = api.post("/projects", json={"name": "Live"})["id"]
    upload = api.post(f"/projects/{project}/datasets", files={"file": ("history.csv", TABLE)})
    dataset = api.wait_for(upload)["result"]["dataset_id"]
    module = {
        "name": "unit",
        "dataset_id": dataset,
        "inputs": [{"tag": "a", "role": "control"}, {"tag": "b", "role": "control"}],
        "outputs": ["y"],
    }
    process = api.post(f"/projects/{project}/processes", json={"name": "Plant", "modules": [module]})
    found = process["modules"][0]["id"]
    quick = {"kind": "linear", "validation": {"n_folds": 2}}
    trained = api.wait_for(api.post(f"/modules/{found}/models", json=quick))
    assert trained["state"] == "succeeded", trained["error"]
    api.post(f"/models/{trained['subject_id']}/promote")
    return found


@pytest.fixture
def lease(app: Flask, project: Project, engineer: Actor) -> Lease:
    """A task in a worker's hands."""
    with app.app_context():
        task_queue.submit(TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer)
        db.session.commit()
        return task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=3_600_000)


@pytest.fixture
def token(app: Flask, engineer: Actor) -> str:
    """A token that outlives the longest test."""
    with app.app_context():
        accounts.login(username=engineer.username, password=PASSWORD)
        session_id = db.session.query(LoginSession.id).filter_by(user_id=engineer.id).scalar()
        life, claims = timedelta(hours=3), {"sid": str(session_id)}
        return create_access_token(str(engineer.id), expires_delta=life, additional_claims=claims)

"""A small plant for API tests: a table, a process with one module, a trained model."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import celery_ext, db
from app.libs.enums import Queue, TaskState
from app.models import Project, Task
from app.viewModels import surrogates

Json = dict[str, Any]
N_ROWS = 80
START = datetime(2026, 3, 1, tzinfo=UTC)


def plant_table(n_rows: int = N_ROWS) -> pl.DataFrame:
    """Four days of a plant: y = 2 a - b + 10 and z = a b, exactly; one cell of a and one of day is missing."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 10, n_rows), rng.uniform(-1, 1, n_rows)
    times = [START + timedelta(hours=72 * k / n_rows) for k in range(n_rows)]
    days = [time.strftime("%d") for time in times]
    return pl.DataFrame(
        {
            "time": pl.Series(times, dtype=pl.Datetime("ms")),
            "a": [None, *a[1:]],
            "b": b,
            "c": rng.normal(size=n_rows),
            "y": 2 * a - b + 10,
            "z": a * b,
            "day": [*days[:-1], None],
            "state": ["run"] * n_rows,
        }
    )


@pytest.fixture
def upload(client: FlaskClient, project: Project, headers: Json, work: Callable[[], None]) -> Callable[..., str]:
    """Upload a table as a data set, or as its next version, and return the data set's id."""

    def do(table: pl.DataFrame, name: str = "history") -> str:
        file = io.BytesIO()
        table.write_parquet(file)
        file.seek(0)
        answer = client.post(
            f"/api/v1/projects/{project.id}/datasets",
            data={"name": name, "file": (file, "history.parquet")},
            headers=headers,
        )
        assert answer.status_code == 202, answer.json
        work()
        task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return task["result"]["dataset_id"]

    return do


@pytest.fixture
def work_all(app: Flask) -> Callable[[], None]:
    """Work until nothing can start any more, also on what the work itself submits, as a single worker would."""

    def do() -> None:
        with app.app_context():
            while any(_runnable(queue) for queue in Queue):
                for queue in Queue:
                    celery_ext.celery.tasks[f"{queue}.run"]()
                    db.session.rollback()

    return do


def _runnable(queue: Queue) -> int:
    found = db.session.query(Task).filter_by(queue=queue, state=TaskState.QUEUED, waits_for=0).count()
    db.session.rollback()
    return found


@pytest.fixture
def fan_out_after(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set how many seconds of work are split over the workers."""

    def change(seconds: int) -> None:
        monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], task_fan_out_seconds=seconds))

    return change


@pytest.fixture
def dataset_id(upload: Callable[..., str]) -> str:
    """The table of ``plant_table``."""
    return upload(plant_table())


@pytest.fixture
def make_process(client: FlaskClient, project: Project, headers: Json) -> Callable[..., Json]:
    """Make a process from modules as the API takes them, and return its whole graph."""

    def make(*modules: Json, name: str = "Unit") -> Json:
        body = {"name": name, "modules": list(modules)}
        answer = client.post(f"/api/v1/projects/{project.id}/processes", json=body, headers=headers)
        assert answer.status_code == 201, answer.json
        return answer.json

    return make


@pytest.fixture
def module_of(dataset_id: str) -> Callable[..., Json]:
    """Describe a module as the API takes it; the inputs that are not described are controls."""

    def describe(name: str, inputs: list[Any], outputs: list[str]) -> Json:
        described = [given if isinstance(given, dict) else {"tag": given, "role": "control"} for given in inputs]
        return {"name": name, "dataset_id": dataset_id, "inputs": described, "outputs": outputs}

    return describe


@pytest.fixture
def module(make_process: Callable[..., Json], module_of: Callable[..., Json]) -> Json:
    """A module that takes a and b, and gives y."""
    return make_process(module_of("boiler", ["a", {"tag": "b", "role": "disturbance"}], ["y"]))["modules"][0]


@pytest.fixture
def meet_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    """Make two callers of a function return from it together, unless the database lets in only one at a time."""

    def arrange(module: Any, name: str) -> None:
        function, meeting = getattr(module, name), threading.Barrier(2)

        def met(*args: Any, **kwargs: Any) -> Any:
            found = function(*args, **kwargs)
            with suppress(threading.BrokenBarrierError):
                meeting.wait(timeout=1)
            return found

        monkeypatch.setattr(module, name, met)

    return arrange


@pytest.fixture
def at_once(app: Flask) -> Callable[..., list[Any]]:
    """Send requests, each in a thread with a client of its own; returns their answers."""

    def send(*requests: Json) -> list[Any]:
        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(lambda request: app.test_client().open(**request), requests))

    return send


@pytest.fixture
def train(client: FlaskClient, headers: Json, module: Json, work: Callable[[], None]) -> Callable[..., Json]:
    """Train a model of ``module`` to its end, and return it as the API shows it.

    Two folds unless another validation is asked for: with them a training takes a third of the time.
    """

    def do(**asked: Any) -> Json:
        url = f"/api/v1/modules/{module['id']}/models"
        body = {"kind": "linear", "validation": {"n_folds": 2}} | asked
        answer = client.post(url, json=body, headers=headers)
        assert answer.status_code == 202, answer.json
        work()
        return client.get(f"/api/v1/models/{answer.json['subject_id']}", headers=headers).json

    return do


@pytest.fixture(autouse=True)
def _empty_shelf() -> Iterator[None]:
    """No test predicts from what another has loaded."""
    yield
    surrogates.shelf.clear()

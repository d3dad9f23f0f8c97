"""What every fault is done to: a project with a table, a module and a model, and a deployment around it."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import pytest
from flask import Flask

from app.models import Project
from app.settings import Settings
from tests.conftest import PASSWORD
from tests.faults.nursery import ALL, Nursery, nursery
from tests.faults.plant import Plant, plant
from tests.support.backends import Backend

IS_LONG = os.environ.get("FAULTS_FORM") == "long"
N_ROWS = 1500


@dataclass
class Site:
    """Where tasks are submitted to."""

    project_id: str
    dataset_id: str
    module_id: str
    model_id: str


def history() -> pl.DataFrame:
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0, 10, N_ROWS), rng.uniform(-1, 1, N_ROWS)
    return pl.DataFrame({"a": a, "b": b, "y": 2 * a - b + np.sin(3 * a) + rng.normal(scale=0.1, size=N_ROWS)})


@pytest.fixture
def site(app: Flask, client, headers: dict, project: Project, work: Callable[[], None]) -> Site:
    """A project with a table and a trained model; made before anything is attacked."""
    table = io.BytesIO()
    history().write_parquet(table)
    table.seek(0)
    url = f"/api/v1/projects/{project.id}"
    client.post(f"{url}/datasets", data={"name": "history", "file": (table, "history.parquet")}, headers=headers)
    work()
    dataset_id = client.get(f"{url}/datasets", headers=headers).json["items"][0]["id"]
    inputs = [{"tag": tag, "role": "control"} for tag in ("a", "b")]
    module = {"name": "boiler", "dataset_id": dataset_id, "inputs": inputs, "outputs": ["y"]}
    process = client.post(f"{url}/processes", json={"name": "unit", "modules": [module]}, headers=headers).json
    module_id = process["modules"][0]["id"]
    asked = {"kind": "random_forest", "params": {"n_trees": 60}, "validation": {"scheme": "random", "n_folds": 2}}
    task = client.post(f"/api/v1/modules/{module_id}/models", json=asked, headers=headers).json
    work()
    return Site(str(project.id), dataset_id, module_id, task["subject_id"])


@pytest.fixture(scope="session")
def programs(running_backend: Backend) -> Iterator[Nursery]:
    """Where programs are started; in the long form on SQLite each by itself, as in production."""
    with nursery(() if IS_LONG and running_backend.name == "sqlite" else ALL) as running:
        yield running


@pytest.fixture
def plant_on(site: Site, engineer, programs: Nursery) -> Iterator[Callable[..., Plant]]:
    """Start a deployment with these settings, signed in as the engineer."""
    with ExitStack() as stack:

        def start(settings: Settings, **changes) -> Plant:
            running = stack.enter_context(plant(settings, programs, **changes))
            running.sign_in(engineer.username, PASSWORD)
            return running

        yield start


@pytest.fixture
def run_plant(plant_on: Callable[..., Plant], settings: Settings) -> Callable[..., Plant]:
    """Start a deployment on what the tests run on."""
    return partial(plant_on, settings)

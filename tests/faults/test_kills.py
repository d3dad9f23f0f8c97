"""Workers, beat and web are killed at random moments: nothing is lost, nothing is done twice, and nothing differs."""

import hashlib
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from app.extensions import db, object_store
from app.models import Analysis, DatasetVersion, Model, Optimization, TaskEvent
from tests.faults.conftest import IS_LONG
from tests.faults.plant import ENDED, attack

LONG, SHORT, SHORTER = (100, 60), (21, 9), (14, 6)  # tasks and kills

TRAININGS = [
    {"kind": "random_forest", "params": {"n_trees": 100}, "seed": 1},
    {"kind": "extra_trees", "params": {"n_trees": 120}, "seed": 2},
    {"kind": "hist_gradient_boosting", "params": {"n_iterations": 100}, "seed": 3},
]
OPTIMIZATIONS = [
    {"terms": [{"goal": "minimize", "of": "y"}], "solver": solver, "budget": budget, "seed": 5}
    for solver, budget in (("pso", 40_000), ("de", 40_000), ("cmaes", 10_000), ("auto", 20_000))
]


ANALYSES = [{"kind": "importance", "params": {"method": "permutation", "n_repeats": 20}}]
N_ROWS_IMPORTED = 60_000


def large_table():
    rng = np.random.default_rng(7)
    table = pl.DataFrame({f"tag{k}": rng.normal(size=N_ROWS_IMPORTED).round(4) for k in range(8)})
    return table.write_csv().encode()


def submit_all(running, site, n, prefix):
    """Submit tasks of all kinds, each under a key; return their ids with what was asked."""
    asked = [(f"/modules/{site.module_id}/models", body) for body in TRAININGS]
    asked += [(f"/models/{site.model_id}/optimizations", body) for body in OPTIMIZATIONS]
    asked += [(f"/models/{site.model_id}/analyses", body) for body in ANALYSES]
    content, tasks = large_table(), {}
    for i in range(n):
        which, key = i % (len(asked) + 1), f"{prefix}-{i}"
        if which < len(asked):
            task = running.post(*asked[which], key=key)
        else:
            form = {"name": key, "file": ("history.csv", content)}
            task = running.upload(f"/projects/{site.project_id}/datasets", form, key=key)
        tasks[task["id"]] = which
    return tasks


def made_by(task):
    """What a task has made, without what may differ: how long it took."""
    if task["kind"] == "model.train":
        model = db.session.query(Model).filter_by(task_id=UUID(task["id"])).one()
        return model.artifact_sha256, model.metrics
    if task["kind"] == "dataset.import":
        version = db.session.query(DatasetVersion).filter_by(dataset_id=UUID(task["result"]["dataset_id"])).one()
        with object_store.open(version.parquet_key) as stored:
            return version.number, version.tags, hashlib.sha256(stored.read()).hexdigest()
    found = Analysis if task["kind"] == "analysis.run" else Optimization
    result = db.session.query(found).filter_by(task_id=UUID(task["id"])).one().result
    return {name: value for name, value in result.items() if name not in ("seconds", "repeat")}


def test_nothing_is_lost_or_doubled_or_different_when_processes_are_killed(app, site, run_plant, running_backend):
    n_tasks, n_kills = LONG if IS_LONG else SHORT if running_backend.name == "sqlite" else SHORTER
    running = run_plant(task_max_attempts=20)  # some task is hit again and again before its first checkpoint
    n_kinds = len(TRAININGS) + len(OPTIMIZATIONS) + len(ANALYSES) + 1
    reference = submit_all(running, site, n_kinds, "calm")
    assert {task["state"] for task in running.wait_for_end(list(reference), deadline_s=240)} == {"succeeded"}

    with attack(app, running, seed=1, n_kills=n_kills) as killed:
        attacked = submit_all(running, site, n_tasks, "attacked")
        ended = running.wait_for_end(list(attacked), deadline_s=3000 if IS_LONG else 420)

    print(f"{len(killed)} kills; {n_tasks} tasks, begun {sum(task['attempt'] for task in ended)} times")
    assert [task["error"] for task in ended if task["state"] != "succeeded"] == []
    assert max(task["attempt"] for task in ended) > 1, "no kill has hit a task: the attack was too weak"
    with app.app_context():
        assert db.session.query(Model).count() == 1 + sum(
            tasks[task_id] < len(TRAININGS) for tasks in (reference, attacked) for task_id in tasks
        )
        calm = {which: made_by(task) for task in running.tasks(list(reference)) for which in [reference[task["id"]]]}
        for task in ended:
            assert made_by(task) == calm[attacked[task["id"]]], task["id"]
            check_log(task)


def check_log(task):
    """Numbers run without a gap, and the task ended once."""
    events = db.session.query(TaskEvent).filter_by(task_id=UUID(task["id"])).order_by(TaskEvent.number).all()
    assert [event.number for event in events] == list(range(1, task["last_event"] + 1))
    ends = [event.data["state"] for event in events if event.type == "state" and event.data["state"] in ENDED]
    assert ends == ["succeeded"]


@pytest.fixture(autouse=True)
def _same_threads(monkeypatch):
    """What is computed here is computed as in the workers."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

"""Workers are killed while parts of a large task run: the result is that of work which was never split nor broken."""

from uuid import UUID

from app.extensions import db
from app.models import Model, Module, Optimization, Task
from tests.faults.conftest import IS_LONG
from tests.faults.plant import attack

N_KILLS = 20 if IS_LONG else 6
FOREST = {
    "kind": "random_forest",
    "params": {"n_trees": 150},
    "validation": {"scheme": "random", "n_folds": 5},
    "seed": 1,
}
SEARCH = {"terms": [{"goal": "minimize", "of": "y"}], "solver": "de", "budget": 20_000, "starts": 3, "seed": 2}


def made_by(optimization_id):
    """What a pipeline has come to, without what may differ: times, and ids of what was made."""
    optimization = db.session.get(Optimization, UUID(optimization_id))
    (used,) = optimization.modules
    names = ("objective", "inputs", "outputs", "curve", "starts")
    return used.model.artifact_sha256, used.model.metrics, {name: optimization.result[name] for name in names}


def submit(running, process_id, key):
    body = {"training": FOREST, "optimization": SEARCH}
    return running.post(f"/processes/{process_id}/pipeline", body, key=key)["id"]


def test_pipelines_whose_workers_are_killed_end_like_one_that_was_never_split(run_plant, site, app):
    with app.app_context():
        process_id = db.session.get(Module, UUID(site.module_id)).process_id
    whole = run_plant(n_workers=1, task_fan_out_seconds=3600)
    (alone,) = whole.wait_for_end([submit(whole, process_id, "alone")], deadline_s=240)
    for process in whole.processes:
        process.kill()
    running = run_plant(n_workers=2, task_fan_out_seconds=0, task_max_attempts=20)

    with attack(app, running, seed=3, n_kills=N_KILLS) as killed:
        ids = [submit(running, process_id, f"attacked-{i}") for i in range(2)]
        ended = running.wait_for_end(ids, deadline_s=420)

    assert [task["error"] for task in ended if task["state"] != "succeeded"] == []
    with app.app_context():
        kinds = {task.kind for task in db.session.query(Task)}
        expected = made_by(alone["result"]["optimization_id"])
        assert {"model.train_fold", "optimization.search"} <= kinds
        for task in ended:
            assert made_by(task["result"]["optimization_id"]) == expected
        assert db.session.query(Model).count() == 1 + 3
        assert db.session.query(Optimization).count() == 3
        assert db.session.query(Task).filter(Task.ended_at.is_(None)).count() == 0
    print(f"{len(killed)} kills")

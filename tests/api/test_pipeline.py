"""Pipelines: import, train all modules, optimize, in one submit."""

import io
from dataclasses import replace

import pytest

from app.extensions import celery_ext, db
from app.libs.enums import Queue, TaskState
from app.models import Model, Module, Optimization, Task
from app.viewModels import task_queue
from tests.api.test_process_optimizations import BEST, MINIMAL, chain_table


@pytest.fixture
def chain(upload, make_process):
    """A process of two modules without models, the mill below the boiler."""
    dataset_id = upload(chain_table(), name="chain")
    mill_inputs = [{"tag": "a", "role": "control"}, {"tag": "b", "role": "disturbance"}]
    boiler_inputs = [{"tag": "y", "role": "link", "source": "mill"}, {"tag": "c", "role": "control"}]
    return make_process(
        {"name": "mill", "dataset_id": dataset_id, "inputs": mill_inputs, "outputs": ["y"]},
        {"name": "boiler", "dataset_id": dataset_id, "inputs": boiler_inputs, "outputs": ["w"]},
    )


OPTIMIZATION = MINIMAL | {"mode": "joint"}
NOBODY = "00000000-0000-0000-0000-000000000000"
LINEAR = {"kind": "linear", "validation": {"scheme": "random", "n_folds": 2}}


@pytest.fixture
def submit(client, headers, chain):
    def post(headers=headers, key=None, query="", **asked):
        sent = headers | ({"Idempotency-Key": key} if key else {})
        body = {"training": LINEAR, "optimization": OPTIMIZATION} | asked
        return client.post(f"/api/v1/processes/{chain['id']}/pipeline{query}", json=body, headers=sent)

    return post


@pytest.fixture
def send_chain(client, headers, project):
    """Send a new version of the table, which waits to be read."""

    def send():
        file = io.BytesIO()
        chain_table(70).write_parquet(file)
        file.seek(0)
        form = {"name": "chain", "file": (file, "chain.parquet")}
        return client.post(f"/api/v1/projects/{project.id}/datasets", data=form, headers=headers).json

    return send


@pytest.fixture
def task_of(client, headers):
    return lambda task_id: client.get(f"/api/v1/tasks/{task_id}", headers=headers).json


def counts(app):
    with app.app_context():
        return {table.__tablename__: db.session.query(table).count() for table in (Model, Optimization)}


def test_all_modules_are_trained_promoted_and_optimized(app, submit, task_of, work_all, client, headers):
    answer = submit()
    at_first = task_of(answer.json["id"])
    work_all()
    task = task_of(answer.json["id"])

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["state"], answer.json["waits_for"]) == ("process.pipeline", "queued", 2)
    assert [child["kind"] for child in at_first["children"]] == ["model.train"] * 2
    assert task["state"] == "succeeded", task["error"]
    assert [child["kind"] for child in task["children"]] == ["model.train"] * 2 + ["optimization.run"]
    found = client.get(f"/api/v1/optimizations/{task['result']['optimization_id']}", headers=headers).json
    assert found["result"]["objective"] == pytest.approx(BEST, abs=0.1)
    with app.app_context():
        in_production = {row.name: str(row.production_model_id) for row in db.session.query(Module)}
    assert in_production == task["result"]["models"]
    assert {name: used["id"] for name, used in found["result"]["models"].items()} == in_production


def test_a_module_may_be_trained_in_a_way_of_its_own(app, submit, work_all):
    submit(modules={"mill": LINEAR | {"kind": "ridge"}})
    work_all()

    with app.app_context():
        kinds = {model.module.name: model.kind for model in db.session.query(Model)}
    assert kinds == {"mill": "ridge", "boiler": "linear"}


def test_without_an_optimization_it_ends_with_the_models_in_production(app, submit, task_of, work_all):
    task_id = submit(optimization=None).json["id"]
    work_all()

    task = task_of(task_id)
    assert (task["state"], task["result"]["optimization_id"]) == ("succeeded", None)
    with app.app_context():
        assert all(module.production_model_id for module in db.session.query(Module))


def test_only_some_modules_may_be_trained_where_the_others_have_models(app, submit, task_of, work_all):
    submit(optimization=None)
    work_all()

    task_id = submit(training=None, modules={"mill": LINEAR}).json["id"]
    work_all()

    task = task_of(task_id)
    assert (task["state"], list(task["result"]["models"])) == ("succeeded", ["mill"])
    assert counts(app)["models"] == 3


def test_trainings_wait_for_an_import_and_learn_from_what_it_has_read(
    app, submit, send_chain, task_of, work_all, client, headers
):
    reading = send_chain()
    task_id = submit(imports=[reading["id"]]).json["id"]
    before = task_of(task_id)
    work_all()

    task = task_of(task_id)
    assert (before["waits_for"], before["children"]) == (1, [])
    assert task["state"] == "succeeded", task["error"]
    with app.app_context():
        assert {model.n_rows for model in db.session.query(Model)} == {70}


def test_the_same_key_makes_one_pipeline(app, submit):
    first, again = submit(key="k1"), submit(key="k1")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    assert counts(app)["models"] == 2


def test_children_are_as_urgent_as_their_pipeline(app, submit, work_all):
    submit(query="?priority=high")
    work_all()

    with app.app_context():
        assert {task.priority for task in db.session.query(Task).filter(Task.kind != "dataset.import")} == {1}


def test_children_do_not_count_as_unfinished_tasks_of_their_owner(app, submit, monkeypatch):
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], task_most_per_user=2))

    answers = [submit().status_code for _ in range(3)]

    assert answers == [202, 202, 429]


def test_cancelling_a_pipeline_cancels_what_it_is_made_of(submit, task_of, client, headers):
    task_id = submit().json["id"]

    client.post(f"/api/v1/tasks/{task_id}/cancel", headers=headers)

    task = task_of(task_id)
    assert task["state"] == "cancelled"
    assert [child["state"] for child in task["children"]] == ["cancelled"] * 2


def test_a_pipeline_is_stopping_until_the_child_at_work_has_let_go(app, submit, task_of, client, headers):
    task_id = submit().json["id"]
    with app.app_context():
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)

    client.post(f"/api/v1/tasks/{task_id}/cancel", headers=headers)
    at_work = task_of(task_id)
    with app.app_context():
        task_queue.end_stopped(lease)
        db.session.commit()
    ended = task_of(task_id)

    assert at_work["state"] == "stopping"
    assert sorted(child["state"] for child in at_work["children"]) == ["cancelled", "stopping"]
    assert ended["state"] == "cancelled"


def test_a_training_that_fails_ends_the_pipeline_and_its_other_trainings(app, submit, task_of, work_all):
    task_id = submit(modules={"mill": LINEAR | {"validation": {"scheme": "random", "n_folds": 90}}}).json["id"]
    work_all()

    task = task_of(task_id)
    assert (task["state"], task["error"]["code"]) == ("failed", "task.need_failed")
    assert "failed" in {child["state"] for child in task["children"]}
    assert counts(app)["optimizations"] == 0
    with app.app_context():
        assert not any(module.production_model_id for module in db.session.query(Module))


def test_a_failed_pipeline_that_is_tried_again_goes_on_with_what_has_not_succeeded(
    app, submit, task_of, work_all, client, headers
):
    task_id = submit().json["id"]
    with app.app_context():
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)
        task_queue.end(lease, TaskState.FAILED, error={"code": "x", "details": {}})
        db.session.commit()
    failed = task_of(task_id)["state"]

    answer = client.post(f"/api/v1/tasks/{task_id}/retry", headers=headers)
    work_all()

    task = task_of(task_id)
    assert (failed, answer.status_code) == ("failed", 202)
    assert task["state"] == "succeeded", task["error"]
    assert len(task["children"]) == 3
    assert counts(app) == {"models": 2, "optimizations": 1}


def test_a_pipeline_that_is_tried_again_after_a_part_of_it_waits_for_that(app, submit, task_of, client, headers):
    task_id = submit().json["id"]
    with app.app_context():
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)
        task_queue.end(lease, TaskState.FAILED, error={"code": "x", "details": {}})
        db.session.commit()
    client.post(f"/api/v1/tasks/{lease.task_id}/retry", headers=headers)
    with app.app_context():
        task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)

    again = client.post(f"/api/v1/tasks/{task_id}/retry", headers=headers)
    cancelled = client.post(f"/api/v1/tasks/{task_id}/cancel", headers=headers)

    assert (again.json["state"], again.json["waits_for"]) == ("queued", 1)
    assert cancelled.json["state"] == "stopping"
    assert sorted(child["state"] for child in task_of(task_id)["children"]) == ["cancelled", "stopping"]


def test_a_pipeline_without_its_import_says_so_when_it_is_tried_again(
    submit, send_chain, task_of, work_all, client, headers
):
    reading = send_chain()
    task_id = submit(imports=[reading["id"]]).json["id"]
    client.post(f"/api/v1/tasks/{reading['id']}/cancel", headers=headers)
    failed = task_of(task_id)

    again = client.post(f"/api/v1/tasks/{task_id}/retry", headers=headers)
    work_all()

    assert failed["error"]["code"] == "task.need_failed"
    assert (again.status_code, again.json["code"]) == (409, "task.need_failed")
    assert task_of(task_id)["error"] == failed["error"]


def test_a_worker_that_dies_in_a_step_leaves_nothing_of_it(app, submit, task_of, work_all):
    task_id = submit().json["id"]
    with app.app_context():
        for _ in range(2):
            celery_ext.celery.tasks["training.run"]()
        lost = task_queue.claim(Queue.DEFAULT, worker="dies", lease_ms=-1)
        task_queue.requeue_lost(max_attempts=3)
    work_all()

    task = task_of(task_id)
    assert str(lost.task_id) == task_id
    assert task["state"] == "succeeded", task["error"]
    assert counts(app) == {"models": 2, "optimizations": 1}


def test_a_pipeline_whose_trainings_are_split_ends_like_any_other(app, submit, task_of, work_all, fan_out_after):
    fan_out_after(0)
    task_id = submit(training=LINEAR | {"validation": {"scheme": "random", "n_folds": 3}}).json["id"]
    work_all()

    assert task_of(task_id)["state"] == "succeeded"
    assert counts(app) == {"models": 2, "optimizations": 1}
    with app.app_context():
        assert db.session.query(Task).filter_by(kind="model.train_fold").count() == 4


def test_cancelling_a_pipeline_reaches_the_parts_of_its_trainings(app, submit, task_of, client, headers, fan_out_after):
    fan_out_after(0)
    task_id = submit(training=LINEAR | {"validation": {"scheme": "random", "n_folds": 4}}).json["id"]
    with app.app_context():
        for _ in range(2):
            celery_ext.celery.tasks["training.run"]()
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)
    client.post(f"/api/v1/tasks/{task_id}/cancel", headers=headers)
    told = task_of(task_id)["state"]
    with app.app_context():
        task_queue.end_stopped(lease)
        db.session.commit()
        left = db.session.query(Task).filter(Task.state.not_in(["cancelled", "succeeded"])).all()

    assert (told, left) == ("stopping", [])
    assert task_of(task_id)["state"] == "cancelled"


def test_whoever_may_no_longer_train_fails_at_the_next_step(app, submit, task_of, work_all, engineer):
    task_id = submit().json["id"]
    with app.app_context():
        db.session.execute(db.text("UPDATE memberships SET role = 'viewer'"))
        db.session.commit()
    work_all()

    assert task_of(task_id)["error"]["code"] == "auth.scope_missing"
    assert counts(app)["optimizations"] == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"training": None}, "request.invalid"),
        ({"modules": {"fan": LINEAR}}, "request.invalid"),
        ({"training": {"kind": "linear", "params": {"x": 1}}}, None),
        ({"training": LINEAR | {"dataset_version": 9}}, "dataset.version_not_found"),
        ({"imports": [NOBODY]}, "task.not_found"),
        ({"optimization": OPTIMIZATION | {"terms": [{"goal": "minimize", "of": "nothing"}]}}, None),
        ({"optimization": OPTIMIZATION | {"fixed": {}}}, "request.invalid"),
        ({"optimization": OPTIMIZATION | {"certify": True, "solver": "nsga2"}}, None),
        ({"optimization": OPTIMIZATION | {"models": {"mill": NOBODY}}}, "request.invalid"),
    ],
)
def test_what_cannot_work_is_refused_at_once_and_nothing_is_queued(app, submit, asked, code):
    answer = submit(**asked)

    assert 400 <= answer.status_code < 500, answer.json
    assert code is None or answer.json["code"] == code
    assert counts(app) == {"models": 0, "optimizations": 0}
    with app.app_context():
        assert db.session.query(Task).filter_by(kind="process.pipeline").count() == 0


def test_a_pipeline_of_someone_elses_process_is_not_found_and_a_viewer_may_not(submit, stranger, viewer):
    assert submit(headers=stranger).json["code"] == "process.not_found"
    assert submit(headers=viewer).json["code"] == "auth.scope_missing"

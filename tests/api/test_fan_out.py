"""Large work in parts: the same result, to the last bit, whoever computes which of them and whatever happens."""

import io
from datetime import timedelta
from uuid import UUID

import pytest

from app.extensions import celery_ext, db, object_store
from app.libs.enums import Queue, TaskState
from app.models import Model, Task
from app.tasks.fan_out import Watch, WorthFanningOut
from app.viewModels import task_needs, task_parts, task_queue
from tests.api.test_optimizations import MINIMAL

FOREST = {
    "kind": "random_forest",
    "params": {"n_trees": 5},
    "validation": {"scheme": "time", "n_folds": 3},
    "seed": 4,
}
N_FOLDS = 6  # those held out by time, and as many at random


@pytest.fixture
def submit(client, headers, module):
    """Queue a training; return its task."""

    def ask(**asked):
        return client.post(f"/api/v1/modules/{module['id']}/models", json=FOREST | asked, headers=headers).json

    return ask


@pytest.fixture
def task_of(client, headers):
    return lambda task_id: client.get(f"/api/v1/tasks/{task_id}", headers=headers).json


@pytest.fixture
def made_by(app):
    """What a training has made, without what may differ: how long it took."""

    def read(task):
        with app.app_context():
            model = db.session.query(Model).filter(Model.task_id == UUID(task["id"])).one()
            return model.artifact_sha256, model.metrics

    return read


def run(queue=Queue.TRAINING):
    celery_ext.celery.tasks[f"{queue}.run"]()
    db.session.rollback()


def lose(lease):
    db.session.query(Task).filter_by(id=lease.task_id).update({"lease_until": 1})
    db.session.commit()
    task_queue.requeue_lost(max_attempts=3)


@pytest.fixture
def alone(submit, work_all, made_by, fan_out_after):
    """What a training makes that is not split."""
    fan_out_after(3600)
    task = submit()
    work_all()
    found = made_by(task)
    fan_out_after(0)
    return found


def test_a_training_in_parts_makes_the_model_that_it_would_have_made_alone(
    alone, submit, work_all, made_by, task_of, app
):
    task = submit()
    work_all()

    ended = task_of(task["id"])
    assert ended["state"] == "succeeded", ended["error"]
    assert [child["kind"] for child in ended["children"]] == ["model.train_fold"] * (N_FOLDS - 1)
    assert {child["state"] for child in ended["children"]} == {"succeeded"}
    assert made_by(task) == alone
    with app.app_context():
        assert list(object_store.list(task_parts.PREFIX)) == []


def test_a_task_that_waits_for_its_parts_occupies_no_worker_and_tells_how_many_are_left(submit, task_of, app, alone):
    task = submit()
    with app.app_context():
        run()
        waiting = task_of(task["id"])
        run()
    later = task_of(task["id"])

    assert (waiting["state"], waiting["waits_for"], waiting["attempt"]) == ("queued", N_FOLDS - 1, 0)
    assert (later["state"], later["waits_for"]) == ("queued", N_FOLDS - 2)
    assert 0 < waiting["progress"] + 0.1 < later["progress"] + 0.1 < 1.1


def test_the_log_of_a_training_in_parts_tells_every_part_and_runs_without_a_gap(
    submit, work_all, client, headers, alone
):
    task = submit()
    work_all()

    events = client.get(f"/api/v1/tasks/{task['id']}/events", headers=headers).json["items"]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    left = [event["data"]["parts_left"] for event in events if "parts_left" in event["data"]]
    assert left == list(range(N_FOLDS - 2, -1, -1))
    done = [event["data"]["done"] for event in events if event["type"] == "progress"]
    assert done == sorted(done)
    states = [event["data"]["state"] for event in events if event["type"] == "state"]
    assert states == ["queued", "running", "queued", "running", "succeeded"]


def test_small_work_is_not_split(submit, work_all, task_of, fan_out_after):
    fan_out_after(3600)
    task = submit()
    work_all()

    assert task_of(task["id"])["children"] == []


def test_a_worker_killed_in_a_part_changes_nothing(app, alone, submit, work_all, made_by):
    task = submit()
    with app.app_context():
        run()
        lose(task_queue.claim(Queue.TRAINING, worker="dies", lease_ms=30_000))
    work_all()

    assert made_by(task) == alone


def test_a_worker_killed_while_it_puts_the_parts_together_changes_nothing(app, alone, submit, work_all, made_by):
    task = submit()
    with app.app_context():
        for _ in range(N_FOLDS):
            run()
        lost = task_queue.claim(Queue.TRAINING, worker="dies", lease_ms=30_000)
        lose(lost)
    work_all()

    assert str(lost.task_id) == task["id"]
    assert made_by(task) == alone


def test_a_silent_worker_that_comes_back_can_hand_no_task_back(app, submit, task_of):
    submit()
    with app.app_context():
        late = task_queue.claim(Queue.TRAINING, worker="late", lease_ms=30_000)
        lose(late)

        with pytest.raises(task_queue.LeaseLostError):
            task_queue.hand_back(late, [])


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_what_a_part_has_found_and_is_damaged_is_computed_again(app, alone, submit, work_all, made_by, damage):
    task = submit()
    with app.app_context():
        for _ in range(N_FOLDS):
            run()
        key = next(iter(object_store.list(task_parts.PREFIX))).key
        object_store.delete(key) if damage == "gone" else object_store.put(key, io.BytesIO(b"other"))
    work_all()

    assert made_by(task) == alone


def test_cancelling_a_training_cancels_its_parts(app, submit, task_of, client, headers, fan_out_after):
    fan_out_after(0)
    task = submit()
    with app.app_context():
        run()
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)

    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    told = task_of(task["id"])
    with app.app_context():
        task_queue.end_stopped(lease)
        db.session.commit()
    ended = task_of(task["id"])

    assert told["state"] == "stopping"
    assert sorted({child["state"] for child in told["children"]}) == ["cancelled", "stopping"]
    assert ended["state"] == "cancelled"
    assert {child["state"] for child in ended["children"]} == {"cancelled"}


def test_a_part_that_fails_ends_the_training_and_trying_again_computes_only_what_is_missing(
    app, alone, submit, work_all, made_by, task_of, client, headers
):
    task = submit()
    with app.app_context():
        run()
        run()
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)
        task_queue.end(lease, TaskState.FAILED, error={"code": "x", "details": {}})
        db.session.commit()
    failed = task_of(task["id"])

    refused = client.post(f"/api/v1/tasks/{lease.task_id}/retry", headers=headers)
    client.post(f"/api/v1/tasks/{task['id']}/retry", headers=headers)
    work_all()

    assert (failed["state"], failed["error"]["code"]) == ("failed", "task.need_failed")
    assert refused.json["code"] == "task.not_repeatable"
    ended = task_of(task["id"])
    assert ended["state"] == "succeeded", ended["error"]
    n_succeeded = sum(child["state"] == "succeeded" for child in ended["children"])
    assert n_succeeded == N_FOLDS - 2  # two folds were fitted by the training itself, one in each try
    assert made_by(task) == alone


def test_parts_are_not_listed_unless_they_are_asked_for(app, submit, client, headers, fan_out_after):
    fan_out_after(0)
    task = submit()
    with app.app_context():
        run()

    kinds = [
        {each["kind"] for each in client.get(f"/api/v1/tasks?{query}", headers=headers).json["items"]}
        for query in ("", "kind=model.train_fold", f"parent_id={task['id']}")
    ]

    assert "model.train_fold" not in kinds[0]
    assert kinds[1] == kinds[2] == {"model.train_fold"}


def test_two_that_end_at_one_moment_while_their_whole_is_stopping_are_looked_after_by_the_sweep(
    app, submit, task_of, fan_out_after, client, headers
):
    fan_out_after(0)
    task = submit()
    with app.app_context():
        run()
        lease = task_queue.claim(Queue.TRAINING, worker="w", lease_ms=30_000)
        client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
        db.session.query(Task).filter_by(id=lease.task_id).update({"state": "cancelled", "lease_until": None})
        db.session.commit()

        task_needs.close_stopped()
        db.session.commit()

    assert task_of(task["id"])["state"] == "cancelled"


def test_what_parts_have_found_is_swept_when_nothing_can_need_it(app, submit, work_all, fan_out_after):
    fan_out_after(0)
    task = submit()
    with app.app_context():
        run()
        run()
        object_store.put(f"parts/{task['id'][:-4]}0000/x-1", io.BytesIO(b"of nobody"))

        n_swept = task_parts.sweep(older_than=timedelta(seconds=-1))

        assert n_swept == 1
        assert [stat.key.split("/")[1] for stat in object_store.list(task_parts.PREFIX)] == [task["id"]]


@pytest.fixture
def optimize(client, headers, train, work_all):
    """Optimize over a trained model; return the task and the optimization."""
    model = train()

    def do(**asked):
        url = f"/api/v1/models/{model['id']}/optimizations"
        answer = client.post(url, json=MINIMAL | asked, headers=headers)
        assert answer.status_code == 202, answer.json
        work_all()
        task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return task, client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json["result"]

    return do


def without_time(result):
    return {name: value for name, value in result.items() if name not in ("seconds", "repeat")}


@pytest.mark.parametrize("solver", ["de", "pso", "cmaes", "auto"])
def test_several_starts_in_parts_find_what_they_find_one_after_the_other(optimize, fan_out_after, solver):
    fan_out_after(3600)
    alone, expected = optimize(starts=3, solver=solver, budget=300)
    fan_out_after(0)
    task, found = optimize(starts=3, solver=solver, budget=300)

    assert alone["children"] == []
    assert {child["kind"] for child in task["children"]} == {"optimization.search"}
    assert without_time(found) == without_time(expected)


def test_the_best_of_several_starts_counts_and_the_first_has_the_seed_that_was_asked_for(optimize):
    _, one = optimize(seed=5, budget=200, solver="de")
    _, several = optimize(seed=5, budget=200, solver="de", starts=4)

    objectives = [start["objective"] for start in several["starts"]]
    assert objectives[0] == one["objective"]
    assert several["starts"][0]["seed"] == 5
    assert len({start["seed"] for start in several["starts"]}) == 4
    assert several["objective"] == min(objectives) == objectives[several["best_start"]]


def test_several_starts_with_several_objectives_are_refused(client, headers, train):
    model = train()
    terms = [{"goal": goal, "of": "y", "objective": goal} for goal in ("minimize", "maximize")]

    answer = client.post(
        f"/api/v1/models/{model['id']}/optimizations", json=MINIMAL | {"terms": terms, "starts": 2}, headers=headers
    )

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


class TestWatch:
    def test_it_says_nothing_before_it_can_tell(self, context, fan_out_after):
        fan_out_after(0)

        assert Watch(5).look(0.5) is None
        assert Watch(5).look(0.0) is None

    def test_the_last_part_is_done_where_the_others_were(self, context, fan_out_after):
        fan_out_after(0)

        assert Watch(5).look(4.0) is None

    def test_what_would_take_long_is_worth_it(self, context, fan_out_after, monkeypatch):
        fan_out_after(10)
        watch = Watch(5)
        monkeypatch.setattr(watch, "_began", watch._began - 3.0)

        watch.look(1.0 + 1.0)  # 3 s for two, 4.5 s for three
        with pytest.raises(WorthFanningOut):
            watch.look(1.0)  # 3 s for one, 12 s for four

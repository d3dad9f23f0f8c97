"""Tasks that ended long ago go; what they made stays, with where it came from."""

import io
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.extensions import celery_ext, db, object_store
from app.libs.enums import EventType, TaskState
from app.models import Callback, OutboxMessage, Task, TaskEvent, TaskNeed
from app.tasks import maintenance
from app.utils.clock import now_ms
from app.viewModels import checkpoint_objects, task_log, task_retention, tasks

DAY_MS = 86_400_000


@pytest.fixture
def age(app):
    """Let all tasks that have ended have ended so many days ago."""

    def do(days):
        with app.app_context():
            db.session.execute(update(Task).where(Task.ended_at.is_not(None)).values(ended_at=now_ms() - days * DAY_MS))
            db.session.commit()

    return do


@pytest.fixture
def clean(app):
    def do():
        with app.app_context():
            maintenance.remove_old_tasks()

    return do


def count(app, model, *conditions):
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model).where(*conditions))


def test_a_model_and_all_that_is_known_of_it_outlives_its_task(app, client, headers, train, age, clean):
    model = train()
    age(91)

    clean()

    kept = client.get(f"/api/v1/models/{model['id']}", headers=headers).json
    assert kept == model | {"task_id": None}
    assert kept["state"] == "ready"
    assert (count(app, Task), count(app, TaskEvent)) == (0, 0)
    rows = {"rows": [{"a": 1.0, "b": 0.5}]}
    assert client.post(f"/api/v1/models/{model['id']}/predict", json=rows, headers=headers).status_code == 200


def test_what_was_found_outlives_the_tasks_that_found_it(client, headers, train, work, age, clean):
    model = train()
    asked = {"optimizations": {"terms": [{"goal": "maximize", "of": "y"}], "fixed": {"b": 0}, "budget": 50}}
    asked["analyses"] = {"kind": "importance", "params": {"method": "model"}}
    made = {}
    for name, body in asked.items():
        answer = client.post(f"/api/v1/models/{model['id']}/{name}", json=body, headers=headers)
        made[f"/api/v1/{name}/{answer.json['subject_id']}"] = None
    work()
    before = {url: client.get(url, headers=headers).json for url in made}
    age(91)

    clean()

    after = {url: client.get(url, headers=headers).json for url in made}
    assert [found["state"] for found in after.values()] == ["done", "done"]
    assert after == {url: found | {"task_id": None} for url, found in before.items()}


def test_a_data_set_outlives_its_import(client, headers, dataset_id, age, clean):
    before = client.get(f"/api/v1/datasets/{dataset_id}", headers=headers).json
    age(91)

    clean()
    rows = client.get(f"/api/v1/datasets/{dataset_id}/versions/1/rows?limit=2", headers=headers)

    assert client.get(f"/api/v1/datasets/{dataset_id}", headers=headers).json == before
    assert rows.status_code == 200


def test_what_ended_lately_or_has_not_ended_stays(app, client, headers, module, train, age, clean):
    train()
    age(89)
    waiting = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    with app.app_context():  # it was asked for long ago, and waits still
        db.session.execute(update(Task).where(Task.ended_at.is_(None)).values(created_at=1))
        db.session.commit()
    before = count(app, Task)

    clean()

    assert count(app, Task) == before == 3
    assert client.get(f"/api/v1/tasks/{waiting['id']}", headers=headers).json["state"] == "queued"


def test_how_long_tasks_are_kept_is_a_setting(another_app, running_backend, tmp_path):
    app = another_app(**running_backend.urls, task_keep_days=2)

    with app.app_context():
        assert now_ms() - task_retention.oldest_kept() == pytest.approx(2 * DAY_MS, abs=60_000)


def test_the_checkpoint_of_a_failed_task_goes_with_it(app, client, headers, module, age, clean):
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    with app.app_context():
        key = checkpoint_objects.key(UUID(task["id"]), 1, 1)
        object_store.put(key, io.BytesIO(b"state"))
        of_task = update(Task).where(Task.id == UUID(task["id"]))
        db.session.execute(of_task.values(state=TaskState.FAILED, ended_at=1, checkpoint_key=key))
        db.session.commit()

    clean()

    with app.app_context():
        assert not object_store.exists(key)
    assert client.get(f"/api/v1/tasks/{task['id']}", headers=headers).status_code == 404


def test_checkpoints_that_no_task_would_go_on_from_are_removed(app, client, headers, module):
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    with app.app_context():
        older, newest = (checkpoint_objects.key(UUID(task["id"]), 1, number) for number in (1, 2))
        of_nobody = checkpoint_objects.key(UUID(int=1), 1, 1)
        for key in (older, newest, of_nobody):
            object_store.put(key, io.BytesIO(b"state"))
        db.session.execute(update(Task).where(Task.id == UUID(task["id"])).values(checkpoint_key=newest))
        db.session.commit()

        n_young = checkpoint_objects.sweep(older_than=timedelta(hours=1))
        n_removed = checkpoint_objects.sweep(older_than=timedelta(seconds=-1))

        assert (n_young, n_removed) == (0, 2)
        assert [object_store.exists(key) for key in (older, newest, of_nobody)] == [False, True, False]


def test_what_was_told_of_a_task_goes_with_it(app, client, headers, module, age, clean):
    url = f"/api/v1/modules/{module['id']}/models?callback_url=http://93.184.215.14/"
    task = client.post(url, json={"kind": "linear"}, headers=headers).json
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    assert count(app, Callback) == 1
    age(91)

    clean()

    assert (count(app, Task), count(app, Callback)) == (0, 0)


def test_what_beat_has_run_every_hour_is_there_to_be_run(app):
    names = {entry["task"] for entry in app.config["CELERY"]["beat_schedule"].values()}

    assert names
    assert names <= set(celery_ext.celery.tasks)
    for name in names:
        with app.app_context():
            celery_ext.celery.tasks[name]()


def test_tasks_that_waited_for_each_other_go_together(app, client, headers, module, age, clean):
    url = f"/api/v1/modules/{module['id']}/models"
    first = client.post(url, json={"kind": "linear"}, headers=headers).json
    client.post(f"{url}?after={first['id']}", json={"kind": "linear"}, headers=headers)
    client.post(f"/api/v1/tasks/{first['id']}/cancel", headers=headers)
    age(91)

    clean()

    assert [count(app, model) for model in (Task, TaskNeed, OutboxMessage)] == [0, 0, 0]


def test_parts_of_what_has_not_ended_stay(app, client, headers, module, age, clean):
    whole, part = (
        client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json["id"]
        for _ in range(2)
    )
    client.post(f"/api/v1/tasks/{part}/cancel", headers=headers)
    with app.app_context():
        db.session.execute(update(Task).where(Task.id == UUID(part)).values(parent_id=UUID(whole)))
        db.session.commit()
    age(91)

    clean()
    before = count(app, Task)
    client.post(f"/api/v1/tasks/{whole}/cancel", headers=headers)
    age(91)
    clean()

    assert (before, count(app, Task)) == (2, 0)


def test_a_long_log_goes_in_parts_and_many_tasks_in_batches(app, monkeypatch, client, headers, module, age, clean):
    monkeypatch.setattr(task_retention, "EVENTS_AT_ONCE", 5)
    monkeypatch.setattr(task_retention, "TASKS_AT_ONCE", 2)
    url = f"/api/v1/modules/{module['id']}/models"
    for _ in range(5):
        task = client.post(url, json={"kind": "linear"}, headers=headers).json
        client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    with app.app_context():
        task_log.append(
            db.session.scalars(select(Task.id).limit(1)).one(), [(EventType.LOG, {"n": n}) for n in range(23)]
        )
        db.session.commit()
    age(91)

    clean()

    assert (count(app, Task), count(app, TaskEvent)) == (0, 0)


def test_a_task_that_is_about_to_go_is_not_tried_again(client, headers, module, age):
    url = f"/api/v1/modules/{module['id']}/models"
    task = client.post(url, json={"kind": "linear"}, headers=headers).json
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    age(91)

    refused = client.post(f"/api/v1/tasks/{task['id']}/retry", headers=headers)

    assert (refused.status_code, refused.json["code"]) == (409, "task.not_repeatable")


def test_a_task_tried_again_while_old_ones_are_removed_stays(app, client, headers, engineer, module, age, monkeypatch):
    url = f"/api/v1/modules/{module['id']}/models"
    task = client.post(url, json={"kind": "linear"}, headers=headers).json
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    before = now_ms() + 1000  # as for somebody whose clock is ahead
    monkeypatch.setattr(task_retention, "oldest_kept", lambda: before)
    found = task_retention._next
    retried = []

    def find_then_retry(*args, **kwargs):
        rows = found(*args, **kwargs)
        if not retried:
            monkeypatch.setattr(task_retention, "oldest_kept", lambda: 0)
            retried.append(tasks.retry(rows[-1].id, actor=engineer))
        return rows

    monkeypatch.setattr(task_retention, "_next", find_then_retry)
    with app.app_context():
        maintenance.remove_old_tasks()

    assert client.get(f"/api/v1/tasks/{task['id']}", headers=headers).json["state"] == "queued"

"""What every request that submits work may say: a key by which it is done once, how urgent it is, what it waits for."""

import io
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from app.extensions import db
from app.models import Model, Task
from tests.api.conftest import plant_table


@pytest.fixture
def submit(client, headers, module):
    """Ask for a training."""

    def ask(key=None, *, headers=headers, query="", **asked):
        sent = headers | ({"Idempotency-Key": key} if key else {})
        url = f"/api/v1/modules/{module['id']}/models{query}"
        return client.post(url, json={"kind": "linear"} | asked, headers=sent)

    return ask


def test_the_same_request_under_the_same_key_makes_one_task_and_one_model(app, submit):
    first, again = submit("k1"), submit("k1")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    with app.app_context():
        assert db.session.query(Model).count() == 1


def test_a_key_finds_its_task_also_after_that_has_ended(submit, work):
    first = submit("k1")
    work()

    again = submit("k1")

    assert again.json["id"] == first.json["id"]
    assert again.json["state"] == "succeeded"


@pytest.mark.parametrize("other", [{"seed": 7}, {"query": "?priority=low"}])
def test_another_request_under_a_used_key_is_refused(app, submit, other):
    submit("k1")

    refused = submit("k1", **other)

    assert refused.status_code == 409
    assert refused.json["code"] == "task.key_reused"
    with app.app_context():
        assert db.session.query(Model).count() == 1


def test_keys_are_each_users_own(submit, admin):
    assert submit("k1").status_code == submit("k1", headers=admin).status_code == 202


def test_without_a_key_each_request_is_work_of_its_own(submit):
    assert submit().json["id"] != submit().json["id"]


def test_the_same_key_sent_many_times_at_once_makes_one_task(app, module, headers):
    body, sent = {"kind": "linear"}, headers | {"Idempotency-Key": "k1"}

    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _i: app.test_client().post(f"/api/v1/modules/{module['id']}/models", json=body, headers=sent),
                range(6),
            )
        )

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [202]
    assert len({answer.json["id"] for answer in answers}) == 1
    with app.app_context():
        assert db.session.query(Model).count() == 1


def test_an_upload_under_a_key_is_one_upload_and_another_file_under_it_is_refused(client, project, headers):
    def send(table, key="k1"):
        file = io.BytesIO()
        table.write_parquet(file)
        file.seek(0)
        return client.post(
            f"/api/v1/projects/{project.id}/datasets",
            data={"name": "history", "file": (file, "history.parquet")},
            headers=headers | {"Idempotency-Key": key},
        )

    first, again, other = send(plant_table()), send(plant_table()), send(plant_table(90))

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert again.json["id"] == first.json["id"]


def test_high_priority_is_for_those_who_may_set_it(submit, client, headers, project, make_user, sign_in):
    make_user("editor")
    client.put(f"/api/v1/projects/{project.id}/members", json={"username": "editor", "role": "editor"}, headers=headers)

    refused = submit(headers=sign_in("editor"), query="?priority=high")

    assert submit(query="?priority=high").json["priority"] == 1
    assert refused.status_code == 403
    assert refused.json["details"]["scope"] == "task:prioritize"
    assert submit(headers=sign_in("editor"), query="?priority=low").status_code == 202


def test_a_task_starts_after_those_that_it_names(client, submit, headers, work):
    first = submit().json
    second = submit(query=f"?after={first['id']}").json
    assert second["waits_for"] == 1

    client.post(f"/api/v1/tasks/{first['id']}/cancel", headers=headers)
    work()

    task = client.get(f"/api/v1/tasks/{second['id']}", headers=headers).json
    assert (task["state"], task["error"]["code"]) == ("cancelled", "task.need_failed")


@pytest.fixture
def limited(app, monkeypatch):
    """Set how many unfinished tasks there may be."""

    def limit(**most):
        settings = app.config["SETTINGS"]
        changed = {name: getattr(settings, name) for name in settings.__dataclass_fields__} | most
        monkeypatch.setitem(app.config, "SETTINGS", SimpleNamespace(**changed))

    return limit


@pytest.mark.parametrize("which", ["task_most_per_user", "task_most_per_project"])
def test_who_has_too_many_unfinished_tasks_is_told_when_to_come_again(submit, limited, work, which):
    limited(**{which: 2})
    accepted = [submit().status_code for _ in range(2)]

    refused = submit()

    assert accepted == [202, 202]
    assert refused.status_code == 429
    assert refused.json["code"] == "task.limit"
    assert int(refused.headers["Retry-After"]) >= 1
    work()
    assert submit().status_code == 202


def test_what_is_tried_again_counts_as_unfinished_too(client, submit, limited, headers):
    task = submit().json
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    limited(task_most_per_user=1)
    submit()

    refused = client.post(f"/api/v1/tasks/{task['id']}/retry", headers=headers)

    assert (refused.status_code, refused.json["code"]) == (429, "task.limit")
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_failed_task_is_tried_again_by_hand(app, client, headers, module, submit, work, upload):
    import polars as pl

    upload(plant_table().with_columns(b=pl.lit(None, dtype=pl.Float64)))
    task = submit().json
    work()
    url = f"/api/v1/tasks/{task['id']}"
    failed = client.get(url, headers=headers).json
    with app.app_context():  # what was wrong is mended
        newest = db.session.query(Model).one()
        newest.dataset_version_id = min(version.id for version in newest.dataset_version.dataset.versions)
        db.session.commit()

    again = client.post(f"{url}/retry", headers=headers)
    work()

    assert failed["state"] == "failed"
    assert (again.status_code, again.json["state"], again.json["error"]) == (202, "queued", None)
    ended = client.get(url, headers=headers).json
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)


def test_what_is_at_work_or_has_succeeded_or_lost_its_subject_is_not_tried_again(app, client, headers, submit, work):
    task = submit().json
    url = f"/api/v1/tasks/{task['id']}/retry"

    waiting = client.post(url, headers=headers)
    work()
    succeeded = client.post(url, headers=headers)
    cancelled = submit().json
    client.post(f"/api/v1/tasks/{cancelled['id']}/cancel", headers=headers)
    client.delete(f"/api/v1/models/{cancelled['subject_id']}", headers=headers)
    gone = client.post(f"/api/v1/tasks/{cancelled['id']}/retry", headers=headers)

    assert [answer.json["code"] for answer in (waiting, succeeded, gone)] == [
        "task.not_ended",
        "task.not_repeatable",
        "task.not_repeatable",
    ]
    with app.app_context():
        assert db.session.query(Task).filter_by(state="queued", kind="model.train").count() == 0


def test_somebody_who_may_only_look_tries_nothing_again(client, headers, viewer, stranger, submit):
    task = submit().json
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    url = f"/api/v1/tasks/{task['id']}/retry"

    assert client.post(url, headers=viewer).status_code == 403
    assert client.post(url, headers=stranger).status_code == 404

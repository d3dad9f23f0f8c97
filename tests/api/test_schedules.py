"""Schedules: each time submits once, in the name of the owner, with the rights of that moment, and all is told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from app.extensions import db
from app.libs.enums import TaskState
from app.models import Callback, Model, Schedule, ScheduleRun, Task
from app.viewModels import models, projects, schedule_runs, schedules, task_retention, users
from tests.api.conftest import plant_table

MINUTE_MS, DAY_MS = 60_000, 86_400_000


def at(text, zone="UTC"):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


NIGHT = at("2026-03-02T02:00")


@pytest.fixture
def clock(monkeypatch):
    """Set the time for schedules; at first it is noon, fourteen hours before NIGHT."""

    def read(now):
        for part in (schedules, schedule_runs, task_retention):
            monkeypatch.setattr(part, "now_ms", lambda: now)

    read(at("2026-03-01T12:00"))
    return read


@pytest.fixture
def make(client, headers, project, module, clock):
    """Make a schedule: a training every night at two."""

    def do(*, headers=headers, train=None, **asked):
        body = {"name": "nightly", "cron": "0 2 * * *"} | asked
        if "optimize" not in body:
            body["train"] = {"module_id": module["id"], "kind": "linear"} | (train or {})
        return client.post(f"/api/v1/projects/{project.id}/schedules", json=body, headers=headers)

    return do


@pytest.fixture
def look(app, clock):
    """Do what the thread in beat does, at this time."""

    def do(now=NIGHT):
        clock(now)
        with app.app_context():
            return schedule_runs.run_due()

    return do


@pytest.fixture
def get(client, headers):
    def do(path):
        answer = client.get(f"/api/v1{path}", headers=headers)
        assert answer.status_code == 200, answer.json
        return answer.json

    return do


@pytest.fixture
def change(client, headers):
    def do(schedule, *, headers=headers, **changes):
        return client.patch(f"/api/v1/schedules/{schedule['id']}", json=changes, headers=headers)

    return do


@pytest.fixture
def runs_of(get):
    return lambda schedule: get(f"/schedules/{schedule['id']}/runs")["items"]


@pytest.fixture
def editor(client, headers, project, make_user):
    """Somebody else who may submit in the project."""
    actor = make_user("eddy")
    body = {"username": "eddy", "role": "editor"}
    client.put(f"/api/v1/projects/{project.id}/members", json=body, headers=headers)
    return actor


def n_trainings(app):
    with app.app_context():
        return len(db.session.scalars(select(Model)).all())


# Submitting


def test_a_training_is_submitted_when_it_is_due_and_not_before(app, make, look, get, runs_of, engineer, work):
    schedule = make().json
    assert schedule["next_run_at"] == NIGHT

    assert look(NIGHT - 1) == 0
    assert look(NIGHT) == 1
    assert look(NIGHT + 1) == 0
    work()

    [run] = runs_of(schedule)
    task = get(f"/tasks/{run['task_id']}")
    assert (run["due_at"], run["outcome"], run["error"]) == (NIGHT, "submitted", None)
    assert (task["kind"], task["state"], task["created_by"]) == ("model.train", "succeeded", str(engineer.id))
    assert get(f"/schedules/{schedule['id']}")["next_run_at"] == NIGHT + DAY_MS
    assert n_trainings(app) == 1


def test_every_night_it_is_the_newest_version_of_the_data_set(make, look, get, runs_of, upload, work):
    schedule = make(train={"name": "of the night", "seed": 7}).json
    look(NIGHT)
    work()
    upload(plant_table(120))
    look(NIGHT + DAY_MS)
    work()

    tasks = [get(f"/tasks/{run['task_id']}") for run in reversed(runs_of(schedule))]
    made = [get(f"/models/{task['subject_id']}") for task in tasks]
    assert [model["dataset_version"] for model in made] == [1, 2]
    assert {(model["name"], model["seed"]) for model in made} == {("of the night", 7)}


def test_an_optimization_of_a_process_is_submitted(client, headers, make, look, get, runs_of, train, module, work):
    model = train()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)
    asked = {"terms": [{"goal": "maximize", "of": "y"}], "fixed": {"b": 0}, "budget": 50, "trust": None}
    asked |= {"process_id": module["process_id"], "mode": "joint", "models": {module["name"]: model["id"]}}

    schedule = make(optimize=asked, priority="low").json
    look()
    work()

    [run] = runs_of(schedule)
    task = get(f"/tasks/{run['task_id']}")
    assert (task["kind"], task["state"], task["priority"]) == ("optimization.run", "succeeded", -1)
    assert get(f"/optimizations/{task['subject_id']}")["process_id"] == module["process_id"]
    assert schedule["optimize"] == schedule["optimize"] | asked | {"terms": schedule["optimize"]["terms"]}


def test_it_is_on_the_clock_of_its_zone(make, clock):
    clock(at("2026-03-28T12:00"))

    berlin = make(cron="30 2 * * *", time_zone="Europe/Berlin").json

    assert berlin["next_run_at"] == at("2026-03-29T03:00", "Europe/Berlin"), "half past two is jumped over"


def test_who_named_an_address_is_told_of_the_end_of_each_task(app, monkeypatch, make, look, runs_of, get):
    schedule = make(callback_url="http://93.184.215.14/secret").json
    look()

    [run] = runs_of(schedule)
    [delivery] = get(f"/tasks/{run['task_id']}/deliveries")["items"]
    assert delivery["origin"] == schedule["callback_origin"] == "http://93.184.215.14"
    with app.app_context():
        assert db.session.query(Callback).one().url.endswith("/secret")


# Once


def test_two_beats_at_once_submit_one_task(app, monkeypatch, make, clock, runs_of, at_once, meet_after):
    schedule = make().json
    clock(NIGHT)
    meet_after(schedule_runs, "_due")

    def look(_):
        with app.app_context():
            schedule_runs.run_due()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(look, range(2)))

    assert n_trainings(app) == 1
    assert [run["outcome"] for run in runs_of(schedule)] == ["submitted"]


def test_a_beat_that_is_killed_before_it_writes_down_what_it_submitted_submits_nothing_again(
    app, monkeypatch, make, look, runs_of
):
    schedule = make().json
    killed = threading.Event()

    def die(*_args):
        killed.set()
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(schedule_runs, "_write", die)
        with pytest.raises(SystemExit):
            look()
    assert killed.is_set()
    assert runs_of(schedule) == []

    look(NIGHT + 5 * MINUTE_MS)

    [run] = runs_of(schedule)
    assert (run["outcome"], n_trainings(app)) == ("submitted", 1)


def test_what_cannot_be_submitted_at_the_moment_is_submitted_later(app, monkeypatch, make, look, runs_of):
    schedule = make().json
    with monkeypatch.context() as patched:
        patched.setattr(models, "version_of", lambda *_: 1 / 0)
        assert look() == 0
    assert runs_of(schedule) == []

    look(NIGHT + MINUTE_MS)

    assert [run["outcome"] for run in runs_of(schedule)] == ["submitted"]


def test_one_that_cannot_be_submitted_keeps_no_other_from_it(app, make, look, clock, runs_of, monkeypatch):
    make(train={"seed": 13})
    other = make(cron="1 2 * * *").json
    train = models.train

    def fail_for_the_first(*args, **asked):
        return train(*args, **asked) if asked["seed"] != 13 else 1 / 0

    monkeypatch.setattr(models, "train", fail_for_the_first)
    look(NIGHT + MINUTE_MS)

    assert [run["outcome"] for run in runs_of(other)] == ["submitted"]


# Missed


def test_a_time_that_was_missed_by_little_is_made_up_for(make, look, runs_of):
    schedule = make().json

    look(NIGHT + 59 * MINUTE_MS)

    assert [(run["due_at"], run["outcome"]) for run in runs_of(schedule)] == [(NIGHT, "submitted")]


def test_a_time_that_was_missed_by_much_is_skipped_and_told(app, make, look, get, runs_of):
    schedule = make().json

    look(NIGHT + 61 * MINUTE_MS)

    [run] = runs_of(schedule)
    assert (run["outcome"], run["error"]["code"], run["task_id"]) == ("skipped", "schedule.missed", None)
    assert get(f"/schedules/{schedule['id']}")["next_run_at"] == NIGHT + DAY_MS
    assert n_trainings(app) == 0


def test_of_several_that_were_missed_only_the_last_is_made_up_for(app, make, look, runs_of):
    schedule = make().json

    look(NIGHT + 3 * DAY_MS + MINUTE_MS)

    last, missed = runs_of(schedule)
    assert (last["due_at"], last["outcome"]) == (NIGHT + 3 * DAY_MS, "submitted")
    assert (missed["due_at"], missed["until"], missed["outcome"]) == (NIGHT, NIGHT + 2 * DAY_MS, "skipped")
    assert n_trainings(app) == 1


def test_of_two_that_were_missed_the_first_is_told_alone(make, look, runs_of):
    schedule = make().json

    look(NIGHT + DAY_MS)

    assert [(run["due_at"], run["until"]) for run in runs_of(schedule)] == [(NIGHT + DAY_MS, None), (NIGHT, None)]


def test_nothing_is_submitted_while_what_was_submitted_before_is_at_work(app, make, look, runs_of, work):
    schedule = make().json
    look()

    look(NIGHT + DAY_MS)
    work()
    look(NIGHT + 2 * DAY_MS)

    told = [(run["outcome"], run["error"] and run["error"]["code"]) for run in runs_of(schedule)]
    assert told == [("submitted", None), ("skipped", "schedule.still_running"), ("submitted", None)]


# Rights


def test_the_schedule_of_somebody_who_was_deactivated_pauses_and_says_so(app, make, look, engineer, admin, client):
    schedule = make().json
    with app.app_context():
        users.change(engineer.id, is_active=False)

    look()

    shown = client.get(f"/api/v1/schedules/{schedule['id']}", headers=admin).json
    [run] = client.get(f"/api/v1/schedules/{schedule['id']}/runs", headers=admin).json["items"]
    assert (shown["next_run_at"], shown["paused_at"]) == (None, NIGHT)
    assert shown["paused_because"]["code"] == run["error"]["code"] == "schedule.owner_inactive"
    assert run["outcome"] == "paused"
    assert n_trainings(app) == 0


@pytest.mark.parametrize(("role", "code"), [(None, "module.not_found"), ("viewer", "auth.scope_missing")])
def test_the_schedule_of_somebody_who_may_not_submit_any_more_pauses_and_goes_on_under_another(
    app, client, headers, project, editor, sign_in, make, look, get, change, runs_of, role, code, engineer, clock
):
    schedule = make(headers=sign_in("eddy")).json
    members = f"/api/v1/projects/{project.id}/members"
    if role:
        client.put(members, json={"username": "eddy", "role": role}, headers=headers)
    else:
        client.delete(f"{members}/{editor.id}", headers=headers)

    look()
    paused = get(f"/schedules/{schedule['id']}")
    resumed = change(schedule, is_paused=False).json
    look(NIGHT + DAY_MS)

    assert (schedule["owner_id"], paused["paused_because"]["code"]) == (str(editor.id), code)
    assert (resumed["owner_id"], resumed["next_run_at"]) == (str(engineer.id), NIGHT + DAY_MS)
    assert (resumed["paused_at"], resumed["paused_because"]) == (None, None)
    assert [run["outcome"] for run in runs_of(schedule)] == ["submitted", "paused"]


def test_the_schedules_of_a_project_that_was_archived_pause(client, headers, project, make, look, get):
    schedule = make().json
    client.patch(f"/api/v1/projects/{project.id}", json={"is_archived": True}, headers=headers)

    look()

    assert get(f"/schedules/{schedule['id']}")["paused_because"]["code"] == "project.archived"


def test_high_priority_is_for_those_who_may_set_it(make, editor, sign_in, change):
    refused = make(headers=sign_in("eddy"), priority="high")
    mine = make(priority="high").json

    taken_over = change(mine, headers=sign_in("eddy"), name="mine now")

    assert refused.json["code"] == taken_over.json["code"] == "auth.scope_missing"
    assert mine["priority"] == 1


def test_whoever_changes_a_schedule_owns_it_and_whoever_only_pauses_it_does_not(
    make, editor, sign_in, change, engineer
):
    schedule = make().json
    eddy = sign_in("eddy")

    paused = change(schedule, headers=eddy, is_paused=True).json
    changed = change(schedule, headers=eddy, train=schedule["train"] | {"kind": "ridge"}).json

    assert (paused["owner_id"], changed["owner_id"]) == (str(engineer.id), str(editor.id))
    assert (changed["created_by"], changed["train"]["kind"]) == (str(engineer.id), "ridge")
    assert changed["next_run_at"] is None, "it is paused still"


def test_viewers_look_and_strangers_find_nothing(client, project, make, viewer, stranger, change):
    schedule = make().json
    url = f"/api/v1/schedules/{schedule['id']}"

    assert client.get(url, headers=viewer).status_code == 200
    assert client.get(f"{url}/runs", headers=viewer).status_code == 200
    assert make(headers=viewer).status_code == change(schedule, headers=viewer, is_paused=True).status_code == 403
    assert client.delete(url, headers=viewer).status_code == 403
    for answer in (client.get(url, headers=stranger), client.get(f"{url}/runs", headers=stranger)):
        assert answer.json["code"] == "schedule.not_found"
    assert change(schedule, headers=stranger, is_paused=True).json["code"] == "schedule.not_found"
    assert make(headers=stranger).json["code"] == "project.not_found"
    assert client.get(f"/api/v1/projects/{project.id}/schedules", headers=stranger).json["code"] == "project.not_found"


def test_a_module_of_another_project_is_not_trained_from_here(app, client, headers, engineer, module, clock):
    with app.app_context():
        other = projects.create(name="Unit 4", actor=engineer)
    body = {"name": "n", "cron": "* * * * *", "train": {"module_id": module["id"], "kind": "linear"}}

    refused = client.post(f"/api/v1/projects/{other.id}/schedules", json=body, headers=headers)

    assert (refused.status_code, refused.json["code"]) == (404, "module.not_found")


# Making and changing


def test_what_a_training_would_refuse_at_night_is_told_and_tried_the_next_night(app, make, look, runs_of, get):
    schedule = make(train={"validation": {"scheme": "group", "group": "nobody"}}).json

    look()

    [run] = runs_of(schedule)
    assert (run["outcome"], run["task_id"]) == ("refused", None)
    assert run["error"]["code"] == "model.validation_unfit"
    assert get(f"/schedules/{schedule['id']}")["next_run_at"] == NIGHT + DAY_MS


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"time_zone": "Mars"}, "time_zone"),
    ],
)
def test_times_that_never_come_are_refused(app, make, change, asked, path):
    good = make().json

    for refused in (make(**asked), change(good, **asked)):
        assert (refused.status_code, refused.json["code"]) == (422, "request.invalid")
        assert refused.json["details"]["path"] == path
    with app.app_context():
        assert db.session.query(Schedule).one().cron == "0 2 * * *"


@pytest.mark.parametrize("train", [{"dataset_version": 1}, {"kind": "magic"}, {"params": {"nobody": 1}}, {"x": 1}])
def test_a_training_that_nobody_could_ask_for_is_refused(app, make, train):
    assert make(train=train).status_code == 422
    with app.app_context():
        assert db.session.query(Schedule).count() == 0


def test_it_submits_one_thing(client, headers, project, module, make, change):
    url = f"/api/v1/projects/{project.id}/schedules"
    neither = client.post(url, json={"name": "n", "cron": "* * * * *"}, headers=headers)
    asked = {"terms": [{"goal": "maximize", "of": "y"}], "process_id": module["process_id"]}
    train = {"module_id": module["id"], "kind": "linear"}
    both = client.post(url, json={"name": "n", "cron": "* * * * *", "train": train, "optimize": asked}, headers=headers)
    other = change(make().json, optimize=asked).json

    assert (neither.status_code, both.status_code) == (422, 422)
    assert (other["train"], other["optimize"]["process_id"]) == (None, module["process_id"])


def test_an_address_inside_is_refused(make, change):
    schedule = make().json

    for refused in (make(callback_url="http://127.0.0.1/"), change(schedule, callback_url="http://10.0.0.1/")):
        assert refused.json["code"] == "callback.refused"


def test_other_times_count_from_now_on(make, change, clock):
    schedule = make().json

    changed = change(schedule, cron="0 3 * * *", time_zone="Asia/Tokyo").json
    renamed = change(schedule, name="other").json

    assert changed["next_run_at"] == renamed["next_run_at"] == at("2026-03-02T03:00", "Asia/Tokyo")


def test_what_is_paused_submits_nothing_and_makes_up_for_nothing(app, make, change, look, clock, runs_of):
    schedule = make().json
    paused = change(schedule, is_paused=True).json
    assert look(NIGHT) == 0
    again = change(schedule, is_paused=True).json

    clock(NIGHT + MINUTE_MS)
    resumed = change(schedule, is_paused=False).json

    assert (paused["next_run_at"], paused["paused_because"]) == (None, None)
    assert again["paused_at"] == paused["paused_at"] == at("2026-03-01T12:00")
    assert resumed["next_run_at"] == NIGHT + DAY_MS
    assert runs_of(schedule) == []


def test_schedules_are_listed_and_deleted_and_what_they_submitted_goes_on(
    app, client, headers, project, make, look, runs_of, get, work
):
    late, early = make(name="b", cron="0 3 * * *").json, make(name="a").json
    url = f"/projects/{project.id}/schedules"
    assert [each["name"] for each in get(url)["items"]] == ["a", "b"]
    assert [each["id"] for each in get(f"{url}?sort=-next_run_at")["items"]] == [late["id"], early["id"]]
    look()
    [run] = runs_of(early)

    deleted = client.delete(f"/api/v1/schedules/{early['id']}", headers=headers)
    work()

    assert deleted.status_code == 204
    assert get(url)["total"] == 1
    assert get(f"/tasks/{run['task_id']}")["state"] == "succeeded"
    with app.app_context():
        assert db.session.query(ScheduleRun).count() == 0


def test_a_project_has_so_many_schedules_at_most(monkeypatch, make):
    monkeypatch.setattr(schedules, "MOST", 1)
    make()

    assert make().json["code"] == "schedule.limit"


def test_a_schedule_goes_with_its_module(app, client, headers, module, make):
    make()

    assert client.delete(f"/api/v1/modules/{module['id']}", headers=headers).status_code == 204
    with app.app_context():
        assert db.session.query(Schedule).count() == 0


def test_runs_go_with_age_and_a_run_outlives_its_task(app, make, look, runs_of, clock):
    schedule = make().json
    look()
    [run] = runs_of(schedule)
    with app.app_context():
        task = db.session.get(Task, UUID(run["task_id"]))
        task.state, task.ended_at = TaskState.CANCELLED, 1
        db.session.commit()
        task_retention.remove_old()
        schedule_runs.forget_old()
    assert [(each["due_at"], each["task_id"]) for each in runs_of(schedule)] == [(NIGHT, None)]

    clock(NIGHT + 91 * DAY_MS)
    with app.app_context():
        schedule_runs.forget_old()

    assert runs_of(schedule) == []

"""Whoever asked for it is told of a task's end: signed, again until it was heard, and nowhere inside."""

import hashlib
import hmac
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.extensions import db
from app.models import Callback, Task
from app.viewModels import callback_delivery, projects, users
from tests.support.receiver import receiver

HOUR_MS = 3_600_000


@pytest.fixture
def listener():
    with receiver() as running:
        yield running


@pytest.fixture
def allowed(app, monkeypatch):
    """Callbacks may go to this machine."""
    inside = replace(app.config["SETTINGS"], callback_private_addresses="allow")
    monkeypatch.setitem(app.config, "SETTINGS", inside)


@pytest.fixture
def submit(client, headers, module):
    """Ask for a training that tells an address of its end."""

    def ask(url, *, headers=headers, **more):
        path = f"/api/v1/modules/{module['id']}/models"
        return client.post(path, query_string={"callback_url": url}, json={"kind": "linear"}, headers=headers | more)

    return ask


@pytest.fixture
def deliver(app):
    """Do what the thread in beat does."""

    def do():
        with app.app_context():
            return callback_delivery.deliver_due()

    return do


@pytest.fixture
def later(monkeypatch):
    """Let so much time pass for those who deliver."""
    now, passed = callback_delivery.now_ms, []

    def let_pass(ms):
        passed.append(ms)
        monkeypatch.setattr(callback_delivery, "now_ms", lambda: now() + sum(passed))

    return let_pass


@pytest.fixture
def log_of(client, headers):
    """The only callback of a task, as its owner sees it."""

    def look(task):
        answer = client.get(f"/api/v1/tasks/{task['id']}/deliveries", headers=headers)
        assert answer.status_code == 200, answer.json
        return answer.json["items"][0]

    return look


def count(app, model):
    with app.app_context():
        return db.session.query(model).count()


@pytest.mark.usefixtures("allowed")
def test_the_end_of_a_task_is_told_once_with_the_task_as_the_api_shows_it(
    client, headers, listener, submit, work, deliver
):
    task = submit(f"{listener.url}/hook?for=boiler").json
    deliver()
    assert listener.got == []

    work()
    deliver()
    deliver()

    [(path, _headers, body)] = listener.got
    shown = client.get(f"/api/v1/tasks/{task['id']}", headers=headers).json
    told = json.loads(body)["task"]
    assert path == "/hook?for=boiler"
    assert told == {name: shown[name] for name in told}
    assert told["state"] == "succeeded"
    assert {"id", "kind", "state", "subject_id", "result", "error", "ended_at"} <= told.keys()


@pytest.mark.usefixtures("allowed")
def test_what_is_told_is_signed_with_the_key_of_the_project(client, headers, project, listener, submit, work, deliver):
    submit(listener.url)
    work()

    deliver()

    key = client.get(f"/api/v1/projects/{project.id}/callback_key", headers=headers).json["key"]
    _path, sent, body = listener.got[0]
    signed = f"{sent['Setpoint-Timestamp']}.".encode() + body
    assert sent["Setpoint-Signature"] == hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
    assert sent["Setpoint-Delivery"] == json.loads(body)["id"]


def test_each_project_has_a_key_of_its_own(client, headers, engineer, app, project):
    with app.app_context():
        other = projects.create(name="Unit 4", actor=engineer)

    keys = {
        client.get(f"/api/v1/projects/{each.id}/callback_key", headers=headers).json["key"] for each in (project, other)
    }

    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)


def test_the_key_is_for_those_who_may_submit(client, project, viewer, stranger):
    url = f"/api/v1/projects/{project.id}/callback_key"

    assert client.get(url, headers=viewer).json["code"] == "auth.scope_missing"
    assert client.get(url, headers=stranger).json["code"] == "project.not_found"


@pytest.mark.usefixtures("allowed")
def test_who_does_not_answer_well_is_told_again_later_under_the_same_name(
    listener, submit, work, deliver, later, log_of
):
    listener.answers = [500, 302]
    task = submit(listener.url).json
    work()

    deliver()
    deliver()  # the pause is not over
    later(callback_delivery.pause_ms(1))
    deliver()
    later(callback_delivery.pause_ms(2))
    deliver()

    told = log_of(task)
    assert [attempt["status"] for attempt in told["attempts"]] == [500, 302, 200]
    assert (told["state"], told["next_at"]) == ("delivered", None)
    assert len({headers["Setpoint-Delivery"] for _, headers, _ in listener.got}) == 1
    assert len({headers["Setpoint-Timestamp"] for _, headers, _ in listener.got}) >= 2, "each try is signed anew"


@pytest.mark.usefixtures("allowed")
def test_nobody_there_is_written_down_and_tried_again(submit, work, deliver, log_of):
    with receiver() as gone:
        pass
    task = submit(gone.url).json
    work()

    deliver()

    told = log_of(task)
    assert (told["state"], told["attempts"][0]["status"]) == ("due", None)
    assert "ConnectionRefusedError" in told["attempts"][0]["error"]
    assert told["next_at"] > told["attempts"][0]["at"]


def test_pauses_grow_up_to_some_hours():
    pauses = [callback_delivery.pause_ms(n) for n in range(1, 30)]

    assert pauses[:3] == [10_000, 20_000, 40_000]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 4 * HOUR_MS


@pytest.mark.usefixtures("allowed")
def test_after_a_day_in_vain_it_is_given_up(listener, submit, work, deliver, later, log_of):
    listener.answers = [503] * 100
    task = submit(listener.url).json
    work()

    for _ in range(40):
        deliver()
        later(HOUR_MS)

    told = log_of(task)
    assert (told["state"], told["next_at"]) == ("failed", None)
    assert len(listener.got) == len(told["attempts"]) < 40


@pytest.mark.usefixtures("allowed")
def test_a_try_that_a_kill_broke_off_is_made_again(app, listener, submit, work, deliver, later):
    submit(listener.url)
    work()
    with app.app_context():  # somebody takes the try, and is never heard of again
        callback_delivery._find_ended()
        [row] = callback_delivery._due()
        assert callback_delivery._claimed(*row)

    deliver()
    assert listener.got == []
    later(callback_delivery.TRY_MS + 1)
    deliver()

    assert len(listener.got) == 1


@pytest.mark.usefixtures("allowed")
def test_two_beats_at_once_tell_it_once(app, listener, submit, work):
    for _ in range(3):
        submit(listener.url)
    work()

    def deliver(_):
        with app.app_context():
            return callback_delivery.deliver_due()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(deliver, range(2)))

    ids = [task["id"] for task in listener.tasks]
    assert len(ids) == len(set(ids)) == 3


@pytest.mark.usefixtures("allowed")
def test_a_task_that_is_tried_again_is_told_of_again_under_another_name(
    client, headers, listener, submit, work, deliver, log_of
):
    task = submit(listener.url).json
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    deliver()

    client.post(f"/api/v1/tasks/{task['id']}/retry", headers=headers)
    deliver()
    assert log_of(task)["state"] == "waiting"
    work()
    deliver()

    assert [told["state"] for told in listener.tasks] == ["cancelled", "succeeded"]
    assert len({headers["Setpoint-Delivery"] for _, headers, _ in listener.got}) == 2
    assert len(log_of(task)["attempts"]) == 2


@pytest.mark.usefixtures("allowed")
def test_who_was_deactivated_hears_nothing_more(app, engineer, listener, submit, work, deliver, make_user, admin):
    submit(listener.url)
    work()
    with app.app_context():
        users.change(engineer.id, is_active=False)

    deliver()

    with app.app_context():
        told = db.session.query(Callback).one()
        assert (told.state, told.attempts[0]["error"]) == ("failed", "Who asked for it was deactivated.")
    assert listener.got == []


@pytest.mark.usefixtures("allowed")
def test_who_left_the_project_hears_nothing_more(
    app, client, headers, project, engineer, make_user, sign_in, listener, submit, work, deliver, log_of
):
    editor = make_user("eddy")
    members = f"/api/v1/projects/{project.id}/members"
    client.put(members, json={"username": "eddy", "role": "editor"}, headers=headers)
    task = submit(listener.url, headers=sign_in("eddy")).json
    client.delete(f"{members}/{editor.id}", headers=headers)
    work()

    deliver()

    assert (log_of(task)["state"], listener.got) == ("failed", [])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://2130706433/",
        "ftp://example.com/",
        "no url",
    ],
)
def test_an_address_that_leads_inside_is_refused_and_nothing_is_submitted(app, submit, url):
    before = count(app, Task)

    refused = submit(url)

    assert (refused.status_code, refused.json["code"]) == (422, "callback.refused")
    assert refused.json["details"]["path"] == "callback_url"
    assert count(app, Task) == before


def test_an_empty_or_endless_address_is_invalid_input(submit):
    assert submit("").json["code"] == "request.invalid"
    assert submit("http://example.com/" + "a" * 2000).json["code"] == "request.invalid"


def test_a_name_that_leads_inside_by_the_time_of_the_end_is_not_called(
    monkeypatch, listener, submit, work, deliver, log_of
):
    real, leads_to = socket.getaddrinfo, ["93.184.215.14"]

    def look_up(host, port, *args, **kwargs):
        if host != "rebound.example":
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to[0], port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)  # the outside begins here
    task = submit(f"http://rebound.example:{listener.port}/").json
    leads_to[0] = "127.0.0.1"
    work()

    deliver()

    attempt = log_of(task)["attempts"][0]
    assert (attempt["status"], attempt["error"]) == (None, "Its host does not lead to a public address.")
    assert listener.got == []


@pytest.mark.usefixtures("allowed")
def test_under_a_key_there_is_one_task_and_one_callback(app, listener, submit):
    key = {"Idempotency-Key": "k1"}

    first, again = submit(listener.url, **key), submit(listener.url, **key)
    other = submit(f"{listener.url}/other", **key)

    assert again.json["id"] == first.json["id"]
    assert other.json["code"] == "task.key_reused"
    assert count(app, Callback) == 1


@pytest.mark.usefixtures("allowed")
def test_the_log_hides_the_path_of_the_address_and_is_for_those_who_see_the_task(
    client, listener, submit, viewer, stranger
):
    task = submit(f"{listener.url}/secret").json
    url = f"/api/v1/tasks/{task['id']}/deliveries"

    seen = client.get(url, headers=viewer)

    assert seen.json["items"][0]["origin"] == listener.url
    assert "secret" not in seen.text
    assert client.get(url, headers=stranger).json["code"] == "task.not_found"


@pytest.mark.usefixtures("allowed")
def test_a_large_result_is_left_out_and_the_task_is_told_all_the_same(monkeypatch, listener, submit, work, deliver):
    monkeypatch.setattr(callback_delivery, "LARGEST_BODY", 10)
    submit(listener.url)
    work()

    deliver()

    assert [(told["state"], told["result"]) for told in listener.tasks] == [("succeeded", None)]

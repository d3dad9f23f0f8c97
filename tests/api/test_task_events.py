"""A task's events as streams: server-sent events and JSON lines, replayed from a number and then live."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue

import pytest

from app.extensions import db
from app.libs.enums import EventType, Queue, TaskKind, TaskState
from app.libs.ids import new_id
from app.models import LoginSession, Membership
from app.viewModels import accounts, task_queue, task_stream, users

SSE, NDJSON = {"Accept": "text/event-stream"}, {"Accept": "application/x-ndjson"}


@pytest.fixture
def task(app, project, engineer):
    """A task with one event: it is queued."""
    with app.app_context():
        found = task_queue.submit(
            TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer
        )
        db.session.commit()
        return found


@pytest.fixture
def lease(app, task):
    """The task in a worker's hands: its second event."""
    with app.app_context():
        return task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=60_000)


@pytest.fixture
def tell(app, lease):
    """Append events to the task's log, as its worker does."""

    def do(*numbers):
        with app.app_context():
            task_queue.write(lease, [(EventType.PROGRESS, {"done": n / 100}) for n in numbers])
            db.session.commit()

    return do


@pytest.fixture
def finish(app, lease):
    def do():
        with app.app_context():
            task_queue.end(lease, TaskState.SUCCEEDED, result={})
            db.session.commit()

    return do


@pytest.fixture
def stream(app, task, headers):
    """Open a stream, and hand over its parts as they come."""

    @contextmanager
    def opened(how, query="", **more):
        answer = app.test_client().get(f"/api/v1/tasks/{task.id}/events{query}", headers=headers | how | more)
        parts = SimpleQueue()
        reader = threading.Thread(target=lambda: [parts.put(part) for part in answer.iter_encoded()], daemon=True)
        reader.start()
        try:
            yield Reader(answer, parts)
        finally:
            reader.join(10)
            answer.close()

    return opened


class Reader:
    """A stream's parts, read as a client reads them."""

    def __init__(self, answer, parts):
        self.answer, self._parts = answer, parts

    def events(self, n):
        """The next n events, with the end among them."""
        found = []
        while len(found) < n:
            found += parse(self.part().decode(), self.answer.mimetype)
        return found

    def part(self):
        """The next part as it is."""
        return self._parts.get(timeout=10)


def parse(text, mimetype):
    if mimetype == "application/x-ndjson":
        return [json.loads(line) for line in text.splitlines() if line]
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            event = json.loads(fields["data"])
            assert int(fields["id"]) == event.get("number", event.get("after"))
            found.append(event if "event" not in fields else {"type": fields["event"], "data": event})
    return found


def numbers(events):
    return [event.get("number") for event in events]


@pytest.mark.parametrize("how", [SSE, NDJSON])
def test_a_stream_replays_the_log_goes_on_live_and_ends_with_the_task(stream, tell, finish, client, task, headers, how):
    with stream(how) as reader:
        before = reader.events(2)
        tell(1, 2)
        tell(3)
        live = reader.events(3)
        finish()
        last = reader.events(3)

    log = client.get(f"/api/v1/tasks/{task.id}/events", headers=headers).json["items"]
    assert before + live + last[:-1] == log
    assert numbers(log) == list(range(1, 8))
    assert last[-1] == {"type": "end", "data": {"reason": "task.ended", "after": 7}}


def test_the_page_of_json_stays_what_is_answered_to_who_asks_for_nothing_else(client, task, headers):
    for accepted in ({}, {"Accept": "*/*"}, {"Accept": "text/html, */*"}, {"Accept": "application/json"}):
        answer = client.get(f"/api/v1/tasks/{task.id}/events", headers=headers | accepted)

        assert answer.mimetype == "application/json"
        assert numbers(answer.json["items"]) == [1]


@pytest.mark.parametrize("how", [SSE, NDJSON])
def test_a_client_that_was_cut_off_goes_on_after_the_number_it_names(stream, tell, finish, how):
    tell(1, 2, 3)
    finish()

    with stream(how, "?after=3") as by_query:
        from_query = by_query.events(5)
    with stream(how, "?after=1", **{"Last-Event-ID": "4"}) as by_header:
        from_header = by_header.events(4)

    assert numbers(from_query) == [4, 5, 6, 7, None]
    assert numbers(from_header) == [5, 6, 7, None]


def test_an_event_source_that_has_everything_is_told_not_to_come_again(client, task, finish, headers):
    finish()

    answer = client.get(f"/api/v1/tasks/{task.id}/events", headers=headers | SSE | {"Last-Event-ID": "4"})

    assert answer.status_code == 204


@pytest.mark.parametrize("number", ["-1", "x", str(2**70)])
def test_a_last_event_id_that_is_no_number_is_refused(client, task, headers, number):
    answer = client.get(f"/api/v1/tasks/{task.id}/events", headers=headers | SSE | {"Last-Event-ID": number})

    assert answer.status_code == 422
    assert "Last-Event-ID" in answer.json["details"]["headers"]


def test_nobody_streams_a_task_of_somebody_elses_project(client, task, stranger):
    answer = client.get(f"/api/v1/tasks/{task.id}/events", headers=stranger | SSE)

    assert answer.status_code == 404
    assert answer.json["code"] == "task.not_found"


def test_a_silent_stream_gives_signs_of_life(app, monkeypatch, stream, finish, lease):
    monkeypatch.setattr(task_stream, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(task_stream, "RIGHTS_LAST_S", 0.05)

    with stream(SSE) as reader:
        reader.events(2)
        beats = [reader.part() for _ in range(3)]
        finish()
        reader.events(3)

    assert beats == [b":\n\n"] * 3


def test_an_event_of_which_nobody_told_is_found_in_the_log(app, stream, lease, finish, monkeypatch):
    """Redis may lose a message, also the last one."""
    monkeypatch.setattr("app.viewModels.task_feed.PATROL_S", 0.05)

    with stream(SSE) as reader:
        reader.events(2)
        with monkeypatch.context() as silence:
            silence.setattr("app.viewModels.task_log.socketio.emit", lambda *_, **__: None)
            finish()
        last = reader.events(3)

    assert numbers(last) == [3, 4, None]


@pytest.mark.parametrize("how", ["logout", "deactivated", "left", "expired"])
def test_whoever_may_follow_no_more_is_told_why_and_let_go_of(app, stream, tell, engineer, monkeypatch, how):
    monkeypatch.setattr(task_stream, "RIGHTS_LAST_S", 0.05)
    reasons = {
        "logout": "auth.session_ended",
        "deactivated": "auth.session_ended",
        "left": "task.not_found",
        "expired": "auth.token_expired",
    }

    with stream(NDJSON) as reader:
        reader.events(2)
        if how == "expired":
            later = time.time() * 1000 + 3_600_000
            monkeypatch.setattr(task_stream, "now_ms", lambda: later)
        else:
            with app.app_context():
                take_right_away(how, engineer)
        tell(1)
        end = reader.events(1)
        while end[-1]["type"] != "end":
            end += reader.events(1)

    assert end[-1]["data"]["reason"] == reasons[how]


def take_right_away(how, engineer):
    if how == "logout":
        session_id = db.session.query(LoginSession.id).filter_by(user_id=engineer.id).scalar()
        accounts.logout(replace(engineer, session_id=session_id))
    elif how == "deactivated":
        users.change(engineer.id, is_active=False)
    else:
        db.session.query(Membership).filter_by(user_id=engineer.id).delete()
        db.session.commit()


def test_more_streams_than_there_are_places_are_refused_and_a_place_is_given_back(
    app, client, task, headers, monkeypatch
):
    places = app.extensions["places"]
    monkeypatch.setattr(places, "n_places", places.n_taken + 1)
    url, asked = f"/api/v1/tasks/{task.id}/events", headers | SSE

    first = app.test_client().get(url, headers=asked)
    refused = client.get(url, headers=asked)
    first.close()
    again = client.get(url, headers=asked)
    again.close()
    head = client.head(url, headers=asked)

    assert (first.status_code, refused.status_code, again.status_code, head.status_code) == (200, 503, 200, 200)
    assert refused.json["code"] == "stream.full"
    assert int(refused.headers["Retry-After"]) > 0
    assert places.n_taken == places.n_places - 1


def test_the_streams_are_in_the_api_reference(client):
    operation = client.get("/api/v1/openapi.json").json["paths"]["/api/v1/tasks/{task_id}/events"]["get"]

    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
    }
    assert {parameter["name"] for parameter in operation["parameters"]} >= {"after", "Last-Event-ID"}

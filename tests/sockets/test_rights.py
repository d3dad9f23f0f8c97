"""While a connection lives: tokens run out and are renewed, members leave, and a user's list of tasks changes."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
import socketio
import websocket
from flask_jwt_extended import create_access_token

from app.models import LoginSession
from tests.sockets.conftest import Api, Follower
from tests.support.deployment import deployment
from tests.support.followers import SOCKET_PATH
from tests.support.servers import wait_until

LONG_SEARCH = {"terms": [{"goal": "minimize", "of": "y"}], "budget": 1_000_000, "seed": 1}


@pytest.fixture
def task(api, module_id):
    """An optimization that goes on until it is cancelled."""
    found = api.post(f"/modules/{module_id}/optimizations", json=LONG_SEARCH)
    yield found
    if api.get(f"/tasks/{found['id']}")["ended_at"] is None:
        api.post(f"/tasks/{found['id']}/cancel")
        api.wait_for(found)


@pytest.fixture
def token_for(migrated_app, engineer):
    """Sign a token of the engineer's newest session that is good for so many seconds."""

    def make(seconds):
        with migrated_app.app_context():
            session = LoginSession.query.filter_by(user_id=engineer.id).order_by(LoginSession.id.desc()).first()
            life = timedelta(seconds=seconds)
            return create_access_token(str(engineer.id), expires_delta=life, additional_claims={"sid": str(session.id)})

    return make


def test_a_token_that_runs_out_ends_what_it_was_good_for_and_a_fresh_one_goes_on(api, task, follow, token_for):
    follower = follow(token_for(3))
    follower.subscribe(task["id"])
    follower.say("subscribe_tasks")

    wait_until(lambda: len(follower.reasons) == 2, "the end of the token")
    refused = follower.subscribe(task["id"])
    answer = follower.say("authenticate", {"token": api.token})
    again = follower.subscribe(task["id"], after=follower.told[-1]["number"])
    api.post(f"/tasks/{task['id']}/cancel")
    follower.wait_for_end()

    assert follower.reasons[:2] == ["auth.token_expired"] * 2
    assert refused["problem"]["code"] == "auth.token_expired"
    assert answer["ok"]
    assert answer["expires_at"] > 0
    assert again == {"ok": True}
    assert follower.told == api.events(task["id"])


def test_a_token_renewed_in_time_ends_nothing(api, task, follow, token_for):
    renewing, other = follow(token_for(2)), follow(token_for(2))
    renewing.subscribe(task["id"])
    other.subscribe(task["id"])

    renewing.say("authenticate", {"token": api.token})
    wait_until(lambda: other.reasons, "the end of the token that was not renewed")
    told = len(renewing.told)
    wait_until(lambda: len(renewing.told) > told + 3, "more events")

    assert renewing.reasons == []


def test_somebody_elses_token_renews_nothing(api, follow, make_user, server):
    make_user("vera")

    answer = follow(api.token).say("authenticate", {"token": Api(server, "vera").token})

    assert answer["problem"]["code"] == "auth.token_invalid"


def test_who_leaves_the_project_is_told_so_and_let_go_of(api, task, follow, make_user, server):
    vera = make_user("vera")
    project = api.get(f"/tasks/{task['id']}")["project_id"]
    api.call("PUT", f"/projects/{project}/members", json={"username": "vera", "role": "viewer"})
    follower = follow(Api(server, "vera").token)
    subscribed = follower.subscribe(task["id"])

    api.call("DELETE", f"/projects/{project}/members/{vera.id}")
    wait_until(lambda: follower.reasons, "the end of the subscription")

    assert subscribed == {"ok": True}
    assert follower.reasons == ["task.not_found"]


def test_whoever_watches_the_list_of_tasks_is_told_of_every_task_of_the_projects(
    api, module_id, follow, make_user, server
):
    make_user("stranger")
    watching, stranger = follow(api.token), follow(Api(server, "stranger").token)
    assert watching.say("subscribe_tasks") == stranger.say("subscribe_tasks") == {"ok": True}

    task = api.post(f"/modules/{module_id}/optimizations", json=LONG_SEARCH | {"budget": 20_000})
    ended = api.wait_for(task)
    wait_until(lambda: watching.changes and watching.changes[-1]["state"] == "succeeded", "the end of the task")

    last = watching.changes[-1]
    assert {change["task_id"] for change in watching.changes} == {task["id"]}
    assert {name: last[name] for name in ("kind", "subject_id", "last_event", "ended_at", "created_by")} == {
        name: ended[name] for name in ("kind", "subject_id", "last_event", "ended_at", "created_by")
    }
    assert stranger.changes == []
    assert watching.say("unsubscribe_tasks") == {"ok": True}


def test_a_server_whose_places_are_taken_says_so_and_still_answers_requests(migrated_app, engineer):
    settings = replace(migrated_app.config["SETTINGS"], web_threads=4)
    with deployment(settings, web_workers=1, celery=False) as url:
        api = Api(url, engineer.username)
        followers = [Follower() for _ in range(3)]
        for follower in followers:
            follower.connect(url, api.token)
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(url.replace("http", "ws") + SOCKET_PATH)
        answered = api.get("/me")["username"]
        followers[0].client.disconnect()
        wait_until(lambda: connects(followers[0], url, api.token), "a place")
        for follower in followers:
            follower.client.disconnect()

    assert answered == engineer.username
    assert refused.value.status_code == 503
    assert int(refused.value.resp_headers["retry-after"]) > 0
    assert json.loads(refused.value.resp_body)["code"] == "stream.full"


def test_a_connection_that_never_says_who_it_is_is_closed(server):
    with closing(websocket.create_connection(server.replace("http", "ws") + SOCKET_PATH, timeout=30)) as nameless:
        opened, said_last = nameless.recv(), nameless.recv()

    assert opened.startswith("0")
    assert said_last in {"", "1"}


def connects(follower, url, token):
    try:
        follower.connect(url, token)
    except socketio.exceptions.ConnectionError:
        return False
    return True

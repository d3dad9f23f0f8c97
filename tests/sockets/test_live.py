"""Live events with everything real: gunicorn workers, a Celery worker, Redis between them, and Socket.IO clients."""

from uuid import UUID

import pytest
import socketio

from app.libs.enums import Role
from tests.conftest import PASSWORD
from tests.sockets.conftest import Api, Follower
from tests.support.servers import wait_until

# long enough for clients to come and go while it runs
SEARCH = {"terms": [{"goal": "minimize", "of": "y"}], "budget": 60_000, "seed": 1}


NONSENSE = [{}, "x", {"task_id": "1"}, *({"task_id": str(UUID(int=1)), "after": after} for after in (-1, 1e400, 2**70))]


def start(api, module_id, **changes):
    return api.post(f"/modules/{module_id}/optimizations", json=SEARCH | changes)


def test_every_subscriber_gets_every_event_once_in_order_and_nobody_else_gets_one(
    api, module_id, follow, server, make_user
):
    make_user("stranger")
    outsider = Api(server, "stranger")
    before = [follow(api.token) for _ in range(6)]  # on both gunicorn workers, more likely than not
    bystander, stranger = follow(api.token), follow(outsider.token)

    task = start(api, module_id)
    early = [follower.subscribe(task["id"]) for follower in before]
    refused = stranger.subscribe(task["id"])
    late = follow(api.token)
    late.subscribe(task["id"])
    for follower in [*before, late]:
        follower.wait_for_end()
    afterwards = follow(api.token)
    afterwards.subscribe(task["id"], after=2)
    afterwards.wait_for_end()

    log = api.events(task["id"])
    assert [event["number"] for event in log] == list(range(1, len(log) + 1))
    assert len([event for event in log if event["type"] == "progress"]) >= 2
    assert early == [{"ok": True}] * 6
    for follower in [*before, late]:
        assert follower.told == log
    assert afterwards.told == log[2:]
    assert refused["ok"] is False
    assert refused["problem"]["code"] == "task.not_found"
    assert bystander.told == stranger.told == []


def test_a_client_that_was_cut_off_goes_on_from_its_last_number(api, module_id, follow):
    task = start(api, module_id)
    first = follow(api.token)
    first.subscribe(task["id"])
    while len(first.told) < 3:
        first.client.sleep(0.01)
    first.client.disconnect()

    again = follow(api.token)
    again.subscribe(task["id"], after=first.told[-1]["number"])
    again.wait_for_end()

    assert first.told + again.told == api.events(task["id"])


def test_a_cancelled_optimization_says_so_to_who_follows_it(api, module_id, follow):
    task = start(api, module_id, budget=1_000_000)
    follower = follow(api.token)
    follower.subscribe(task["id"])
    while not any(event["type"] == "progress" for event in follower.told):
        follower.client.sleep(0.01)

    answer = api.post(f"/tasks/{task['id']}/cancel")
    follower.wait_for_end()

    assert answer["state"] == "stopping"
    assert api.wait_for(task)["state"] == "cancelled"
    states = [event["data"]["state"] for event in follower.told if event["type"] == "state"]
    assert states == ["queued", "running", "stopping", "cancelled"]


def test_after_unsubscribing_nothing_more_comes(api, module_id, follow):
    task = start(api, module_id)
    leaving, staying = follow(api.token), follow(api.token)
    leaving.subscribe(task["id"])
    staying.subscribe(task["id"])

    leaving.client.call("unsubscribe", {"task_id": task["id"]}, timeout=20)
    told = len(leaving.told)
    staying.wait_for_end()

    assert len(leaving.told) == told < len(staying.told)


def test_who_may_follow_no_more_is_let_go_while_the_task_goes_on(api, module_id, follow, server, engineer):
    task = start(api, module_id, budget=1_000_000)
    leaving, staying = follow(api.token), follow(Api(server, engineer.username).token)
    leaving.subscribe(task["id"])
    staying.subscribe(task["id"])
    wait_until(lambda: len(leaving.told) > 3, "some events")

    api.post("/auth/logout")
    wait_until(lambda: leaving.let_go_of, "the end of the subscription")
    told = len(leaving.told)
    wait_until(lambda: len(staying.told) > told + 3, "more events")

    assert leaving.let_go_of == [task["id"]]
    assert len(leaving.told) == told
    assert staying.let_go_of == []
    Api(server, engineer.username).post(f"/tasks/{task['id']}/cancel")
    staying.wait_for_end()


@pytest.mark.parametrize("token", ["", "nonsense", "\ud800"])
def test_nobody_connects_without_a_good_token(server, token):
    follower = Follower()

    with pytest.raises(socketio.exceptions.ConnectionError):
        follower.connect(server, token)

    assert [refusal["data"]["code"] for refusal in follower.refusals] == ["auth.token_invalid"]


def test_a_session_that_has_ended_can_subscribe_to_nothing_more(api, module_id, follow):
    task = start(api, module_id, budget=100)
    follower = follow(api.token)
    api.post("/auth/logout")

    answer = follower.subscribe(task["id"])

    assert answer["ok"] is False
    assert answer["problem"]["code"] == "auth.session_ended"


def test_a_message_that_makes_no_sense_is_answered_and_not_obeyed(api, follow):
    follower = follow(api.token)

    answers = [follower.client.call("subscribe", message, timeout=20) for message in NONSENSE]

    assert {answer["problem"]["code"] for answer in answers} == {"request.invalid"}


def test_an_administrator_follows_any_task(api, module_id, follow, make_user, server):
    make_user("ada", Role.ADMIN)
    admin = Api(server, "ada")
    task = start(api, module_id, budget=100)

    answer = follow(admin.token).subscribe(task["id"])

    assert answer == {"ok": True}
    assert PASSWORD not in str(api.events(task["id"]))

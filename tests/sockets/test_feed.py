"""Feeds and the courier: whatever the messages do on their way, a follower gets each event once and in order."""

import random
import threading
import time
from collections import defaultdict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.libs.enums import TaskState
from app.sockets import courier as couriers
from app.sockets.courier import Courier
from app.viewModels import task_feed
from app.viewModels.task_feed import Feed, Feeds
from app.viewModels.task_log import Head
from tests.support.servers import wait_until

TASK = UUID(int=7)


class Log:
    """A task's log, as the database gives it."""

    def __init__(self, n=0):
        self.events = [self.event(k) for k in range(1, n + 1)]
        self.reads = 0

    @staticmethod
    def event(number, state=None):
        data = {"state": state} if state else {}
        return {"task_id": str(TASK), "number": number, "type": "state" if state else "progress", "data": data}

    def add(self, state=None):
        self.events.append(self.event(len(self.events) + 1, state))
        return self.events[-1]

    def after(self, number):
        self.reads += 1
        return self.events[number : number + 7]

    def head(self):
        return Head(len(self.events), TaskState.RUNNING)


def feed_of(log):
    feed = Feed(str(TASK), log.after)
    feed.begin(log.head())
    return feed


def numbers(events):
    return [event["number"] for event in events]


def test_events_that_come_in_order_need_no_look_into_the_log():
    log = Log(3)
    feed = feed_of(log)

    for _ in range(3):
        feed.offer(log.add())

    assert numbers(feed.after(3)) == [4, 5, 6]
    assert log.reads == 0


def test_a_feed_begins_at_the_logs_end_and_leaves_the_past_to_the_log():
    feed = feed_of(Log(3))

    assert feed.after(2) is None
    assert feed.after(3) == []


def test_an_event_that_comes_too_early_brings_those_before_it():
    log = Log(1)
    feed = feed_of(log)
    log.add(), log.add()

    feed.offer(log.add())
    was_behind = feed.is_behind
    feed.catch_up()

    assert was_behind
    assert numbers(feed.after(1)) == [2, 3, 4]


def test_a_feed_keeps_the_newest_events_only(monkeypatch):
    log = Log()
    feed = feed_of(log)

    for _ in range(task_feed.KEPT + 10):
        feed.offer(log.add())

    assert feed.after(9) is None
    assert len(feed.after(10)) == task_feed.KEPT


def test_an_event_between_the_look_at_the_log_and_the_begin_of_the_feed_is_not_missed():
    log = Log(2)

    def heads(_ids):
        head = log.head()
        feeds.offer(log.add())  # told while the answer was on its way
        return {TASK: head}

    feeds = Feeds(read=lambda _task, number: log.after(number), heads=heads, listen=lambda: None)
    feed = feeds.follow(TASK)
    feed.catch_up()

    assert numbers(feed.after(2)) == [3]


@given(st.lists(st.integers(1, 20), max_size=60), st.integers(0, 20))
def test_any_order_loss_and_doubling_of_messages_gives_each_event_once_in_order(messages, begin):
    log = Log(begin)
    feed = feed_of(log)
    log.events = Log(20).events

    for number in messages:
        feed.offer(Log.event(number))
    feed.note(20)
    feed.catch_up()

    assert numbers(feed.after(begin)) == list(range(begin + 1, 21))


def test_a_log_that_was_cleaned_away_is_not_asked_for_without_end():
    feed = feed_of(Log(2))

    feed.note(5)
    feed._read = lambda _number: []
    feed.catch_up()

    assert not feed.is_behind


class Wires:
    """The clients' queues: what lies in them, and whether anybody takes it."""

    def __init__(self):
        self.queues = defaultdict(list)
        self.stuck, self.gone, self.was_cut = set(), set(), []

    def pack(self, event, data):
        return event, data

    def put(self, sid, packed):
        self.queues[sid].append(packed)

    def n_unsent(self, sid):
        return None if sid in self.gone else len(self.queues[sid]) if sid in self.stuck else 0

    def cut(self, sid):
        self.was_cut.append(sid)
        self.gone.add(sid)

    def told(self, sid):
        return [data["number"] for event, data in self.queues[sid] if event == "task_event"]

    def ends(self, sid):
        return [(data["reason"], data["after"]) for event, data in self.queues[sid] if event == "unsubscribed"]


class Scene:
    def __init__(self, n=0):
        self.log, self.wires = Log(n), Wires()
        self.feeds = Feeds(
            read=lambda _task, number: self.log.after(number),
            heads=lambda _ids: {TASK: self.log.head()},
            listen=lambda: None,
        )
        self.courier = Courier(self.feeds, self.wires, lambda _task, number: self.log.after(number))

    def follow(self, sid, after=0):
        self.courier.follow(sid, TASK, after)

    def add(self, n, state=None):
        for _ in range(n):
            self.feeds.offer(self.log.add(state))

    def wait(self, sid, *told):
        wait_until(lambda: self.wires.told(sid) == list(*told), f"what {sid} is told", deadline_s=10)


@pytest.fixture
def scene():
    return Scene()


def test_a_follower_gets_the_log_from_its_number_and_then_what_happens(scene):
    scene.add(50)

    scene.follow("late", after=20)
    scene.add(30)

    scene.wait("late", range(21, 81))


def test_an_event_that_was_told_already_is_dropped(scene):
    scene.follow("a")
    scene.add(3)
    scene.wait("a", range(1, 4))

    scene.feeds.offer(Log.event(2))
    scene.add(1)

    scene.wait("a", range(1, 5))


def test_a_number_past_the_end_waits_for_its_turn(scene):
    scene.add(2)
    scene.follow("early", after=10)
    scene.follow("other", after=2)

    scene.add(9)

    scene.wait("other", range(3, 12))
    scene.wait("early", [11])


def test_events_offered_by_several_threads_while_the_log_is_replayed_stay_in_order():
    scene = Scene(100)
    offered = list(range(101, 301)) * 2
    random.Random(7).shuffle(offered)
    scene.follow("a")
    scene.log.events = Log(300).events

    threads = [
        threading.Thread(target=lambda part=offered[k::4]: [scene.feeds.offer(Log.event(n)) for n in part])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    scene.wait("a", range(1, 301))


def test_a_message_that_never_came_is_made_up_for_by_the_patrol(scene, monkeypatch):
    monkeypatch.setattr(task_feed, "PATROL_S", 0.05)
    scene.follow("a")

    scene.log.add()

    scene.wait("a", [1])


def test_a_subscription_ends_with_its_task_and_says_so(scene):
    scene.follow("a")

    scene.add(2)
    scene.add(1, state="succeeded")

    wait_until(lambda: scene.wires.ends("a"), "the end")
    assert scene.wires.told("a") == [1, 2, 3]
    assert scene.wires.ends("a") == [("task.ended", 3)]
    assert scene.courier.followed_by("a") == []
    assert scene.feeds._feeds == {}


def test_after_unfollowing_nothing_more_is_told_and_the_others_are(scene):
    scene.follow("leaving")
    scene.follow("staying")
    scene.add(1)
    scene.wait("leaving", [1])

    scene.courier.unfollow("leaving", TASK)
    scene.add(1)

    scene.wait("staying", [1, 2])
    assert scene.wires.told("leaving") == [1]


def test_a_client_that_takes_nothing_is_dropped_with_a_reason_then_cut_and_nobody_waits_for_it(scene, monkeypatch):
    monkeypatch.setattr(couriers, "PATIENCE_S", 0.2)
    scene.wires.stuck.add("stuck")
    scene.follow("stuck")
    scene.follow("lively")

    began = time.monotonic()
    scene.add(800)
    scene.wait("lively", range(1, 801))
    took = time.monotonic() - began
    wait_until(lambda: scene.wires.was_cut, "the cut")

    assert took < 10
    assert scene.wires.told("stuck") == list(range(1, couriers.MOST_UNSENT + 1))
    assert scene.wires.ends("stuck") == [("stream.too_slow", couriers.MOST_UNSENT)]
    assert scene.wires.was_cut == ["stuck"]
    assert scene.courier.followed_by("lively") == [TASK]


def test_a_client_that_falls_behind_but_takes_its_reason_stays_connected(scene, monkeypatch):
    monkeypatch.setattr(couriers, "PATIENCE_S", 0.2)
    scene.wires.stuck.add("slow")
    scene.follow("slow")
    scene.add(800)
    wait_until(lambda: scene.wires.ends("slow"), "the reason")

    scene.wires.stuck.clear()
    wait_until(lambda: not scene.courier._leaving, "another look")

    assert scene.wires.was_cut == []


def test_a_slow_replay_of_a_long_log_waits_for_its_client_and_loses_nothing(monkeypatch):
    scene = Scene(1200)
    scene.wires.stuck.add("slow")
    taken = []

    scene.follow("slow")
    while len(taken) < 1200:
        wait_until(lambda: scene.wires.queues["slow"], "something to take", deadline_s=10)
        assert len(scene.wires.queues["slow"]) <= couriers.MOST_UNSENT
        taken.append(scene.wires.queues["slow"].pop(0)[1]["number"])

    assert taken == list(range(1, 1201))


def test_more_events_at_once_than_a_feed_keeps_are_not_held_against_a_client(scene):
    scene.follow("a")
    n_events = 2 * task_feed.KEPT

    scene.log.events = Log(n_events).events
    scene.feeds.offer(Log.event(n_events))

    scene.wait("a", range(1, n_events + 1))


def test_who_follows_while_a_feed_begins_waits_until_it_has_begun():
    log, asked, answer = Log(5), threading.Event(), threading.Event()

    def heads(_ids):
        asked.set()
        answer.wait(10)
        return {TASK: log.head()}

    feeds = Feeds(read=lambda _task, number: log.after(number), heads=heads, listen=lambda: None)
    threading.Thread(target=feeds.follow, args=[TASK]).start()
    asked.wait(10)
    found = []
    second = threading.Thread(target=lambda: found.append(feeds.follow(TASK).after(0)))
    second.start()
    answer.set()
    second.join(10)

    assert found == [None], "the log has what came before"


def test_a_client_that_has_gone_is_forgotten(scene):
    scene.follow("gone")
    scene.wires.gone.add("gone")

    scene.add(1)

    wait_until(lambda: not scene.courier.sids(), "nobody to follow")


def test_a_client_that_follows_twice_at_one_moment_is_told_everything_once(scene, monkeypatch):
    scene.add(3)
    follow, twice = scene.feeds.follow, []

    def meanwhile(task_id):
        feed = follow(task_id)
        if not twice:
            twice.append(True)
            scene.follow("a", after=3)
        return feed

    monkeypatch.setattr(scene.feeds, "follow", meanwhile)
    scene.follow("a", after=3)
    scene.add(2, state="running")
    scene.wait("a", [4, 5])
    scene.courier.unfollow("a", TASK)

    assert scene.feeds._feeds == {}, "nobody is left who follows"


def test_following_anew_replaces_what_was_before(scene):
    scene.follow("a")
    scene.add(3)
    scene.wait("a", [1, 2, 3])

    scene.follow("a", after=1)

    scene.wait("a", [1, 2, 3, 2, 3])
    scene.add(1)
    scene.wait("a", [1, 2, 3, 2, 3, 4])

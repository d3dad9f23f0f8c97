"""Ordered delivery: whatever the messages do on their way, a subscriber gets each event once and in order."""

import random
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from app.sockets.delivery import RIGHTS_LAST_S, Subscription


class Log:
    """A task's log, as the database gives it."""

    def __init__(self, n=0):
        self.events = [{"number": k} for k in range(1, n + 1)]
        self.reads = 0

    def add(self):
        self.events.append({"number": len(self.events) + 1})
        return self.events[-1]

    def after(self, number):
        self.reads += 1
        return self.events[number : number + 7]


def follower(log, after=0):
    got = []

    def send(event):
        got.append(event["number"])

    return Subscription(after, fetch=log.after, send=send, may_follow=lambda: True), got


def test_a_new_subscriber_gets_the_log_from_the_number_it_names():
    subscription, got = follower(Log(5), after=2)

    subscription.catch_up()

    assert got == [3, 4, 5]


def test_a_log_of_many_pages_is_told_to_its_end():
    subscription, got = follower(Log(50))

    subscription.catch_up()

    assert got == list(range(1, 51))


def test_the_right_to_follow_is_asked_for_again_but_not_for_every_event(monkeypatch):
    now, answers = 100.0, [True, False]
    monkeypatch.setattr(time, "monotonic", lambda: now)
    subscription = Subscription(0, fetch=Log().after, send=print, may_follow=lambda: answers.pop(0))

    at_first = [subscription.is_allowed() for _ in range(3)]
    now += RIGHTS_LAST_S
    later = [subscription.is_allowed() for _ in range(3)]
    now += RIGHTS_LAST_S
    too_late = subscription.is_allowed()

    assert (at_first, later, too_late) == ([True] * 3, [True] * 3, False)


def test_events_that_come_in_order_need_no_look_into_the_log():
    log = Log()
    subscription, got = follower(log)

    for _ in range(3):
        subscription.offer(log.add())

    assert got == [1, 2, 3]
    assert log.reads == 0


def test_an_event_that_was_told_already_is_dropped():
    log = Log(3)
    subscription, got = follower(log)
    subscription.catch_up()

    subscription.offer({"number": 2})

    assert got == [1, 2, 3]


def test_an_event_that_comes_too_early_brings_those_before_it():
    log = Log(4)
    subscription, got = follower(log)

    subscription.offer({"number": 4})

    assert got == [1, 2, 3, 4]


def test_a_number_past_the_end_waits_for_its_turn():
    subscription, got = follower(Log(2), after=10)

    subscription.offer({"number": 2})
    subscription.catch_up()

    assert got == []


@given(st.lists(st.integers(1, 20), max_size=60), st.integers(0, 20))
def test_any_order_loss_and_doubling_of_messages_gives_each_event_once_in_order(messages, after):
    log = Log(20)
    subscription, got = follower(log, after)

    for number in messages:
        subscription.offer({"number": number})
    subscription.catch_up()

    assert got == list(range(after + 1, 21))


def test_events_offered_by_several_threads_while_the_log_is_replayed_stay_in_order():
    log = Log(200)
    subscription, got = follower(log)
    numbers = list(range(1, 201)) * 2
    random.Random(7).shuffle(numbers)
    threads = [
        threading.Thread(target=lambda part=numbers[k::4]: [subscription.offer({"number": n}) for n in part])
        for k in range(4)
    ]

    for thread in threads:
        thread.start()
    subscription.catch_up()
    for thread in threads:
        thread.join()

    assert got == list(range(1, 201))

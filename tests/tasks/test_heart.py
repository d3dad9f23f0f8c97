"""Heart: one thread that looks after one task after another, and never after one that was let go."""

import threading

from app.tasks.heart import Heart

LONG_S = 30


def test_one_thread_looks_after_one_task_after_another():
    threads = []

    with Heart() as heart:
        for _ in range(2):
            is_seen = threading.Event()

            def look(_n, is_seen=is_seen):
                threads.append(threading.get_ident())
                is_seen.set()

            with heart.looking(look):
                assert is_seen.wait(LONG_S)

    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    assert set(threads).isdisjoint(thread.ident for thread in threading.enumerate())


def test_each_task_is_counted_from_one():
    counted = []

    with Heart() as heart:
        for _ in range(2):
            numbers, has_two = [], threading.Event()
            counted.append(numbers)

            def look(n, numbers=numbers, has_two=has_two):
                numbers.append(n)
                if n == 2:
                    has_two.set()

            with heart.looking(look):
                assert has_two.wait(LONG_S)

    assert [numbers[:2] for numbers in counted] == [[1, 2], [1, 2]]


def test_a_task_is_let_go_only_after_the_look_that_is_at_work():
    is_looking, may_end, has_left = threading.Event(), threading.Event(), threading.Event()
    order = []

    def look(_n):
        is_looking.set()
        assert may_end.wait(LONG_S)
        order.append("looked")

    def carry():
        with heart.looking(look):
            is_looking.wait(LONG_S)
        order.append("left")
        has_left.set()

    with Heart() as heart:
        carrier = threading.Thread(target=carry)
        carrier.start()
        assert is_looking.wait(LONG_S)
        may_end.set()
        assert has_left.wait(LONG_S)
        carrier.join()

    assert order == ["looked", "left"]


def test_without_a_task_no_thread_is_started():
    before = threading.active_count()

    with Heart():
        assert threading.active_count() == before

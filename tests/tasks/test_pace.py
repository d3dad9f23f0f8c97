import pytest

from app.tasks import pace
from app.tasks.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("took", "pause"), [(0.0005, 0.1), (0.002, 0.2), (5.0, 2.0)], ids=["quick", "for its share", "slow"]
)
def test_what_takes_long_is_done_less_often_but_not_for_ever_less(clock, took, pause):
    telling = Pace(0.1, share=0.01, longest_s=2.0)
    was_due = telling.is_due()

    with telling.taking():
        clock.now += took

    clock.now += pause - 1e-6
    assert was_due
    assert not telling.is_due()
    clock.now += 2e-6
    assert telling.is_due()


def test_what_waits_at_first_is_not_due_before_the_first_period(clock):
    keeping = Pace(5.0, share=0.01, longest_s=60.0, waits=True)
    was_due = keeping.is_due()

    clock.now += 5.0

    assert not was_due
    assert keeping.is_due()

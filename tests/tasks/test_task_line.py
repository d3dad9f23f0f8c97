"""The line of a queue: users take turns, the place that is shown is the order of starts, and forecasts learn."""

import pytest
from sqlalchemy import update

from app.extensions import db
from app.libs.enums import MemberRole, Priority, Queue, TaskState
from app.models import Membership, Task, TaskEvent
from app.utils.clock import now_ms
from app.viewModels import task_line, task_queue, tasks

MINUTE = 60_000


@pytest.fixture
def colleague(context, make_user, project):
    """Another editor of the project."""
    actor = make_user("colleague")
    db.session.add(Membership(project_id=project.id, user_id=actor.id, role=MemberRole.EDITOR))
    db.session.commit()
    return actor


def start_next():
    return task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=30_000).task_id


def ran(task_id, *, minutes):
    """Let a task have run for so long, and end well."""
    end = now_ms()
    db.session.execute(
        update(Task)
        .where(Task.id == task_id)
        .values(state=TaskState.SUCCEEDED, started_at=end - minutes * MINUTE, ended_at=end)
    )
    db.session.commit()


def test_users_take_turns_however_many_tasks_one_of_them_has_waiting(submit, colleague):
    many = [submit() for _ in range(4)]
    one = submit(actor=colleague)

    started = [start_next() for _ in range(5)]

    assert started == [many[0].id, one.id, many[1].id, many[2].id, many[3].id]


def test_who_comes_late_is_not_served_before_the_round_that_is_going_on(submit, colleague):
    many = [submit() for _ in range(4)]
    started = [start_next(), start_next()]
    late = [submit(actor=colleague) for _ in range(2)]

    started += [start_next() for _ in range(4)]

    assert started == [many[0].id, many[1].id, many[2].id, late[0].id, many[3].id, late[1].id]


def test_a_task_that_waits_for_another_lets_nobody_in_before_the_round_that_is_going_on(submit, colleague):
    many = [submit() for _ in range(4)]
    submit(needs=(many[3].id,), actor=colleague)
    started = [start_next(), start_next()]
    late = submit(actor=colleague)

    started += [start_next() for _ in range(3)]

    assert started == [many[0].id, many[1].id, many[2].id, late.id, many[3].id]


def test_the_places_shown_are_the_order_of_starts(submit, colleague, engineer):
    waiting = [
        submit(priority=priority, actor=actor)
        for priority in (Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH)
        for actor in (engineer, colleague if priority is not Priority.HIGH else engineer)
    ]

    places = task_line.positions(waiting)
    started = [start_next() for _ in waiting]

    assert sorted(places.values()) == list(range(1, len(waiting) + 1))
    assert started == sorted(places, key=places.__getitem__)


def test_a_task_that_waits_for_another_has_no_place_until_that_has_succeeded(submit, engineer):
    first = submit()
    second = submit(needs=(first.id,))

    before = tasks.get(second.id, actor=engineer)

    assert (before.waits_for, before.position, before.forecast["starts_at"]) == (1, None, None)


def test_a_forecast_is_the_median_of_past_runs_and_tells_how_wrong_such_forecasts_were(submit, engineer):
    for minutes in (2, 2, 2, 2, 4):
        ran(submit().id, minutes=minutes)
    ahead, asked = submit(), submit()

    told = tasks.get(asked.id, actor=engineer)

    assert told.position == 2
    assert told.forecast["starts_at"] - now_ms() == pytest.approx(2 * MINUTE, abs=MINUTE / 2)
    assert told.forecast["ends_at"] - told.forecast["starts_at"] == 2 * MINUTE
    assert told.forecast["n_past"] == 5
    assert told.forecast["error"] == pytest.approx(0.25)  # 4 minutes were foretold as 2, the others well: 0.5 and 0
    assert tasks.get(ahead.id, actor=engineer).position == 1


def test_a_run_at_work_is_foretold_by_its_own_progress(submit, engineer):
    task = submit()
    start_next()
    began = now_ms() - 3 * MINUTE
    db.session.execute(update(Task).where(Task.id == task.id).values(progress=0.75, started_at=began))
    db.session.commit()
    db.session.expire_all()

    told = tasks.get(task.id, actor=engineer)

    assert told.position is None
    assert told.forecast["ends_at"] == pytest.approx(began + 4 * MINUTE, abs=2000)


@pytest.fixture
def begun_before(submit):
    """Start a task whose work began so many minutes ago, on a worker that has let go of it; return the new lease."""

    def start(minutes, let_go):
        lease = task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=30_000)
        first = (TaskEvent.task_id == lease.task_id, TaskEvent.number > 1)
        db.session.execute(update(TaskEvent).where(*first).values(at=now_ms() - minutes * MINUTE))
        db.session.commit()
        let_go(lease)
        db.session.commit()
        return task_queue.claim(Queue.DEFAULT, worker="x", lease_ms=30_000)

    return start


def lose(lease):
    db.session.execute(update(Task).where(Task.id == lease.task_id).values(lease_until=1))
    task_queue.requeue_lost(max_attempts=3)


@pytest.mark.parametrize("let_go", [lose, lambda lease: task_queue.hand_back(lease, [])], ids=["lost", "in parts"])
def test_a_run_is_as_long_as_all_that_was_done_for_it(submit, begun_before, engineer, let_go):
    submit()
    task_queue.end(begun_before(10, let_go), TaskState.SUCCEEDED, result={})
    db.session.commit()

    told = tasks.get(submit().id, actor=engineer)

    assert told.forecast["ends_at"] - told.forecast["starts_at"] == pytest.approx(10 * MINUTE, abs=5000)


def test_a_run_that_another_worker_has_taken_over_is_foretold_by_all_of_it(submit, begun_before, engineer):
    task = submit()
    begun_before(3, lose)
    db.session.execute(update(Task).where(Task.id == task.id).values(progress=0.75))
    db.session.commit()
    db.session.expire_all()

    told = tasks.get(task.id, actor=engineer)

    assert told.forecast["ends_at"] == pytest.approx(now_ms() + MINUTE, abs=5000)


def test_what_was_done_before_somebody_asked_for_another_try_is_no_part_of_the_run(submit, begun_before, engineer):
    task = submit()
    task_queue.end(begun_before(10, lose), TaskState.CANCELLED)
    db.session.commit()
    tasks.queue_again(db.session.get_one(Task, task.id), by=engineer)
    db.session.commit()
    task_queue.end(begun_before(2, lose), TaskState.SUCCEEDED, result={})
    db.session.commit()

    told = tasks.get(submit().id, actor=engineer)

    assert told.forecast["ends_at"] - told.forecast["starts_at"] == pytest.approx(2 * MINUTE, abs=5000)


def test_who_has_ended_has_no_forecast(submit, engineer):
    task = submit()
    ran(task.id, minutes=1)

    assert tasks.get(task.id, actor=engineer).forecast is None

"""Submit, claim, keep, lose and end: one row, one worker, whatever happens to messages."""

import threading

import pytest
from kombu.exceptions import OperationalError
from sqlalchemy import func, select, update

from app.extensions import celery_ext, db, redis_client
from app.libs.enums import EventType, Priority, Queue, TaskKind, TaskState
from app.libs.ids import new_id
from app.models import OutboxMessage, Task, TaskEvent
from app.viewModels import projects, task_log, task_queue, tasks, wake_ups
from app.viewModels.task_queue import LeaseLostError

LEASE_MS = 30_000


def claim(worker="w1"):
    return task_queue.claim(Queue.DEFAULT, worker=worker, lease_ms=LEASE_MS)


def lose_lease(task_id):
    db.session.execute(update(Task).where(Task.id == task_id).values(lease_until=1))
    db.session.commit()


def states(task_id):
    """The states in the task's log, in order; its numbers must run from 1 without a gap."""
    events = task_log.after(task_id, 0)
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    return [event["data"]["state"] for event in events if event["type"] == EventType.STATE]


def owed():
    return db.session.scalar(select(func.count()).select_from(OutboxMessage))


def messages(queue="default"):
    """How many wake-ups of a queue wait in the broker."""
    return redis_client.llen(f"setpoint:{queue}")


def test_a_submitted_task_waits_and_its_wake_up_is_sent_after_the_commit(submit):
    task = submit()

    assert db.session.get(Task, task.id).state == TaskState.QUEUED
    assert states(task.id) == ["queued"]
    assert (messages(), messages("training"), messages("optimization")) == (1, 0, 0)


def test_a_wake_up_that_was_sent_is_crossed_off_with_the_next_submit_or_by_the_sweep(submit):
    submit()
    after_one = owed()
    submit()
    after_two = owed()

    wake_ups.send_owed()

    assert (after_one, after_two, owed()) == (1, 1, 0)


def test_a_submit_that_is_rolled_back_leaves_nothing(context, project, engineer):
    task_queue.submit(TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer)
    db.session.rollback()

    for model in (Task, TaskEvent, OutboxMessage):
        assert db.session.scalar(select(func.count()).select_from(model)) == 0
    assert claim() is None


def test_tasks_start_by_priority_and_then_in_the_order_of_submission(submit):
    first, second, urgent = submit(), submit(), submit(priority=Priority.HIGH)

    started = [claim().task_id for _ in range(3)]

    assert started == [urgent.id, first.id, second.id]
    assert claim() is None


def test_workers_that_claim_at_once_get_different_tasks(app, submit):
    tasks = {submit().id for _ in range(12)}
    claimed, errors = [], []

    def work():
        with app.app_context():
            try:
                while lease := claim(threading.current_thread().name):
                    claimed.append(lease.task_id)
            except Exception as error:  # noqa: BLE001 (told to the test)
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(claimed) == sorted(tasks)


def test_as_many_workers_as_tasks_that_claim_once_at_the_same_time_leave_none_waiting(app, submit):
    tasks = {submit().id for _ in range(6)}
    start, claimed, errors = threading.Barrier(len(tasks), timeout=30), [], []

    def work():
        with app.app_context():
            try:
                start.wait()
                claimed.append(claim(threading.current_thread().name).task_id)
            except Exception as error:  # noqa: BLE001 (told to the test)
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(claimed) == sorted(tasks)


def test_a_task_whose_worker_fell_silent_is_queued_again_and_done_by_another(submit):
    task = submit()
    silent = claim("silent")
    lose_lease(task.id)

    requeued = task_queue.requeue_lost(max_attempts=3)
    other = claim("other")

    assert requeued == 1
    assert other.task_id == task.id
    assert other.attempt == 2
    assert other.fence > silent.fence
    assert states(task.id) == ["queued", "running", "queued", "running"]


def test_a_worker_that_lost_its_lease_can_write_nothing(submit):
    task = submit()
    silent = claim("silent")
    lose_lease(task.id)
    task_queue.requeue_lost(max_attempts=3)
    claim("other")
    before = task_log.after(task.id, 0)

    with pytest.raises(LeaseLostError):
        task_queue.write(silent, [(EventType.PROGRESS, {"done": 0.5})])
    with pytest.raises(LeaseLostError):
        task_queue.end(silent, TaskState.SUCCEEDED, result={})
    with pytest.raises(LeaseLostError):
        task_queue.extend(silent, lease_ms=LEASE_MS)

    assert task_log.after(task.id, 0) == before
    assert db.session.get(Task, task.id).state == TaskState.RUNNING


def test_a_task_that_keeps_losing_its_workers_fails_and_says_so(submit):
    task = submit()
    for attempt in range(2):
        claim(f"w{attempt}")
        lose_lease(task.id)
        task_queue.requeue_lost(max_attempts=2)

    row = db.session.get(Task, task.id, populate_existing=True)
    assert row.state == TaskState.FAILED
    assert row.error["code"] == "task.attempts_exhausted"
    assert "2 times" in row.error["detail"]
    assert claim() is None


def test_a_task_that_was_stopping_when_its_worker_died_is_cancelled(submit, engineer):
    task = submit()
    claim()
    tasks.cancel(task.id, actor=engineer)
    lose_lease(task.id)

    task_queue.requeue_lost(max_attempts=3)

    assert states(task.id) == ["queued", "running", "stopping", "cancelled"]


def test_a_lease_that_is_extended_is_not_lost(submit):
    task = submit()
    lease = claim()
    lose_lease(task.id)

    state = task_queue.extend(lease, lease_ms=LEASE_MS)

    assert state is TaskState.RUNNING
    assert task_queue.requeue_lost(max_attempts=3) == 0


def test_a_wake_up_that_could_not_be_sent_is_kept_and_sent_by_the_sweep(submit, app, monkeypatch):
    def broker_is_away(*_args, **_kwargs):
        raise OperationalError("connection refused")

    with monkeypatch.context() as outage:
        outage.setattr(celery_ext.celery, "send_task", broker_is_away)  # the outside begins here
        submit()
    during = owed(), messages()

    sent = wake_ups.send_owed()

    assert during == (1, 0)
    assert sent == messages() == 1
    assert owed() == 0


def test_a_submitted_task_needs_no_reading_back(submit):
    task = submit()

    with db.engine.connect() as connection:
        stored = connection.execute(select(Task.__table__).where(Task.__table__.c.id == task.id)).mappings().one()

    assert {name: vars(task)[name] for name in stored} == dict(stored)
    assert not db.session().in_transaction()


def test_work_of_an_archived_project_can_still_be_stopped(submit, project, engineer):
    task = submit()
    projects.change(project.id, is_archived=True, actor=engineer)

    cancelled = tasks.cancel(task.id, actor=engineer)

    assert cancelled.state == TaskState.CANCELLED

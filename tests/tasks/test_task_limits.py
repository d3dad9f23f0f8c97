"""Limits of time, and what becomes of a task that was told to stop for one."""

import pytest
from sqlalchemy import update

from app.extensions import db
from app.libs.enums import Queue, TaskState
from app.models import Task
from app.settings import Settings, SettingsError
from app.utils.clock import now_ms
from app.viewModels import task_limits, task_queue

HOUR = 3600


@pytest.fixture
def started(submit):
    """Start a task as if so many seconds ago; return its lease."""

    def start(seconds):
        task = submit()
        lease = task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=30_000)
        ago = now_ms() - seconds * 1000
        db.session.execute(update(Task).where(Task.id == task.id).values(started_at=ago))
        db.session.commit()
        return lease

    return start


def row(lease):
    return db.session.get(Task, lease.task_id, populate_existing=True)


def test_a_task_that_runs_for_too_long_is_told_to_stop_and_ends_as_failed(started):
    lease = started(seconds=HOUR + 60)  # an import may take an hour

    n_stopped = task_limits.stop_overdue()
    during = row(lease).state
    task_queue.end_stopped(lease)
    db.session.commit()

    assert (n_stopped, during) == (1, TaskState.STOPPING)
    assert row(lease).state == TaskState.FAILED
    assert row(lease).error["code"] == "task.time_limit"


def test_a_task_within_its_time_goes_on(started):
    lease = started(seconds=HOUR - 60)

    assert task_limits.stop_overdue() == 0
    assert row(lease).state == TaskState.RUNNING


def test_a_task_that_was_killed_for_its_time_limit_ends_with_the_reason(started):
    lease = started(seconds=HOUR + 60)
    task_limits.stop_overdue()
    db.session.execute(update(Task).where(Task.id == lease.task_id).values(lease_until=1))
    db.session.commit()

    task_queue.requeue_lost(max_attempts=3)

    assert (row(lease).state, row(lease).error["code"]) == (TaskState.FAILED, "task.time_limit")


def test_a_task_that_succeeds_although_it_was_told_to_stop_has_no_error(started):
    lease = started(seconds=HOUR + 60)
    task_limits.stop_overdue()

    task_queue.end(lease, TaskState.SUCCEEDED, result={})
    db.session.commit()

    assert (row(lease).state, row(lease).error) == (TaskState.SUCCEEDED, None)


@pytest.mark.parametrize("given", ["model.train", "model.train=-1", "model.brew=10", "model.train=1e3"])
def test_a_limit_that_cannot_be_understood_stops_the_start(given):
    secrets = {"SETPOINT_SECRET_KEY": "s" * 40, "SETPOINT_JWT_SECRET_KEY": "j" * 40, "SETPOINT_ENV": "test"}

    with pytest.raises(SettingsError, match="SETPOINT_TASK_MEMORY_LIMITS must be kind=number"):
        Settings.from_env(secrets | {"SETPOINT_TASK_MEMORY_LIMITS": given})

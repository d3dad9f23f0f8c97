"""ContextTask: the context of every task, and the one record of what became of it."""

import threading
from dataclasses import replace

import pytest
from flask import current_app, has_app_context
from sqlalchemy.exc import OperationalError

from app.extensions import celery_ext, db, redis_client
from app.libs.enums import EventType, Queue, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.models import Project, Task
from app.tasks import claim, context
from app.tasks.context import ContextTask, carry_next
from app.tasks.heart import Heart
from app.utils.object_store import ObjectStoreUnavailable
from app.viewModels import task_log, task_queue, tasks
from engine.errors import ShapeError


def carry(body):
    with Heart() as heart:
        carry_next(Queue.DEFAULT, body, heart)


def succeed(claim):
    with claim.success():
        pass


def now(task):
    return db.session.get(Task, task.id, populate_existing=True)


def test_every_task_of_the_celery_application_is_a_context_task(app):
    ours = [task for name, task in celery_ext.celery.tasks.items() if not name.startswith("celery.")]

    assert ours
    assert all(isinstance(task, ContextTask) for task in ours)


def test_a_task_runs_in_its_own_application_and_opens_its_context(app):
    seen = []

    @celery_ext.celery.task(name="test.look", shared=False)
    def look():
        seen.append(current_app._get_current_object())

    look.apply()

    assert seen == [app]
    assert not has_app_context()


def test_a_task_called_eagerly_keeps_the_context_that_is_open(app, context):
    from flask import g

    g.mark = "the caller's"
    seen = []

    @celery_ext.celery.task(name="test.look_again", shared=False)
    def look_again():
        seen.append(g.mark)

    look_again.apply()

    assert seen == ["the caller's"]


@pytest.fixture
def message():
    """Send a worker, here, one message of a queue whose work does nothing."""

    @celery_ext.celery.task(name="test.carry", shared=False, claims=Queue.DEFAULT)
    def run(claim):
        succeed(claim)

    def take(*, redelivered=False):
        run.push_request(id=str(new_id()), delivery_info={"redelivered": redelivered})
        try:
            run()
        finally:
            run.pop_request()

    yield take
    celery_ext.celery.tasks.unregister(run)


def test_one_message_carries_tasks_as_long_as_they_are_quick(submit, message):
    waiting = [submit() for _ in range(3)]

    message()

    assert [now(task).state for task in waiting] == [TaskState.SUCCEEDED] * 3


def test_after_a_task_that_took_long_the_next_one_waits_for_its_own_message(submit, message, monkeypatch):
    monkeypatch.setattr(context, "QUICK_S", 0.0)
    waiting = [submit() for _ in range(2)]

    message()

    assert [now(task).state for task in waiting] == [TaskState.SUCCEEDED, TaskState.QUEUED]


def test_a_result_appears_together_with_the_success(submit, engineer):
    task = submit()

    def rename_project(claim):
        with claim.success() as result:
            db.session.get(Project, task.project_id).name = "made by the task"
            result["answer"] = 42

    carry(rename_project)

    assert now(task).state == TaskState.SUCCEEDED
    assert now(task).result == {"answer": 42}
    assert now(task).progress == 1
    assert db.session.get(Project, task.project_id, populate_existing=True).name == "made by the task"
    assert [event["type"] for event in task_log.after(task.id, 0)] == ["state", "state", "result", "state"]


def test_what_the_work_wrote_vanishes_with_a_failure(submit):
    task = submit()

    def fail_half_way(claim):
        with claim.success():
            db.session.get(Project, task.project_id).name = "half done"
            db.session.flush()
            raise AppError(ErrorCode.ROWS_INVALID, "no rows", wanted="a row")

    carry(fail_half_way)

    assert now(task).state == TaskState.FAILED
    assert now(task).error["code"] == "model.rows_invalid"
    assert now(task).error["details"] == {"wanted": "a row"}
    assert db.session.get(Project, task.project_id, populate_existing=True).name == "Unit 3"


def test_an_error_of_the_engine_is_the_answer_of_the_task(submit):
    task = submit()

    def misfit(_claim):
        raise ShapeError("X has 2 columns but the model wants 3", given=2, wanted=3)

    carry(misfit)

    assert now(task).state == TaskState.FAILED
    assert now(task).error["code"] == "engine.shape"
    assert now(task).error["detail"] == "X has 2 columns but the model wants 3"


def test_an_unexpected_fault_fails_the_task_and_stays_loud(submit):
    task = submit()

    def crash(_claim):
        raise ZeroDivisionError("secret inside")

    with pytest.raises(ZeroDivisionError):
        carry(crash)

    assert now(task).state == TaskState.FAILED
    assert now(task).error["code"] == "task.crashed"
    assert "secret inside" not in str(now(task).error)


@pytest.mark.parametrize(
    "outage", [ObjectStoreUnavailable("the store is away"), OperationalError("SELECT 1", {}, Exception("gone away"))]
)
def test_a_task_whose_work_met_an_outage_is_begun_again(submit, app, outage):
    task = submit()

    def interrupted(_claim):
        raise outage

    carry(interrupted)
    left = now(task).state
    db.session.execute(db.update(Task).values(lease_until=0))
    task_queue.requeue_lost(max_attempts=3)
    carry(succeed)

    assert left == TaskState.RUNNING
    assert now(task).state == TaskState.SUCCEEDED
    assert now(task).attempt == 2


def test_a_process_with_too_much_memory_is_ended_also_when_the_database_is_away(submit, app, monkeypatch):
    submit()
    killed, limits = threading.Event(), {"task_memory_limits": "dataset.import=1"}
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], **limits))
    monkeypatch.setattr(claim, "_end_process", killed.set)

    def away(*_args, **_kwargs):
        raise OperationalError("UPDATE", {}, Exception("gone away"))

    monkeypatch.setattr(claim.task_queue, "end", away)
    was_killed = []

    def eat(_claim):
        was_killed.append(killed.wait(claim.END_WITHIN_S - 1))
        raise ObjectStoreUnavailable("whatever ends the body: it is only in a test that it comes so far")

    with Heart() as heart:
        carry_next(Queue.DEFAULT, eat, heart, message_id="m")

    assert was_killed == [True]


def test_a_message_that_was_given_away_twice_is_left_for_a_fresh_one(submit, message):
    """Else two workers would be known by one name, and who ends the one would end the other."""
    task = submit()
    redis_client.delete("setpoint:default")

    message(redelivered=True)
    left = now(task).state
    message()

    assert (left, redis_client.llen("setpoint:default")) == (TaskState.QUEUED, 1)
    assert now(task).state == TaskState.SUCCEEDED


def test_work_that_returns_without_an_end_is_a_fault(submit):
    task = submit()

    with pytest.raises(RuntimeError):
        carry(lambda _claim: None)

    assert now(task).state == TaskState.FAILED


def test_a_cancel_reaches_work_in_progress(submit, engineer, app):
    task = submit()
    seen = []

    def work_until_stopped(claim):
        tasks.cancel(task.id, actor=engineer)
        seen.append(now(task).state)
        deadline = threading.Event()
        while not deadline.wait(0.02):
            claim.step(0.5)

    carry(work_until_stopped)

    assert seen == [TaskState.STOPPING]
    assert now(task).state == TaskState.CANCELLED
    assert now(task).ended_at is not None


def test_progress_is_told_at_most_ten_times_a_second_but_the_last_always(submit):
    task = submit()

    def hurry(claim):
        for k in range(1000):
            claim.step(k / 1000)
        claim.step(1.0, note="last")
        with claim.success():
            pass

    carry(hurry)

    told = [event for event in task_log.after(task.id, 0) if event["type"] == EventType.PROGRESS]
    assert 2 <= len(told) < 100
    assert told[-1]["data"] == {"done": 1.0, "note": "last"}


def test_a_worker_that_lost_its_task_leaves_it_to_the_other(submit):
    task = submit()

    def too_slow(claim):
        with db.engine.begin() as connection:  # somebody else has claimed it meanwhile
            connection.execute(db.update(Task).where(Task.id == task.id).values(fence=Task.fence + 1))
        with claim.success() as result:
            result["answer"] = "late"

    carry(too_slow)

    assert now(task).state == TaskState.RUNNING
    assert now(task).result is None

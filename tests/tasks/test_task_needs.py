"""Tasks that wait for others."""

import threading
from contextlib import suppress

import pytest

from app.extensions import db
from app.libs.enums import Queue, TaskKind, TaskState
from app.libs.errors import AppError
from app.libs.ids import new_id
from app.models import Task
from app.viewModels import task_log, task_needs, task_queue, tasks


def claim():
    return task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=30_000)


def end(lease, state=TaskState.SUCCEEDED):
    task_queue.end(lease, state, result={} if state is TaskState.SUCCEEDED else None)
    db.session.commit()


def state(task):
    return db.session.get(Task, task.id, populate_existing=True).state


def test_a_task_starts_once_all_that_it_needs_have_succeeded(submit):
    first, second = submit(), submit()
    waiting = submit(needs=(first.id, second.id))

    leases = [claim(), claim()]
    nothing = claim()
    end(leases[0])
    still_nothing = claim()
    end(leases[1])

    assert nothing is still_nothing is None
    assert claim().task_id == waiting.id


@pytest.mark.parametrize(
    ("how", "becomes"), [(TaskState.FAILED, TaskState.FAILED), (TaskState.CANCELLED, TaskState.CANCELLED)]
)
def test_what_happens_to_a_task_flows_down_to_all_that_wait_for_it(submit, how, becomes):
    first = submit()
    second = submit(needs=(first.id,))
    third = submit(needs=(second.id,))

    end(claim(), how)

    assert [state(task) for task in (second, third)] == [becomes, becomes]
    last = task_log.after(third.id, 0)[-1]["data"]
    assert last["error"]["code"] == "task.need_failed"
    assert str(second.id) in last["error"]["detail"]
    assert claim() is None


def test_cancelling_a_waiting_task_ends_what_waits_for_it(submit, engineer):
    first = submit()
    second = submit(needs=(first.id,))
    third = submit(needs=(second.id,))

    tasks.cancel(second.id, actor=engineer)

    assert (state(first), state(third)) == (TaskState.QUEUED, TaskState.CANCELLED)


def test_what_has_succeeded_already_is_not_waited_for(submit):
    first = submit()
    end(claim())

    second = submit(needs=(first.id,))

    assert claim().task_id == second.id


def test_a_task_submitted_while_what_it_needs_ends_does_not_wait_for_ever(app, submit, monkeypatch):
    """On SQLite one waits for the other; on the servers they meet, unless one keeps the other out."""
    first, meeting, second = submit(), threading.Barrier(2), []
    lease = claim()

    def meet_after(name):
        function = getattr(task_needs, name)

        def met(*args, **kwargs):
            found = function(*args, **kwargs)
            with suppress(threading.BrokenBarrierError):
                meeting.wait(timeout=1)
            return found

        monkeypatch.setattr(task_needs, name, met)

    def submit_second():
        with app.app_context():
            second.append(submit(needs=(first.id,)).id)

    meet_after("settle")
    meet_after("unfinished")
    asking = threading.Thread(target=submit_second)
    asking.start()
    end(lease)
    asking.join()

    assert claim().task_id == second[0]


def test_what_has_failed_or_is_not_of_the_project_cannot_be_waited_for(submit):
    first = submit()
    end(claim(), TaskState.FAILED)

    with pytest.raises(AppError, match="which is to be waited for, is failed"):
        submit(needs=(first.id,))
    with pytest.raises(AppError, match=r"no task .* to wait for"):
        submit(needs=(new_id(),))


def test_a_task_that_gives_up_after_lost_workers_ends_what_waits_for_it(submit):
    first = submit()
    second = submit(needs=(first.id,))
    claim()
    db.session.query(Task).filter_by(id=first.id).update({"lease_until": 1})
    db.session.commit()

    task_queue.requeue_lost(max_attempts=1)

    assert (state(first), state(second)) == (TaskState.FAILED, TaskState.FAILED)


@pytest.fixture
def submit_training(app, project, engineer, context):
    """Submit something that can be tried again, after other tasks."""

    def do(*needs):
        task = task_queue.submit(
            TaskKind.PIPELINE, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer, needs=needs
        )
        db.session.commit()
        return task

    return do


def test_a_task_that_is_tried_again_waits_for_what_it_needs_as_before(submit_training, engineer):
    first = submit_training()
    second = submit_training(first.id)
    tasks.cancel(first.id, actor=engineer)

    with pytest.raises(AppError, match="which is to be waited for, is cancelled"):
        tasks.retry(second.id, actor=engineer)
    tasks.retry(first.id, actor=engineer)
    waits_for = tasks.retry(second.id, actor=engineer).waits_for
    lease = claim()
    nothing = claim()
    end(lease)

    assert (waits_for, lease.task_id, nothing) == (1, first.id, None)
    assert claim().task_id == second.id

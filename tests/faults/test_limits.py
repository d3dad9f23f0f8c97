"""Tasks that eat memory, run for too long or hang in native code are stopped, and their owner is told why."""

import time

import pytest

from app.extensions import celery_ext, db
from app.libs.enums import TaskKind
from app.libs.ids import new_id
from app.viewModels import task_queue
from tests.support.servers import wait_until

HOSTILE = "tests.faults.hostile:celery"
QUEUE = f"{TaskKind.ANALYZE.queue}.run"
LIMITS = {"task_stop_grace": 2, "task_memory_limits": "analysis.run=700", "task_time_limits": "analysis.run=15"}


@pytest.fixture
def misbehave(app, project, engineer):
    """Submit a task that does what is said; return its id."""

    def submit(how):
        with app.app_context():
            task = task_queue.submit(
                TaskKind.ANALYZE, project_id=project.id, subject_id=new_id(), payload={"how": how}, actor=engineer
            )
            db.session.commit()
            return str(task.id)

    return submit


def test_what_takes_too_much_is_stopped_with_the_reason_and_other_work_goes_on(run_plant, misbehave, site):
    running = run_plant(n_workers=2, celery_app=HOSTILE, **LIMITS)
    tasks = {how: misbehave(how) for how in ("eat", "hang", "freeze", "sleep")}
    training = running.post(f"/modules/{site.module_id}/models", {"kind": "linear"})["id"]

    ended = running.wait_for_end([*tasks.values(), training], deadline_s=150)

    codes = {how: (task["state"], task["error"]["code"]) for how, task in zip(tasks, ended, strict=False)}
    assert codes == {
        "eat": ("failed", "task.memory_limit"),
        "hang": ("failed", "task.time_limit"),
        "freeze": ("failed", "task.attempts_exhausted"),  # it lets no heartbeat through
        "sleep": ("failed", "task.time_limit"),
    }
    assert "of the 700 MB" in ended[0]["error"]["detail"]
    assert ended[-1]["state"] == "succeeded"


def test_a_task_that_hangs_is_killed_when_it_is_cancelled_and_not_shown_as_cancelled_before(run_plant, misbehave):
    running = run_plant(n_workers=1, celery_app=HOSTILE, **LIMITS | {"task_time_limits": ""})
    task_id = misbehave("freeze")
    deadline = time.monotonic() + 30
    while running.get(f"/tasks/{task_id}")["state"] != "running":
        assert time.monotonic() < deadline

    asked = running.post(f"/tasks/{task_id}/cancel")
    (ended,) = running.wait_for_end([task_id], deadline_s=60)

    assert asked["state"] == "stopping"
    assert (ended["state"], ended["attempt"]) == ("cancelled", 1)
    # the worker lives on with a new child
    training = misbehave("sleep")
    running.post(f"/tasks/{training}/cancel")
    assert running.wait_for_end([training], deadline_s=60)[0]["state"] == "cancelled"


def n_taken():
    """How many messages the workers have taken."""
    stats = celery_ext.celery.control.inspect(timeout=5).stats() or {}
    return sum(each["total"].get(QUEUE, 0) for each in stats.values())


def give_away():
    """What every worker does now and then: messages that were not acknowledged in time are for somebody else."""
    options = celery_ext.celery.conf.broker_transport_options | {"visibility_timeout": 2}
    with celery_ext.celery.connection_for_write(transport_options=options) as connection:
        connection.default_channel.qos.restore_visible(interval=1)


def test_a_message_that_the_broker_gives_away_while_its_task_runs_does_no_harm(run_plant, misbehave):
    running = run_plant(n_workers=2, celery_app=HOSTILE)
    task_id = misbehave("work")

    def is_taken_twice():
        give_away()
        return n_taken() > 1

    wait_until(is_taken_twice, "the message to be taken by the other worker too")
    state = running.get(f"/tasks/{task_id}")["state"]
    (ended,) = running.wait_for_end([task_id], deadline_s=90)

    assert state == "running"
    assert (ended["state"], ended["attempt"]) == ("succeeded", 1)

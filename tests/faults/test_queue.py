"""Many tasks of many users wait: what is shown is what happens, and a request takes few statements."""

import random

import pytest
from sqlalchemy import event

from app.extensions import db
from app.libs.enums import MemberRole, Priority, Queue, TaskKind
from app.libs.ids import new_id
from app.models import Membership
from app.viewModels import submissions, task_line, task_queue, tasks
from app.viewModels.submissions import Submission
from tests.faults.conftest import IS_LONG

N_USERS, N_TASKS, N_TASKS_SHORT = 20, 1000, 300
MOST_STATEMENTS = 15


@pytest.fixture
def crowd(context, make_user, project):
    """Editors of the project."""
    actors = [make_user(f"user{i}") for i in range(N_USERS)]
    db.session.add_all(Membership(project_id=project.id, user_id=a.id, role=MemberRole.OWNER) for a in actors)
    db.session.commit()
    return actors


def submit(actor, project, priority=Priority.NORMAL):
    with submissions.asked(Submission(priority=priority)):
        task = task_queue.submit(TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=actor)
    db.session.commit()
    return task


@pytest.fixture
def n_statements(context):
    """Count the statements of a call."""

    def count(call):
        seen = []
        listener = lambda *args: seen.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listener)
        try:
            call()
        finally:
            event.remove(db.engine, "before_cursor_execute", listener)
        return len(seen)

    return count


def test_many_tasks_start_in_the_order_shown_and_nothing_asked_grows_with_them(
    crowd, project, n_statements, running_backend
):
    n_tasks = N_TASKS if IS_LONG or running_backend.name == "sqlite" else N_TASKS_SHORT
    chance = random.Random(3)
    priorities = [Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH]
    waiting = [
        submit(chance.choice(crowd[: 1 + i % N_USERS]), project, chance.choice(priorities)) for i in range(n_tasks)
    ]
    asked = {
        "submit": n_statements(lambda: submit(crowd[0], project)),
        "list": n_statements(lambda: tasks.page(actor=crowd[0], page=1, per_page=100)),
        "position": n_statements(lambda: tasks.get(waiting[-1].id, actor=crowd[0])),
    }
    cancelled = waiting.pop(n_tasks // 2)
    asked["cancel"] = n_statements(lambda: tasks.cancel(cancelled.id, actor=crowd[0]))

    places = task_line.positions(waiting)
    shown = sorted(places, key=places.__getitem__)
    started = []
    while lease := task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=600_000):
        started.append(lease.task_id)

    assert max(asked.values()) <= MOST_STATEMENTS, asked
    assert [task_id for task_id in started if task_id in places] == shown
    assert len(started) == n_tasks  # one was cancelled, one was submitted while counting

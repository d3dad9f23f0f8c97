"""Tasks without a resource behind them: what is tested here is their life, not their work."""

from collections.abc import Callable
from uuid import UUID

import pytest

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import TaskKind
from app.libs.ids import new_id
from app.models import Project, Task
from app.viewModels import submissions, task_queue
from app.viewModels.submissions import Submission


@pytest.fixture
def submit(context: None, project: Project, engineer: Actor) -> Callable[..., Task]:
    """Submit a task of the default queue, as a viewModel does."""

    def submit_one(*, actor: Actor = engineer, needs: tuple[UUID, ...] = (), **asked) -> Task:
        with submissions.asked(Submission(**asked)):
            task = task_queue.submit(
                TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=actor, needs=needs
            )
        db.session.commit()
        return task

    return submit_one

"""A Setpoint to measure: on SQLite, with a user, a project and a task in it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from app import create_app
from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Role, TaskKind
from app.libs.ids import new_id
from app.models import Project, Task
from app.settings import Settings
from app.viewModels import accounts, projects, task_queue, users
from tests.support.backends import backend

PASSWORD = "only for measuring"


@dataclass(frozen=True)
class Site:
    """The application, who is signed in to it, and where work can be submitted."""

    app: Flask
    settings: Settings
    actor: Actor
    project: Project
    token: str

    def submit(self) -> Task:
        """Submit a task, in one transaction, as a viewModel does."""
        task = task_queue.submit(
            TaskKind.IMPORT, project_id=self.project.id, subject_id=new_id(), payload={}, actor=self.actor
        )
        db.session.commit()
        return task


@contextmanager
def site() -> Iterator[Site]:
    """Make one in a temporary folder, with a Valkey of its own."""
    with backend("sqlite") as running, tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            env="test",
            secret_key="s" * 40,
            jwt_secret_key="j" * 40,
            instance_dir=Path(folder),
            bcrypt_rounds=4,
            access_token_minutes=60,
            log_level="WARNING",
            log_format="json",
            **running.urls,
        )
        app = create_app(settings)
        with app.app_context():
            upgrade()
            user = users.create(username="erika", password=PASSWORD, role=Role.ENGINEER)
            actor = Actor(id=user.id, username=user.username, role=Role.ENGINEER)
            project = projects.create(name="Unit 3", actor=actor)
            token = accounts.login(username="erika", password=PASSWORD).access_token
            yield Site(app, settings, actor, project, token)
            db.session.remove()
            db.engine.dispose()

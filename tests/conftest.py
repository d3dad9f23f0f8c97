"""What every test may use: an application on real servers, people with roles, and a hand that does queued work.

``--backend sqlite|mariadb|postgresql`` chooses what the application runs on; the promises are the same.
"""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# As the launcher sets it, and before anything that starts threads by it is loaded. Where other processes want the same
# processors, the threads of OpenMP spend more time on waiting for each other than on small tables.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from app import create_app
from app.extensions import celery_ext, db, limiter, redis_client, socketio
from app.libs.actor import Actor
from app.libs.enums import MemberRole, Queue, Role
from app.models import Membership, Project
from app.settings import Settings
from app.viewModels import accounts, projects, task_queue, users
from tests.support.backends import NAMES, Backend, backend, check_installed
from tests.support.servers import MissingPackage

PASSWORD = "correct horse battery"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", choices=NAMES, default="sqlite", help="what the application runs on")


def pytest_configure(config: pytest.Config) -> None:
    """Say in one line, before any test, which server is not installed."""
    try:
        check_installed(config.getoption("--backend"))
    except MissingPackage as missing:
        raise pytest.UsageError(str(missing)) from None


@pytest.fixture(scope="session")
def running_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The servers that the application runs on, started once."""
    with backend(request.config.getoption("--backend")) as running:
        yield running
        logging.disable()  # threads that listen to Redis to the very end would lament that it is gone


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Settings for a test: real in everything but the cost of a password hash."""
    given: dict[str, Any] = {
        "env": "test",
        "secret_key": "s" * 40,
        "jwt_secret_key": "j" * 40,
        "instance_dir": folder,
        "bcrypt_rounds": 4,
        "login_rate": "1000 per minute",
        "log_level": "WARNING",
        **changes,
    }
    return Settings(**given)


@pytest.fixture(scope="session")
def settings(running_backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_settings(tmp_path_factory.mktemp("instance"), **running_backend.urls)


@pytest.fixture(scope="session")
def migrated_app(settings: Settings) -> Flask:
    app = create_app(settings)
    with app.app_context():
        upgrade()
    app.extensions["object_store"].prepare()
    return app


@pytest.fixture
def app(migrated_app: Flask, running_backend: Backend) -> Iterator[Flask]:
    """The application, with nothing in its database, Redis and object store."""
    yield migrated_app
    with migrated_app.app_context():
        db.session.remove()
        db.engine.dispose()
        limiter.reset()
    running_backend.clear()


@pytest.fixture
def another_app(app: Flask, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Make a second application. The extension objects are the process's, so they are given back to the first."""
    bound = {extension: vars(extension).copy() for extension in (celery_ext, limiter, redis_client, socketio)}

    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        made.append(create_app(make_settings(tmp_path, **changes)))
        return made[-1]

    yield make
    for one in made:
        with one.app_context():
            db.engine.dispose()
    for extension, state in bound.items():
        vars(extension).clear()
        vars(extension).update(state)


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Replace pytest-flask's fixture of this name: in its context all requests of a test would share one ``g``."""


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context, for tests that call below HTTP."""
    with app.app_context():
        yield


@pytest.fixture
def make_user(app: Flask) -> Callable[..., Actor]:
    """Make a user and return who it is; the password is PASSWORD."""

    def make(name: str, role: Role = Role.ENGINEER) -> Actor:
        with app.app_context():
            user = users.create(username=name, password=PASSWORD, role=role)
            return Actor(id=user.id, username=user.username, role=Role(user.role))

    return make


@pytest.fixture
def sign_in(app: Flask) -> Callable[[str], dict[str, str]]:
    """Sign a user in and return the header that says so."""

    def login(name: str) -> dict[str, str]:
        with app.app_context():
            tokens = accounts.login(username=name, password=PASSWORD)
        return {"Authorization": f"Bearer {tokens.access_token}"}

    return login


@pytest.fixture
def engineer(make_user: Callable[..., Actor]) -> Actor:
    """An engineer, who owns ``project``."""
    return make_user("erika")


@pytest.fixture
def headers(engineer: Actor, sign_in: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The engineer's headers."""
    return sign_in(engineer.username)


@pytest.fixture
def stranger(make_user: Callable[..., Actor], sign_in: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The headers of an engineer who is in no project."""
    return sign_in(make_user("stranger").username)


@pytest.fixture
def viewer(
    app: Flask, project: Project, make_user: Callable[..., Actor], sign_in: Callable[[str], dict[str, str]]
) -> dict[str, str]:
    """The headers of an engineer who may only look at ``project``."""
    member = make_user("vera")
    with app.app_context():
        db.session.add(Membership(project_id=project.id, user_id=member.id, role=MemberRole.VIEWER))
        db.session.commit()
    return sign_in(member.username)


@pytest.fixture
def admin(make_user: Callable[..., Actor], sign_in: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """An administrator's headers."""
    return sign_in(make_user("ada", Role.ADMIN).username)


@pytest.fixture
def project(app: Flask, engineer: Actor) -> Project:
    """A project of the engineer's."""
    with app.app_context():
        return projects.create(name="Unit 3", actor=engineer)


@pytest.fixture
def work(app: Flask) -> Callable[[], None]:
    """Do what waits in the queues, here and now, as a worker would; what the work itself queues waits on."""

    def do_all() -> None:
        with app.app_context():
            for queue in Queue:
                for _ in range(task_queue.depth(queue)[0]):
                    celery_ext.celery.tasks[f"{queue}.run"]()
                    db.session.rollback()

    return do_all


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()

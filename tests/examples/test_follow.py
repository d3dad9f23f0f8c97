"""The clients that docs and examples offer, over a network that cuts every connection sooner or later."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from flask_jwt_extended import create_access_token

from app.extensions import db
from app.libs.enums import EventType, Queue, TaskKind, TaskState
from app.libs.ids import new_id
from app.models import LoginSession
from app.viewModels import accounts, task_queue
from examples import follow as example
from tests.conftest import PASSWORD
from tests.support.cutting_proxy import cutting_proxy
from tests.support.deployment import ROOT, deployment

N_EVENTS = 150
GUIDE = (ROOT / "docs" / "api_guide.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(migrated_app):
    with deployment(migrated_app.config["SETTINGS"], web_workers=2, celery=False) as url:
        yield url


@pytest.fixture
def task_id(app, project, engineer):
    """A task that is queued."""
    with app.app_context():
        task = task_queue.submit(
            TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer
        )
        db.session.commit()
        return str(task.id)


@pytest.fixture
def work(app, task_id):
    """Carry the task to its end in a thread, event by event."""

    def carry():
        with app.app_context():
            lease = task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=600_000)
            for number in range(N_EVENTS - 4):
                task_queue.write(lease, [(EventType.PROGRESS, {"done": number / N_EVENTS})])
                db.session.commit()
            task_queue.end(lease, TaskState.SUCCEEDED, result={})
            db.session.commit()

    worker = threading.Thread(target=carry)
    yield worker
    worker.join()


def numbers(lines):
    return [json.loads(line)["number"] for line in lines.splitlines()]


def run(command, url, engineer, **more):
    env = os.environ | {"URL": url, "NAME": engineer.username, "PASSWORD": PASSWORD} | more
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)


def test_the_python_client_prints_every_event_once_in_order_however_often_it_is_cut_off(
    server, task_id, work, engineer
):
    with cutting_proxy(server, seed=1) as proxy:
        work.start()
        done = run([sys.executable, "examples/follow.py", task_id], proxy.url, engineer)
        cuts = proxy.n_cut

    assert done.returncode == 0, done.stderr
    assert numbers(done.stdout) == list(range(1, N_EVENTS + 1))
    assert cuts >= 3


def test_the_python_client_begins_where_it_is_told(server, task_id, work, engineer):
    work.start()

    done = run([sys.executable, "examples/follow.py", task_id, "100"], server, engineer)

    assert numbers(done.stdout) == list(range(101, N_EVENTS + 1))


def test_the_python_client_goes_on_with_a_fresh_token_when_one_runs_out(app, server, task_id, work, engineer):
    with app.app_context():
        good = accounts.login(username=engineer.username, password=PASSWORD).access_token
        session = db.session.query(LoginSession).filter_by(user_id=engineer.id).one()
        claims = {"sid": str(session.id)}
        short = create_access_token(str(engineer.id), expires_delta=timedelta(seconds=2), additional_claims=claims)
    asked = []

    def token(needs_fresh):
        asked.append(needs_fresh)
        if needs_fresh:
            work.start()  # nothing happens before the first token has run out
        return good if needs_fresh else short

    told = [event["number"] for event in example.follow(server, task_id, token)]

    assert told == list(range(1, N_EVENTS + 1))
    assert asked == [False, True]


def test_the_python_client_says_when_it_may_not_follow(server, task_id, stranger):
    with pytest.raises(example.Refused, match=r"task\.not_found"):
        next(example.follow(server, task_id, example.signed_in(server, "stranger", PASSWORD)))


@pytest.mark.skipif(not shutil.which("node"), reason="needs node 18 or newer, which nothing else here does")
def test_the_javascript_of_the_guide_gets_every_event_once_in_order_however_often_it_is_cut_off(
    server, app, task_id, work, engineer, tmp_path
):
    script = tmp_path / "follow.mjs"
    script.write_text("\n".join(re.findall(r"^```js\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)), encoding="utf-8")
    with app.app_context():
        token = accounts.login(username=engineer.username, password=PASSWORD).access_token

    with cutting_proxy(server, seed=2) as proxy:
        work.start()
        done = run(["node", str(script)], proxy.url, engineer, TOKEN=token, TASK=task_id)
        cuts = proxy.n_cut

    assert done.returncode == 0, done.stderr
    assert [int(line.split()[0]) for line in done.stdout.splitlines()] == list(range(1, N_EVENTS + 1))
    assert cuts >= 3

"""``flask task follow``: progress in a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from app.commands.tasks import line_of
from app.extensions import db
from app.libs.enums import EventType, Queue, TaskKind, TaskState
from app.libs.ids import new_id
from app.viewModels import task_queue
from tests.support.deployment import ROOT, environment
from tests.support.servers import wait_until


@pytest.fixture
def task(app, project, engineer):
    with app.app_context():
        found = task_queue.submit(
            TaskKind.IMPORT, project_id=project.id, subject_id=new_id(), payload={}, actor=engineer
        )
        db.session.commit()
        return found


@pytest.fixture
def carry(app, task):
    """Carry the task to an end."""

    def do(state=TaskState.SUCCEEDED):
        with app.app_context():
            lease = task_queue.claim(Queue.DEFAULT, worker="w", lease_ms=60_000)
            for done in (0.25, 0.5, 1.0):
                task_queue.write(lease, [(EventType.PROGRESS, {"done": done, "best": 6.0712345678})])
                db.session.commit()
            task_queue.end(lease, state, result={} if state is TaskState.SUCCEEDED else None)
            db.session.commit()

    return do


def follow(app, *arguments, **popen):
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "task", "follow", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment(app.config["SETTINGS"]), **popen)


def test_a_task_is_followed_to_its_end(app, task, carry):
    watching = follow(app, task.id, stdout=subprocess.PIPE, text=True)
    first = watching.stdout.readline()
    carry()
    rest, _ = watching.communicate(timeout=60)

    lines = [first, *rest.splitlines()]
    assert [int(line.split()[0]) for line in lines] == list(range(1, 8))
    assert first.split()[1:] == ["state", "state=queued"]
    assert lines[2].split("  ")[-1] == "best=6.07123"
    assert "[########" in lines[2]
    assert lines[-1].split()[1:] == ["state", "state=succeeded"]
    assert watching.returncode == 0


def test_a_task_that_did_not_succeed_gives_another_exit_status(app, task, carry):
    carry(TaskState.FAILED)

    runner = app.test_cli_runner()
    result = runner.invoke(args=["task", "follow", str(task.id), "--after", "4"])

    assert result.exit_code == 1
    assert [line.split()[0] for line in result.output.splitlines()] == ["5", "6"]


def test_a_task_that_is_not_there_is_told_in_one_line(app):
    result = app.test_cli_runner().invoke(args=["task", "follow", str(new_id())])

    assert result.exit_code == 1
    assert result.output == "Error: There is no such task.\n"


def test_in_a_terminal_progress_is_one_line_that_moves(app, task, carry):
    ours, theirs = pty.openpty()
    watching = follow(app, task.id, stdout=theirs)
    os.close(theirs)
    said = bytearray()

    def has_ended():
        try:
            said.extend(os.read(ours, 4096))
        except OSError:  # the other side is closed
            return True
        return False

    has_ended()
    carry()
    wait_until(has_ended, "the end of the output")
    os.close(ours)

    assert watching.wait(60) == 0
    *_, moving, result, state = said.decode().splitlines()
    assert moving.count("\x1b[K") >= 1
    assert "100%" in moving
    assert "result" in result
    assert "succeeded" in state


@pytest.mark.parametrize(("done", "shown"), [(0, "[    "), (0.5, " 50%"), (7, "100%"), (-1, "  0%")])
def test_a_bar_is_as_long_as_what_is_done(done, shown):
    line = line_of({"number": 3, "type": "progress", "data": {"done": done}})

    assert shown in line

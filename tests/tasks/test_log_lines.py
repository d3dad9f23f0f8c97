"""Lines that a task's work logs, in the task's own log."""

import logging
import threading

import pytest
import structlog

from app.extensions import db
from app.libs.enums import Queue
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.tasks import log_lines
from app.tasks.context import carry_next
from app.tasks.heart import Heart
from app.viewModels import task_log
from tests.support.servers import wait_until

log = structlog.get_logger("engine.of_the_test")
library = logging.getLogger("somelibrary.part")


@pytest.fixture(autouse=True)
def _everything_is_logged():
    root, before = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)


def lines(task):
    db.session.rollback()
    return [event["data"] for event in task_log.after(task.id, 0) if event["type"] == "log"]


def carry(body):
    def whole(claim):
        body(claim)
        with claim.success():
            pass

    with Heart() as heart:
        carry_next(Queue.DEFAULT, whole, heart)


def test_lines_of_our_code_and_of_libraries_are_told_with_their_level_and_what_wrote_them(submit):
    task = submit()

    def work(_claim):
        log.info("folds_made", n_folds=5)
        library.warning("matrix is %s", "singular")
        library.debug("not important enough")

    carry(work)

    assert lines(task) == [
        {"level": "info", "logger": "engine.of_the_test", "message": "folds_made n_folds=5"},
        {"level": "warning", "logger": "somelibrary.part", "message": "matrix is singular"},
    ]


def test_a_line_comes_before_what_happened_after_it(submit):
    task = submit()

    def work(claim):
        library.info("first")
        claim.step(1.0)
        library.info("second")

    carry(work)

    told = [event["data"].get("message") or event["type"] for event in task_log.after(task.id, 2)]
    assert told == ["first", "progress", "second", "result", "state"]


def test_a_line_is_told_while_the_work_says_nothing_else(submit, app):
    task = submit()

    def work(_claim):
        library.info("now the long part begins")
        wait_until(lambda: len(lines(task)) == 1, "the line", deadline_s=20)

    carry(work)

    assert [line["message"] for line in lines(task)] == ["now the long part begins"]


def test_what_was_logged_before_a_failure_is_kept(submit):
    task = submit()

    def work(_claim):
        library.error("this is why")
        raise AppError(ErrorCode.ROWS_INVALID)

    carry(work)

    assert [line["level"] for line in lines(task)] == ["error"]
    assert task_log.after(task.id, 0)[-1]["data"]["state"] == "failed"


def test_lines_of_other_threads_and_of_the_plumbing_are_not_the_tasks(submit):
    task = submit()

    def work(_claim):
        other = threading.Thread(target=lambda: library.warning("of another task"))
        other.start()
        other.join()
        logging.getLogger("celery.worker").warning("of the plumbing")

    carry(work)

    assert lines(task) == []


def test_secrets_are_hidden_and_endless_lines_are_cut(submit):
    task = submit()

    def work(_claim):
        log.warning("connecting", url="mysql://u:hunter2@db/x", password="hunter2")
        library.warning("redis://:hunter2@localhost %s", "x" * 5000)

    carry(work)

    assert "hunter2" not in str(lines(task))
    assert len(lines(task)[1]["message"]) == log_lines.LONGEST


def test_more_lines_than_are_kept_end_with_a_word_about_it(submit, monkeypatch):
    monkeypatch.setattr(log_lines, "MOST_LINES", 3)
    task = submit()

    carry(lambda _claim: [library.info("line %d", k) for k in range(10)])

    assert [line["message"] for line in lines(task)][:3] == ["line 0", "line 1", "line 2"]
    assert len(lines(task)) == 4
    assert "server's log" in lines(task)[3]["message"]

"""Logs: one JSON object a line, with the request's id, and never a secret."""

import io
import json
import logging

import pytest
import structlog

from app.logging import hide_secrets
from app.utils.redaction import HIDDEN
from tests.conftest import PASSWORD


@pytest.fixture
def json_app(another_app):
    """An application that logs as in production; the test's own logging comes back afterwards."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield another_app(log_format="json", log_level="INFO")
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)


@pytest.fixture
def lines(json_app):
    """Return what the application has logged so far."""
    (handler,) = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    written = io.StringIO()
    handler.setStream(written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def test_each_request_is_one_line_with_the_id_that_the_answer_carries(json_app, lines):
    answer = json_app.test_client().get("/api/v1/version")

    logged = [line for line in lines() if line["event"] == "request"]
    assert len(logged) == 1
    assert logged[0]["request_id"] == answer.headers["X-Request-ID"]
    assert (logged[0]["path"], logged[0]["status"]) == ("/api/v1/version", 200)


def test_a_librarys_line_carries_the_request_id_too(json_app, lines):
    @json_app.get("/speak")
    def speak():
        logging.getLogger("some.library").warning("cannot reach %s", "redis://:hunter2@localhost/0")
        return ""

    json_app.test_client().get("/speak", headers={"X-Request-ID": "given-by-the-proxy"})

    line = next(line for line in lines() if line["logger"] == "some.library")
    assert line["request_id"] == "given-by-the-proxy"
    assert line["event"] == f"cannot reach redis://:{HIDDEN}@localhost/0"


def test_a_request_id_that_could_forge_a_log_is_not_taken(json_app):
    answer = json_app.test_client().get("/healthz", headers={"X-Request-ID": 'x"}{"event": "forged'})

    assert "forged" not in answer.headers["X-Request-ID"]


def test_a_fault_is_logged_with_its_trace_and_answered_without(json_app, lines):
    @json_app.get("/break")
    def break_down():
        raise ValueError("inner workings")

    answer = json_app.test_client().get("/break")

    assert answer.status_code == 500
    assert answer.json["code"] == "server.internal"
    assert "inner workings" not in answer.text
    line = next(line for line in lines() if line["event"] == "unexpected")
    assert "inner workings" in line["exception"]
    assert line["request_id"] == answer.json["request_id"]


def test_a_password_that_was_sent_is_in_no_log(json_app, lines):
    structlog.get_logger("test").info("received", body={"username": "erika", "password": PASSWORD})

    assert [line["event"] for line in lines()] == ["received"]
    assert PASSWORD not in str(lines())


@pytest.mark.parametrize(
    "event",
    [
        {"password": "hunter2"},
        {"Authorization": "hunter2"},
        {"api_key": "hunter2"},
        {"text": "Authorization: Bearer hunter2.hunter2"},
        {"text": "mysql+pymysql://setpoint:hunter2@db/setpoint"},
        {"text": "token eyJhunter2.eyJhunter2.hunter2"},
        {"nested": {"refresh_token": "hunter2"}},
        {"nested": ["redis://:hunter2@localhost"]},
    ],
)
def test_what_looks_like_a_secret_is_hidden(event):
    assert "hunter2" not in str(hide_secrets(None, "info", event))


def test_what_is_no_secret_stays():
    event = {"event": "task_started", "path": "/api/v1/tasks", "n": 3, "url": "http://127.0.0.1:8000/"}

    assert hide_secrets(None, "info", event) == event


def test_nothing_is_printed_by_making_an_application(another_app, capsys):
    another_app()

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")

"""gunicorn.py: names that gunicorn knows, the application's own defaults, and a form for the master's lines."""

import json
import logging
import runpy
import subprocess
from dataclasses import fields
from types import SimpleNamespace

import pytest

from app.settings import Settings
from launcher import commands

OWN_NAMES = {"bind", "workers", "worker_class", "threads", "worker_connections", "timeout", "graceful_timeout"}
OWN_NAMES |= {"control_socket_disable", "accesslog"}


@pytest.fixture
def configuration(monkeypatch):
    """Return what gunicorn.py sets, read with the given SETPOINT_ variables."""

    def read(**variables):
        for name, value in {"WEB_BIND": "", "WEB_WORKERS": "", "WEB_THREADS": "", **variables}.items():
            monkeypatch.setenv(f"SETPOINT_{name}", value)
        return SimpleNamespace(**runpy.run_path(str(commands.ROOT / "gunicorn.py")))

    return read


def test_without_variables_it_has_the_defaults_of_the_settings(configuration):
    defaults = {field.name: field.default for field in fields(Settings)}

    set_here = configuration()

    assert set_here.bind == defaults["web_bind"]
    assert set_here.workers == defaults["web_workers"]
    assert set_here.threads == defaults["web_threads"]


def test_variables_change_it_and_connections_stay_above_threads(configuration):
    set_here = configuration(WEB_BIND="0.0.0.0:80", WEB_WORKERS="3", WEB_THREADS="2000")

    assert (set_here.bind, set_here.workers, set_here.threads) == ("0.0.0.0:80", 3, 2000)
    assert set_here.worker_connections > set_here.threads


def test_gunicorn_itself_takes_every_option(configuration):
    set_here = vars(configuration())
    command = commands.program(commands.WEB, "--print-config")

    printed = subprocess.run(command, cwd=commands.ROOT, capture_output=True, text=True)

    taken = dict(
        line.split(" = ", 1) for line in map(" ".join, map(str.split, printed.stdout.splitlines())) if " = " in line
    )
    assert taken["worker_class"] == "gthread"
    for name in OWN_NAMES - {"worker_class", "bind"}:
        assert taken[name] == str(set_here[name])


@pytest.mark.parametrize(
    ("env", "log_format", "is_json"),
    [
        ("production", "auto", True),
        ("", "", True),
        ("development", "auto", False),
        ("production", "console", False),
        ("test", "json", True),
    ],
)
def test_the_masters_lines_are_json_when_the_applications_are(configuration, env, log_format, is_json):
    handler = logging.StreamHandler()
    logger = SimpleNamespace(handlers=[handler])

    configuration(ENV=env, LOG_FORMAT=log_format).on_starting(SimpleNamespace(log=SimpleNamespace(error_log=logger)))

    assert (type(handler.formatter).__name__ == "JsonLine") is is_json


def test_a_json_line_of_the_master_has_the_applications_fields(configuration):
    record = logging.LogRecord("gunicorn.error", logging.INFO, __file__, 1, "Listening at: %s", ("x",), None)

    line = json.loads(configuration().JsonLine().format(record))

    assert (line["event"], line["logger"], line["level"]) == ("Listening at: x", "gunicorn.error", "info")
    assert line["timestamp"].endswith("Z")


def test_a_json_line_of_the_master_keeps_a_traceback_in_one_line(configuration):
    try:
        raise ValueError("no")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (ValueError, error, None))

    text = configuration().JsonLine().format(record)

    assert "\n" not in text
    assert "ValueError: no" in json.loads(text)["exception"]


def test_a_workers_lines_go_to_the_applications_logging(configuration):
    logger = logging.Logger("gunicorn.error")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False

    configuration().post_worker_init(SimpleNamespace(log=SimpleNamespace(error_log=logger)))

    assert (logger.handlers, logger.propagate) == ([], True)

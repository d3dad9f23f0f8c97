"""The command line: what it takes from the environment, and how each ending reads and exits."""

import signal
import sys
from pathlib import Path

import pytest

from launcher import __main__ as cli
from launcher import commands, demo, ports
from launcher.errors import LaunchError, StopRequestedError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("SETPOINT_WEB_BIND", "SETPOINT_INSTANCE_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def end_with(monkeypatch):
    """Let the given action end in this way, and return the command line's exit status."""

    def end_with(error: BaseException, *arguments: str) -> int:
        def action(*_args, **_kwargs):
            raise error

        monkeypatch.setattr(cli, "run", action)
        monkeypatch.setattr(demo, "run", action)
        monkeypatch.setattr(sys, "argv", ["launcher", *arguments])
        monkeypatch.setattr("os.umask", lambda mask: mask)  # not for the rest of the tests
        return cli.main()

    return end_with


def test_a_refusal_is_one_sentence(end_with, capsys):
    assert end_with(LaunchError("The port is taken."), "run") == 1
    assert capsys.readouterr() == ("", "setpoint: The port is taken.\n")


def test_an_error_of_the_system_is_one_sentence(end_with, capsys):
    assert end_with(OSError(28, "No space left on device", "/a/lock"), "demo") == 1
    assert capsys.readouterr().err == "setpoint: No space left on device: /a/lock.\n"


def test_a_surprise_names_its_kind_and_the_way_to_the_traceback(end_with, capsys):
    assert end_with(KeyError("x"), "run") == 1
    assert capsys.readouterr().err == "setpoint: Unexpected KeyError: 'x'. Repeat with --debug for the traceback.\n"


def test_debug_shows_the_traceback(end_with):
    with pytest.raises(KeyError):
        end_with(KeyError("x"), "--debug", "run")


@pytest.mark.parametrize(("action", "status"), [("run", 0), ("demo", 128 + signal.SIGTERM)])
def test_a_server_may_be_stopped_but_a_stopped_demo_is_no_success(end_with, action, status):
    assert end_with(StopRequestedError(signal.SIGTERM), action) == status


def test_ctrl_c_before_anything_runs_is_no_traceback(end_with):
    assert end_with(KeyboardInterrupt(), "run") == 130


def test_without_variables_it_listens_on_this_machine_alone():
    given = cli.parser().parse_args(["run"])

    assert (given.host, given.port, given.instance) == ("127.0.0.1", None, commands.ROOT / "instance")


@pytest.mark.parametrize(("bind", "host", "port"), [("0.0.0.0:80", "0.0.0.0", 80), ("[::1]:8080", "::1", 8080)])
def test_variables_mean_what_they_mean_to_the_server(monkeypatch, bind, host, port):
    monkeypatch.setenv("SETPOINT_WEB_BIND", bind)
    monkeypatch.setenv("SETPOINT_INSTANCE_DIR", "/srv/plant")

    given = cli.parser().parse_args(["run"])

    assert (given.host, given.port, given.instance) == (host, port, Path("/srv/plant"))


def test_the_usual_port_gives_way_when_it_is_taken_but_an_asked_one_does_not(monkeypatch):
    with ports.listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setattr(cli, "USUAL_PORT", number)

        with cli.listener("127.0.0.1", None) as instead:
            assert instead.getsockname()[1] != number
        with pytest.raises(LaunchError, match="in use"):
            cli.listener("127.0.0.1", number)

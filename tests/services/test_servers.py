"""The helpers that start servers: they wait, they tell why not, and they leave nothing running."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support.backends import check_installed
from tests.support.servers import (
    MissingPackage,
    ServerFailed,
    accepts,
    find_program,
    free_port,
    run,
    serve,
    server_folder,
    wait_until,
)

LISTENS = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + LISTENS
DIES = "import sys; print('no room for me'); sys.exit(3)"


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


@pytest.fixture
def folder():
    with server_folder() as path:
        yield path


def test_a_server_answers_inside_the_block_and_is_gone_after_it(folder):
    port = free_port()

    with serve(python(LISTENS, port), folder=folder, is_ready=lambda: accepts(port)) as process:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()

    assert process.returncode == -signal.SIGTERM
    assert not accepts(port)


def test_a_server_that_ignores_the_signal_is_killed(folder, monkeypatch):
    monkeypatch.setattr("tests.support.servers.STOP_S", 0.2)
    port = free_port()

    with serve(python(STUBBORN, port), folder=folder, is_ready=lambda: accepts(port)) as process:
        pass

    assert process.returncode == -signal.SIGKILL


def test_a_server_that_dies_at_its_start_is_told_at_once_with_its_last_words(folder):
    begin = time.monotonic()

    with (
        pytest.raises(ServerFailed, match=r"status 3(.|\n)*no room for me"),
        serve(python(DIES), folder=folder, is_ready=lambda: False),
    ):
        pass

    assert time.monotonic() - begin < 10


def test_an_error_inside_the_block_stops_the_server_and_stays_what_it_was(folder):
    port = free_port()

    with (
        pytest.raises(KeyError),
        serve(python(LISTENS, port), folder=folder, is_ready=lambda: accepts(port)) as process,
    ):
        raise KeyError("a failing test")

    assert process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_server_does_not_outlive_a_killed_test_run(folder):
    port = free_port()
    code = f"""
import sys
from pathlib import Path
from tests.support.servers import accepts, serve
with serve({python(LISTENS, port)!r}, folder=Path({str(folder)!r}), is_ready=lambda: accepts({port})):
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as test_run:
        test_run.stdout.readline()

        test_run.kill()

    wait_until(lambda: not accepts(port), "the server to go", deadline_s=10)


def test_a_command_that_fails_is_told_with_its_output(folder):
    with pytest.raises(ServerFailed, match="no room for me"):
        run(python(DIES), folder=folder)


def test_waiting_ends_with_what_was_waited_for():
    with pytest.raises(TimeoutError, match="for the moon"):
        wait_until(lambda: False, "the moon", deadline_s=0.05)


def test_a_missing_program_is_told_by_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(MissingPackage, match=r"apt-get install .* no-such-package$"):
        find_program("no-such-program", package="no-such-package")


def test_all_missing_packages_are_told_in_one_line(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(MissingPackage) as caught:
        check_installed("mariadb")

    assert caught.value.packages == ("mariadb-server", "redis-server")
    assert "\n" not in str(caught.value)
    check_installed("sqlite")

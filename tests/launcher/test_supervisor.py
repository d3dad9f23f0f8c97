"""The supervisor, with tiny children: obedient, stubborn, dying, and with children of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launcher.errors import LaunchError, StopRequestedError
from launcher.supervisor import ending

OBEDIENT = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: signal.pause()
"""
PARENT = """
import os, signal
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    while True: signal.pause()
signal.pause()
"""


@pytest.fixture
def start(supervisor, program, eventually):
    """Start a child program and wait for its first line."""

    def start(text, name="child", **options):
        child = supervisor.start(name, program(text), **options)
        eventually(lambda: "\n" in child.log.since_start())
        return child

    return start


def test_children_are_asked_to_stop(supervisor, start):
    child = start(OBEDIENT)

    supervisor.stop()

    assert child.process.returncode == -signal.SIGTERM


def test_a_child_that_ignores_the_request_is_killed_after_its_grace(supervisor, start):
    child = start(STUBBORN)

    began = time.monotonic()
    supervisor.stop()

    assert child.process.returncode == -signal.SIGKILL
    assert 1.0 <= time.monotonic() - began < 3.0


def test_what_others_use_is_stopped_after_them(supervisor, start, tmp_path):
    write_time = "import signal, sys, time, pathlib; print('up', flush=True); signal.sigwait([signal.SIGTERM])\n"
    prepare = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    note = f"time.sleep(0.2); pathlib.Path({str(tmp_path)!r}, sys.argv[0][-4]).write_text(str(time.monotonic()))"
    start(prepare + write_time + note, name="base", is_base=True)
    start(prepare + write_time + note, name="user")

    supervisor.stop()

    base_ended, user_ended = (float((tmp_path / name).read_text()) for name in "01")
    assert user_ended < base_ended


def test_grandchildren_that_outlive_their_parent_are_killed_too(supervisor, start, is_running):
    child = start(PARENT)
    grandchild = int(child.log.since_start())

    supervisor.stop()

    assert not is_running(grandchild)


def test_a_child_that_dies_is_reported_with_its_status_and_last_words(supervisor, start):
    start("print('all is well'); print('the disk is full', flush=True); raise SystemExit(7)", name="worker")

    with pytest.raises(LaunchError) as report:
        supervisor.watch()

    assert str(report.value).startswith("worker ended with exit status 7.\n")
    assert str(report.value).endswith("    all is well\n    the disk is full")


def test_a_child_that_is_killed_is_reported_by_the_signals_name(supervisor, start):
    child = start(OBEDIENT, name="web")
    child.process.kill()
    child.process.wait()

    with pytest.raises(LaunchError, match="web was killed by SIGKILL"):
        supervisor.check()


def test_a_child_that_ends_without_a_word_is_reported_without_a_log(supervisor):
    supervisor.start("web", ["true"])

    with pytest.raises(LaunchError, match=r"^web ended with exit status 0\.$"):
        supervisor.watch()


def test_the_loss_of_the_keeper_ends_the_run(supervisor):
    supervisor._keeper.process.kill()

    with pytest.raises(LaunchError, match="keeper was killed by SIGKILL"):
        supervisor.watch()


def test_a_program_that_is_not_there_is_named(supervisor):
    with pytest.raises(LaunchError, match=r"Cannot start web \(/no/such/program\): No such file"):
        supervisor.start("web", ["/no/such/program"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_to_stop(supervisor, number):
    os.kill(os.getpid(), number)

    with pytest.raises(StopRequestedError) as stop:
        supervisor.watch()

    assert stop.value.signal_number == number


@pytest.fixture
def nohup():
    """Ignore the terminal's hang-up, as `nohup` does for what it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_what_was_started_with_nohup_outlives_its_terminal(nohup, supervisor):
    os.kill(os.getpid(), signal.SIGHUP)

    supervisor.check()


def test_a_second_signal_cuts_the_grace_short(supervisor, start):
    supervisor.grace = 60.0
    child = start(STUBBORN)
    second = f"import os, time; time.sleep(0.3); os.kill({os.getpid()}, 15)"

    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-S", "-c", second]):
        supervisor.stop()

    assert child.process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 10.0


def test_a_step_is_run_to_its_end(supervisor, program):
    text = "import sys; print(input()); sys.exit('no such table')"

    ended = supervisor.run("setup", program(text), stdin=b"a secret\n")

    assert (ended.status, ended.printed) == (1, "a secret\n")
    assert "no such table" in ended.last_lines
    assert "a secret" not in ended.last_lines
    supervisor.check()


def test_a_step_is_given_up_when_another_child_dies(supervisor, start, program):
    start("print('up', flush=True); input()", name="valkey", stdin=b"")

    with pytest.raises(LaunchError, match="valkey ended"):
        supervisor.run("setup", program(OBEDIENT))


def test_waiting_has_an_end_with_words(supervisor):
    with pytest.raises(LaunchError, match="not in time"):
        supervisor.wait_until(lambda: False, seconds=0.1, otherwise="not in time")


def test_lines_are_shown_behind_their_childs_name(supervisor, start, capfd):
    supervisor.echo = True
    start("import signal; print('one\\ntwo', flush=True); signal.pause()", name="web")

    supervisor.check()

    assert capfd.readouterr().out == "web    | one\nweb    | two\n"


LAUNCHER = """
import os, sys, time
from pathlib import Path
from launcher.supervisor import Supervisor
folder = Path(sys.argv[1])
with Supervisor(cwd=folder, log_folder=folder, environment=os.environ) as supervisor:
    supervisor.start("child", [sys.executable, "-S", sys.argv[2]])
    supervisor.watch()
"""


def test_sigkill_of_the_launcher_leaves_nothing(tmp_path, program, eventually, is_running):
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(tmp_path), program(PARENT)[-1]], cwd=root())
    log = tmp_path / "child.log"
    grandchild = int(eventually(lambda: log.exists() and log.read_text()))
    group = os.getpgid(grandchild)

    launcher.kill()
    launcher.wait()

    eventually(lambda: not is_running(grandchild), seconds=5)
    eventually(lambda: not is_running(group), seconds=5)  # the keeper, who led it


def root() -> Path:
    return Path(__file__).parents[2]


def test_the_keeper_refuses_to_end_a_group_that_is_not_its_own():
    keeper = root() / "launcher" / "keeper.py"

    answer = subprocess.run([sys.executable, keeper], capture_output=True, text=True, stdin=subprocess.DEVNULL)

    assert answer.returncode == 1
    assert "process group of its own" in answer.stderr


@pytest.mark.parametrize(("status", "words"), [(0, "ended with exit status 0"), (-9, "was killed by SIGKILL")])
def test_an_exit_status_is_put_into_words(status, words):
    assert ending(status) == words

"""Starts processes, watches them, and leaves none of them behind.

All children live in one process group of their own, led by the keeper (keeper.py). So Ctrl-C in a terminal
reaches only the launcher, which then stops them in order: first those that use others, all at once, then the
ones they use, each with SIGTERM and a grace; at the end SIGKILL takes whatever is left of the group, however
deep. There are no threads: every wait goes through `check`, which passes on log lines, notices a child that
died, and hears a signal.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from launcher.errors import LaunchError, StopRequestedError
from launcher.logs import Log, say

KEEPER = Path(__file__).with_name("keeper.py")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK_SECONDS = 0.05


class ChildDiedError(LaunchError):
    """A process that should have stayed has ended."""


@dataclass(frozen=True)
class Ended:
    """What a step left: its exit status, what it printed, and the last lines of its log for a report."""

    status: int
    printed: str
    last_lines: str


@dataclass
class Child:
    """A running process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Log | None
    is_base: bool = False  # others use it: stopped after them
    is_shown: bool = False  # its log lines go to the terminal as well

    def last_lines(self) -> str:
        if self.log is None or not self.log.tail():
            return ""
        return f"\nThe last lines of {self.log.path}:\n{self.log.tail()}"


class Supervisor:
    """A `with` block around everything that runs; leaving the block, by any way, stops it all.

    Args:
        cwd: the working directory of every child.
        log_folder: where `<name>.log` of every child goes.
        environment: the whole environment of every child.
        echo: whether the terminal shows the log lines of those that do the work as well.
        grace: seconds a child has between SIGTERM and SIGKILL.
        base_grace: the same for what the others use, counted from when those are gone.
        held_fds: descriptors that stay open until the last child is gone (the instance's lock).
    """

    def __init__(
        self,
        *,
        cwd: Path,
        log_folder: Path,
        environment: Mapping[str, str],
        echo: bool = False,
        grace: float = 6.5,
        base_grace: float = 2.0,
        held_fds: Sequence[int] = (),
    ) -> None:
        self.cwd = cwd
        self.log_folder = log_folder
        self.environment = dict(environment)
        self.echo = echo
        self.grace = grace
        self.base_grace = base_grace
        self.held_fds = held_fds
        self.children: list[Child] = []
        self._is_stopped = False
        self._signals: list[int] = []
        self._previous_handlers: dict[int, object] = {}

    def __enter__(self) -> "Supervisor":
        for number in STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup: to outlive the terminal
            self._previous_handlers[number] = signal.signal(number, lambda n, _frame: self._signals.append(n))
        self._keeper = Child("keeper", self._start_keeper(), log=None)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._previous_handlers.items():
                signal.signal(number, handler)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        stdout: int | None = None,
        stderr: int | None = None,
        pass_fds: Sequence[int] = (),
        is_base: bool = False,
    ) -> Child:
        """Start a process and watch it from now on.

        Args:
            environment: added to the supervisor's own for this child.
            stdin: what the child reads; secrets travel here, since others can see a command line.
            stdout, stderr: where these go instead of its log.

        Raises:
            LaunchError: the program cannot be started.
        """
        log = Log(self.log_folder / f"{name}.log")
        log_file = log.open()
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd or self.cwd,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=log_file if stdout is None else stdout,
                stderr=log_file if stderr is None else stderr,
                pass_fds=pass_fds,
                process_group=self._keeper.process.pid,
            )
        except OSError as error:
            raise LaunchError(f"Cannot start {name} ({argv[0]}): {error.strerror}.") from error
        finally:
            os.close(log_file)
        child = Child(name, process, log, is_base, is_shown=self.echo and not is_base and stdout is None)
        self.children.append(child)
        try:
            process.stdin.write(stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it died before reading: `check` says so, with its log
        return child

    def run(self, name: str, argv: Sequence[str], **options) -> Ended:
        """Start a process that ends by itself, and wait for that. What it prints stays out of its log."""
        with tempfile.TemporaryFile() as printed:
            child = self.start(name, argv, stdout=printed.fileno(), **options)
            status = self.wait_for(child)
            printed.seek(0)
            return Ended(status, printed.read().decode(errors="replace"), child.last_lines())

    def wait_for(self, child: Child) -> int:
        """Wait for a child that ends by itself, watch it no longer, and return its exit status."""
        while child.process.poll() is None:
            self.check(awaited=child)
            time.sleep(TICK_SECONDS)
        self._forward_logs()
        self.forget(child)
        return child.process.returncode

    def forget(self, child: Child) -> None:
        """Watch a child no longer, since it has ended as it should."""
        self.children.remove(child)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float, otherwise: str) -> None:
        """Wait for a condition while the children live.

        Raises:
            LaunchError: with the sentence `otherwise`, when the seconds are over; or a child died.
            StopRequestedError: somebody asked to stop.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise LaunchError(otherwise)
            time.sleep(TICK_SECONDS)

    def watch(self) -> None:
        """Stay until a child dies (LaunchError) or somebody asks to stop (StopRequestedError)."""
        while True:
            self.check()
            time.sleep(0.2)

    def check(self, *, awaited: Child | None = None) -> None:
        """Pass on new log lines, then raise if somebody asked to stop or a child has died."""
        self._forward_logs()
        if self._signals:
            raise StopRequestedError(self._signals[0])
        for child in [*self.children, self._keeper]:
            if child is not awaited and child.process.poll() is not None:
                raise ChildDiedError(f"{child.name} {ending(child.process.returncode)}.{child.last_lines()}")

    def stop(self) -> None:
        """End everything that was started. A second signal meanwhile cuts the grace short."""
        if self._is_stopped:
            return  # the group's number may be another's by now
        self._is_stopped = True
        n_signals = len(self._signals)
        try:
            for is_base, grace in ((False, self.grace), (True, self.base_grace)):
                running = [child for child in self.children if child.is_base is is_base]
                for child in running:
                    child.process.send_signal(signal.SIGTERM)
                deadline = time.monotonic() + grace
                while any(child.process.poll() is None for child in running):
                    self._forward_logs()
                    if time.monotonic() > deadline or len(self._signals) > n_signals:
                        break
                    time.sleep(TICK_SECONDS)
        finally:
            self._kill_group()
        self._forward_logs()
        self.children.clear()

    def _start_keeper(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER)],
            stdin=subprocess.PIPE,  # only we hold the other end
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=self.held_fds,
            process_group=0,
        )

    def _kill_group(self) -> None:
        """Kill all that is left of the group and wait until it is gone."""
        group = self._keeper.process.pid
        deadline = time.monotonic() + 1.0  # a process in the kernel's hands cannot be waited for longer
        while time.monotonic() < deadline:
            try:
                os.killpg(group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                break
            finally:
                for child in [*self.children, self._keeper]:
                    child.process.poll()
            time.sleep(0.01)
        self._keeper.process.stdin.close()

    def _forward_logs(self) -> None:
        for child in self.children:
            if child.log is not None:
                fresh = child.log.read_new_lines()
                if child.is_shown:
                    say("\n".join(f"{child.name:<7}| {line}" for line in fresh))


def ending(status: int) -> str:
    """Say how a process ended, from its exit status (negative: minus the signal that killed it)."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"

"""Programs that start at once: each is forked from a process which has imported what they all import.

A start of Setpoint is mostly imports, seconds of them, and a plant is four or five programs which are killed and
started over and over. With nothing imported, programs are started as a shell would start them.

The nursery is a program of its own; to import this file as a module is to get its handle.
"""

import gc
import importlib
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
GUNICORN = ("gunicorn.app.wsgiapp", "gunicorn.workers.gthread")  # before our gunicorn.py can be found in their place
OURS = ("app", "celery.bin.celery", "celery.apps.worker", "celery.apps.beat", "celery.concurrency.prefork")
LATE = ("sklearn.ensemble", "scipy.stats", "onnx", "cmaes", "threadpoolctl")  # not what starts threads, as onnxruntime
ALL = GUNICORN + OURS + LATE


@dataclass(frozen=True)
class Program:
    """What to run: ``command`` is a Python with ``-m`` or ``-c``. Its working directory is that of its log."""

    command: Sequence[str]
    env: dict[str, str]
    log: str
    file_size_limit: int | None = None


class Nursery:
    """The handle: starts programs, each the leader of a process group, and kills them."""

    def __init__(self, serving: subprocess.Popen[str]) -> None:
        self._serving = serving
        self._lock = threading.Lock()

    def start(self, program: Program) -> int:
        """Start a program and return its process id."""
        return self._ask({"start": asdict(program)})

    def kill(self, pid: int) -> None:
        """SIGKILL, for the program and all its children, and wait for its end."""
        self._ask({"kill": pid})

    def _ask(self, request: dict) -> int:
        assert self._serving.stdin is not None
        assert self._serving.stdout is not None
        with self._lock:
            print(json.dumps(request), file=self._serving.stdin, flush=True)
            return int(self._serving.stdout.readline())


@contextmanager
def nursery(imported: Sequence[str] = ALL) -> Iterator[Nursery]:
    """Keep a nursery until the block ends; then all its programs are killed."""
    command = [sys.executable, __file__, *imported]
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # threads do not outlive a fork
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as serving:
        yield Nursery(serving)


def serve(imported: Sequence[str]) -> None:
    """Do as the lines of the standard input say, and answer each with a number, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for pytest, which then closes our input
    del sys.path[0]  # this folder
    for name in imported:
        if name not in GUNICORN and str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        importlib.import_module(name)
    gc.freeze()
    alive: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            alive.add(answer := fork(Program(**request["start"]), as_shell_would=not imported))
        else:
            alive.discard(answer := request["kill"])
            kill(answer)
        print(answer, flush=True)
    for pid in alive:
        kill(pid)


def fork(program: Program, *, as_shell_would: bool) -> int:
    """Return the id of a new process that runs the program."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        prepare(program)
        if as_shell_would:
            os.execve(program.command[0], program.command, program.env)
        run(program.command)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 (it shall not go on as the nursery)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def prepare(program: Program) -> None:
    """Give this process its own group, output, directory, environment and limit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    output = os.open(program.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir(Path(program.log).parent)
    os.environ.clear()
    os.environ.update(program.env)
    if program.file_size_limit is not None:  # to who writes more into a file, the disk is full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (program.file_size_limit,) * 2)


def run(command: Sequence[str]) -> None:
    """Do what Python does with such a command line."""
    _, option, what, *rest = command
    sys.argv = [what if option == "-m" else option, *rest]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


def kill(pid: int) -> None:
    """SIGKILL, for the process and all its children: nothing is said, nothing is finished."""
    os.killpg(pid, signal.SIGKILL)  # not yet waited for, so the id is still its own
    os.waitpid(pid, 0)


if __name__ == "__main__":
    serve(sys.argv[1:])

"""The process that outlives a killed launcher for two seconds, to take its children along.

It leads the process group that every child (and theirs: gunicorn's workers, Celery's pool) is born into, and
reads a pipe that only the launcher can write to. The pipe ends when the launcher does, however it died: then
the whole group is asked to stop, and killed. That reaches grandchildren and works on macOS, which a
PR_SET_PDEATHSIG on each child would not. The group's number cannot be reused as long as its leader lives, so
no stranger is ever signalled. The keeper also inherits the instance's lock: a new run waits until it is gone.

Run as a script by supervisor.py, with nothing but the standard library, so that it starts at once.
"""

import os
import signal
import sys
import time

GRACE_SECONDS = 2.0


def main() -> None:
    if os.getpgrp() != os.getpid():
        sys.exit("keeper.py must lead a process group of its own: it ends everything in its group.")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)  # the keeper included


if __name__ == "__main__":
    main()

"""Brings up one instance: Valkey, migrations, the first admin, the web server and the worker."""

import http.client
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher import commands, instance, valkey
from launcher.errors import LaunchError
from launcher.logs import say
from launcher.supervisor import Supervisor, ending

ADMIN = "admin"
READY_SECONDS = 90.0
REDIS_URL_FILE = "redis.url"  # where this run's Valkey listens; the launcher's umask keeps it the owner's
NOWHERE = "redis://127.0.0.1:1/0"  # what needs no Redis works without


@dataclass(frozen=True)
class Server:
    """An instance that answers requests.

    Attributes:
        new_admin_password: the password of the admin made at this start, None if there already were users.
    """

    url: str
    supervisor: Supervisor
    new_admin_password: str | None


@contextmanager
def running(
    folder: Path,
    *,
    listen: Callable[[], socket.socket],
    inherited: Mapping[str, str],
    admin_password: Callable[[dict[str, str]], str] = lambda _secrets: secrets.token_urlsafe(12),
    secret_names: tuple[str, ...] = instance.SECRET_NAMES,
    echo: bool = False,
) -> Iterator[Server]:
    """Run the instance in `folder` inside a `with` block.

    Args:
        listen: makes the web server's socket.
        inherited: the environment to add to; a SETPOINT_ variable in it replaces an embedded part.
        admin_password: chooses the first admin's password, given the instance's secrets.
        secret_names: which secrets the instance must have.
        echo: show the processes' logs on the terminal.

    Raises:
        LaunchError: something does not start, or this instance runs already.
        StopRequestedError: a signal came meanwhile.
    """
    instance.prepare(folder)
    with instance.locked(folder) as lock:
        kept = instance.load_secrets(folder, secret_names)
        with (
            closing(listen()) as listener,
            Supervisor(
                cwd=commands.ROOT,
                log_folder=folder / "logs",
                environment=environment(folder, kept, inherited),
                echo=echo,
                held_fds=[lock],
            ) as supervisor,
        ):
            try:
                yield _bring_up(supervisor, folder, listener, kept["REDIS_PASSWORD"], admin_password(kept))
            finally:
                say("Stopping ...")


def _bring_up(
    supervisor: Supervisor, folder: Path, listener: socket.socket, redis_password: str, admin_password: str
) -> Server:
    """Start one part after the other and wait until all of them answer."""
    if not supervisor.environment.get("SETPOINT_REDIS_URL"):
        say("Starting Valkey ...")
        redis_url = valkey.start(supervisor, folder / "valkey", redis_password)
        supervisor.environment["SETPOINT_REDIS_URL"] = redis_url
        (folder / REDIS_URL_FILE).write_text(redis_url)
    say("Preparing the database ...")
    is_first_start = _prepare(supervisor, admin_password)
    say("Starting the web server and the worker ...")
    host, port = listener.getsockname()[:2]
    _start_web(supervisor, listener)
    _start_worker(supervisor)
    url = _wait_until_ready(supervisor, host, port)
    return Server(url, supervisor, admin_password if is_first_start else None)


def environment(folder: Path, kept: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the instance's processes.

    What the caller's environment says goes before our defaults; PYTHONPATH and .env stay out of it.
    """
    defaults = {
        "SETPOINT_ENV": "production",
        "SETPOINT_SECRET_KEY": kept["SECRET_KEY"],
        "SETPOINT_JWT_SECRET_KEY": kept["JWT_SECRET_KEY"],
        "SETPOINT_LOG_FORMAT": "console",  # a person reads along
        "OMP_NUM_THREADS": "1",  # one thread a reduction: the same sums on every run
    }
    fixed = {
        "SETPOINT_INSTANCE_DIR": str(folder),
        "FLASK_APP": "wsgi:app",
        "FLASK_SKIP_DOTENV": "1",
        "PYTHONUNBUFFERED": "1",  # a line is in the log when it is written
    }
    return {k: v for k, v in (defaults | dict(inherited) | fixed).items() if k != "PYTHONPATH"}


def redis_url_of(folder: Path) -> str:
    """Return the URL of the instance's Valkey, as of its last run."""
    noted = folder / REDIS_URL_FILE
    return noted.read_text().strip() if noted.exists() else NOWHERE


def _prepare(supervisor: Supervisor, admin_password: str) -> bool:
    """Bring the database up to date; tell whether there was no account, and the first admin was made."""
    command = commands.program(commands.PREPARE, "--first-admin", ADMIN)
    ended = supervisor.run("prepare", command, stdin=f"{admin_password}\n".encode())
    if ended.status != 0:
        raise LaunchError(f"The instance cannot be prepared: flask {ending(ended.status)}.{ended.last_lines}")
    return bool(ended.printed)


def _start_web(supervisor: Supervisor, listener: socket.socket) -> None:
    descriptor = listener.fileno()
    supervisor.start(
        "web",
        commands.program(commands.WEB),
        environment={"SETPOINT_WEB_BIND": f"fd://{descriptor}"},
        pass_fds=[descriptor],
    )
    listener.close()  # it is the web server's now, and closes with it


def _start_worker(supervisor: Supervisor) -> None:
    n_processes = max(2, min(os.cpu_count() or 2, 4))  # a long training never keeps short work waiting
    supervisor.start("worker", commands.program(commands.WORKER, "--beat", f"--concurrency={n_processes}"))


def _wait_until_ready(supervisor: Supervisor, host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    supervisor.wait_until(
        lambda: _is_ready(reachable, port),
        seconds=READY_SECONDS,
        otherwise=f"The server was not ready within {READY_SECONDS:.0f} s; see {supervisor.log_folder}.",
    )
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _is_ready(host: str, port: int) -> bool:
    """Ask /readyz: database, Redis and object store answer."""
    with closing(http.client.HTTPConnection(host, port, timeout=2)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

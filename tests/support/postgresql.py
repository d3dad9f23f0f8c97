"""A PostgreSQL server with nothing in it."""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.databases import ServerDatabases, can_connect
from tests.support.servers import find_program, free_port, run, serve, server_folder

USER = "setpoint"
DEBIAN_FOLDER = Path("/usr/lib/postgresql")  # .../15/bin: not on the PATH


def find_postgresql() -> tuple[Path, Path]:
    """Return the server, the newest that is installed, and initdb, or raise MissingPackage."""
    folders = sorted(DEBIAN_FOLDER.glob("[0-9]*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return (
        find_program("postgres", package="postgresql", folders=folders),
        find_program("initdb", package="postgresql", folders=folders),
    )


@contextmanager
def postgresql_server() -> Iterator[ServerDatabases]:
    """Run a PostgreSQL server, with the durability that throw-away data needs: none."""
    server, initdb = find_postgresql()
    port, password = free_port(), secrets.token_hex(16)
    url = f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port}/postgres"
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with server_folder(user) as folder:
        data = folder / "data"
        password_file = folder / "password"
        password_file.write_text(password)
        if user:
            shutil.chown(password_file, user)
        account = [f"--username={USER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        run(
            [initdb, f"--pgdata={data}", *account, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            folder=folder,
            user=user,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with serve(
            [server, "-D", data, *options],
            folder=folder,
            is_ready=lambda: can_connect(url),
            user=user,
            stop_signal=signal.SIGINT,  # ends open sessions; SIGTERM would wait for them
        ):
            yield ServerDatabases(url)

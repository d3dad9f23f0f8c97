"""A MariaDB server with nothing in it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.databases import ServerDatabases, can_connect
from tests.support.servers import find_program, free_port, run, serve, server_folder

USER = "setpoint"


def find_mariadb() -> tuple[Path, Path]:
    """Return the server and the program that makes its folder, or raise MissingPackage."""
    return (
        find_program("mariadbd", package="mariadb-server"),
        find_program("mariadb-install-db", package="mariadb-server"),
    )


@contextmanager
def mariadb_server() -> Iterator[ServerDatabases]:
    """Run a MariaDB server, with the durability that throw-away data needs: none."""
    server, install = find_mariadb()
    port, password = free_port(), secrets.token_hex(16)
    url = f"mysql+pymysql://{USER}:{password}@127.0.0.1:{port}/mysql?charset=utf8mb4"
    as_root = ["--user=root"] if os.geteuid() == 0 else []  # root must say that it means it
    with server_folder() as folder:
        data = folder / "data"
        how = ["--auth-root-authentication-method=normal", "--skip-test-db", f"--datadir={data}"]
        run([install, "--no-defaults", *how, *as_root], folder=folder)
        account = folder / "account.sql"
        account.write_text(f"CREATE USER {USER}@'%' IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO {USER}@'%';\n")
        command = [
            *(server, "--no-defaults", *as_root, f"--datadir={data}", f"--init-file={account}"),
            *("--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}"),
            *("--skip-name-resolve", "--skip-log-bin", "--character-set-server=utf8mb4"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-fast-shutdown=2"),
        ]
        with serve(command, folder=folder, is_ready=lambda: can_connect(url)):
            yield ServerDatabases(url)

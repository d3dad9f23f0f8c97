"""What tests ask of a database, whichever it is."""

from itertools import count
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

KEPT_TABLES = {"alembic_version"}
WITHOUT_FOREIGN_KEYS = {  # SQLite checks none unless it is asked to
    "mysql": "SET SESSION foreign_key_checks = 0",
    "postgresql": "SET SESSION session_replication_role = replica",
}


class Databases(Protocol):
    """A place where a test run can have as many databases as it likes."""

    def new_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""


class SqliteDatabases:
    """Databases that are files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def new_database(self) -> str:
        return f"sqlite:///{self._folder / f'setpoint_{next(self._numbers)}.db'}"


class ServerDatabases:
    """Databases on a server, whose URL leads to one from which others can be made."""

    def __init__(self, admin_url: str) -> None:
        self._admin = create_engine(admin_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._numbers = count(1)

    def new_database(self) -> str:
        name = f"setpoint_{next(self._numbers)}"
        with self._admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return self._admin.url.set(database=name).render_as_string(hide_password=False)


def can_connect(url: str) -> bool:
    """Tell whether the database takes our password and answers."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        engine.connect().close()
    except Exception:  # noqa: BLE001  each driver has errors of its own for a server that is starting
        return False
    return True


def delete_all_rows(url: str) -> None:
    """Empty every table, but keep the schema and the number of its last migration.

    DELETE, since on tables of a few rows it is many times faster than TRUNCATE.
    """
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        if unchecked := WITHOUT_FOREIGN_KEYS.get(engine.dialect.name):
            connection.execute(text(unchecked))
        for table in set(inspect(connection).get_table_names()) - KEPT_TABLES:
            connection.execute(text(f"DELETE FROM {engine.dialect.identifier_preparer.quote(table)}"))

"""SQLite as a database of several processes: WAL, a busy timeout, and write transactions that begin IMMEDIATE.

A transaction that reads before it writes must hold the write lock from its first statement. Otherwise SQLite refuses
the write once somebody else has committed in between, or, in the driver's own mode, loses the other's update silently.
So a transaction takes the lock at its begin unless it is known to only read: inside ``reading()``, or in answering a
GET or HEAD.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from flask import has_request_context, request
from sqlalchemy import Connection, Engine, event

BUSY_TIMEOUT_MS = 30_000
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.0005, 0.008
_only_reads: ContextVar[bool | None] = ContextVar("only_reads", default=None)


@contextmanager
def reading() -> Iterator[None]:
    """Transactions that begin inside only read."""
    token = _only_reads.set(True)
    try:
        yield
    finally:
        _only_reads.reset(token)


@contextmanager
def writing() -> Iterator[None]:
    """Transactions that begin inside write, whatever surrounds them."""
    token = _only_reads.set(False)
    try:
        yield
    finally:
        _only_reads.reset(token)


def prepare(engine: Engine) -> None:
    """Set up every connection of this engine. Engines of other databases are left as they are."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions of its own
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a task accepted is on the disk, also when the power fails
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    if is_only_reading():
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_to_write(connection)


def _begin_to_write(connection: Connection) -> None:
    """Begin with the write lock. It is asked for often: SQLite's own waiting would sleep on after it is free."""
    raw = connection.connection.dbapi_connection
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        give_up, pause_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000, SHORTEST_PAUSE_S
        while _is_locked(raw) and time.monotonic() < give_up:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        if not raw.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, for the error that SQLAlchemy makes of it
    finally:
        raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def _is_locked(raw: sqlite3.Connection) -> bool:
    """Try to begin; return whether somebody else has the lock."""
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def is_only_reading() -> bool:
    """Whether a transaction that begins here is known to only read."""
    stated = _only_reads.get()
    if stated is not None:
        return stated
    return has_request_context() and request.method in {"GET", "HEAD", "OPTIONS"}

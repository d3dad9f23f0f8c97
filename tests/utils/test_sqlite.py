"""SQLite as a database of several processes: who waits for the write lock gets it, or is told why not."""

import threading

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from app.utils import sqlite


@pytest.fixture
def engine(tmp_path):
    made = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    sqlite.prepare(made)
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE counts (n INTEGER)"))
        connection.execute(text("INSERT INTO counts VALUES (0)"))
    yield made
    made.dispose()


def test_writers_at_once_wait_for_each_other_and_none_overwrites_another(engine):
    def count():
        for _ in range(20):
            with engine.begin() as connection:
                n = connection.execute(text("SELECT n FROM counts")).scalar_one()
                connection.execute(text("UPDATE counts SET n = :n"), {"n": n + 1})

    writers = [threading.Thread(target=count) for _ in range(8)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()

    with engine.connect() as connection:
        assert connection.execute(text("SELECT n FROM counts")).scalar_one() == 160


def test_who_waits_for_too_long_is_told_and_can_go_on_later(engine, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    with engine.connect() as waiting:
        with engine.begin(), pytest.raises(OperationalError, match="database is locked"):
            waiting.execute(text("SELECT n FROM counts"))

        assert waiting.execute(text("SELECT n FROM counts")).scalar_one() == 0

"""What the chosen backend promises to every test that runs on it."""

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from app.utils.object_store import object_store_from_url
from tests.support.backends import Backend

UNICODE = "锅炉 Übersicht 😀 \N{DEGREE SIGN}C"


@pytest.fixture
def own_backend(running_backend: Backend) -> Backend:
    """The backend that runs, with another database: the application's stays as it is."""
    return replace(running_backend, database_url=running_backend.new_database())


@pytest.fixture
def engine(own_backend: Backend) -> Iterator[Engine]:
    engine = create_engine(own_backend.database_url)
    yield engine
    engine.dispose()


def test_a_new_database_is_empty_and_another_one(own_backend, engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE here (id INTEGER PRIMARY KEY)"))
    other = create_engine(own_backend.new_database())

    assert inspect(other).get_table_names() == []
    other.dispose()


def test_text_of_any_script_comes_back(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tags (name VARCHAR(50))"))
        connection.execute(text("INSERT INTO tags VALUES (:name)"), {"name": UNICODE})

        assert connection.execute(text("SELECT name FROM tags")).scalar() == UNICODE


def test_a_wrong_password_opens_nothing(running_backend, own_backend):
    if running_backend.name == "sqlite":
        pytest.skip("a file has no password")
    engine = create_engine(create_engine(own_backend.database_url).url.set(password="wrong"))

    with pytest.raises(SQLAlchemyError):
        engine.connect()


def test_clearing_deletes_rows_keys_and_objects_but_no_table(own_backend, engine):
    store = object_store_from_url(own_backend.object_store_url, signing_key="")
    store.put("models/1", io.BytesIO(b"x"))
    with Redis.from_url(own_backend.redis_url) as redis:
        redis.set("key", "value")
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
            "CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL,"
            " FOREIGN KEY (parent_id) REFERENCES parents (id))",
            "INSERT INTO alembic_version VALUES ('1')",
            "INSERT INTO parents VALUES (1)",
            "INSERT INTO children VALUES (1, 1)",
        ):
            connection.execute(text(statement))

    own_backend.clear()

    with engine.connect() as connection, Redis.from_url(own_backend.redis_url) as redis:
        n_rows = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
            for table in inspect(connection).get_table_names()
        }
        assert n_rows == {"alembic_version": 1, "parents": 0, "children": 0}
        assert [key for key in redis.scan_iter() if b"_kombu.binding" not in key] == []  # a worker's queues stay bound
    assert list(store.list()) == []

"""Migrations: up, down and up again on an empty database of each kind, and nothing left for ``flask db check``."""

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from app.extensions import db
from tests.support.backends import Backend


@pytest.fixture
def fresh_app(another_app, running_backend: Backend) -> Flask:
    """An application on an empty database of the backend."""
    return another_app(database_url=running_backend.new_database())


def tables(app: Flask) -> set[str]:
    engine = create_engine(app.config["SETTINGS"].database)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def flask_db(app: Flask, *args: str):
    done = app.test_cli_runner().invoke(args=["db", *args])
    assert done.exit_code == 0, f"flask db {' '.join(args)}: {done.output}{done.exception!r}"
    return done


def test_the_migrations_make_exactly_the_tables_of_the_models(fresh_app):
    flask_db(fresh_app, "upgrade")

    assert tables(fresh_app) == set(db.metadata.tables)
    flask_db(fresh_app, "check")  # ends with an error when a model and its table differ


def test_going_down_leaves_nothing_and_going_up_again_works(fresh_app):
    flask_db(fresh_app, "upgrade")

    flask_db(fresh_app, "downgrade", "base")
    left = tables(fresh_app)
    flask_db(fresh_app, "upgrade")

    assert left == set()
    assert tables(fresh_app) == set(db.metadata.tables)


def test_there_is_one_newest_migration(fresh_app):
    folder = fresh_app.extensions["migrate"].directory

    assert len(ScriptDirectory(folder).get_heads()) == 1


def test_a_model_that_differs_from_its_table_does_not_pass_the_check(fresh_app):
    flask_db(fresh_app, "upgrade")
    engine = create_engine(fresh_app.config["SETTINGS"].database)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE task_events"))
    engine.dispose()

    checked = fresh_app.test_cli_runner().invoke(args=["db", "check"])

    assert checked.exit_code != 0

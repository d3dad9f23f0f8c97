"""The database is gone for a while, as tasks run and as somebody asks: everything only takes longer."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, make_url, text

from app.extensions import db
from app.models import Model
from tests.faults.proxy import proxy


@pytest.fixture
def outage(settings, running_backend):
    """The settings of a deployment, and a block during which its database is gone."""
    if running_backend.name == "sqlite":
        yield settings, lambda: locked(settings.database)
        return
    url = make_url(settings.database)
    with proxy(url.port) as between:
        through = url.set(host="127.0.0.1", port=between.port).render_as_string(hide_password=False)
        yield replace(settings, database_url=through), lambda: cut_off(between)


@contextmanager
def locked(url):
    """A file is always there, but somebody else may have it locked."""
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("BEGIN EXCLUSIVE"))
        yield
        connection.rollback()
    engine.dispose()


@contextmanager
def cut_off(between):
    """A server may answer nobody, and have closed every connection."""
    between.behave("refuse")
    yield
    between.behave("pass")


def test_a_database_that_is_gone_for_half_a_minute_only_delays_tasks_and_who_asks(app, site, outage, plant_on):
    settings, gone = outage
    running = plant_on(settings, n_workers=2)
    tasks = running.train(site.module_id, 3)

    with ThreadPoolExecutor(1) as other:
        with gone():
            asking = other.submit(running.train, site.module_id, 1, first=3)  # tries again under its key until let in
            time.sleep(30)  # this is the outage, not a wait for something
            assert not asking.done()
        tasks += asking.result()
    ended = running.wait_for_end(tasks, deadline_s=200)

    assert {task["state"] for task in ended} == {"succeeded"}
    with app.app_context():
        assert db.session.query(Model).count() == 1 + 4
        assert db.session.query(Model).filter(Model.metrics.is_not(None)).count() == 1 + 4

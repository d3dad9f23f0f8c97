"""The database is gone for a while, as tasks run and as somebody asks: everything only takes longer."""

import threading
import time
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


def test_a_database_that_is_gone_for_half_a_minute_only_delays(app, site, outage, plant_on):
    settings, gone = outage
    running = plant_on(settings, n_workers=2)
    tasks = running.train(site.module_id, 4)

    with gone():
        time.sleep(30)  # this is the outage, not a wait for something
    ended = running.wait_for_end(tasks, deadline_s=200)

    assert {task["state"] for task in ended} == {"succeeded"}
    with app.app_context():
        assert db.session.query(Model).filter(Model.metrics.is_not(None)).count() == 1 + len(tasks)


def test_requests_while_the_database_is_gone_are_refused_and_do_no_harm(app, site, outage, plant_on):
    settings, gone = outage
    running = plant_on(settings, n_workers=1)
    tasks = []

    with gone():
        asking = threading.Thread(target=lambda: tasks.extend(running.train(site.module_id, 1)))
        asking.start()  # the client tries again under its key until it is let in
        time.sleep(12)
    asking.join()
    running.wait_for_end(tasks, deadline_s=100)

    with app.app_context():
        assert db.session.query(Model).count() == 2

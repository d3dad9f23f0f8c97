"""Parts of the server go away while tasks run: every task ends well once they are back, and says meanwhile why."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from app.extensions import db
from app.models import Model, Task
from app.utils.object_store import object_store_from_url
from tests.faults.proxy import proxy
from tests.support.s3 import s3_server
from tests.support.servers import wait_until


@pytest.fixture
def s3_settings(settings, app):
    """The settings of a deployment whose objects are in S3, behind a proxy; with the objects that are there."""
    with s3_server() as url, proxy(urlsplit(url).port) as between:
        behind = url.replace(f":{urlsplit(url).port}/", f":{between.port}/")
        target = object_store_from_url(url, signing_key="")
        target.prepare()
        yield replace(settings, object_store_url=behind), between, target


def test_an_object_store_that_is_away_or_cuts_bodies_only_delays(app, site, s3_settings, plant_on):
    settings, between, target = s3_settings
    source = app.extensions["object_store"]
    for found in list(source.list()):
        with source.open(found.key) as stream:
            target.put(found.key, stream)
    running = plant_on(settings, n_workers=2)

    for n_before, how in ((0, "refuse"), (2, "unavailable"), (4, "cut")):
        between.behave(how)
        tasks = running.train(site.module_id, 2, first=n_before)
        wait_until(lambda: between.n_hit > 3, f"the store to be missed: {how}", deadline_s=60)
        states = {task["state"] for task in running.tasks(tasks)}
        between.behave("pass")
        ended = running.wait_for_end(tasks, deadline_s=200)

        assert states <= {"queued", "running"}, how
        assert {task["state"] for task in ended} == {"succeeded"}, how
        with app.app_context():
            assert db.session.query(Model).filter(Model.metrics.is_not(None)).count() == 1 + n_before + 2


def test_a_disk_that_is_full_delays_and_the_task_goes_on_when_there_is_room(app, site, run_plant):
    running = run_plant(n_workers=1, file_size_limit=2_000_000)  # a model file is larger than that
    (task_id,) = running.train(site.module_id, 1, n_trees=150)

    def is_excused():
        items = running.get(f"/tasks/{task_id}/events")["items"]
        return any("disk is full" in str(item["data"].get("message")) for item in items)

    wait_until(is_excused, "the full disk to be told", deadline_s=100)
    state = running.get(f"/tasks/{task_id}")["state"]
    (worker,) = running.workers
    worker.kill()
    worker.file_size_limit = None
    worker.start()
    (ended,) = running.wait_for_end([task_id], deadline_s=100)

    assert state in ("queued", "running")
    assert ended["state"] == "succeeded"


def test_a_clock_that_is_set_back_by_an_hour_leaves_no_task_behind(app, site, run_plant):
    running = run_plant(n_workers=1)
    (task_id,) = running.train(site.module_id, 1, n_trees=150)
    wait_until(lambda: running.get(f"/tasks/{task_id}")["state"] == "running", "the training to begin")
    running.workers[0].kill()
    with app.app_context():  # as a worker would have written it whose clock was an hour ahead
        ahead = Task.lease_until + 3_600_000
        db.session.query(Task).filter(Task.lease_until.is_not(None)).update({"lease_until": ahead})
        db.session.commit()
    running.workers[0].start()

    (ended,) = running.wait_for_end([task_id], deadline_s=100)

    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)

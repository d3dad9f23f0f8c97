"""A training by a kind that chooses, whose worker is lost in the middle: who takes over does no finished fit again."""

from uuid import UUID

import numpy as np
import pytest

from app.extensions import celery_ext, db
from app.libs.enums import Queue
from app.models import Model, Task
from app.tasks import checkpoints, kept_fits
from app.tasks.pace import Pace
from app.utils import sqlite
from app.viewModels import task_queue
from engine.surrogates.search import Candidate, Table

CANDIDATES = [
    Candidate("linear", {}, is_reference=True),
    Candidate("extra_trees", {"n_trees": -1}),  # which fails
    Candidate("extra_trees", {"n_trees": 5}),
    Candidate("hist_gradient_boosting", {"n_iterations": 10, "min_rows_leaf": 3}),
]
AUTO = {
    "kind": "auto",
    "params": {"budget": 9},
    "validation": {"scheme": "random", "n_folds": 3},
    "compares_at_random": False,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few and small candidates; and every fit is kept, however short a time they take."""
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (CANDIDATES, []))
    monkeypatch.setattr(checkpoints, "Pace", lambda period_s, **_given: Pace(0.0, share=1e9, longest_s=0.0))


@pytest.fixture
def submit(client, headers, dataset_id, make_process, module_of):
    """Queue a training of z = a b, which no linear model tells; return its task."""
    module = make_process(module_of("mill", ["a", "b"], ["z"]))["modules"][0]
    return lambda: client.post(f"/api/v1/modules/{module['id']}/models", json=AUTO, headers=headers).json


@pytest.fixture
def made_by(app):
    def read(task):
        with app.app_context():
            model = db.session.query(Model).filter(Model.task_id == UUID(task["id"])).one()
            return model.artifact_sha256, model.metrics, model.options["choice"]

    return read


class Fits:
    """Counts the fits of all searches, and takes the task away within one of them."""

    def __init__(self):
        self.n, self.lost_in = 0, None

    def note(self):
        self.n += 1
        if self.n == self.lost_in:
            take_away()


def take_away():
    """Take the task that is at work away from its worker; its heart may extend the lease once more."""
    db.session.commit()
    at_work = db.session.query(Task).filter(Task.worker.isnot(None), Task.state == "running")
    with sqlite.writing():  # the work around it only reads
        while at_work.update({"lease_until": 1}):
            db.session.commit()
            task_queue.requeue_lost(max_attempts=3)
        db.session.commit()


@pytest.fixture
def fits(monkeypatch):
    counted, fit = Fits(), Table.fit

    def counting(self, candidate, rows, on_step):
        counted.note()
        return fit(self, candidate, rows, on_step)

    monkeypatch.setattr(Table, "fit", counting)
    return counted


@pytest.fixture
def alone(submit, work_all, made_by, fan_out_after, fits):
    """What a training makes whose worker is not lost, and how many fits that takes."""
    fan_out_after(3600)
    task = submit()
    work_all()
    n_fits, fits.n = fits.n, 0
    return made_by(task), n_fits


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8, 1.0])
def test_a_worker_that_takes_over_does_no_finished_fit_again(alone, submit, work_all, made_by, fits, share):
    expected, n_alone = alone
    fits.lost_in = round(share * n_alone)

    task = submit()
    work_all()

    assert made_by(task) == expected
    assert fits.n == n_alone + 1  # that in which the first worker was lost
    assert n_alone > 30


def test_a_fold_that_is_a_task_of_its_own_goes_on_too(alone, submit, work_all, made_by, fits, fan_out_after, app):
    expected, n_alone = alone
    fan_out_after(0)
    task = submit()
    with app.app_context():
        celery_ext.celery.tasks[f"{Queue.TRAINING}.run"]()
        fits.lost_in = fits.n + 5
    work_all()

    assert made_by(task) == expected
    assert fits.n == n_alone + 1


def test_fits_that_have_no_room_are_done_again_and_finished_folds_are_not(
    alone, submit, work_all, made_by, fits, monkeypatch
):
    expected, n_alone = alone
    monkeypatch.setattr(kept_fits, "ROOM", 0)
    fits.lost_in = 15

    task = submit()
    work_all()

    assert made_by(task) == expected
    assert n_alone + 1 < fits.n < n_alone + 15


def test_the_fits_of_a_finished_fold_are_dropped():
    state = {"validate.0": np.zeros((3, 1)), "seconds": 1.0}
    kept_fits.fits_of(NothingKept(), state, "validate.1").tell_member(0, ["linear", {}, False], {"a": np.zeros(2)})

    n_before = len(state)
    kept_fits.drop_fits(state)

    assert (n_before, set(state)) == (4, {"validate.0", "seconds"})


class NothingKept:
    def save(self, state):
        pass

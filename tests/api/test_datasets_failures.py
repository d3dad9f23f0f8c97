"""An import that fails says what is wrong and where, and leaves nothing behind."""

import io
import threading
import zipfile
from datetime import timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from app.extensions import db, object_store
from app.models import Task
from app.tasks import imports
from app.viewModels import dataset_imports, dataset_objects, task_queue, tasks
from engine.tables import csv_files, read_table
from tests.support.servers import wait_until
from tests.support.uploads import HOURS, NOTHING, post_file, what_is_there

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def send(client, headers, project):
    return lambda *args, **fields: post_file(client, f"/projects/{project.id}/datasets", headers, *args, **fields)


@pytest.fixture
def task_of(client, headers):
    """What the task of an answered upload says now."""
    return lambda answer: client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json


def zip_bomb():
    """A workbook of a few kilobytes whose sheet unpacks to 64 MB."""
    sound, bomb = io.BytesIO(), io.BytesIO()
    pl.DataFrame({"load": [1.0]}).write_excel(sound)
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) if name != SHEET else b" " * (64 << 20))
    return bomb.getvalue()


def corrupt_parquet():
    file = io.BytesIO()
    pl.DataFrame({"load": [1.0] * 1000}).write_parquet(file)
    content = bytearray(file.getvalue())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    return bytes(content)


def with_row_17(row):
    lines = HOURS.splitlines(keepends=True)
    return b"".join([*lines[:16], row, *lines[16:]])


FAULTS = {
    "no header": (b"1,2,3\n4,5,6\n7,8,9\n", "plant.csv", "table.no_header", {}, ""),
    "no rows": (b"load,flow\n", "plant.csv", "table.empty", {}, "no rows under it"),
    "ragged row 17": (with_row_17(b"2026-03-01 15:30,1\n"), "plant.csv", "table.ragged_row", {"line": 17}, "line 17"),
    "zip bomb": (zip_bomb, "plant.xlsx", "table.zip_bomb", {"member": SHEET}, "ratio of 200"),
    "wrong encoding": (
        HOURS.replace(b"flow", b"fl\x81\x8dow\xff"),
        "plant.csv",
        "table.encoding",
        {"line": 1},
        "line 1",
    ),
    "duplicate tag": (b"load,flow,load\n1,2,3\n", "plant.csv", "table.duplicate_tag", {}, "load"),
    "corrupt parquet": (corrupt_parquet, "plant.parquet", "table.unreadable", {}, "Parquet"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_that_cannot_be_read_fails_with_what_and_where_and_leaves_nothing(app, send, task_of, work, fault):
    content, file_name, code, where, said = FAULTS[fault]
    answer = send(content() if callable(content) else content, file_name)
    assert answer.status_code == 202

    work()

    task = task_of(answer)
    assert task["state"] == "failed"
    assert (task["error"]["code"], task["error"]["status"]) == (code, 422)
    assert said in task["error"]["detail"]
    assert where.items() <= task["error"]["details"].items()
    assert what_is_there(app) == NOTHING


def test_an_encoding_that_was_asked_for_and_does_not_fit_is_refused_with_its_line(app, send, task_of, work):
    answer = send(HOURS.replace(b"flow", "Kühlwasser".encode("cp1252")), reading={"encoding": "utf-8"})

    work()

    error = task_of(answer)["error"]
    assert (error["code"], error["details"]["line"], error["details"]["encoding"]) == ("table.encoding", 1, "utf-8")
    assert what_is_there(app) == NOTHING


@pytest.mark.parametrize(
    ("derived", "code"),
    [
        ([{"name": "x", "expression": "load / nothing"}], "table.unknown_tag"),
        ([{"name": "load", "expression": "flow * 2"}], "table.invalid_derived_tag"),
        ([{"name": "x", "part": "day", "of": "load"}], "table.wrong_tag_type"),
    ],
)
def test_a_derived_tag_that_does_not_fit_the_table_fails_the_import(app, send, task_of, work, derived, code):
    answer = send(derived=derived)

    work()

    assert task_of(answer)["error"]["code"] == code
    assert what_is_there(app) == NOTHING


def test_a_failed_upload_can_be_sent_again(send, task_of, work):
    send(derived=[{"name": "x", "expression": "load / nothing"}])
    work()

    answer = send()
    work()

    assert task_of(answer)["result"]["version"] == 1


def test_a_file_that_is_gone_from_the_store_fails_the_import_in_plain_words(app, send, task_of, work):
    answer = send()
    with app.app_context():
        for found in list(object_store.list()):
            object_store.delete(found.key)

    work()

    assert task_of(answer)["error"]["code"] == "object.not_found"
    assert what_is_there(app) == NOTHING


# Cancelled


def test_an_import_cancelled_while_it_reads_stops_there_and_leaves_nothing(
    app, send, task_of, work, engineer, monkeypatch
):
    monkeypatch.setattr(csv_files, "_PIECE_CHARACTERS", 100)
    answer = send()
    read_table = imports.read_table

    def slow_read(path, file_format, reading, on_progress):
        def slow(done):
            """Cancel at the first piece, and take so long over it that the worker gets to know."""
            if not told:
                cancel()
                wait_until(has_stopped(on_progress, done), "the worker to hear of the cancel")
            told.append(done)

        return read_table(path, file_format, reading, slow)

    def has_stopped(on_progress, done):
        def ask():
            on_progress(done)  # raises when the task shall stop
            return False

        return ask

    def cancel():
        def in_a_request_of_its_own():
            with app.app_context():
                tasks.cancel(task_id, actor=engineer)

        thread = threading.Thread(target=in_a_request_of_its_own)
        thread.start()
        thread.join()

    told = []
    with app.app_context():
        task_id = db.session.query(Task.id).scalar()
    monkeypatch.setattr(imports, "read_table", slow_read)

    work()

    assert told == []
    assert task_of(answer)["state"] == "cancelled"
    assert what_is_there(app) == NOTHING


def test_an_import_cancelled_while_it_waits_leaves_its_file_to_the_sweep(app, client, headers, send, work):
    answer = send()
    client.post(f"/api/v1/tasks/{answer.json['id']}/cancel", headers=headers)

    work()

    assert what_is_there(app) == {"datasets": 0, "versions": 0, "objects": 1}
    with app.app_context():
        assert dataset_objects.sweep(older_than=timedelta(seconds=-1)) == 1
    assert what_is_there(app) == NOTHING


# Faults of our own


def test_an_unexpected_fault_while_publishing_leaves_no_rows_and_its_objects_to_the_sweep(
    app, send, task_of, work, monkeypatch
):
    answer = send()

    def publish_and_fall(*args, **kwargs):
        publish(*args, **kwargs)
        raise RuntimeError("the power went off")

    publish = dataset_imports.publish
    monkeypatch.setattr(dataset_imports, "publish", publish_and_fall)
    with pytest.raises(RuntimeError, match="power"):
        work()

    task = task_of(answer)
    assert (task["state"], task["error"]["code"]) == ("failed", "task.crashed")
    assert what_is_there(app) == {"datasets": 0, "versions": 0, "objects": 2}
    with app.app_context():
        dataset_objects.sweep(older_than=timedelta(seconds=-1))
    assert what_is_there(app) == NOTHING


def test_a_worker_that_lost_its_lease_adds_nothing_and_leaves_the_file_to_the_next(
    app, send, task_of, work, monkeypatch
):
    answer = send()
    store = imports._store

    def store_then_lose_the_lease(table, key, claim):
        store(table, key, claim)
        db.session.commit()
        db.session.query(Task).update({"lease_until": 0})
        db.session.commit()
        task_queue.requeue_lost(max_attempts=3)

    monkeypatch.setattr(imports, "_store", store_then_lose_the_lease)
    work()
    assert what_is_there(app) == {"datasets": 0, "versions": 0, "objects": 1}
    monkeypatch.undo()

    work()

    task = task_of(answer)
    assert (task["state"], task["attempt"], task["result"]["version"]) == ("succeeded", 2, 1)
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_what_an_earlier_attempt_has_parsed_is_not_parsed_again(app, send, task_of, work, monkeypatch):
    answer, parsed = send(), []
    profile_as_ever = imports._profile
    always = vars(app.config["SETTINGS"]) | {"task_checkpoint_seconds": 0}
    monkeypatch.setitem(app.config, "SETTINGS", SimpleNamespace(**always))

    def read(*args, **kwargs):
        parsed.append(1)
        return read_table(*args, **kwargs)

    def lose_the_lease(*_args):
        db.session.query(Task).update({"lease_until": 0})
        db.session.commit()
        task_queue.requeue_lost(max_attempts=3)
        raise task_queue.LeaseLostError

    monkeypatch.setattr(imports, "read_table", read)
    monkeypatch.setattr(imports, "_profile", lose_the_lease)
    work()
    monkeypatch.setattr(imports, "_profile", profile_as_ever)
    left = what_is_there(app)
    with app.app_context():
        dataset_objects.sweep(older_than=timedelta(seconds=-1))

    work()

    task = task_of(answer)
    assert (task["state"], task["attempt"], task["result"]["version"]) == ("succeeded", 2, 1)
    assert parsed == [1]
    assert left["objects"] == 3  # the file, the table, and the checkpoint that names it
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_the_sweep_leaves_alone_what_is_used_what_is_queued_and_what_is_young(app, send, work):
    send()
    work()
    send(HOURS + b"2026-03-02 00:00,1,1\n")
    with app.app_context():
        object_store.put("datasets/0192a7c0-0000-7000-8000-000000000000/source", io.BytesIO(b"abandoned"))
        young = dataset_objects.sweep(older_than=timedelta(hours=1))

        abandoned = dataset_objects.sweep(older_than=timedelta(seconds=-1))

    assert (young, abandoned) == (0, 1)
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 3}

"""From a file to a data set version, and what is refused on the way at once."""

import io
import threading
from dataclasses import replace

import polars as pl
import pytest

from app.extensions import db
from app.models import Dataset, DatasetVersion, Membership, Project, Task
from app.utils.clock import now_ms
from app.utils.object_store import ObjectStoreUnavailable
from app.viewModels import dataset_imports, incoming_files
from tests.support.servers import wait_until
from tests.support.uploads import HOURS, NOTHING, post_file, what_is_there


@pytest.fixture
def send(client, headers, project):
    """Upload a file, by default to the project."""
    return lambda *args, to=None, **fields: post_file(
        client, to or f"/projects/{project.id}/datasets", headers, *args, **fields
    )


@pytest.fixture
def get(client, headers):
    return lambda url: client.get(f"/api/v1{url}", headers=headers).json


@pytest.fixture
def imported(send, get, work):
    """Upload a file, import it, and return what the task says then."""

    def do(*args, **fields):
        answer = send(*args, **fields)
        assert answer.status_code == 202, answer.json
        work()
        return get(f"/tasks/{answer.json['id']}")

    return do


def table_in(file_format):
    frame = pl.DataFrame({"load": [100.5, 120.5], "mode": ["A", "B"]})
    file = io.BytesIO()
    {"csv": frame.write_csv, "xlsx": frame.write_excel, "parquet": frame.write_parquet}[file_format](file)
    return file.getvalue()


def test_an_upload_is_a_data_set_once_its_import_has_succeeded(app, send, get, work):
    answer = send(description="A day")

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["state"], answer.json["queue"]) == ("dataset.import", "queued", "default")
    assert what_is_there(app) == {"datasets": 0, "versions": 0, "objects": 1}
    work()
    task = get(f"/tasks/{answer.json['id']}")
    assert task["state"] == "succeeded"
    assert task["result"] == {"dataset_id": task["subject_id"], "version": 1, "is_new": True}
    dataset = get(f"/datasets/{task['subject_id']}")
    assert (dataset["name"], dataset["description"], dataset["n_versions"]) == ("unit 3", "A day", 1)
    assert (dataset["newest_version"]["n_rows"], dataset["newest_version"]["n_tags"]) == (24, 3)
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


@pytest.mark.parametrize("file_format", ["csv", "xlsx", "parquet"])
def test_every_format_gives_the_same_tags(imported, get, file_format):
    task = imported(table_in(file_format), f"plant.{file_format}")

    version = get(f"/datasets/{task['subject_id']}/versions/1")
    assert version["file_format"] == file_format
    assert [(tag["name"], tag["type"], tag["count"]) for tag in version["tags"]] == [
        ("load", "real", 2),
        ("mode", "text", 2),
    ]


def test_the_same_upload_is_answered_with_the_version_that_is_there(app, imported, send):
    task = imported(derived=[{"name": "day", "part": "day"}])

    answer = send(derived=[{"name": "day", "part": "day"}])

    assert answer.status_code == 200
    assert answer.json["id"] == task["subject_id"]
    assert answer.json["version"] == 1
    assert [version["number"] for version in answer.json["versions"]] == [1]
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}
    with app.app_context():
        assert db.session.query(Task).count() == 1


@pytest.mark.parametrize(
    "otherwise",
    [
        {"content": HOURS + b"2026-03-02 00:00,124,48.0\n"},
        {"time_zone": "Asia/Shanghai"},
        {"reading": {"bad_values": ["n/a"]}},
        {"derived": [{"name": "hour", "part": "hour"}]},
    ],
    ids=lambda otherwise: next(iter(otherwise)),
)
def test_another_upload_under_the_same_name_is_a_further_version(app, imported, otherwise):
    first = imported()

    second = imported(**otherwise)

    assert second["result"] == {"dataset_id": first["subject_id"], "version": 2, "is_new": True}
    assert second["subject_id"] == first["subject_id"]
    assert what_is_there(app) == {"datasets": 1, "versions": 2, "objects": 4}


def test_the_same_upload_under_another_name_is_another_data_set(app, imported):
    first, second = imported(), imported(name="Unit 3 again")

    assert first["subject_id"] != second["subject_id"]
    assert what_is_there(app) == {"datasets": 2, "versions": 2, "objects": 4}


def test_a_further_version_is_read_as_the_newest_one_unless_something_else_is_said(imported, send, get):
    dataset_id = imported(time_zone="Asia/Shanghai", derived=[{"name": "hour", "part": "hour"}])["subject_id"]
    versions = f"/datasets/{dataset_id}/versions"

    same = send(to=versions)
    other = imported(HOURS.replace(b"-03-", b"-04-"), "next month.csv", to=versions)
    in_utc = imported(to=versions, time_zone="UTC")
    underived = imported(to=versions, derived=[])
    with_options = imported(to=versions, reading={"delimiter": ","})

    assert (same.status_code, same.json["version"]) == (200, 1)
    assert [task["result"]["version"] for task in (other, in_utc, underived, with_options)] == [2, 3, 4, 5]
    second, *_, last = (get(f"{versions}/{number}") for number in (2, 3, 4, 5))
    assert second["reading_asked"]["time_zone"] == "Asia/Shanghai"
    assert [tag["name"] for tag in second["tags"]] == ["time", "load", "flow", "hour"]
    assert (last["reading_asked"]["delimiter"], last["reading_asked"]["time_zone"]) == (",", "UTC")
    assert last["derived"] == []


def test_the_zone_of_a_data_set_places_its_times(imported, get):
    dataset_id = imported(time_zone="Asia/Shanghai")["subject_id"]

    rows = get(f"/datasets/{dataset_id}/versions/1/rows?limit=1")

    assert rows["items"] == [{"time": 1772294400000, "load": 100, "flow": 0.0}]  # 2026-02-28T16:00Z


def test_derived_tags_are_computed_and_marked(imported, get):
    derived = [
        {"name": "hour", "part": "hour"},
        {"name": "campaign", "part": "campaign", "gap_hours": 5},
        {"name": "flow per load", "expression": "flow / load"},
    ]
    dataset_id = imported(derived=derived)["subject_id"]

    version = get(f"/datasets/{dataset_id}/versions/1")
    rows = get(f"/datasets/{dataset_id}/versions/1/rows?offset=5&limit=1&tags=hour&tags=campaign&tags=flow per load")

    assert version["derived"] == derived
    assert {tag["name"]: tag["is_derived"] for tag in version["tags"]} == {
        "time": False,
        "load": False,
        "flow": False,
        "hour": True,
        "campaign": True,
        "flow per load": True,
    }
    assert rows["items"] == [{"hour": 5, "campaign": 1, "flow per load": 10 / 105}]


def test_a_blank_header_gets_a_name_and_says_so(imported, get):
    dataset_id = imported(b"load,,flow\n1,2,3\n4,5,6\n")["subject_id"]

    version = get(f"/datasets/{dataset_id}/versions/1")

    assert [tag["name"] for tag in version["tags"]] == ["load", "column_2", "flow"]
    (note,) = [note for note in version["notes"] if note["code"] == "blank_header"]
    assert "column 2 is called 'column_2'" in note["message"]


def test_units_under_the_header_are_shown_with_their_tags(imported, get):
    dataset_id = imported(b"load,flow\nMW,t/h\n1.5,2\n4.5,5\n")["subject_id"]

    version = get(f"/datasets/{dataset_id}/versions/1")

    assert [(tag["name"], tag["unit"]) for tag in version["tags"]] == [("load", "MW"), ("flow", "t/h")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("C:\\exports\\unit 3.csv", "unit 3.csv"),
        ("../../etc/unit 3.csv", "unit 3.csv"),
        ("unit\x00\n 3.csv", "unit 3.csv"),
        ("给煤量 Übersicht.CSV", "给煤量 Übersicht.CSV"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
    ],
)
def test_a_file_keeps_its_name_but_no_folder_and_no_control_character(given, kept):
    assert incoming_files.tidy_name(given) == kept


def test_a_file_is_kept_under_its_own_name_in_any_script(imported, get):
    dataset_id = imported(HOURS, "/exports/给煤量 Übersicht.CSV")["subject_id"]

    assert get(f"/datasets/{dataset_id}")["name"] == "给煤量 Übersicht"
    assert get(f"/datasets/{dataset_id}/versions/1")["file_name"] == "给煤量 Übersicht.CSV"


def test_an_import_tells_how_far_it_is(app, imported, get):
    task = imported()

    events = get(f"/tasks/{task['id']}/events")["items"]

    assert [event["data"]["state"] for event in events if event["type"] == "state"] == [
        "queued",
        "running",
        "succeeded",
    ]
    assert any(event["type"] == "progress" and event["data"]["stage"] == "read" for event in events)


# Two at once


def test_two_uploads_of_the_same_that_race_end_in_one_version(app, send, get, work):
    answers = [send(), send()]

    work()
    work()

    first, second = (get(f"/tasks/{answer.json['id']}") for answer in answers)
    assert first["result"] == {"dataset_id": first["subject_id"], "version": 1, "is_new": True}
    assert second["result"] == {"dataset_id": first["subject_id"], "version": 1, "is_new": False}
    assert second["subject_id"] == first["subject_id"]
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_two_new_tables_of_one_name_that_race_end_in_one_data_set(app, send, get, work):
    answers = [send(), send(HOURS.replace(b"-03-", b"-04-"))]

    work()
    work()

    first, second = (get(f"/tasks/{answer.json['id']}") for answer in answers)
    assert (first["result"]["version"], second["result"]["version"]) == (1, 2)
    assert first["subject_id"] == second["subject_id"]
    assert what_is_there(app) == {"datasets": 1, "versions": 2, "objects": 4}


def test_two_workers_that_publish_the_same_at_once_make_one_version(app, send, get, work, monkeypatch):
    answers = [send(), send()]
    publish, meeting = dataset_imports.publish, threading.Barrier(2, timeout=30)

    def publish_together(*args, **kwargs):
        meeting.wait()
        return publish(*args, **kwargs)

    monkeypatch.setattr(dataset_imports, "publish", publish_together)

    def have_ended():
        with app.app_context():
            return not db.session.query(Task).filter(Task.ended_at.is_(None)).count()

    def work_on():
        wait_until(lambda: work() or have_ended(), "both imports")

    workers = [threading.Thread(target=work_on) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    results = [get(f"/tasks/{answer.json['id']}")["result"] for answer in answers]
    assert [result["version"] for result in results] == [1, 1]
    assert sorted(result["is_new"] for result in results) == [False, True]
    assert results[0]["dataset_id"] == results[1]["dataset_id"]
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_a_version_of_a_data_set_that_was_deleted_meanwhile_fails_and_leaves_nothing(
    app, client, headers, imported, send, get, work
):
    dataset_id = imported()["subject_id"]
    answer = send(HOURS + b"\n2026-03-02 00:00,1,1\n", to=f"/datasets/{dataset_id}/versions")
    client.delete(f"/api/v1/datasets/{dataset_id}", headers=headers)

    work()

    task = get(f"/tasks/{answer.json['id']}")
    assert (task["state"], task["error"]["code"]) == ("failed", "dataset.not_found")
    assert what_is_there(app) == NOTHING


# Rights


def test_who_may_not_write_uploads_nothing(app, client, project, imported, viewer, stranger):
    dataset_id = imported()["subject_id"]
    before = what_is_there(app)

    for url in (f"/projects/{project.id}/datasets", f"/datasets/{dataset_id}/versions"):
        by_viewer, by_stranger = (post_file(client, url, who, b"a\n1\n") for who in (viewer, stranger))

        assert (by_viewer.status_code, by_viewer.json["code"]) == (403, "auth.scope_missing")
        assert by_stranger.status_code == 404
        assert by_stranger.json["code"] in {"project.not_found", "dataset.not_found"}
    assert what_is_there(app) == before


def test_an_archived_project_takes_no_upload(app, send, project):
    with app.app_context():
        db.session.get(Project, project.id).archived_at = now_ms()
        db.session.commit()

    answer = send()

    assert (answer.status_code, answer.json["code"]) == (409, "project.archived")
    assert what_is_there(app) == NOTHING


class Unread(io.BytesIO):
    """A body of so many bytes that must not be looked at."""

    def __init__(self, n_bytes):
        super().__init__()
        self.n_bytes, self.position = n_bytes, 0

    def tell(self):
        return self.position

    def seek(self, offset, whence=0):
        self.position = offset + (self.n_bytes if whence == 2 else 0)
        return self.position

    def read(self, size=-1):
        raise AssertionError("the body was read")


@pytest.mark.parametrize("who", ["stranger", "viewer"])
def test_rights_are_checked_before_the_body_is_read(client, project, request, who):
    answer = client.post(
        f"/api/v1/projects/{project.id}/datasets",
        input_stream=Unread(10**9),
        content_type="multipart/form-data; boundary=x",
        headers=request.getfixturevalue(who),
    )

    assert answer.status_code == {"stranger": 404, "viewer": 403}[who]


def test_who_loses_the_right_while_the_file_is_stored_leaves_nothing(app, send, engineer, monkeypatch):
    store = type(app.extensions["object_store"])
    put = store.put

    def put_and_be_removed(self, *args, **kwargs):
        stored = put(self, *args, **kwargs)
        with app.app_context():
            db.session.query(Membership).filter_by(user_id=engineer.id).delete()
            db.session.commit()
        return stored

    monkeypatch.setattr(store, "put", put_and_be_removed)

    answer = send()

    assert (answer.status_code, answer.json["code"]) == (404, "project.not_found")
    assert what_is_there(app) == NOTHING


# Refused at once


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"content": b""}, "table.empty"),
        ({"file_name": "plant.pdf"}, "table.unknown_format"),
        ({"file_name": ""}, "table.unknown_format"),
        ({"file_name": "plant.xlsx"}, "table.unreadable"),
        ({"content": b"PK\x03\x04", "file_name": "plant.csv"}, "table.unreadable"),
        ({"time_zone": "Mars/Olympus"}, "table.invalid_reading"),
        ({"reading": {"colour": "blue"}}, "table.invalid_reading"),
        ({"reading": "{not json"}, "request.invalid"),
        ({"reading": [1]}, "request.invalid"),
        ({"reading": "[" * 100_000}, "request.invalid"),
        ({"derived": [{"name": "x", "part": "campaign", "gap_hours": 1}] * 2, "reading": "NaN"}, "request.invalid"),
        ({"derived": [{"name": "x"}]}, "table.invalid_derived_tag"),
        ({"derived": [{"name": "x", "expression": "load +"}]}, "expression.invalid"),
        ({"derived": [{"name": "x", "part": "campaign", "gap_hours": 1e999}]}, "request.invalid"),
        ({"derived": '[{"name": "x", "part": "campaign", "gap_hours": 1e999}]'}, "table.invalid_derived_tag"),
        ({"name": ""}, "request.invalid"),
        ({"name": "zero\0"}, "request.invalid"),
        ({"colour": "blue"}, "request.invalid"),
    ],
)
def test_what_can_be_seen_at_once_is_refused_at_once(app, send, fields, code):
    answer = send(**fields)

    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert what_is_there(app) == NOTHING
    with app.app_context():
        assert db.session.query(Task).count() == 0


@pytest.mark.parametrize("fields", [{}, {"name": "x"}, {"file": "a,b\n1,2\n"}])
def test_a_form_without_a_file_is_refused_by_the_field_s_name(client, headers, project, fields):
    answer = client.post(f"/api/v1/projects/{project.id}/datasets", data=fields, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert "file" in answer.json["details"]["multipart"]


def test_a_file_beyond_the_limit_is_refused(app, send, monkeypatch):
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], upload_max_bytes=len(HOURS) - 1))

    answer = send()

    assert (answer.status_code, answer.json["code"]) == (413, "request.too_large")
    assert answer.json["details"] == {"n_bytes": len(HOURS), "largest": len(HOURS) - 1}
    assert what_is_there(app) == NOTHING


def test_a_body_far_beyond_the_limit_is_refused_without_being_read(app, client, headers, project):
    answer = client.post(
        f"/api/v1/projects/{project.id}/datasets",
        input_stream=Unread(app.config["MAX_CONTENT_LENGTH"] + 1),
        content_type="multipart/form-data; boundary=x",
        headers=headers,
    )

    assert (answer.status_code, answer.json["code"]) == (413, "request.too_large")


def test_a_store_that_is_away_is_told_and_leaves_no_task(app, send, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ObjectStoreUnavailable("the disk is full")

    monkeypatch.setattr(type(app.extensions["object_store"]), "put", fail)

    answer = send()

    assert (answer.status_code, answer.json["code"]) == (503, "server.unavailable")
    with app.app_context():
        assert db.session.query(Task).count() == 0


def test_a_number_is_never_given_to_two_versions(app, client, headers, imported):
    dataset_id = imported()["subject_id"]
    imported(HOURS + b"2026-03-02 00:00,1,1\n")
    client.delete(f"/api/v1/datasets/{dataset_id}/versions/2", headers=headers)

    third = imported(HOURS + b"2026-03-02 00:00,1,2\n")

    assert third["result"]["version"] == 3
    with app.app_context():
        assert db.session.query(Dataset).one().last_number == 3
        assert [version.number for version in db.session.query(DatasetVersion)] == [1, 3]

"""Data sets that are there: listing, looking, renaming, downloading, deleting."""

import io
from datetime import timedelta
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from app.extensions import db
from app.models import DatasetVersion
from app.utils.object_store import ObjectStoreUnavailable
from app.viewModels import dataset_objects, dataset_rows, dataset_versions, datasets
from engine.errors import UnknownTag, WrongTagType
from tests.support.uploads import HOURS, NOTHING, post_file, what_is_there

LATER = HOURS + b"2026-03-02 00:00,124,Bad\n"


@pytest.fixture
def make(client, headers, project, work):
    """Upload and import a table; return the data set's id."""

    def do(content=HOURS, file_name="unit 3.csv", **fields):
        answer = post_file(client, f"/projects/{project.id}/datasets", headers, content, file_name, **fields)
        work()
        task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return task["result"]["dataset_id"]

    return do


@pytest.fixture
def get(client, headers):
    return lambda path, **query: client.get(f"/api/v1{path}", query_string=query, headers=headers)


@pytest.fixture
def day(make):
    return make()


# Lists


def test_a_project_s_data_sets_are_listed_by_name(make, get, project):
    for name in ("mills", "Boiler", "air heater"):
        make(name=name)

    answer = get(f"/projects/{project.id}/datasets")

    assert answer.status_code == 200
    assert answer.json["total"] == 3
    assert {item["name"] for item in answer.json["items"]} == {"mills", "Boiler", "air heater"}
    assert all(item["newest_version"]["n_rows"] == 24 for item in answer.json["items"])
    assert "tags" not in answer.json["items"][0]["newest_version"]


def test_data_sets_are_found_by_a_part_of_their_name_whatever_its_case(make, get, project):
    for name in ("Boiler 1", "boiler 2", "100% load", "mills"):
        make(name=name)
    url = f"/projects/{project.id}/datasets"

    def found(part):
        return sorted(item["name"] for item in get(url, name=part).json["items"])

    assert found("BOILER") == ["Boiler 1", "boiler 2"]
    assert found("%") == ["100% load"]
    assert found("nothing") == []


def test_data_sets_are_sorted_and_paged(make, get, project):
    for name in ("b", "c", "a"):
        make(name=name)
    url = f"/projects/{project.id}/datasets"

    def names(**query):
        return [item["name"] for item in get(url, **query).json["items"]]

    assert names() == ["a", "b", "c"]
    assert names(sort="-name") == ["c", "b", "a"]
    assert names(sort="created_at") == ["b", "c", "a"]
    assert names(per_page=2, page=2) == ["c"]
    assert get(url, sort="n_rows").status_code == 422


def test_versions_are_listed_newest_first(make, get, day):
    make(LATER)

    answer = get(f"/datasets/{day}/versions")

    assert [(item["number"], item["n_rows"]) for item in answer.json["items"]] == [(2, 25), (1, 24)]
    assert [item["number"] for item in get(f"/datasets/{day}/versions", sort="number").json["items"]] == [1, 2]
    assert [item["number"] for item in get(f"/datasets/{day}").json["versions"]] == [1, 2]


# One version


def test_a_version_shows_what_stands_in_its_tags(make, get, day):
    make(LATER)

    version = get(f"/datasets/{day}/versions/2").json

    tags = {tag["name"]: tag for tag in version["tags"]}
    load, flow = np.arange(100, 125), 2.0 * np.arange(24)
    assert (tags["time"]["type"], tags["load"]["type"], tags["flow"]["type"]) == ("time", "integer", "real")
    assert (tags["load"]["min"], tags["load"]["max"], tags["load"]["distinct"]) == (100, 124, 25)
    assert (tags["flow"]["count"], tags["flow"]["missing"]) == (24, 1)
    assert tags["flow"]["mean"] == pytest.approx(flow.mean())
    assert tags["flow"]["sd"] == pytest.approx(flow.std(ddof=1))
    assert tags["load"]["quantiles"]["0.05"] == pytest.approx(np.quantile(load, 0.05))
    assert sum(tags["flow"]["histogram"]["counts"]) == 24
    assert tags["time"]["min"] == 1772323200000
    assert version["time_tag"] == "time"


def test_a_version_shows_how_it_was_read(get, day):
    version = get(f"/datasets/{day}/versions/1").json

    assert version["reading_asked"]["delimiter"] is None
    assert version["reading"]["delimiter"] == ","
    assert version["reading"]["time_format"] == "%Y-%m-%d %H:%M"
    assert {"code": "delimiter", "message": "cells are separated by a comma", "details": {"delimiter": ","}} in version[
        "notes"
    ]


def test_rows_are_shown_page_by_page(get, day):
    url = f"/datasets/{day}/versions/1/rows"

    page = get(url, offset=2, limit=2).json

    assert page == {
        "items": [
            {"time": 1772330400000, "load": 102, "flow": 4.0},
            {"time": 1772334000000, "load": 103, "flow": 6.0},
        ],
        "total": 24,
        "offset": 2,
        "limit": 2,
    }
    assert get(url, tags=["flow", "flow"], limit=1).json["items"] == [{"flow": 0.0}]
    assert get(url, offset=1000).json["items"] == []


def test_a_missing_value_is_null_in_rows(make, get, day):
    make(LATER)

    assert get(f"/datasets/{day}/versions/2/rows", offset=24, tags="flow").json["items"] == [{"flow": None}]


def test_fewer_rows_come_where_they_are_wide(get, day, monkeypatch):
    monkeypatch.setattr(dataset_versions, "MOST_CELLS", 10)

    page = get(f"/datasets/{day}/versions/1/rows", limit=100).json

    assert (page["limit"], len(page["items"])) == (3, 3)


def test_rows_of_an_unknown_tag_are_refused_with_its_name(get, day):
    answer = get(f"/datasets/{day}/versions/1/rows", tags="steam")

    assert (answer.status_code, answer.json["code"], answer.json["details"]["tag"]) == (
        422,
        "table.unknown_tag",
        "steam",
    )


@pytest.mark.parametrize("query", [{"offset": -1}, {"limit": 0}, {"limit": 1001}, {"offset": 2**40}])
def test_an_impossible_page_of_rows_is_refused(get, day, query):
    assert get(f"/datasets/{day}/versions/1/rows", **query).status_code == 422


def test_a_file_comes_back_as_it_was_uploaded_under_its_own_name(make, get):
    dataset_id = make(HOURS, "Blöcke 三号.csv", name="blocks")

    answer = get(f"/datasets/{dataset_id}/versions/1/file")

    assert answer.data == HOURS
    assert answer.headers["Content-Length"] == str(len(HOURS))
    assert "filename*=UTF-8''Bl%C3%B6cke%20%E4%B8%89%E5%8F%B7.csv" in answer.headers["Content-Disposition"]


def test_a_table_comes_back_as_parquet_with_its_derived_tags(make, get):
    dataset_id = make(derived=[{"name": "hour", "part": "hour"}])

    answer = get(f"/datasets/{dataset_id}/versions/1/file", form="parquet")

    frame = pl.read_parquet(io.BytesIO(answer.data))
    assert frame.columns == ["time", "load", "flow", "hour"]
    assert frame["hour"].to_list() == list(range(24))
    assert 'filename="unit 3.parquet"' in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("number", [2, 0, 2**31, 10**30])
def test_a_version_that_is_not_there_is_not_found(get, day, number):
    answer = get(f"/datasets/{day}/versions/{number}")

    assert (answer.status_code, answer.json["code"]) == (404, "dataset.version_not_found")


# Changes


def test_a_data_set_is_renamed_and_described(client, headers, day, get):
    answer = client.patch(
        f"/api/v1/datasets/{day}", json={"name": "Unit 3, March", "description": "hourly"}, headers=headers
    )

    assert answer.status_code == 200
    assert (get(f"/datasets/{day}").json["name"], answer.json["description"]) == ("Unit 3, March", "hourly")


def test_a_name_that_is_taken_is_refused(client, headers, make, day, get):
    make(name="other")

    answer = client.patch(f"/api/v1/datasets/{day}", json={"name": "other"}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "dataset.name_taken")
    assert get(f"/datasets/{day}").json["name"] == "unit 3"


@pytest.mark.parametrize("name", ["", "x" * 201, "zero\0"])
def test_a_name_that_cannot_be_kept_is_refused(client, headers, day, name):
    answer = client.patch(f"/api/v1/datasets/{day}", json={"name": name}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


def test_a_data_set_is_deleted_with_its_versions_and_files(app, client, headers, make, day, get):
    make(LATER)

    answer = client.delete(f"/api/v1/datasets/{day}", headers=headers)

    assert answer.status_code == 204
    assert what_is_there(app) == NOTHING
    assert get(f"/datasets/{day}").json["code"] == "dataset.not_found"


def test_a_version_is_deleted_with_its_files(app, client, headers, make, day, get):
    make(LATER)

    answer = client.delete(f"/api/v1/datasets/{day}/versions/1", headers=headers)

    assert answer.status_code == 204
    assert [item["number"] for item in get(f"/datasets/{day}").json["versions"]] == [2]
    assert get(f"/datasets/{day}/versions/2/file").data == LATER
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_the_last_version_is_not_deleted(app, client, headers, day):
    answer = client.delete(f"/api/v1/datasets/{day}/versions/1", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "dataset.last_version")
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_a_data_set_in_use_is_not_deleted_and_names_its_users(app, client, headers, dataset_id, module, train):
    model = train()
    before = what_is_there(app)

    answer = client.delete(f"/api/v1/datasets/{dataset_id}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "dataset.in_use")
    assert answer.json["details"] == {
        "modules": [{"id": module["id"], "name": "boiler"}],
        "models": [{"id": model["id"], "name": model["name"]}],
    }
    assert what_is_there(app) == before


def test_a_version_that_a_model_was_trained_on_is_not_deleted(app, client, headers, upload, dataset_id, train):
    model = train()
    upload(pl.DataFrame({"a": [1.0], "b": [2.0], "y": [3.0]}))

    answer = client.delete(f"/api/v1/datasets/{dataset_id}/versions/1", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "dataset.in_use")
    assert [user["id"] for user in answer.json["details"]["models"]] == [model["id"]]
    assert client.delete(f"/api/v1/datasets/{dataset_id}/versions/2", headers=headers).status_code == 204


# Rights


ROUTES = [
    ("GET", "", {}),
    ("PATCH", "", {"json": {"name": "mine"}}),
    ("DELETE", "", {}),
    ("GET", "/versions", {}),
    ("GET", "/versions/1", {}),
    ("DELETE", "/versions/1", {}),
    ("GET", "/versions/1/rows", {}),
    ("GET", "/versions/1/file", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_somebody_else_s_data_set_is_not_found(app, client, day, stranger, method, path, body):
    answer = client.open(f"/api/v1/datasets/{day}{path}", method=method, headers=stranger, **body)

    assert (answer.status_code, answer.json["code"]) == (404, "dataset.not_found")
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_viewer_looks_and_changes_nothing(app, client, day, viewer, method, path, body):
    answer = client.open(f"/api/v1/datasets/{day}{path}", method=method, headers=viewer, **body)

    assert answer.status_code == (200 if method == "GET" else 403)
    assert what_is_there(app) == {"datasets": 1, "versions": 1, "objects": 2}


def test_the_data_sets_of_somebody_else_s_project_are_not_listed(client, project, day, stranger):
    answer = client.get(f"/api/v1/projects/{project.id}/datasets", headers=stranger)

    assert (answer.status_code, answer.json["code"]) == (404, "project.not_found")


# For training


@pytest.fixture
def version(context, make):
    make(b"time,load,mode,on\n2026-03-01,1,A,true\n2026-03-02,,B,false\n2026-03-03,3,A,\n,4,,true\n")
    return db.session.query(DatasetVersion).one()


def test_columns_are_arrays_with_nan_where_a_value_is_missing(version):
    columns = dataset_rows.columns(version, ["load", "time", "on"])

    assert list(columns) == ["load", "time", "on"]
    assert all(column.dtype == np.float64 for column in columns.values())
    np.testing.assert_array_equal(columns["load"], [1, np.nan, 3, 4])
    np.testing.assert_array_equal(columns["time"], [1772323200000, 1772409600000, 1772496000000, np.nan])
    np.testing.assert_array_equal(columns["on"], [1, 0, np.nan, 1])


def test_columns_of_text_and_of_unknown_tags_are_refused(version):
    with pytest.raises(WrongTagType, match="'mode' holds text"):
        dataset_rows.columns(version, ["load", "mode"])
    with pytest.raises(UnknownTag, match="no tag 'steam'"):
        dataset_rows.columns(version, ["steam"])


@pytest.mark.parametrize(
    ("tag", "labels"),
    [("mode", [0, 1, 0, -1]), ("time", [0, 1, 2, -1]), ("load", [0, -1, 1, 2]), ("on", [0, 1, -1, 0])],
)
def test_labels_number_the_values_of_any_tag(version, tag, labels):
    np.testing.assert_array_equal(dataset_rows.labels(version, tag), labels)


def test_labels_are_the_same_however_many_rows_are_read_at_a_time(version, monkeypatch):
    at_once = dataset_rows.labels(version, "mode")
    monkeypatch.setattr(dataset_rows, "ROWS_A_TIME", 3)

    np.testing.assert_array_equal(dataset_rows.labels(version, "mode"), at_once)


def test_the_newest_version_is_the_one_with_the_highest_number(context, make, engineer):
    dataset_id = make()
    make(LATER)

    assert datasets.newest_version(datasets.get(UUID(dataset_id), actor=engineer)).number == 2


# Races and outages


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_what_came_into_use_while_it_was_being_deleted_stays(
    app, client, headers, upload, dataset_id, train, monkeypatch, path
):
    upload(pl.DataFrame({"a": [1.0], "b": [2.0], "y": [3.0]}))
    train(dataset_version=1)
    monkeypatch.setattr(datasets, "refuse_if_used", lambda **users: None)  # it looked before there was a model
    before = what_is_there(app)

    answer = client.delete(f"/api/v1/datasets/{dataset_id}{path}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "dataset.in_use")
    assert what_is_there(app) == before


def test_a_data_set_is_deleted_also_while_the_store_is_away(app, client, headers, day, monkeypatch):
    def fail(_store, key):
        raise ObjectStoreUnavailable(f"no answer about {key}")

    monkeypatch.setattr(type(app.extensions["object_store"]), "delete", fail)
    answer = client.delete(f"/api/v1/datasets/{day}", headers=headers)
    monkeypatch.undo()

    assert answer.status_code == 204
    assert what_is_there(app) == {"datasets": 0, "versions": 0, "objects": 2}
    with app.app_context():
        assert dataset_objects.sweep(older_than=timedelta(seconds=-1)) == 2

"""What a training does with its rows, what it leaves behind, and what it does not."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from app.extensions import db, object_store
from app.libs.ids import new_id
from app.models import Model, Task
from app.tasks import training
from app.viewModels import model_objects, surrogates
from tests.api.conftest import N_ROWS, plant_table

TIMES_OUT_S = 20


@pytest.fixture
def start(client, headers, module, work):
    """Queue a training and work on it; return its task as it is then."""

    def do(**asked):
        url = f"/api/v1/modules/{module['id']}/models"
        task = client.post(url, json={"kind": "linear"} | asked, headers=headers).json
        work()
        return client.get(f"/api/v1/tasks/{task['id']}", headers=headers).json

    return do


@pytest.fixture
def events(client, headers):
    return lambda task_id: client.get(f"/api/v1/tasks/{task_id}/events", headers=headers).json["items"]


@pytest.fixture
def get_state(client, headers):
    return lambda model_id: client.get(f"/api/v1/models/{model_id}", headers=headers).json["state"]


def model_row(app):
    with app.app_context():
        return db.session.query(Model).one()


def stored_keys(app):
    with app.app_context():
        return [info.key for info in object_store.list("models/")]


def test_a_training_leaves_a_model_that_has_learned(app, train):
    model = train()

    row = model_row(app)
    assert model["state"] == "ready"
    assert model["n_rows"] == N_ROWS - 1  # one cell is missing
    assert model["metrics"]["n_rows_dropped"] == 1
    assert model["metrics"]["scores"]["y"]["rmse"] == pytest.approx(0, abs=1e-9)  # y is linear in a and b
    assert stored_keys(app) == [row.artifact_key]
    assert row.artifact_key.startswith(f"models/{model['id']}/")


def test_the_ranges_of_a_model_are_those_of_the_rows_it_learned_from(train):
    complete = plant_table().drop_nulls("a")

    ranges = train()["ranges"]

    assert ranges == {tag: [complete[tag].min(), complete[tag].max()] for tag in ("a", "b", "y")}


def test_held_out_scores_are_those_of_least_squares_fitted_by_hand(client, headers, module, train):
    client.patch(f"/api/v1/modules/{module['id']}", json={"outputs": ["z"]}, headers=headers)
    table = plant_table().drop_nulls("a")
    X, y = np.column_stack([np.ones(table.height), table["a"], table["b"]]), table["z"].to_numpy()
    errors = np.empty(table.height)
    for test in np.array_split(np.arange(table.height), 4):  # the table is in the order of time
        known = np.setdiff1d(np.arange(table.height), test)
        errors[test] = X[test] @ np.linalg.lstsq(X[known], y[known])[0] - y[test]

    metrics = train(validation={"scheme": "time", "n_folds": 4})["metrics"]

    assert metrics["validation"] == {"scheme": "time", "n_folds": 4, "group": None}
    assert metrics["scores"]["z"] == pytest.approx(
        {
            "rmse": np.sqrt(np.mean(errors**2)),
            "mae": np.mean(np.abs(errors)),
            "r2": 1 - np.sum(errors**2) / np.sum((y - y.mean()) ** 2),
        }
    )
    assert [fold["n_test"] for fold in metrics["per_fold"]] == [20, 20, 20, 19]


def test_a_row_without_a_group_is_learned_from_but_validates_nothing(train):
    metrics = train(validation={"group": "day", "n_folds": 3})["metrics"]

    assert metrics["n_rows"] == N_ROWS - 1
    assert metrics["n_rows_validated"] == N_ROWS - 2  # the last row has no day
    assert sum(fold["n_test"] for fold in metrics["per_fold"]) == N_ROWS - 2


def test_a_watcher_sees_the_rows_the_folds_and_every_score_with_its_validation(start, events):
    task = start(validation={"scheme": "random", "n_folds": 3})

    told = events(task["id"])
    of_type = {
        kind: [event["data"] for event in told if event["type"] == kind] for kind in ("log", "metric", "progress")
    }
    assert of_type["log"][0]["n_rows_dropped"] == 1
    first = of_type["progress"][0]
    assert {name: first[name] for name in ("stage", "folds_done", "n_folds")} == {
        "stage": "validate",
        "folds_done": 1,
        "n_folds": 3,
    }
    assert 0.2 < first["done"] < 0.25  # of three folds, learning, and calibrating the intervals
    (metric,) = of_type["metric"]
    assert metric["output"] == "y"
    assert metric["validation"] == {"scheme": "random", "n_folds": 3, "group": None}
    assert metric.keys() >= {"r2", "rmse", "mae"}
    assert task["result"]["scores"]["y"] == {name: metric[name] for name in ("r2", "rmse", "mae")}
    assert task["result"]["validation"] == metric["validation"]


def neighborly_table():
    """Rows whose output wanders, and an input that wanders with the time: rows beside each other know each other."""
    rng = np.random.default_rng(2)
    table = plant_table(400)
    return table.with_columns(a=np.arange(400.0), y=np.cumsum(rng.normal(size=400)))


def test_where_time_is_held_out_the_score_at_random_stands_beside_with_the_gap_in_words(
    start, upload, events, client, headers
):
    upload(neighborly_table())

    task = start(kind="extra_trees", params={"n_trees": 20})

    metrics = client.get(f"/api/v1/models/{task['subject_id']}", headers=headers).json["metrics"]
    assert metrics["random"]["y"]["r2"] > 0.8
    assert metrics["scores"]["y"]["r2"] < metrics["random"]["y"]["r2"] - 0.1
    (note,) = metrics["notes"]
    assert note["code"] in ("validation.random_flatters", "validation.neighbors_only")
    assert f"{metrics['random']['y']['r2']:.2f} on rows held out at random" in note["message"]
    assert note["message"] in [event["data"].get("message") for event in events(task["id"])]
    assert task["result"]["notes"] == metrics["notes"]


@pytest.mark.parametrize("asked", [{"compares_at_random": False}, {"validation": {"scheme": "random"}}])
def test_nothing_is_compared_where_nobody_asked_or_rows_are_held_out_at_random_anyway(train, asked):
    metrics = train(**asked)["metrics"]

    assert metrics["random"] is None
    assert metrics["notes"] == []


def test_the_coverage_of_the_intervals_is_measured_and_stored_with_the_model(start, upload, client, headers):
    table = plant_table(400)
    noise = np.random.default_rng(5).normal(size=400)
    upload(table.with_columns(y=table["y"] + pl.Series(noise)))

    model_id = start(validation={"scheme": "random"})["subject_id"]

    intervals = client.get(f"/api/v1/models/{model_id}", headers=headers).json["metrics"]["intervals"]
    at = {found["level"]: found for found in intervals["measured"]}
    assert at[0.9]["coverage"][0] == pytest.approx(0.9, abs=0.03)
    assert at[0.9]["width"][0] == pytest.approx(2 * 1.645, rel=0.15)  # of the noise, whose sd is 1


def test_the_same_seed_gives_the_same_model_to_the_last_bit(train):
    asked = {"kind": "random_forest", "params": {"n_trees": 4}, "validation": {"scheme": "random"}}

    first, again, other = train(**asked, seed=3), train(**asked, seed=3), train(**asked, seed=4)

    assert first["sha256"] == again["sha256"] != other["sha256"]
    assert first["metrics"] == again["metrics"] != other["metrics"]


@pytest.mark.parametrize("kind", ["random_forest", "extra_trees", "hist_gradient_boosting"])
def test_every_kind_is_trained_stored_and_asked(client, headers, train, kind):
    model = train(kind=kind)

    url = f"/api/v1/models/{model['id']}/predict"
    answer = client.post(url, json={"rows": [{"a": 5.0, "b": 0.0}]}, headers=headers)

    assert answer.json["predictions"][0]["y"] == pytest.approx(20, abs=3)


def test_auto_chooses_by_the_rows_that_the_validation_holds_out_and_tells_what_it_chose(train, upload, fan_out_after):
    fan_out_after(3600)
    hours = np.arange(float(N_ROWS))
    table = plant_table().with_columns(a=pl.Series(hours), y=pl.Series(np.sin(hours / 4)))
    upload(table)  # neighbors tell a row to a third of a standard deviation; from other blocks of time nothing is known
    by_time = {"scheme": "time", "n_folds": 2}

    model = train(kind="auto", params={"budget": 4}, validation=by_time, compares_at_random=False)

    choice = model["choice"]
    assert choice["folds"] == "given"
    assert choice["error"] > 0.9
    assert (choice["cut"], choice["n_fits"]) == ("budget", 4)
    assert sum(weight for member in choice["members"] for weight in member["weights"]) == pytest.approx(1)
    chosen = [tried["kind"] for tried in choice["tried"] if tried["state"] == "chosen"]
    assert sorted(chosen) == sorted(member["kind"] for member in choice["members"])


def test_a_kind_that_chooses_nothing_tells_no_choice(train):
    assert train()["choice"] is None


def test_a_table_without_one_complete_row_fails_the_task_and_names_the_emptiest_tag(app, start, upload, get_state):
    upload(plant_table().with_columns(b=pl.lit(None, dtype=pl.Float64)))

    task = start()

    assert task["state"] == "failed"
    assert task["error"]["code"] == "model.training"
    assert task["error"]["details"]["n_missing"] == {"a": 1, "b": N_ROWS, "y": 0}
    assert "'b'" in task["error"]["detail"]
    assert get_state(task["subject_id"]) == "failed"
    assert stored_keys(app) == []


def test_more_folds_than_groups_fail_the_task(app, start):
    task = start(validation={"group": "day", "n_folds": 10})

    assert task["state"] == "failed"
    assert task["error"]["code"] == "model.training"
    assert task["error"]["details"] == {"group": "day", "n_groups": 3, "n_folds": 10}
    assert model_row(app).metrics is None


def test_a_training_cancelled_in_the_middle_leaves_nothing(app, client, headers, start, get_state, monkeypatch):
    def validate_for_long(*_args, on_fold, **_kwargs):
        with app.app_context():
            task_id = db.session.query(Task.id).filter_by(kind="model.train").scalar()
        client.post(f"/api/v1/tasks/{task_id}/cancel", headers=headers)
        deadline = time.monotonic() + TIMES_OUT_S
        while time.monotonic() < deadline:
            on_fold(1, 5)
        raise TimeoutError("the training was not cancelled")

    monkeypatch.setattr(training, "cross_validate", validate_for_long)

    task = start()

    assert task["state"] == "cancelled"
    row = model_row(app)
    assert (row.metrics, row.artifact_key) == (None, None)
    assert stored_keys(app) == []
    assert get_state(row.id) == "cancelled"


def test_a_forest_in_growth_is_cancelled_within_seconds(app, client, headers, module, upload, work):
    upload(plant_table(3000))
    asked = {"kind": "random_forest", "params": {"n_trees": 2000}}  # minutes of work
    task_id = client.post(f"/api/v1/modules/{module['id']}/models", json=asked, headers=headers).json["id"]
    asked_at = []

    def cancel_once_it_grows():
        watcher, deadline = app.test_client(), time.monotonic() + TIMES_OUT_S
        while watcher.get(f"/api/v1/tasks/{task_id}", headers=headers).json["progress"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        asked_at.append(time.monotonic())
        watcher.post(f"/api/v1/tasks/{task_id}/cancel", headers=headers)

    with ThreadPoolExecutor() as pool:
        cancelled = pool.submit(cancel_once_it_grows)
        work()
        cancelled.result()

    assert time.monotonic() - asked_at[0] < 5  # a second and what a busy machine adds
    assert client.get(f"/api/v1/tasks/{task_id}", headers=headers).json["state"] == "cancelled"
    assert stored_keys(app) == []


def test_a_training_that_lost_its_lease_leaves_nothing(app, start, monkeypatch):
    def fit_while_the_task_is_taken_away(*args, **kwargs):
        with app.app_context():
            db.session.query(Task).filter_by(kind="model.train").update({"fence": 99})
            db.session.commit()
        return fit(*args, **kwargs)

    fit = training.fit
    monkeypatch.setattr(training, "fit", fit_while_the_task_is_taken_away)

    task = start()

    assert task["state"] == "running"  # it is the other worker's now
    assert model_row(app).metrics is None
    assert stored_keys(app) == []


def test_a_stored_file_that_a_model_owns_is_not_discarded(app, train):
    train()
    row = model_row(app)

    with app.app_context():
        model_objects.discard_unowned(row.id, row.artifact_key)

    assert stored_keys(app) == [row.artifact_key]


def test_the_sweep_deletes_old_files_that_belong_to_no_model_and_to_no_training(app, client, headers, module, train):
    train()
    owned = model_row(app).artifact_key
    url = f"/api/v1/modules/{module['id']}/models"
    waiting = client.post(url, json={"kind": "linear"}, headers=headers).json["subject_id"]
    with app.app_context():
        for model_id in (UUID(waiting), new_id()):
            object_store.put(model_objects.key(model_id, 1), io.BytesIO(b"left by a worker that died"))

        n_young = model_objects.sweep(older_than=timedelta(hours=1))
        n_old = model_objects.sweep(older_than=timedelta(seconds=-1))

    assert (n_young, n_old) == (0, 1)
    assert stored_keys(app) == sorted([owned, f"models/{waiting}/1.safetensors"])


def test_a_trained_model_is_loaded_for_other_work(app, train):
    train()

    with app.app_context():
        surrogate = surrogates.of(model_row(app))

    assert surrogate.inputs == ("a", "b")
    assert surrogate.predict([[1.0, 1.0]])[0, 0] == pytest.approx(11)

"""Asking a trained model, and what is said when its stored file is not what was stored."""

import hashlib
import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.extensions import db, object_store
from app.models import Model
from app.viewModels import surrogates
from app.viewModels.predictions import MOST_ROWS
from app.viewModels.surrogates import Shelf
from engine.surrogates import fit, save
from tests.api.conftest import plant_table

ROOT = Path(__file__).parent.parent.parent


class Payload:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def predict(client, headers, train):
    """Ask a linear model of ``module``, which has learned y = 2 a - b + 10."""
    model = train()

    def ask(*rows, headers=headers):
        return client.post(f"/api/v1/models/{model['id']}/predict", json={"rows": list(rows)}, headers=headers)

    return ask


@pytest.fixture
def ask_noisy(client, headers, train, upload):
    """Ask a model of y = 2 a - b + 10 with noise of sd 1, at a level."""
    table = plant_table(400)
    upload(table.with_columns(y=table["y"] + pl.Series(np.random.default_rng(5).normal(size=400))))
    model = train(validation={"scheme": "random"})

    def ask(**asked):
        rows = [{"a": 5.0, "b": 0.0}, {"a": 1.0, "b": 1.0}]
        return client.post(f"/api/v1/models/{model['id']}/predict", json={"rows": rows} | asked, headers=headers)

    return ask


def test_intervals_of_a_level_lie_around_the_predictions_and_widen_with_it(ask_noisy):
    narrow, wide = ask_noisy(level=0.5).json, ask_noisy(level=0.95).json

    for predicted, inner, outer in zip(wide["predictions"], narrow["intervals"], wide["intervals"], strict=True):
        assert outer["y"][0] < inner["y"][0] < predicted["y"] < inner["y"][1] < outer["y"][1]
    lower, upper = wide["intervals"][0]["y"]
    assert upper - lower == pytest.approx(2 * 1.96, rel=0.25)


def test_without_a_level_there_are_no_intervals_and_one_that_the_rows_cannot_tell_is_refused(ask_noisy):
    refused = ask_noisy(level=0.9999)

    assert "intervals" not in ask_noisy().json
    assert refused.status_code == 422
    assert refused.json["details"]["parameter"] == "level"


@pytest.fixture
def alter(app):
    """Change the stored bytes of the one model there is; perhaps also what the database says of them."""

    def change(content_of, *, also_in_database=False):
        with app.app_context():
            model = db.session.query(Model).one()
            with object_store.open(model.artifact_key) as stream:
                content = content_of(stream.read())
            object_store.put(model.artifact_key, io.BytesIO(content))
            if also_in_database:
                model.artifact_sha256 = hashlib.sha256(content).hexdigest()
                db.session.commit()

    return change


def test_a_model_predicts_every_output_of_every_row(predict):
    answer = predict({"a": 3, "b": 0.5}, {"b": -0.5, "a": 1.0})

    assert answer.status_code == 200
    assert [row["y"] for row in answer.json["predictions"]] == pytest.approx([15.5, 12.5])
    assert answer.json["out_of_range"] == [[], []]


def test_inputs_out_of_the_training_range_are_marked(predict):
    table = plant_table().drop_nulls("a")

    answer = predict({"a": 3, "b": 0.5}, {"a": 50, "b": 0.5}, {"a": 3, "b": -2}, {"a": table["a"].max(), "b": 0})

    marks = answer.json["out_of_range"]
    assert marks[0] == marks[3] == []
    assert marks[1] == [{"tag": "a", "value": 50.0, "lower": table["a"].min(), "upper": table["a"].max()}]
    assert marks[2] == [{"tag": "b", "value": -2.0, "lower": table["b"].min(), "upper": table["b"].max()}]


@pytest.mark.parametrize(
    ("row", "tag", "problem"),
    [
        ({"a": 1}, "b", "missing"),
        ({"a": 1, "b": 1, "c": 1}, "c", "no such input"),
        ({"a": 1, "b": None}, "b", "null"),
        ({"a": 1e31, "b": 1}, "a", "finite"),
        ({"a": -1e31, "b": 1}, "a", "finite"),
        ({"a": 10**400, "b": 1}, "a", "finite"),
        ({"a": "1.5", "b": 1}, "a", "number is needed, not str"),
        ({"a": True, "b": 1}, "a", "number is needed, not bool"),
        ({"a": [1], "b": 1}, "a", "number is needed, not list"),
    ],
)
def test_a_row_that_the_model_cannot_take_is_refused_with_its_number_and_tag(predict, row, tag, problem):
    answer = predict({"a": 1, "b": 1}, row)

    assert answer.status_code == 422
    assert answer.json["code"] == "model.rows_invalid"
    (fault,) = answer.json["details"]["faults"]
    assert (fault["row"], fault["tag"]) == (2, tag)
    assert problem in fault["problem"]
    assert answer.json["detail"].startswith(f"Row 2, tag '{tag}'")


def test_the_first_of_many_faults_are_listed_and_all_are_counted(predict):
    answer = predict(*[{"a": 1}] * 50)

    assert answer.json["details"]["n_faults"] == 50
    assert len(answer.json["details"]["faults"]) == 20


@pytest.mark.parametrize("n_rows", [0, MOST_ROWS + 1])
def test_no_rows_and_too_many_rows_are_refused(predict, n_rows):
    answer = predict(*[{"a": 1, "b": 1}] * n_rows)

    assert answer.status_code == 422
    assert answer.json["code"] == "request.invalid"


def test_as_many_rows_as_allowed_are_predicted_in_one_call(predict):
    answer = predict(*[{"a": 1, "b": 1}] * MOST_ROWS)

    assert len(answer.json["predictions"]) == MOST_ROWS


def test_a_prediction_that_is_no_finite_number_is_refused_openly(predict, monkeypatch):
    monkeypatch.setattr("engine.surrogates.Surrogate.predict", lambda _self, X: np.full((len(X), 1), np.inf))

    answer = predict({"a": 1, "b": 1})

    assert answer.status_code == 422
    assert answer.json["details"] == {"row": 1}


def test_a_model_that_is_not_trained_predicts_nothing(client, headers, module):
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json

    answer = client.post(f"/api/v1/models/{task['subject_id']}/predict", json={"rows": [{"a": 1}]}, headers=headers)

    assert answer.status_code == 409
    assert answer.json["code"] == "model.not_trained"


def test_somebody_who_may_look_may_ask(predict, viewer):
    assert predict({"a": 1, "b": 1}, headers=viewer).status_code == 200


@pytest.mark.parametrize("place", [0, 200, -1])
def test_a_stored_file_with_one_bit_altered_is_refused(predict, alter, place):
    def with_one_bit_altered(content):
        altered = bytearray(content)
        altered[place] ^= 1
        return bytes(altered)

    alter(with_one_bit_altered)

    answer = predict({"a": 1, "b": 1})

    assert answer.status_code == 409
    assert answer.json["code"] == "model.damaged"


@pytest.mark.parametrize("also_in_database", [False, True])
def test_a_stored_file_replaced_by_a_pickle_is_refused_and_does_not_run(predict, alter, tmp_path, also_in_database):
    trace = tmp_path / "it-ran"
    payload = pickle.dumps(Payload(trace))

    alter(lambda _content: payload, also_in_database=also_in_database)
    answer = predict({"a": 1, "b": 1})

    assert answer.status_code == 409
    assert answer.json["code"] == "model.damaged"
    assert not trace.exists()
    pickle.loads(payload)
    assert trace.exists()  # the payload was a real one


def test_a_stored_file_cut_short_is_refused_also_if_the_database_agrees_with_it(predict, alter):
    alter(lambda content: content[:-8], also_in_database=True)

    answer = predict({"a": 1, "b": 1})

    assert answer.status_code == 409
    assert answer.json["code"] == "model.damaged"


def test_a_stored_file_that_is_gone_is_refused(app, predict):
    with app.app_context():
        object_store.delete(db.session.query(Model).one().artifact_key)

    answer = predict({"a": 1, "b": 1})

    assert answer.status_code == 409
    assert answer.json["code"] == "model.damaged"


def test_a_model_asked_again_is_not_read_again(predict, alter):
    first = predict({"a": 1, "b": 1}).json

    alter(lambda _content: b"gone")

    assert predict({"a": 1, "b": 1}).json == first
    surrogates.shelf.clear()
    assert predict({"a": 1, "b": 1}).status_code == 409


def test_the_shelf_keeps_what_was_used_last_and_no_more_than_fits():
    shelf = Shelf(most_bytes=10)
    a, b, c = object(), object(), object()

    shelf.put("a", a, 4)
    shelf.put("b", b, 4)
    shelf.get("a")
    shelf.put("c", c, 4)
    shelf.put("too large", object(), 11)

    assert [shelf.get(key) for key in ("a", "b", "c", "too large")] == [a, None, c, None]
    assert shelf.n_bytes == 8


def test_neither_the_server_nor_a_prediction_loads_the_training_libraries(tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = tmp_path / "model"
    save(fit("random_forest", X, X, inputs=["a", "b"], outputs=["c", "d"], params={"n_trees": 2}), model)
    program = f"""
import sys
from pathlib import Path
from app import create_app
from app.settings import Settings
from engine.surrogates import load

create_app(Settings(env="test", secret_key="s" * 40, jwt_secret_key="j" * 40, instance_dir=Path({str(tmp_path)!r})))
heavy = {{"sklearn", "onnx", "onnxruntime"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
load(Path({str(model)!r})).predict([[1.0, 2.0]])
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""

    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr

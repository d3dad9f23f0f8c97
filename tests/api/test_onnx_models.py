"""Models as ONNX files: what goes out predicts the same, what comes in is a model like any other or is refused."""

import io
import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.extensions import db, object_store
from app.models import Model, Task
from app.viewModels import model_objects, onnx_models
from tests.api.conftest import plant_table

INPUTS = [{"tag": "b", "lower": -1, "upper": 1}, {"tag": "a", "lower": 0, "upper": 10}]


def file_of(nodes, constants, n_inputs=2):
    taken = [helper.make_tensor_value_info("X", TensorProto.DOUBLE, ["n", n_inputs])]
    given = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, ["n", None])]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", taken, given, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def plant(off=0.0):
    """Return a file that knows the plant: y = 2 a - b + 10, from b and a in this order; ``off`` is its mistake."""
    nodes = [helper.make_node("MatMul", ["X", "W"], ["p"]), helper.make_node("Add", ["p", "c"], ["Y"])]
    return file_of(nodes, {"W": np.array([[-1.0], [2.0]]), "c": np.array([10.0 + off])})


HOSTILE = file_of([helper.make_node("RandomNormalLike", ["X"], ["Y"])], {})


@pytest.fixture
def send(client, headers, module):
    """Send a file in as a model of ``module``."""

    def do(file=None, headers=headers, module_id=None, **fields):
        form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        form = {"inputs": json.dumps(INPUTS), **form, "file": (io.BytesIO(plant() if file is None else file), "m.onnx")}
        return client.post(f"/api/v1/modules/{module_id or module['id']}/models/import", data=form, headers=headers)

    return do


@pytest.fixture
def get(client, headers):
    return lambda path: client.get(f"/api/v1{path}", headers=headers)


@pytest.fixture
def imported(send, get, work):
    """Import a file to its end; returns the model as the API shows it."""

    def do(*args, **fields):
        answer = send(*args, **fields)
        assert answer.status_code == 202, answer.json
        work()
        return get(f"/models/{answer.json['subject_id']}").json

    return do


def stored_keys(app):
    with app.app_context():
        return [info.key for info in object_store.list("models/")]


# Going out


@pytest.mark.parametrize("asked", [{"kind": "linear"}, {"kind": "extra_trees", "params": {"n_trees": 5}}])
def test_an_exported_model_predicts_what_the_model_predicts(client, headers, train, get, asked):
    model = train(**asked)
    rows = [{"a": float(a), "b": float(b)} for a, b in np.random.default_rng(0).uniform(-5, 15, (20, 2))]

    answer = get(f"/models/{model['id']}/onnx")

    session = onnxruntime.InferenceSession(answer.data, providers=["CPUExecutionProvider"])
    given = session.run(["Y"], {"X": np.array([[row["a"], row["b"]] for row in rows])})[0]
    said = client.post(f"/api/v1/models/{model['id']}/predict", json={"rows": rows}, headers=headers).json
    np.testing.assert_allclose(given[:, 0], [row["y"] for row in said["predictions"]], rtol=1e-12)
    assert "boiler 1.onnx" in answer.headers["Content-Disposition"]


def test_a_model_that_is_not_trained_has_no_file(client, headers, module, get):
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json

    answer = get(f"/models/{task['subject_id']}/onnx")

    assert (answer.status_code, answer.json["code"]) == (409, "model.not_trained")


def test_a_model_of_somebody_else_is_not_handed_out(client, train, stranger):
    model = train()

    answer = client.get(f"/api/v1/models/{model['id']}/onnx", headers=stranger)

    assert (answer.status_code, answer.json["code"]) == (404, "model.not_found")


# Coming in


def test_an_imported_model_is_held_against_the_newest_rows_within_its_bounds(imported):
    table = plant_table().drop_nulls("a")
    inputs = [INPUTS[0], INPUTS[1] | {"upper": 5}]

    model = imported(plant(off=0.5), inputs=inputs, name="From the vendor")

    n_within = table.filter(table["a"] <= 5).height
    assert (model["state"], model["kind"], model["name"], model["number"]) == ("ready", "onnx", "From the vendor", 1)
    assert model["metrics"]["validation"] == {"scheme": "none", "n_folds": 0, "group": None}
    assert [note["code"] for note in model["metrics"]["notes"]] == ["validation.none"]
    assert model["metrics"]["scores"]["y"]["rmse"] == pytest.approx(0.5)
    assert model["metrics"]["scores"]["y"]["mae"] == pytest.approx(0.5)
    assert (model["metrics"]["n_rows"], model["metrics"]["n_rows_dropped"]) == (n_within, 80 - n_within)
    assert (model["n_rows"], model["params"]) == (None, {})
    assert model["ranges"]["a"] == [0, 5]


def test_columns_are_taken_in_the_order_in_which_they_were_declared(client, headers, imported):
    model = imported()

    url = f"/api/v1/models/{model['id']}/predict"
    answer = client.post(url, json={"rows": [{"a": 3.0, "b": 0.5}, {"a": 30.0, "b": 0.5}]}, headers=headers).json

    assert [row["y"] for row in answer["predictions"]] == pytest.approx([15.5, 69.5])
    assert [[mark["tag"] for mark in marks] for marks in answer["out_of_range"]] == [[], ["a"]]
    assert [given["tag"] for given in model["inputs"]] == ["b", "a"]


def test_an_imported_model_is_exported_as_it_came(imported, get):
    model = imported()

    assert get(f"/models/{model['id']}/onnx").data == plant()


def test_only_the_stored_model_stays(app, imported):
    model = imported()

    with app.app_context():
        row = db.session.query(Model).one()
        assert stored_keys(app) == [row.artifact_key]
    assert row.artifact_key.startswith(f"models/{model['id']}/")


def test_an_imported_model_can_be_promoted_and_optimized_over(client, headers, imported, get, work):
    model = imported()
    promoted = client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)
    asked = {"terms": [{"goal": "maximize", "of": "y"}], "fixed": {"b": 0.25}, "budget": 200}

    task = client.post(f"/api/v1/models/{model['id']}/optimizations", json=asked, headers=headers)
    work()

    assert promoted.json["is_production"]
    assert task.status_code == 202, task.json
    answer = get(f"/optimizations/{task.json['subject_id']}").json
    assert answer["state"] == "done", get(f"/tasks/{task.json['id']}").json["error"]
    best = answer["result"]["inputs"]["a"]
    assert answer["result"]["outputs"]["y"] == pytest.approx(2 * best - 0.25 + 10)
    assert best > 8
    assert any("may have been made from" in note["message"] for note in answer["result"]["notes"])


def test_a_type_that_was_declared_holds_in_optimizations(app, client, headers, imported):
    model = imported(inputs=[INPUTS[0], INPUTS[1] | {"type": "integer"}])
    asked = {"terms": [{"goal": "maximize", "of": "y"}], "fixed": {"b": 0.25}, "budget": 20}

    task = client.post(f"/api/v1/models/{model['id']}/optimizations", json=asked, headers=headers).json
    answer = client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json

    assert answer["problem"]["variables"][0]["type"] == "integer"


def test_a_process_of_a_trained_and_an_imported_model_is_optimized(
    client, headers, make_process, module_of, send, get, work
):
    lower = module_of("mill", ["b", "c"], ["a"])
    upper = module_of("boiler", [{"tag": "a", "role": "link", "source": "mill"}, "b"], ["y"])
    process = make_process(lower, upper, name="Chain")
    mill, boiler = process["modules"]
    client.post(f"/api/v1/modules/{mill['id']}/models", json={"kind": "linear"}, headers=headers)
    whole = {"tag": "b", "lower": -1, "upper": 1, "type": "integer"}
    send(module_id=boiler["id"], inputs=[whole, INPUTS[1]])
    work()
    for module in (mill, boiler):
        (model,) = get(f"/modules/{module['id']}/models").json["items"]
        assert client.post(f"/api/v1/models/{model['id']}/promote", headers=headers).status_code == 200
    asked = {"terms": [{"goal": "minimize", "of": "y"}], "mode": "joint", "budget": 200}

    task = client.post(f"/api/v1/processes/{process['id']}/optimizations", json=asked, headers=headers)
    work()

    assert task.status_code == 202, task.json
    answer = get(f"/optimizations/{task.json['subject_id']}").json
    assert answer["state"] == "done", get(f"/tasks/{task.json['id']}").json["error"]
    found = answer["result"]["inputs"]
    assert found["b"] in (-1, 0, 1)
    assert answer["result"]["outputs"]["y"] == pytest.approx(2 * answer["result"]["outputs"]["a"] - found["b"] + 10)


def test_the_same_file_under_one_key_is_imported_once(headers, send, work):
    sent = headers | {"Idempotency-Key": "once"}

    first, again = send(headers=sent), send(headers=sent)

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json["id"] == again.json["id"]


def test_no_certificate_is_given_over_an_imported_model(client, headers, imported):
    model = imported()
    asked = {"terms": [{"goal": "maximize", "of": "y"}], "fixed": {"b": 0.25}, "budget": 20, "certify": True}

    answer = client.post(f"/api/v1/models/{model['id']}/optimizations", json=asked, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "certificate.not_eligible")
    assert "'onnx'" in answer.json["detail"]


def test_an_analysis_that_would_train_again_is_refused_by_name(client, headers, imported):
    asked = {"kind": "importance", "params": {"method": "elimination"}}

    answer = client.post(f"/api/v1/models/{imported()['id']}/analyses", json=asked, headers=headers)

    assert (answer.status_code, answer.json["details"]["path"]) == (422, "params.method")
    assert "imported" in answer.json["detail"]


@pytest.mark.parametrize("method", ["permutation", "redundancy"])
def test_its_importance_is_found_on_the_measured_rows_within_its_bounds(client, headers, imported, get, work, method):
    model = imported()
    asked = {"kind": "importance", "params": {"method": method}}

    task = client.post(f"/api/v1/models/{model['id']}/analyses", json=asked, headers=headers).json
    work()

    found = get(f"/analyses/{task['subject_id']}").json["result"]["found"]
    first, *_ = found["overall" if method == "permutation" else "picked"]
    assert first["input"] == "a"


def test_it_cannot_be_asked_for_as_a_training(client, headers, module):
    answer = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "onnx"}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


# What is refused


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"no model at all", "not an ONNX file"),
        (HOSTILE, "operator RandomNormalLike"),
        (file_of([helper.make_node("Log", ["X"], ["Y"])], {}), "gives 2 outputs|no finite numbers"),
        (file_of([helper.make_node("Relu", ["X"], ["Y"])], {}, n_inputs=3), "cannot be run with 2 inputs"),
    ],
    ids=["text", "operator", "infinite", "inputs"],
)
def test_a_file_that_is_not_to_be_run_fails_its_task_and_leaves_nothing(app, send, get, work, file, words):
    task = send(file).json
    work()

    ended = get(f"/tasks/{task['id']}").json
    assert (ended["state"], ended["error"]["code"]) == ("failed", "model.onnx_refused")
    assert any(word in ended["error"]["detail"] for word in words.split("|"))
    assert get(f"/models/{task['subject_id']}").json["state"] == "failed"
    with app.app_context():
        model_objects.sweep(older_than=model_objects.timedelta(0))
    assert stored_keys(app) == []


def test_a_file_waits_for_its_import_whatever_is_swept(app, send, get, work):
    task = send().json
    with app.app_context():
        model_objects.sweep(older_than=model_objects.timedelta(seconds=-1))
    work()

    assert get(f"/models/{task['subject_id']}").json["state"] == "ready"


def test_a_model_that_no_measured_row_can_be_held_against_fails(send, get, work):
    task = send(inputs=[INPUTS[0], {"tag": "a", "lower": 100, "upper": 200}]).json
    work()

    error = get(f"/tasks/{task['id']}").json["error"]
    assert (error["code"], error["details"]["n_rows"]) == ("model.training", 79)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"inputs": INPUTS[:1]}, "inputs"),
        ({"inputs": [*INPUTS, INPUTS[0]]}, "inputs"),
        ({"inputs": [*INPUTS, {"tag": "c", "lower": 0, "upper": 1}]}, "inputs"),
        ({"outputs": ["z"]}, "outputs"),
    ],
)
def test_tags_that_are_not_those_of_the_module_are_refused(app, send, fields, path):
    answer = send(**fields)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert answer.json["details"]["path"] == path
    assert stored_keys(app) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lower": 2}, "engine.parameter"),
        ({"upper": 1e300}, "engine.parameter"),
        ({"upper": "high"}, "request.invalid"),
        ({"type": "text"}, "request.invalid"),
        ({"more": 1}, "request.invalid"),
    ],
)
def test_bounds_and_types_that_cannot_be_are_refused(send, change, code):
    answer = send(inputs=[INPUTS[0] | change, INPUTS[1]])

    assert (answer.status_code, answer.json["code"]) == (422, code)


@pytest.mark.parametrize(
    "inputs", ["", "null", "[]", "{}", "[1]", "[[]]", '"a"', '[{"tag": "a"}]', '[{"tag": "b", "lower']
)
def test_inputs_that_are_no_declarations_are_refused(send, inputs):
    answer = send(inputs=inputs)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


def test_a_module_that_sees_the_past_takes_no_file(client, headers, module, send):
    history = [{"tag": "a", "role": "control", "lags": [0, 1]}, {"tag": "b", "role": "disturbance"}]
    changed = client.patch(f"/api/v1/modules/{module['id']}", json={"inputs": history}, headers=headers)
    assert changed.status_code == 200, changed.json

    answer = send()

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert "past" in answer.json["detail"]


def test_a_file_beyond_the_largest_is_refused_at_once(app, send, monkeypatch):
    monkeypatch.setattr(onnx_models, "LARGEST_FILE", 100)

    answer = send()

    assert (answer.status_code, answer.json["code"]) == (413, "request.too_large")
    assert stored_keys(app) == []


def test_a_version_that_there_is_not_is_refused(app, send):
    answer = send(dataset_version=7)

    assert (answer.status_code, answer.json["code"]) == (404, "dataset.version_not_found")
    assert stored_keys(app) == []
    with app.app_context():
        assert db.session.query(Task).filter_by(kind="model.train").count() == 0


def test_somebody_who_may_only_look_cannot_import(send, stranger):
    answer = send(headers=stranger)

    assert (answer.status_code, answer.json["code"]) == (404, "module.not_found")

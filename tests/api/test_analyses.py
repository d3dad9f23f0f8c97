"""Analyses: asked for, carried out, kept.

The model of these tests is linear and its rows are exact, so y = 2 a - b + 10 tells every answer in closed form.
"""

import json
import re
import threading
import time
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from app.extensions import db
from app.libs.enums import AnalysisKind
from app.models import Analysis, Task
from app.viewModels import analysis_params
from app.views.v1.schemas.analyses import AnalysisIn
from tests.api.conftest import plant_table
from tests.api.test_time_aware import history

UNKNOWN = "00000000-0000-0000-0000-000000000000"
TIMES_OUT_S = 30
QUICK = {"kind": "importance", "params": {"method": "model"}}


@pytest.fixture
def model(train):
    """A linear model of y from a, a control, and b, a disturbance."""
    return train()


@pytest.fixture
def ask(client, headers, model):
    """Ask for an analysis of the model and return the answer; nobody works on it yet."""

    def post(kind="importance", headers=headers, model_id=model["id"], name=None, **params):
        body = {"kind": kind, "params": params} | ({"name": name} if name else {})
        return client.post(f"/api/v1/models/{model_id}/analyses", json=body, headers=headers)

    return post


@pytest.fixture
def get(client, headers):
    """Get a path as the engineer."""
    return lambda path, headers=headers, **query: client.get(f"/api/v1{path}", query_string=query, headers=headers)


@pytest.fixture
def find(ask, get, work):
    """Ask for an analysis, carry it to its end and return its result."""

    def do(kind="importance", **params):
        answer = ask(kind, **params)
        assert answer.status_code == 202, answer.json
        work()
        task = get(f"/tasks/{answer.json['id']}").json
        assert task["state"] == "succeeded", task["error"]
        return get(f"/analyses/{answer.json['subject_id']}").json["result"]

    return do


@pytest.fixture
def optimize(client, headers, model, work):
    """Minimize y at b = 0.5, and return the id of the optimization."""

    def do(**asked):
        terms = {"terms": [{"goal": "minimize", "of": "y"}], "fixed": {"b": 0.5}, "budget": 400, "trust": None}
        answer = client.post(f"/api/v1/models/{model['id']}/optimizations", json=terms | asked, headers=headers)
        assert answer.status_code == 202, answer.json
        work()
        return answer.json["subject_id"]

    return do


@pytest.fixture
def rows():
    """The rows that the model was trained on: a, b and y of the table, without the incomplete one."""
    return plant_table().select("a", "b", "y").drop_nulls()


def n_analyses(app):
    with app.app_context():
        return db.session.query(Analysis).count()


# Asking


def test_asking_makes_the_analysis_and_its_task_at_once(app, ask, model):
    answer = ask("dependence", name="Along a", tags=["a"])

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["queue"]) == ("analysis.run", "training")
    with app.app_context():
        analysis = db.session.get_one(Analysis, UUID(answer.json["subject_id"]))
        assert (analysis.name, analysis.kind, analysis.result) == ("Along a", "dependence", None)
        assert str(analysis.model_id) == model["id"]
        assert str(analysis.task_id) == answer.json["id"]


def test_what_is_not_said_is_filled_in(ask, get):
    asked = ask("dependence", tags=["a"]).json

    found = get(f"/analyses/{asked['subject_id']}").json
    filled_in = {"n_points": 20, "n_rows": 200, "with_curves": False, "seed": 0}
    assert found["params"] == {"tags": ["a"], **filled_in}
    assert (found["name"], found["state"], found["result"]) == ("Dependence on a", "running", None)


def test_the_same_asked_twice_under_a_key_is_one_analysis(app, client, headers, model):
    def send():
        url = f"/api/v1/models/{model['id']}/analyses"
        return client.post(url, json=QUICK, headers=headers | {"Idempotency-Key": "k1"})

    first, again = send(), send()

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    assert n_analyses(app) == 1


def test_importance_is_by_permutation_unless_another_method_is_asked_for(client, headers, get, model):
    asked = client.post(f"/api/v1/models/{model['id']}/analyses", json={"kind": "importance"}, headers=headers).json

    params = get(f"/analyses/{asked['subject_id']}").json["params"]
    assert params == {"method": "permutation", "n_repeats": 10, "n_draws": 1000, "level": 0.9, "correlated": 0.8}


@pytest.mark.parametrize(
    ("kind", "params", "field"),
    [
        ("importance", {"method": "magic"}, "method"),
        ("importance", {"method": ["model"]}, "method"),
        ("importance", {"method": "model", "n_repeats": 5}, "n_repeats"),
        ("importance", {"n_repeats": 101}, "n_repeats"),
        ("importance", {"n_repeats": 2.5}, "n_repeats"),
        ("importance", {"level": 1.0}, "level"),
        ("importance", {"correlated": 0}, "correlated"),
        ("importance", {"method": "elimination", "rule": "guess"}, "rule"),
        ("importance", {"method": "redundancy", "k": 0}, "k"),
        ("dependence", {}, "tags"),
        ("dependence", {"tags": ["a", "b", "c"]}, "tags"),
        ("dependence", {"tags": ["a", "a"]}, "tags"),
        ("dependence", {"tags": ["a"], "n_points": 1}, "n_points"),
        ("dependence", {"tags": ["a"], "points": []}, "points"),
        ("contributions", {}, "points"),
        ("contributions", {"points": []}, "points"),
        ("contributions", {"points": [{"a": 1, "b": 0}] * 101}, "points"),
        ("contributions", {"points": [{"a": 1, "b": 0}], "optimization_id": UNKNOWN}, "points"),
        ("contributions", {"points": [{"a": 1, "b": 0}], "n_background": 0}, "n_background"),
        ("contributions", {"points": [{"a": 1, "b": 0}], "background": {"a": [1]}}, "background"),
    ],
)
def test_a_param_that_is_not_as_it_must_be_is_refused_by_name(app, ask, kind, params, field):
    answer = ask(kind, **params)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert field in str(answer.json["details"]["json"]["params"])
    assert n_analyses(app) == 0


@pytest.mark.parametrize("body", [{}, {"kind": "riddle"}, {"kind": "importance", "params": 3}, {**QUICK, "seed": 1}])
def test_an_analysis_of_no_kind_is_refused(app, client, headers, model, body):
    answer = client.post(f"/api/v1/models/{model['id']}/analyses", json=body, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert n_analyses(app) == 0


@pytest.mark.parametrize(
    ("kind", "params", "field"),
    [
        ("importance", {"method": "elimination", "fewest": 3}, "fewest"),
        ("importance", {"method": "redundancy", "n_inputs": 3}, "n_inputs"),
        ("dependence", {"tags": ["c"]}, "tags"),
        ("dependence", {"tags": ["y"]}, "tags"),
        ("dependence", {"tags": ["a", "b"], "n_points": 100, "n_rows": 21}, "n_points"),
        ("dependence", {"tags": ["a", "b"], "n_points": 100, "n_rows": 6, "with_curves": True}, "with_curves"),
        ("contributions", {"points": [{"a": 1, "b": 0}], "background": {"c": [0, 1]}}, "background"),
        ("contributions", {"points": [{"a": 1, "b": 0}], "background": {"a": [2, 1]}}, "background"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_with_the_field(app, ask, kind, params, field):
    answer = ask(kind, **params)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert answer.json["details"]["path"] == f"params.{field}"
    assert n_analyses(app) == 0


@pytest.mark.parametrize(
    "point", [{"a": 1.0}, {"a": 1.0, "b": 0.0, "c": 1.0}, {"a": 1.0, "b": None}, {"a": 1e31, "b": 0}]
)
def test_a_point_that_is_not_one_of_the_models_is_refused_as_for_a_prediction(app, ask, point):
    answer = ask("contributions", points=[point])

    assert (answer.status_code, answer.json["code"]) == (422, "model.rows_invalid")
    assert n_analyses(app) == 0


@pytest.mark.parametrize("params", [{"method": "model"}, {"method": "elimination", "by": "model"}])
def test_a_kind_that_does_not_say_what_its_inputs_are_worth_is_refused_at_once(app, ask, train, params):
    small = {"n_epochs": 2, "n_members": 1}
    network = train(kind="neural_network", params=small)

    answer = ask("importance", model_id=network["id"], **params)

    assert (answer.status_code, answer.json["code"]) == (422, "importance.unavailable")
    assert answer.json["details"]["instead"] == "permutation"
    assert n_analyses(app) == 0


def test_a_model_that_is_not_trained_is_not_analyzed(client, headers, module):
    queued = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json

    answer = client.post(f"/api/v1/models/{queued['subject_id']}/analyses", json=QUICK, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "model.not_trained")


def test_the_api_reference_tells_the_params_of_every_kind_and_method(client):
    schemas = client.get("/api/v1/openapi.json").json["components"]["schemas"]

    told = schemas["AnalysisIn"]["properties"]["params"]["anyOf"]
    assert [set(each["properties"]) & {"method", "tags", "points"} for each in told] == [
        *[{"method"}] * 4,
        {"tags"},
        {"points"},
    ]
    assert all(each["additionalProperties"] is False for each in told)
    assert told[0]["properties"]["n_repeats"]["maximum"] == 100
    assert ["method" in each.get("required", []) for each in told] == [False, True, True, True, False, False]


def test_the_examples_on_the_page_are_what_the_api_takes():
    page = (Path(__file__).parent.parent.parent / "docs" / "analysis.md").read_text("utf-8")
    examples = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]

    asked = [AnalysisIn().load(example) for example in examples]

    assert {each["kind"] for each in asked} == set(AnalysisKind)


# Importance


def test_from_the_model_the_shares_are_those_of_the_standardized_coefficients(find, rows):
    found = find(method="model")["found"]

    sizes = {"a": 2 * rows["a"].to_numpy().std(), "b": rows["b"].to_numpy().std()}
    assert [row["input"] for row in found["overall"]] == ["a", "b"]
    for row in found["overall"]:
        assert row["value"] == pytest.approx(sizes[row["input"]] / sum(sizes.values()), rel=1e-6)


def test_by_permutation_an_input_costs_twice_the_variance_that_it_brings(find, rows):
    found = find(method="permutation", n_repeats=50)["found"]

    first, second = found["overall"]
    assert (first["input"], first["rank_interval"]) == ("a", [1, 1])
    assert (second["input"], second["rank_interval"]) == ("b", [2, 2])
    brought = 2 * np.var(2 * rows["a"].to_numpy()) / np.var(rows["y"].to_numpy())
    assert first["interval"][0] < first["value"] < first["interval"][1]
    assert 0.2 * brought < first["value"] < 1.2 * brought  # within a block of time a moves less than in all rows


@pytest.mark.parametrize(
    "validation", [{"scheme": "time"}, {"scheme": "random", "n_folds": 3}, {"scheme": "group", "group": "day"}]
)
def test_rows_are_held_out_as_in_the_models_own_validation(find, train, validation):
    model = train(validation={"n_folds": 3} | validation)

    found = find(model_id=model["id"], n_repeats=2)

    assert found["model"]["validation"]["scheme"] == validation["scheme"]
    assert [row["input"] for row in found["found"]["overall"]] == ["a", "b"]
    assert found["found"]["method"] == "permutation"


@pytest.mark.parametrize("by", ["permutation", "model"])
def test_an_elimination_keeps_both_inputs_of_a_plant_that_needs_both(find, by):
    found = find(method="elimination", by=by)["found"]

    assert found["chosen"] == ["a", "b"]
    assert found["order"] == ["a", "b"]
    assert found["curve"][-1]["r2"] == pytest.approx(1)
    assert found["curve"][0]["inputs"] == ["a"]


@pytest.mark.parametrize("measure", ["mutual_information", "correlation", "f_test"])
def test_before_any_model_the_input_that_tells_most_is_picked_first(find, measure):
    found = find(method="redundancy", measure=measure)["found"]

    assert [row["input"] for row in found["picked"]] == ["a", "b"]
    assert found["measure"] == measure


def test_a_gaussian_process_is_read_by_its_length_scales(find, train):
    model = train(kind="gaussian_process", validation={"scheme": "random", "n_folds": 2})

    found = find(method="model", model_id=model["id"])["found"]

    assert found["method"] == "inverse_length_scales"
    assert found["overall"][0]["input"] == "a"


def test_of_several_outputs_each_has_importances_of_its_own(client, headers, make_process, module_of, work, find):
    module = make_process(module_of("both", ["b", "c", "a"], ["y", "z"]), name="Both")["modules"][0]
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    work()

    found = find(method="model", model_id=task["subject_id"])["found"]

    leading = {output: told[0]["input"] for output, told in found["by_output"].items()}
    assert leading == {"y": "a", "z": "b"}


# Dependence


def test_along_an_input_the_prediction_is_a_line_of_its_coefficient(find, rows):
    found = find("dependence", tags=["a"], n_points=5, n_rows=1000)["found"]

    (grid,) = found["grid"]
    assert (grid[0], grid[-1]) == (rows["a"].min(), rows["a"].max())
    slopes = np.diff(np.array(found["mean"])[:, 0]) / np.diff(grid)
    assert slopes == pytest.approx(2.0, abs=1e-4)
    assert found["mean"][0][0] == pytest.approx(2 * grid[0] - rows["b"].mean() + 10, abs=1e-4)
    assert np.max(found["spread"]) == pytest.approx(0, abs=1e-9)
    assert sum(found["n_near"]) == len(rows)
    assert "curves" not in found


def test_no_more_rows_are_counted_than_there_are(find, rows):
    found = find("dependence", tags=["a", "b"], n_points=50, n_rows=2000)["found"]  # 80 rows, not 2,000

    assert np.array(found["mean"]).shape == (50, 50, 1)
    assert np.array(found["n_near"]).sum() == len(rows)


def test_over_two_inputs_the_prediction_is_a_plane(find):
    found = find("dependence", tags=["b", "a"], n_points=4)["found"]

    b, a = np.meshgrid(*found["grid"], indexing="ij")
    assert np.array(found["mean"])[:, :, 0] == pytest.approx(2 * a - b + 10, abs=1e-4)


def test_the_curve_of_every_row_is_told_when_it_is_asked_for(find, rows):
    found = find("dependence", tags=["a"], n_points=3, n_rows=6, with_curves=True)["found"]

    b = rows["b"].to_numpy()[found["rows"]]
    expected = 2 * np.array(found["grid"][0])[None, :] - b[:, None] + 10
    assert np.array(found["curves"])[:, :, 0] == pytest.approx(expected, abs=1e-4)


# Contributions


def test_contributions_add_up_to_the_prediction_and_are_those_of_the_closed_form(find, rows):
    points = [{"a": 3.0, "b": 0.5}, {"a": 8, "b": -0.5}]

    found = find("contributions", points=points, n_background=1000)["found"]

    assert (found["is_exact"], found["n_background"]) == (True, len(rows))
    assert found["base"] == [pytest.approx(rows["y"].mean(), abs=1e-4)]
    for point, told in zip(points, found["points"], strict=True):
        adds = {entry["input"]: entry["adds"][0] for entry in told["inputs"]}
        assert adds["a"] == pytest.approx(2 * (point["a"] - rows["a"].mean()), abs=1e-4)
        assert adds["b"] == pytest.approx(-(point["b"] - rows["b"].mean()), abs=1e-4)
        assert found["base"][0] + sum(adds.values()) == pytest.approx(told["prediction"][0], rel=1e-12)
        assert told["method"] == "linear"


@pytest.mark.parametrize("kind", ["extra_trees", "gaussian_process", "auto"])
def test_contributions_of_every_kind_add_up(find, train, kind):
    params = {"extra_trees": {"n_trees": 5}, "auto": {"budget": 3}}.get(kind, {})
    model = train(kind=kind, params=params, validation={"scheme": "random", "n_folds": 2})

    found = find("contributions", model_id=model["id"], points=[{"a": 3.0, "b": 0.5}], n_background=20)["found"]

    (told,) = found["points"]
    added = sum(entry["adds"][0] for entry in told["inputs"])
    assert found["base"][0] + added == pytest.approx(told["prediction"][0], rel=1e-9)


def test_the_background_is_the_rows_within_the_ranges_that_are_asked_for(find, rows):
    within = rows.filter((rows["a"] >= 2) & (rows["a"] <= 4) & (rows["y"] <= 17))

    found = find("contributions", points=[{"a": 3.0, "b": 0.5}], background={"a": [2, 4], "y": [0, 17]})["found"]

    assert found["n_background"] == len(within)
    assert found["base"] == [pytest.approx(within["y"].mean(), abs=1e-4)]


def test_a_background_without_rows_fails_the_task_with_a_reason(ask, get, work):
    asked = ask("contributions", points=[{"a": 3.0, "b": 0.5}], background={"a": [50, 60]}).json

    work()

    task = get(f"/tasks/{asked['id']}").json
    assert (task["state"], task["error"]["code"]) == ("failed", "engine.shape")
    assert "no measured row" in task["error"]["detail"]
    assert get(f"/analyses/{asked['subject_id']}").json["state"] == "failed"


def test_a_point_beyond_the_data_is_told(find, rows):
    result = find("contributions", points=[{"a": 3.0, "b": 0.5}, {"a": 50.0, "b": 0.5}])

    (note,) = result["notes"]
    assert note["code"] == "points.beyond_data"
    (value,) = note["details"]["values"]
    assert value == {"point": 2, "tag": "a", "value": 50.0, "lower": rows["a"].min(), "upper": rows["a"].max()}


def test_an_optimum_is_explained_against_the_operating_point_of_now(find, optimize, rows):
    optimization_id = optimize(current={"a": 6.0})

    result = find("contributions", optimization_id=optimization_id)

    change, lowest = result["change"], rows["a"].min()
    assert change["compared_with"] == "current"
    assert change["before"] == [pytest.approx(2 * 6 - 0.5 + 10, abs=1e-4)]
    assert change["after"] == [pytest.approx(2 * lowest - 0.5 + 10, abs=1e-3)]
    of_a, of_b = change["inputs"]
    assert (of_a["before"], of_b["before"], of_b["after"]) == (6.0, 0.5, 0.5)
    assert of_a["adds"] == [pytest.approx(2 * (lowest - 6), abs=1e-3)]
    assert of_b["adds"] == [0.0]
    assert change["before"][0] + of_a["adds"][0] == pytest.approx(change["after"][0], rel=1e-12)
    assert of_a["contribution_after"][0] - of_a["contribution_before"][0] == pytest.approx(of_a["adds"][0], rel=1e-9)
    assert [point["prediction"] for point in result["found"]["points"]] == [change["before"], change["after"]]


def test_without_an_operating_point_the_optimum_is_explained_against_the_baseline(find, optimize, get):
    optimization_id = optimize()

    result = find("contributions", optimization_id=optimization_id)

    baseline = get(f"/optimizations/{optimization_id}").json["result"]["baseline"]
    assert result["change"]["compared_with"] == "baseline"
    of_a, of_b = result["change"]["inputs"]
    assert of_a["before"] == baseline["medians"]["a"]
    assert (of_b["before"], of_b["after"]) == (0.5, 0.5)  # nobody can choose it, so it explains nothing


def test_an_optimum_that_breaks_limits_is_told(find, optimize):
    optimization_id = optimize(limits=[{"of": "y", "upper": -5.0}])

    result = find("contributions", optimization_id=optimization_id)

    assert "optimum.infeasible" in [note["code"] for note in result["notes"]]


def test_an_explained_optimum_outlives_its_optimization(client, headers, ask, get, work, optimize):
    optimization_id = optimize()
    asked = ask("contributions", optimization_id=optimization_id).json
    client.delete(f"/api/v1/optimizations/{optimization_id}", headers=headers)

    work()

    assert get(f"/analyses/{asked['subject_id']}").json["state"] == "done"


def test_an_optimization_without_an_optimum_is_not_explained(app, client, headers, ask, model):
    body = {"terms": [{"goal": "minimize", "of": "y"}], "fixed": {"b": 0.5}}
    queued = client.post(f"/api/v1/models/{model['id']}/optimizations", json=body, headers=headers).json

    answer = ask("contributions", optimization_id=queued["subject_id"])

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert answer.json["details"]["state"] == "running"
    assert n_analyses(app) == 0


def test_an_optimization_of_another_model_is_not_explained_by_this_one(ask, train, optimize):
    optimization_id, another = optimize(), train()

    answer = ask("contributions", model_id=another["id"], optimization_id=optimization_id)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert answer.json["details"]["path"] == "params.optimization_id"


def test_an_optimization_that_is_not_there_is_not_found(ask):
    answer = ask("contributions", optimization_id=UNKNOWN)

    assert (answer.status_code, answer.json["code"]) == (404, "optimization.not_found")


@pytest.fixture
def chain(client, headers, make_process, module_of, work):
    """Models of two modules, the mill (y = 2 a - b + 10) below the boiler (z from y and c); returns their ids."""
    process = make_process(
        module_of("mill", ["a", {"tag": "b", "role": "disturbance"}], ["y"]),
        module_of("boiler", [{"tag": "y", "role": "link", "source": "mill"}, "c"], ["z"]),
        name="Chain",
    )
    models = []
    for module in process["modules"]:
        task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
        work()
        client.post(f"/api/v1/models/{task['subject_id']}/promote", headers=headers)
        models.append(task["subject_id"])
    return process["id"], *models


@pytest.fixture
def optimize_process(client, headers, chain, work):
    """Minimize y over the chain, from a = 6 and c = 1, and return the id of the optimization."""

    def do(**asked):
        body = {"terms": [{"goal": "minimize", "of": "y"}], "fixed": {"b": 0.5}, "budget": 400, "trust": None}
        answer = client.post(f"/api/v1/processes/{chain[0]}/optimizations", json=body | asked, headers=headers)
        assert answer.status_code == 202, answer.json
        work()
        return answer.json["subject_id"]

    return do


def test_the_optimum_of_a_process_is_explained_module_by_module(find, chain, optimize_process, rows, get):
    optimization_id = optimize_process(current={"a": 6.0, "c": 1.0})
    _, mill, boiler = chain

    of_mill = find("contributions", model_id=mill, optimization_id=optimization_id)["change"]
    of_boiler = find("contributions", model_id=boiler, optimization_id=optimization_id)["change"]

    lowest = rows["a"].min()
    adds = {entry["input"]: entry["adds"][0] for entry in of_mill["inputs"]}
    assert adds == {"a": pytest.approx(2 * (lowest - 6), abs=1e-3), "b": 0.0}
    link = next(entry for entry in of_boiler["inputs"] if entry["input"] == "y")
    assert (link["before"], link["after"]) == (of_mill["before"][0], of_mill["after"][0])  # what flows up
    optimum = get(f"/optimizations/{optimization_id}").json["result"]
    assert of_boiler["after"] == [pytest.approx(optimum["outputs"]["z"])]


def test_a_process_without_an_operating_point_has_nothing_to_compare_with(ask, chain, optimize_process):
    answer = ask("contributions", model_id=chain[1], optimization_id=optimize_process())

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert "operating point" in answer.json["detail"]


def test_a_model_that_stood_for_no_module_of_the_process_does_not_explain_it(ask, model, optimize_process):
    optimization_id = optimize_process(current={"a": 6.0, "c": 1.0})

    answer = ask("contributions", model_id=model["id"], optimization_id=optimization_id)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert answer.json["details"]["path"] == "params.optimization_id"


def test_an_assumed_stream_goes_into_its_module_by_what_is_assumed(
    find, client, headers, make_process, module_of, work
):
    upper = module_of("upper", ["y"], ["z"])  # takes y from outside, though the module below makes it: a cut
    process = make_process(upper, module_of("lower", ["a", "b"], ["y"]), name="Loop")
    models = {}
    for module in process["modules"]:
        task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
        work()
        models[module["name"]] = task["subject_id"]
    body = {"terms": [{"goal": "minimize", "of": "z"}], "fixed": {"y (assumed)": 20.0}, "budget": 200, "trust": None}
    body |= {"current": {"a": 6.0, "b": 0.0}, "models": models}
    asked = client.post(f"/api/v1/processes/{process['id']}/optimizations", json=body, headers=headers)
    assert asked.status_code == 202, asked.json
    work()

    change = find("contributions", model_id=models["upper"], optimization_id=asked.json["subject_id"])["change"]

    assert [(entry["before"], entry["after"]) for entry in change["inputs"]] == [(20.0, 20.0)]


# Models that see the past


@pytest.fixture
def slow(client, headers, upload, make_process, work):
    """A linear model of y, which is 3 a + 1 of two rows before, from a now and two rows before; returns its id."""
    inputs = [{"tag": "a", "role": "control", "lags": [0, 2]}]
    described = {"name": "slow", "dataset_id": upload(history(), name="slow"), "inputs": inputs, "outputs": ["y"]}
    module = make_process(described, name="Slow")["modules"][0]
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    work()
    return task["subject_id"]


@pytest.mark.parametrize("method", ["model", "permutation"])
def test_of_a_model_that_sees_the_past_it_is_told_which_past_matters(find, slow, method):
    found = find(model_id=slow, method=method)["found"]

    first, second = found["overall"]
    assert (first["input"], second["input"]) == ("a @ -2", "a")
    assert second["value"] == pytest.approx(0, abs=1e-6)


def test_what_is_seen_of_the_past_leaves_and_is_picked_like_an_input(find, slow):
    assert find(model_id=slow, method="elimination", fewest=1)["found"]["order"][0] == "a @ -2"
    assert find(model_id=slow, method="redundancy", n_inputs=2)["found"]["picked"][0]["input"] == "a @ -2"


def test_along_an_input_that_is_held_the_prediction_is_what_comes_in_the_end(find, slow):
    found = find("dependence", model_id=slow, tags=["a"], n_points=4)["found"]

    assert np.array(found["mean"])[:, 0] == pytest.approx(3 * np.array(found["grid"][0]) + 1, abs=1e-6)


def test_contributions_of_inputs_that_are_held_add_up(find, slow):
    found = find("contributions", model_id=slow, points=[{"a": 4.0}])["found"]

    ((told,),) = [point["inputs"] for point in found["points"]]
    assert found["points"][0]["prediction"] == [pytest.approx(13.0, abs=1e-6)]
    assert found["base"][0] + told["adds"][0] == pytest.approx(13.0, abs=1e-6)


# The result


def test_the_result_carries_what_the_models_word_is_worth_and_how_to_find_it_again(find, get, model):
    result = find(method="model")

    version = get(f"/datasets/{model['dataset_id']}/versions/1").json
    assert result["model"]["scores"] == model["metrics"]["scores"]
    assert result["model"]["validation"] == model["metrics"]["validation"]
    assert result["notes"] == []
    assert result["repeat"] == {
        "kind": "importance",
        "params": {"method": "model", "correlated": 0.8},
        "model_id": model["id"],
        "model_sha256": model["sha256"],
        "dataset_id": model["dataset_id"],
        "dataset_version": 1,
        "dataset_sha256": version["sha256"],
        "product_version": get("/version").json["version"],
    }


def test_a_model_without_skill_is_told_beside_its_answer(client, headers, make_process, module_of, work, find):
    module = make_process(module_of("noise", ["b"], ["c"]), name="Noise")["modules"][0]
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    work()

    result = find(method="model", model_id=task["subject_id"])

    assert [note["code"] for note in result["notes"]] == ["model.no_skill"]
    assert result["notes"][0]["details"]["output"] == "c"


def test_the_same_asked_twice_is_found_twice_to_the_last_bit(find):
    first, second = (find(n_repeats=3)["found"] for _ in range(2))

    assert first == second


# Its life


def test_progress_tells_how_far_the_work_is(ask, get, work):
    task_id = ask(n_repeats=2).json["id"]

    work()

    events = get(f"/tasks/{task_id}/events").json["items"]
    progress = [event["data"]["done"] for event in events if event["type"] == "progress"]
    assert progress
    assert progress == sorted(progress)
    assert events[-1]["data"] == {"state": "succeeded"}


@pytest.fixture
def long_analysis(client, headers, upload, make_process, work):
    """Ask for the elimination of sixty inputs, which takes long; return its task. Nobody works on it yet."""
    rng = np.random.default_rng(1)
    columns = {f"x{j}": rng.normal(size=200) for j in range(60)}
    dataset_id = upload(pl.DataFrame(columns | {"y": sum(columns.values())}), name="wide")
    inputs = [{"tag": tag, "role": "control"} for tag in columns]
    process = make_process({"name": "wide", "dataset_id": dataset_id, "inputs": inputs, "outputs": ["y"]}, name="Wide")
    url = f"/api/v1/modules/{process['modules'][0]['id']}/models"
    model_id = client.post(url, json={"kind": "linear"}, headers=headers).json["subject_id"]
    work()
    body = {"kind": "importance", "params": {"method": "elimination", "n_repeats": 100}}
    return client.post(f"/api/v1/models/{model_id}/analyses", json=body, headers=headers).json


def test_an_analysis_at_work_is_cancelled_and_leaves_no_result(client, headers, long_analysis, get, work):
    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + TIMES_OUT_S
    while get(f"/tasks/{long_analysis['id']}").json["progress"] == 0:
        assert time.monotonic() < deadline, "the work did not begin"
        time.sleep(0.02)

    asked_at = time.monotonic()
    stopping = client.post(f"/api/v1/tasks/{long_analysis['id']}/cancel", headers=headers)

    worker.join(timeout=TIMES_OUT_S)
    assert time.monotonic() - asked_at < 5  # a second and what a busy machine adds
    assert stopping.json["state"] == "stopping"
    assert get(f"/tasks/{long_analysis['id']}").json["state"] == "cancelled"
    analysis = get(f"/analyses/{long_analysis['subject_id']}").json
    assert (analysis["state"], analysis["result"]) == ("cancelled", None)


def test_an_analysis_outlives_its_task(app, ask, get, work):
    asked = ask(method="model").json
    work()
    with app.app_context():
        db.session.query(Task).filter(Task.id == UUID(asked["id"])).delete()
        db.session.commit()

    kept = get(f"/analyses/{asked['subject_id']}").json

    assert (kept["task_id"], kept["state"]) == (None, "done")
    assert kept["result"]["found"]["method"] == "standardized_coefficients"


def test_a_model_that_an_analysis_is_of_is_not_deleted(client, headers, model, ask, work):
    analysis_id = ask(method="model", name="What counts").json["subject_id"]
    work()

    answer = client.delete(f"/api/v1/models/{model['id']}", headers=headers)
    client.delete(f"/api/v1/analyses/{analysis_id}", headers=headers)
    then = client.delete(f"/api/v1/models/{model['id']}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "model.in_use")
    assert answer.json["details"] == {"analyses": [{"id": analysis_id, "name": "What counts"}]}
    assert then.status_code == 204


def test_an_analysis_and_the_deletion_of_its_model_do_not_both_succeed(client, headers, model, at_once, meet_after):
    meet_after(analysis_params, "complete")  # the analysis has been checked
    path = f"/api/v1/models/{model['id']}"

    asked, deleted = at_once(
        {"method": "POST", "path": f"{path}/analyses", "json": QUICK, "headers": headers},
        {"method": "DELETE", "path": path, "headers": headers},
    )

    told = (asked.status_code, deleted.status_code, asked.json.get("code"))
    assert told in {(202, 409, None), (404, 204, "model.not_found")}


def test_an_analysis_can_be_renamed(client, headers, ask, get):
    analysis_id = ask().json["subject_id"]

    answer = client.patch(f"/api/v1/analyses/{analysis_id}", json={"name": "For the night shift"}, headers=headers)

    assert answer.status_code == 200
    assert get(f"/analyses/{analysis_id}").json["name"] == "For the night shift"


def test_an_analysis_is_deleted_once_its_work_has_ended(app, client, headers, ask, get, work):
    analysis_id = ask(method="model").json["subject_id"]
    too_early = client.delete(f"/api/v1/analyses/{analysis_id}", headers=headers)
    work()

    answer = client.delete(f"/api/v1/analyses/{analysis_id}", headers=headers)

    assert (too_early.status_code, too_early.json["code"]) == (409, "analysis.running")
    assert answer.status_code == 204
    assert get(f"/analyses/{analysis_id}").json["code"] == "analysis.not_found"
    assert n_analyses(app) == 0


def test_analyses_are_listed_by_model_kind_state_and_project_newest_first(ask, get, work, train, model, project):
    first, second = ask(method="model", name="b").json["subject_id"], ask("dependence", name="a", tags=["a"]).json
    second = second["subject_id"]
    work()
    waiting = ask(model_id=train()["id"], name="c").json["subject_id"]

    def ids(**query):
        return [item["id"] for item in get("/analyses", **query).json["items"]]

    assert ids() == [waiting, second, first]
    assert ids(sort="name") == [second, first, waiting]
    assert ids(model_id=model["id"]) == [second, first]
    assert ids(kind="dependence") == [second]
    assert ids(state="done") == [second, first]
    assert ids(state="running") == [waiting]
    assert ids(project_id=project.id, per_page=1, page=2) == [second]
    assert ids(project_id=UNKNOWN) == []
    assert get("/analyses", per_page=1).json["total"] == 3


def test_a_list_shows_everything_but_the_results(ask, get, work):
    analysis_id = ask(method="model").json["subject_id"]
    work()

    (listed,) = get("/analyses").json["items"]

    whole = get(f"/analyses/{analysis_id}").json
    assert whole.pop("result") is not None
    assert listed == whole


@pytest.mark.parametrize("query", [{"sort": "result"}, {"kind": "riddle"}, {"state": "lost"}])
def test_a_list_is_sorted_and_filtered_by_what_is_known_only(get, query):
    answer = get("/analyses", **query)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


# Rights


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_someone_elses_analysis_is_not_found(client, stranger, ask, method):
    analysis_id = ask().json["subject_id"]
    body = {"json": {"name": "mine"}} if method == "patch" else {}

    answer = getattr(client, method)(f"/api/v1/analyses/{analysis_id}", headers=stranger, **body)

    assert (answer.status_code, answer.json["code"]) == (404, "analysis.not_found")


def test_a_stranger_can_neither_analyze_a_model_nor_list_what_was(app, ask, get, stranger):
    ask()

    answer = ask(headers=stranger)

    assert (answer.status_code, answer.json["code"]) == (404, "model.not_found")
    assert get("/analyses", headers=stranger).json["items"] == []
    assert n_analyses(app) == 1


@pytest.mark.parametrize(("method", "status"), [("get", 200), ("patch", 403), ("delete", 403)])
def test_a_viewer_looks_and_does_not_touch(client, viewer, ask, method, status):
    analysis_id = ask().json["subject_id"]
    body = {"json": {"name": "mine"}} if method == "patch" else {}

    answer = getattr(client, method)(f"/api/v1/analyses/{analysis_id}", headers=viewer, **body)

    assert answer.status_code == status


def test_a_viewer_cannot_start_an_analysis(app, ask, viewer):
    answer = ask(headers=viewer)

    assert (answer.status_code, answer.json["code"]) == (403, "auth.scope_missing")
    assert n_analyses(app) == 0


def test_in_an_archived_project_analyses_can_only_be_read(client, headers, ask, get, project):
    analysis_id = ask().json["subject_id"]
    client.patch(f"/api/v1/projects/{project.id}", json={"is_archived": True}, headers=headers)

    answer = ask()

    assert (answer.status_code, answer.json["code"]) == (409, "project.archived")
    assert get(f"/analyses/{analysis_id}").status_code == 200

"""Optimizations: asked for, carried out, held against the data, kept.

The model of these tests is linear and its rows are exact, so y = 2 a - b + 10 has its optimum in closed form.
"""

import io
import statistics
import threading
import time
from uuid import UUID

import numpy as np
import pytest

from app.extensions import db, object_store
from app.models import Model, Optimization, Task
from app.viewModels.optimizations import SOLVERS
from tests.api.conftest import plant_table

UNKNOWN = "00000000-0000-0000-0000-000000000000"
MINIMAL = {"terms": [{"goal": "minimize", "of": "y"}], "fixed": {"b": 0.5}, "budget": 400, "trust": None}


@pytest.fixture
def model(train):
    """A linear model of y from a, a control, and b, a disturbance."""
    return train()


@pytest.fixture
def ask(client, headers, model):
    """Ask for an optimization of the model and return the answer; nobody works on it yet."""

    def post(headers=headers, model_id=model["id"], **asked):
        return client.post(f"/api/v1/models/{model_id}/optimizations", json=MINIMAL | asked, headers=headers)

    return post


@pytest.fixture
def get(client, headers):
    """Get a path as the engineer."""
    return lambda path, headers=headers, **query: client.get(f"/api/v1{path}", query_string=query, headers=headers)


@pytest.fixture
def solve(ask, get, work):
    """Ask for an optimization, carry it to its end and return it."""

    def do(**asked):
        answer = ask(**asked)
        assert answer.status_code == 202, answer.json
        work()
        task = get(f"/tasks/{answer.json['id']}").json
        assert task["state"] == "succeeded", task["error"]
        return get(f"/optimizations/{answer.json['subject_id']}").json

    return do


@pytest.fixture
def rows():
    """The rows that the model was trained on: a, b and y of the table, without the incomplete one."""
    return plant_table().select("a", "b", "y").drop_nulls()


def sd(values):
    return values.to_numpy().std()


def n_optimizations(app):
    with app.app_context():
        return db.session.query(Optimization).count()


# Asking


def test_asking_makes_the_optimization_and_its_task_at_once(app, ask, model):
    answer = ask(name="Cheapest", solver="de", budget=123, seed=7)

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["queue"]) == ("optimization.run", "optimization")
    with app.app_context():
        optimization = db.session.get_one(Optimization, UUID(answer.json["subject_id"]))
        assert (optimization.name, optimization.solver) == ("Cheapest", "de")
        assert (optimization.budget, optimization.seed) == (123, 7)
        assert str(optimization.model_id) == model["id"]
        assert str(optimization.task_id) == answer.json["id"]
        assert optimization.result is None


def test_what_is_not_said_is_filled_in_from_the_data(get, ask, rows):
    asked = ask(limits=[{"of": "2 * y", "upper": 70}]).json

    problem = get(f"/optimizations/{asked['subject_id']}").json["problem"]
    assert problem["variables"] == [{"tag": "a", "lower": rows["a"].min(), "upper": rows["a"].max()}]
    assert problem["fixed"] == {"b": 0.5}
    assert problem["limits"][0]["scale"] == pytest.approx(2 * sd(rows["y"]))


def test_terms_are_scaled_by_their_spread_in_the_data(get, ask, rows):
    terms = [{"goal": "minimize", "of": "y"}, {"goal": "maximize", "of": "a * b"}, {"goal": "minimize", "of": "a"}]
    terms[2]["scale"] = 4.0

    asked = ask(terms=terms).json

    scales = [term["scale"] for term in get(f"/optimizations/{asked['subject_id']}").json["problem"]["terms"]]
    assert scales == pytest.approx([sd(rows["y"]), sd(rows["a"] * rows["b"]), 4.0])


def test_a_single_term_keeps_its_unit(get, ask):
    asked = ask().json

    assert get(f"/optimizations/{asked['subject_id']}").json["problem"]["terms"][0]["scale"] == 1.0


def test_an_optimization_without_a_name_is_called_after_what_it_wants(get, ask):
    asked = ask().json

    assert get(f"/optimizations/{asked['subject_id']}").json["name"] == "minimize y at b = 0.5"


@pytest.mark.parametrize(
    ("asked", "code", "path"),
    [
        ({"fixed": {}}, "request.invalid", "fixed"),
        ({"fixed": {"b": 0.5, "zzz": 1.0}}, "request.invalid", "fixed"),
        ({"fixed": {"a": 1.0, "b": 0.5}}, "request.invalid", "fixed"),
        ({"bounds": {"zzz": [0, 1]}}, "request.invalid", "bounds"),
        ({"bounds": {"b": [0, 1]}}, "request.invalid", "bounds"),
        ({"bounds": {"a": [2, 1]}}, "request.invalid", "bounds"),
        ({"terms": [{"goal": "minimize", "of": "zzz"}]}, "problem.invalid", "terms[0].of"),
        ({"terms": [{"goal": "minimize", "of": "y +"}]}, "problem.invalid", "terms[0].of"),
        ({"terms": [{"goal": "minimize", "of": "2 + 2"}]}, "problem.invalid", "terms[0].of"),
        ({"limits": [{"of": "__import__('os')", "upper": 1}]}, "problem.invalid", "limits[0].of"),
    ],
)
def test_a_problem_that_does_not_fit_the_model_is_refused_at_once_with_its_field(app, ask, asked, code, path):
    answer = ask(**asked)

    assert answer.status_code == 422
    assert (answer.json["code"], answer.json["details"]["path"]) == (code, path)
    assert answer.json["detail"]
    assert n_optimizations(app) == 0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"terms": []}, "terms"),
        ({"terms": [{"goal": "improve", "of": "y"}]}, "terms"),
        ({"terms": [{"goal": "target", "of": "y"}]}, "terms"),
        ({"terms": [{"goal": "minimize", "of": "y", "value": 3}]}, "terms"),
        ({"terms": [{"goal": "minimize", "of": "y", "weight": 0}]}, "terms"),
        ({"terms": [{"goal": "minimize", "of": "y", "scale": -1}]}, "terms"),
        ({"limits": [{"of": "y"}]}, "limits"),
        ({"limits": [{"of": "y", "lower": 2, "upper": 1}]}, "limits"),
        ({"bounds": {"a": [1]}}, "bounds"),
        ({"bounds": {"a": [1, "NaN"]}}, "bounds"),
        ({"fixed": {"b": [1]}}, "fixed"),
        ({"fixed": {"b": 1e31}}, "fixed"),
        ({"bounds": {"a": [-1e308, 1e308]}}, "bounds"),
        ({"limits": [{"of": "y", "upper": 1e300}]}, "limits"),
        ({"solver": "luck"}, "solver"),
        ({"budget": 0}, "budget"),
        ({"budget": 10**7}, "budget"),
        ({"seed": -1}, "seed"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_malformed_field_is_refused_by_name(app, ask, asked, field):
    answer = ask(**asked)

    assert answer.status_code == 422
    assert answer.json["code"] == "request.invalid"
    assert field in answer.json["details"]["json"]
    assert n_optimizations(app) == 0


def test_a_model_that_is_not_trained_cannot_be_optimized_over(app, client, headers, module, ask):
    queued = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json

    answer = ask(model_id=queued["subject_id"])

    assert (answer.status_code, answer.json["code"]) == (409, "model.not_trained")
    assert n_optimizations(app) == 0


def test_a_model_that_nobody_knows_is_not_found(ask):
    answer = ask(model_id=UNKNOWN)

    assert (answer.status_code, answer.json["code"]) == (404, "model.not_found")


def test_a_module_is_optimized_over_its_production_model(client, headers, module, model, train, get):
    train()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)

    answer = client.post(f"/api/v1/modules/{module['id']}/optimizations", json=MINIMAL, headers=headers)

    assert answer.status_code == 202
    assert get(f"/optimizations/{answer.json['subject_id']}").json["model_id"] == model["id"]


def test_a_module_without_a_production_model_cannot_be_optimized(app, client, headers, module, model):
    answer = client.post(f"/api/v1/modules/{module['id']}/optimizations", json=MINIMAL, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "module.without_model")
    assert n_optimizations(app) == 0


def test_the_solvers_that_can_be_asked_for_are_those_of_the_engine():
    assert SOLVERS == ["auto", "pso", "de", "cmaes", "local", "nsga2", "nsga3"]


# The answer


@pytest.mark.parametrize("solver", [name for name in SOLVERS if not name.startswith("nsga")])
def test_the_best_inputs_are_those_of_the_closed_form(solve, rows, solver):
    result = solve(solver=solver)["result"]

    lowest = rows["a"].min()
    assert result["is_feasible"] is True
    assert result["inputs"] == {"a": pytest.approx(lowest), "b": 0.5}
    assert result["outputs"] == {"y": pytest.approx(2 * lowest - 0.5 + 10)}
    assert result["terms"][0]["value"] == pytest.approx(2 * lowest + 9.5)
    assert result["variables"][0]["at"] == "lower"
    assert result["evaluations"] == 400


def test_a_limit_that_shapes_the_answer_is_active_and_kept(solve):
    result = solve(limits=[{"of": "y", "lower": 20.0}], budget=1000)["result"]

    assert result["is_feasible"] is True
    (limit,) = result["limits"]
    assert limit["is_active"] is True
    assert limit["is_kept"] is True
    assert limit["margin"] == pytest.approx(0, abs=0.05)
    assert result["inputs"]["a"] == pytest.approx((20 + 0.5 - 10) / 2, abs=0.05)
    assert "limits.active" in [note["code"] for note in result["notes"]]


def test_limits_that_cannot_be_kept_are_told_and_not_hidden(solve):
    result = solve(limits=[{"of": "y", "upper": -5.0}])["result"]

    assert result["is_feasible"] is False
    (limit,) = result["limits"]
    assert limit["is_kept"] is False
    assert limit["margin"] == pytest.approx(-5.0 - limit["value"])
    assert result["notes"][0]["code"] == "limits.broken"
    assert f"y is {limit['value']:.3g}, {-limit['margin']:.3g} beyond -5" in result["notes"][0]["message"]


def test_an_answer_that_nobody_vouches_for_says_so(solve):
    result = solve(fixed={"b": 99}, trust=0.99)["result"]

    note = result["notes"][0]
    assert (note["code"], note["details"]) == ("limits.broken", {"limits": ["trust envelope"]})
    assert "trust envelope is 18" in note["message"]


def test_the_same_seed_gives_the_same_answer_to_the_last_bit(solve):
    first, second, other = (solve(solver="pso", seed=seed, limits=[{"of": "y", "lower": 15}]) for seed in (3, 3, 4))

    found = [{k: v for k, v in each["result"].items() if k != "seconds"} for each in (first, second, other)]
    assert found[0] == found[1]
    assert found[0]["curve"] != found[2]["curve"]


def test_the_answer_is_held_against_the_rows_measured_under_the_same_fixed_inputs(solve, rows):
    result = solve()["result"]

    nearest = sorted(rows.rows(named=True), key=lambda row: abs(row["b"] - 0.5))[:10]  # 10: the fewest compared
    median = statistics.median(row["y"] for row in nearest)
    baseline = result["baseline"]
    assert baseline["n_rows"] == 10
    assert baseline["terms"] == [{"median": pytest.approx(median), "best": min(row["y"] for row in nearest)}]
    assert baseline["fixed_ranges"]["b"] == [min(row["b"] for row in nearest), max(row["b"] for row in nearest)]
    assert baseline["medians"]["a"] == pytest.approx(statistics.median(row["a"] for row in nearest))
    assert result["saving"]["terms"][0]["gain"] == pytest.approx(median - result["terms"][0]["value"])
    assert result["saving"]["terms"][0]["percent"] == pytest.approx(100 * (1 - result["terms"][0]["value"] / median))


def test_the_best_row_of_the_baseline_keeps_the_limits(solve, rows):
    result = solve(limits=[{"of": "y", "lower": 18.0}], budget=1000)["result"]

    nearest = sorted(rows.rows(named=True), key=lambda row: abs(row["b"] - 0.5))[:10]
    kept = [row["y"] for row in nearest if row["y"] >= 18]
    assert result["baseline"]["n_rows_within_limits"] == len(kept)
    assert result["baseline"]["terms"][0]["best"] == min(kept)


@pytest.mark.parametrize(
    ("term", "gain"),
    [
        ({"goal": "maximize", "of": "y"}, lambda median, value: value - median),
        ({"goal": "target", "of": "y", "value": 21.0}, lambda median, value: abs(median - 21) - abs(value - 21)),
    ],
)
def test_a_gain_is_told_in_the_direction_that_was_asked_for(solve, term, gain):
    result = solve(terms=[term])["result"]

    median, value = result["baseline"]["terms"][0]["median"], result["terms"][0]["value"]
    assert result["saving"]["terms"][0]["gain"] == pytest.approx(gain(median, value))
    assert result["saving"]["terms"][0]["gain"] > 0


def test_the_nearest_measured_rows_are_shown_with_their_place_in_the_table(solve, get, dataset_id):
    result = solve()["result"]

    table = get(f"/datasets/{dataset_id}/versions/1/rows", limit=1000).json["items"]
    nearest = result["nearest"]["rows"]
    assert [row["distance"] for row in nearest] == sorted(row["distance"] for row in nearest)
    assert len(nearest) == 5
    for row in nearest:
        there = table[row["row"]]
        assert row["inputs"] == {"a": there["a"], "b": there["b"]}
        assert row["terms"] == [pytest.approx(there["y"])]
        assert row["time"] == there["time"]


def test_the_envelope_names_the_same_rows_and_how_many_are_near_is_counted(solve, rows):
    result = solve(trust=0.99)["result"]

    nearest = result["nearest"]
    assert [each["row"] for each in result["trust"]["nearest"]] == [each["row"] for each in nearest["rows"]]
    a, b = rows["a"].to_numpy(), rows["b"].to_numpy()
    distances = np.hypot((a - result["inputs"]["a"]) / a.std(), (b - 0.5) / b.std())
    assert nearest["n_near"] == (distances <= 2 * nearest["typical_spacing"]).sum() >= 1


def test_the_distance_to_the_nearest_row_is_in_standard_deviations(solve, rows):
    result = solve()["result"]

    a, b = rows["a"].to_numpy(), rows["b"].to_numpy()
    distances = np.hypot((a - result["inputs"]["a"]) / a.std(), (b - 0.5) / b.std())
    assert result["nearest"]["distance"] == pytest.approx(distances.min())
    assert result["nearest"]["typical_spacing"] > 0


def test_bounds_beyond_the_data_are_allowed_and_told(solve, rows):
    result = solve(bounds={"a": [-50.0, 5.0]})["result"]

    assert result["inputs"]["a"] == pytest.approx(-50.0)
    notes = {note["code"]: note for note in result["notes"]}
    assert notes["bounds.beyond_data"]["details"] == {"tag": "a", "is_beyond": True}
    assert "answer.extrapolates" in notes
    assert f"{rows['a'].min():.3g}" in notes["bounds.beyond_data"]["message"]


def test_a_fixed_input_beyond_the_data_is_told(solve):
    result = solve(fixed={"b": 30.0})["result"]

    assert "fixed.beyond_data" in [note["code"] for note in result["notes"]]


def test_an_answer_within_the_data_says_so(solve, rows):
    middle = rows.row(40, named=True)

    result = solve(terms=[{"goal": "target", "of": "y", "value": middle["y"]}], fixed={"b": middle["b"]})["result"]

    assert result["nearest"]["distance"] == pytest.approx(0, abs=0.01)
    assert "answer.near_data" in [note["code"] for note in result["notes"]]


def test_the_result_holds_everything_that_it_takes_to_repeat_it(solve, get, model):
    optimization = solve(seed=5)

    version = get(f"/datasets/{model['dataset_id']}/versions/1").json
    assert optimization["result"]["repeat"] == {
        "problem": optimization["problem"],
        "solver": "auto",
        "seed": 5,
        "budget": 400,
        "model_id": model["id"],
        "model_sha256": model["sha256"],
        "dataset_id": model["dataset_id"],
        "dataset_version": 1,
        "dataset_sha256": version["sha256"],
        "product_version": get("/version").json["version"],
    }


def test_the_result_carries_the_models_scores_with_their_validation(solve, model):
    told = solve()["result"]["model"]

    assert told["scores"] == model["metrics"]["scores"]
    assert told["validation"] == model["metrics"]["validation"]


def test_the_curve_falls_and_ends_with_the_budget(solve):
    result = solve()["result"]

    best = [objective for _evaluations, objective, _violation in result["curve"]]
    assert best == sorted(best, reverse=True)
    assert result["curve"][-1][0] == 400
    assert best[-1] == pytest.approx(result["objective"])


def test_without_fixed_inputs_all_rows_are_the_baseline(client, headers, module, train, solve, rows):
    controls = [{"tag": tag, "role": "control"} for tag in ("a", "b")]
    client.patch(f"/api/v1/modules/{module['id']}", json={"inputs": controls}, headers=headers)

    result = solve(model_id=train()["id"], fixed={})["result"]

    assert result["baseline"]["n_rows"] == len(rows)
    assert result["inputs"] == {"a": pytest.approx(rows["a"].min()), "b": pytest.approx(rows["b"].max())}


def test_a_term_that_cannot_be_computed_anywhere_fails_the_task_with_a_reason(ask, get, work):
    asked = ask(terms=[{"goal": "minimize", "of": "log(0 - y * y)"}]).json

    work()

    task = get(f"/tasks/{asked['id']}").json
    assert (task["state"], task["error"]["code"]) == ("failed", "problem.invalid")
    assert get(f"/optimizations/{asked['subject_id']}").json["state"] == "failed"


def test_an_altered_model_file_fails_the_task_and_is_never_used(app, ask, get, work, model):
    with app.app_context():
        key = db.session.get_one(Model, UUID(model["id"])).artifact_key
        with object_store.open(key) as stream:
            altered = bytearray(stream.read())
        altered[-1] ^= 1
        object_store.put(key, io.BytesIO(bytes(altered)))
    asked = ask().json

    work()

    assert get(f"/tasks/{asked['id']}").json["error"]["code"] == "model.damaged"
    assert get(f"/optimizations/{asked['subject_id']}").json["result"] is None


@pytest.mark.parametrize(
    "term",
    [
        {"of": "y", "weight": 1e30, "scale": 1e-300},
        {"of": "exp(71 * a)", "scale": 1.0},
        {"of": "exp(1000 * (a + 1))", "scale": 1.0},
        {"of": "1 / (a - a)"},
    ],
)
def test_numbers_beyond_all_measure_end_in_an_answer_or_in_words(ask, get, work, term):
    asked = ask(terms=[{"goal": "maximize", **term}, {"goal": "minimize", "of": "y"}])

    work()

    if asked.status_code == 202:
        task = get(f"/tasks/{asked.json['id']}").json
        assert task["state"] == "succeeded" or not task["error"]["code"].startswith("task."), task["error"]
    else:
        assert asked.status_code == 422


# Its life


def test_progress_tells_evaluations_and_the_best_so_far(ask, get, work):
    task_id = ask(budget=600).json["id"]

    work()

    events = get(f"/tasks/{task_id}/events").json["items"]
    progress = [event["data"] for event in events if event["type"] == "progress"]
    assert progress
    assert progress[0].keys() == {"done", "evaluations", "best_objective", "best_violation"}
    (result,) = [event["data"] for event in events if event["type"] == "result"]
    assert result["is_feasible"] is True
    assert events[-1]["data"] == {"state": "succeeded"}


@pytest.mark.parametrize("starts", [1, 3])
def test_an_optimization_cancelled_at_work_keeps_the_best_so_far(
    app, client, headers, ask, get, work, starts, fan_out_after
):
    fan_out_after(3600)
    asked = ask(budget=1_000_000, starts=starts).json
    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 20
    while get(f"/tasks/{asked['id']}").json["progress"] == 0:
        assert time.monotonic() < deadline, "the work did not begin"
        time.sleep(0.02)

    stopping = client.post(f"/api/v1/tasks/{asked['id']}/cancel", headers=headers)

    worker.join(timeout=20)
    assert stopping.json["state"] == "stopping"
    task = get(f"/tasks/{asked['id']}").json
    optimization = get(f"/optimizations/{asked['subject_id']}").json
    assert (task["state"], optimization["state"], optimization["result"]) == ("cancelled", "cancelled", None)
    best = task["result"]["best_so_far"]
    model_id = optimization["model_id"]
    answer = client.post(f"/api/v1/models/{model_id}/predict", json={"rows": [best["inputs"]]}, headers=headers)
    assert answer.json["predictions"][0] == pytest.approx(best["outputs"])
    told = [
        each["data"]["best_objective"]
        for each in get(f"/tasks/{asked['id']}/events").json["items"]
        if each["type"] == "progress"
    ]
    assert best["objective"] <= min(told)
    assert best["evaluations"] > 0


def test_an_optimization_outlives_its_task(app, solve, get):
    optimization = solve()
    with app.app_context():
        db.session.query(Task).filter(Task.id == UUID(optimization["task_id"])).delete()
        db.session.commit()

    kept = get(f"/optimizations/{optimization['id']}").json

    assert kept["result"] == optimization["result"]
    assert (kept["task_id"], kept["state"]) == (None, "done")


def test_a_model_that_an_optimization_uses_is_not_deleted(client, headers, model, solve):
    optimization = solve()

    answer = client.delete(f"/api/v1/models/{model['id']}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "model.in_use")
    assert answer.json["details"]["optimizations"][0]["id"] == optimization["id"]


def test_an_optimization_can_be_renamed(client, headers, ask, get):
    optimization_id = ask().json["subject_id"]

    answer = client.patch(f"/api/v1/optimizations/{optimization_id}", json={"name": "Night shift"}, headers=headers)

    assert answer.status_code == 200
    assert get(f"/optimizations/{optimization_id}").json["name"] == "Night shift"


def test_an_optimization_is_deleted_once_its_work_has_ended(app, client, headers, ask, get, work):
    optimization_id = ask().json["subject_id"]
    too_early = client.delete(f"/api/v1/optimizations/{optimization_id}", headers=headers)
    work()

    answer = client.delete(f"/api/v1/optimizations/{optimization_id}", headers=headers)

    assert (too_early.status_code, too_early.json["code"]) == (409, "optimization.running")
    assert answer.status_code == 204
    assert get(f"/optimizations/{optimization_id}").json["code"] == "optimization.not_found"
    assert n_optimizations(app) == 0


def test_optimizations_are_listed_by_model_state_and_project_newest_first(ask, get, work, train, model, project):
    first, second = ask(name="b").json["subject_id"], ask(name="a").json["subject_id"]
    work()
    waiting = ask(model_id=train()["id"], name="c").json["subject_id"]

    def ids(**query):
        return [item["id"] for item in get("/optimizations", **query).json["items"]]

    assert ids() == [waiting, second, first]
    assert ids(sort="name") == [second, first, waiting]
    assert ids(model_id=model["id"]) == [second, first]
    assert ids(state="done") == [second, first]
    assert ids(state="running") == [waiting]
    assert ids(project_id=project.id, per_page=1, page=2) == [second]
    assert ids(project_id=UNKNOWN) == []
    assert "result" not in get("/optimizations").json["items"][0]


def test_a_list_is_sorted_by_known_fields_only(get):
    answer = get("/optimizations", sort="result")

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


# Rights


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_someone_elses_optimization_is_not_found(client, stranger, ask, method):
    optimization_id = ask().json["subject_id"]
    body = {"json": {"name": "mine"}} if method == "patch" else {}

    answer = getattr(client, method)(f"/api/v1/optimizations/{optimization_id}", headers=stranger, **body)

    assert (answer.status_code, answer.json["code"]) == (404, "optimization.not_found")


def test_a_stranger_can_neither_optimize_over_a_model_nor_list_what_was(app, ask, get, stranger):
    answer = ask(headers=stranger)

    assert (answer.status_code, answer.json["code"]) == (404, "model.not_found")
    assert get("/optimizations", headers=stranger).json["items"] == []
    assert n_optimizations(app) == 0


def test_a_stranger_cannot_optimize_over_a_module(client, stranger, module):
    answer = client.post(f"/api/v1/modules/{module['id']}/optimizations", json=MINIMAL, headers=stranger)

    assert (answer.status_code, answer.json["code"]) == (404, "module.not_found")


@pytest.mark.parametrize(("method", "status"), [("get", 200), ("patch", 403), ("delete", 403)])
def test_a_viewer_looks_and_does_not_touch(client, viewer, ask, method, status):
    optimization_id = ask().json["subject_id"]
    body = {"json": {"name": "mine"}} if method == "patch" else {}

    answer = getattr(client, method)(f"/api/v1/optimizations/{optimization_id}", headers=viewer, **body)

    assert answer.status_code == status


def test_a_viewer_cannot_start_an_optimization(app, ask, viewer):
    answer = ask(headers=viewer)

    assert (answer.status_code, answer.json["code"]) == (403, "auth.scope_missing")
    assert n_optimizations(app) == 0

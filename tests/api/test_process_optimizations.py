"""Optimizations of whole processes, and what can be asked of any optimization beside its problem.

The models are linear and their rows exact: y = 2 a - b + 10 in the mill, w = 3 y - c in the boiler above it.
"""

import numpy as np
import polars as pl
import pytest

from app.extensions import db
from app.models import Optimization

LOW_A, HIGH_C = 1.0, 4.0


def chain_table(n_rows=60):
    rng = np.random.default_rng(3)
    a, b, c = rng.uniform(LOW_A, 9, n_rows), rng.uniform(-1, 1, n_rows), rng.uniform(0, HIGH_C, n_rows)
    a[0], c[0] = LOW_A, HIGH_C
    y = 2 * a - b + 10
    return pl.DataFrame({"a": a, "b": b, "c": c, "y": y, "w": 3 * y - c})


@pytest.fixture
def chain(client, headers, upload, make_process, work):
    """A process of two trained modules, the mill below the boiler; returns its graph."""
    gap = pl.when(pl.int_range(pl.len()) == 1).then(None).otherwise("b")  # a row that the mill cannot learn from
    dataset_id = upload(chain_table().with_columns(b=gap), name="chain")
    mill_inputs = [{"tag": "a", "role": "control"}, {"tag": "b", "role": "disturbance"}]
    boiler_inputs = [{"tag": "y", "role": "link", "source": "mill"}, {"tag": "c", "role": "control"}]
    process = make_process(
        {"name": "mill", "dataset_id": dataset_id, "inputs": mill_inputs, "outputs": ["y"]},
        {"name": "boiler", "dataset_id": dataset_id, "inputs": boiler_inputs, "outputs": ["w"]},
    )
    for module in process["modules"]:
        task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
        work()
        assert client.post(f"/api/v1/models/{task['subject_id']}/promote", headers=headers).status_code == 200
    return process


MINIMAL = {"terms": [{"goal": "minimize", "of": "w"}], "fixed": {"b": 0.5}, "budget": 2000, "trust": None}
BEST = 3 * (2 * LOW_A - 0.5 + 10) - HIGH_C


@pytest.fixture
def ask(client, headers, chain):
    def post(headers=headers, **asked):
        url = f"/api/v1/processes/{chain['id']}/optimizations"
        return client.post(url, json=MINIMAL | asked, headers=headers)

    return post


@pytest.fixture
def solve(ask, client, headers, work):
    def do(**asked):
        answer = ask(**asked)
        assert answer.status_code == 202, answer.json
        work()
        task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return client.get(f"/api/v1/optimizations/{answer.json['subject_id']}", headers=headers).json

    return do


@pytest.mark.parametrize("mode", ["joint", "cascade", "negotiated"])
def test_a_process_is_optimized_in_every_mode(solve, mode):
    found = solve(mode=mode, budget=4000)

    result = found["result"]
    assert (found["mode"], found["model_id"]) == (mode, None)
    # layer by layer, y is wanted no lower than it was ever measured; together, it goes as low as a and b let it
    least_y = BEST if mode == "joint" else 3 * chain_table()["y"].min() - HIGH_C
    assert result["objective"] == pytest.approx(least_y, abs=0.1)
    assert result["inputs"]["c"] == pytest.approx(HIGH_C, abs=0.05)
    (link,) = result["links"]
    assert (link["source"], link["module"]) == ("mill", "boiler")
    assert (link["target"] is None) is (mode == "joint")
    assert set(result["models"]) == {"mill", "boiler"}


def test_the_answer_is_held_to_where_every_module_was_measured(solve):
    free, kept = solve()["result"], solve(trust=0.2)["result"]

    assert free["trust"] is None
    assert kept["is_feasible"]
    assert set(kept["trust"]["modules"]) == {"mill", "boiler"}
    assert kept["objective"] > free["objective"]


@pytest.mark.parametrize("asked", [{"trust": 0.99}, {"trust": 0.99, "trust_form": "polyhedral"}, {"trust": None}])
def test_the_rows_nearest_to_what_each_module_is_given_are_told_by_their_place_in_the_table(solve, asked):
    result = solve(**asked)["result"]

    table = chain_table().to_dicts()
    for module in result["modules"]:
        nearest = module["nearest"]
        assert len(nearest["rows"]) == 5
        assert nearest["n_near"] >= 1
        for told in nearest["rows"]:
            assert told["inputs"] == {tag: table[told["row"]][tag] for tag in module["inputs"]}
        for told in ((result["trust"] or {"modules": {}})["modules"].get(module["name"]) or {}).get("nearest", []):
            assert told["row"] in [each["row"] for each in nearest["rows"]]


def test_trust_is_on_unless_it_is_switched_off(client, headers, chain, app):
    minimal = {key: value for key, value in MINIMAL.items() if key != "trust"}
    client.post(f"/api/v1/processes/{chain['id']}/optimizations", json=minimal, headers=headers)

    with app.app_context():
        optimization = db.session.query(Optimization).one()
        assert optimization.options["trust"] == 0.99
        assert optimization.options["trust_form"] == "distance"
        assert {each.module_name for each in optimization.modules} == {"mill", "boiler"}


def test_an_operating_point_is_compared_with_the_answer(solve):
    result = solve(current={"a": 5.0, "c": 1.0})["result"]

    comparison = result["comparison"]
    bought = {change["tag"]: change["buys"] for change in comparison["changes"]}
    assert bought == pytest.approx({"a": 3 * 2 * (5 - LOW_A), "c": HIGH_C - 1}, abs=0.1)
    assert comparison["gain"] == pytest.approx(sum(bought.values()))


def test_several_objectives_give_a_front(solve):
    terms = [
        {"goal": "minimize", "of": "w", "objective": "cost"},
        {"goal": "maximize", "of": "a", "objective": "throughput"},
    ]

    front = solve(terms=terms, n_recipes=6)["result"]["front"]

    assert front["names"] == ["cost", "throughput"]
    assert len(front["recipes"]) == 6
    assert sum(recipe["is_knee"] for recipe in front["recipes"]) == 1


def test_whole_numbers_and_equalities_are_kept(solve):
    result = solve(inputs={"a": {"type": "integer"}}, limits=[{"of": "c", "equal": 2.5, "tolerance": 0.01}])["result"]

    assert result["inputs"]["a"] == 1.0
    assert result["inputs"]["c"] == pytest.approx(2.5, abs=0.0101)


def test_a_certificate_proves_the_answer_of_a_whole_process(solve):
    result = solve(certify=True, solver="de", budget=1000)["result"]

    certificate = result["certificate"]
    assert certificate["is_proven"]
    assert certificate["value"] == pytest.approx(BEST, abs=1e-3)
    assert certificate["bound"] <= result["objective"] + 1e-3


@pytest.fixture
def loop(client, headers, upload, make_process, work):
    """Return the URL to optimize a trained loop at, and the sd of w.

    y = 2 a + 0.1 w in the mill, and w = 3 y - c in the boiler.
    """
    rng = np.random.default_rng(4)
    a, c = rng.uniform(1, 9, 60), rng.uniform(0, 4, 60)
    y = (2 * a - 0.1 * c) / 0.7  # where both hold
    dataset_id = upload(pl.DataFrame({"a": a, "c": c, "y": y, "w": 3 * y - c}), name="loop")
    mill = [{"tag": "a", "role": "control"}, {"tag": "w", "role": "disturbance"}]
    boiler = [{"tag": "y", "role": "link", "source": "mill"}, {"tag": "c", "role": "control"}]
    process = make_process(
        {"name": "mill", "dataset_id": dataset_id, "inputs": mill, "outputs": ["y"]},
        {"name": "boiler", "dataset_id": dataset_id, "inputs": boiler, "outputs": ["w"]},
    )
    for module in process["modules"]:
        task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
        work()
        client.post(f"/api/v1/models/{task['subject_id']}/promote", headers=headers)
    return f"/api/v1/processes/{process['id']}/optimizations", np.std(3 * y - c)


def test_a_certificate_keeps_the_cuts_closed_as_the_search_does(client, headers, loop, work):
    url, sd = loop
    asked = {"terms": [{"goal": "minimize", "of": "w"}], "trust": None, "budget": 4000, "closes_cuts": True}

    task = client.post(url, json=asked | {"certify": True}, headers=headers).json
    work()
    refused = client.post(url, json=asked | {"mode": "cascade"}, headers=headers)

    result = client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json["result"]
    certificate = result["certificate"]
    assert certificate["is_proven"]
    assumed, implied = certificate["inputs"]["w (assumed)"], certificate["outputs"]["w"]
    assert abs(implied - assumed) <= 0.0101 * sd
    assert certificate["bound"] == pytest.approx(result["objective"], abs=0.05)
    assert (refused.status_code, "mode 'joint'" in refused.json["detail"]) == (422, True)


def test_a_stream_whose_cut_is_closed_is_given_by_its_own_tag(client, headers, loop, work):
    url, _ = loop
    now = {"a": 5.0, "c": 2.0, "w": (3 * 2 * 5.0 - 2.0) / 0.7}
    asked = {"terms": [{"goal": "minimize", "of": "w"}], "trust": None, "budget": 500, "closes_cuts": True}

    task = client.post(url, json=asked | {"current": now}, headers=headers).json
    work()
    refused = client.post(url, json=asked | {"current": {"a": 5.0, "c": 2.0}}, headers=headers)

    comparison = client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json["result"]["comparison"]
    assert comparison["inputs"] == {"a": 5.0, "c": 2.0, "w (assumed)": now["w"]}
    assert comparison["outputs"]["w"] == pytest.approx(now["w"])
    assert comparison["broken"] == []
    assert (refused.status_code, refused.json["details"]["tags"]) == (422, ["w"])
    assert "(assumed)" not in refused.json["detail"]


def test_a_certificate_that_cannot_be_given_is_refused_at_once(ask):
    answer = ask(certify=True, terms=[{"goal": "minimize", "of": "w * w"}])

    assert (answer.status_code, answer.json["code"]) == (422, "certificate.not_eligible")


def test_a_model_that_stands_for_a_module_cannot_be_deleted(solve, client, headers):
    models = solve()["result"]["models"]

    client.delete(f"/api/v1/models/{models['mill']['id']}/promote", headers=headers)
    answer = client.delete(f"/api/v1/models/{models['mill']['id']}", headers=headers)

    assert answer.status_code == 409
    assert answer.json["details"]["optimizations"]


def test_a_module_without_a_model_in_production_is_named(ask, chain, client, headers):
    module = chain["modules"][0]
    model = client.get(f"/api/v1/modules/{module['id']}/models", headers=headers).json["items"][0]
    client.delete(f"/api/v1/models/{model['id']}/promote", headers=headers)

    refused, named = ask(), ask(models={module["name"]: model["id"]})

    assert (refused.status_code, refused.json["code"]) == (409, "module.without_model")
    assert module["name"] in refused.json["detail"]
    assert named.status_code == 202


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"fixed": {}}, 422, "give a value for 'b'"),
        ({"mode": "sideways"}, 422, "joint"),
        ({"solver": "nsga2"}, 422, "several objectives"),
        ({"mode": "cascade", "terms": [{"goal": "minimize", "of": "w + a"}]}, 422, "mode 'joint'"),
        ({"models": {"furnace": "00000000-0000-0000-0000-000000000000"}}, 422, "no module 'furnace'"),
        ({"models": {"mill": "00000000-0000-0000-0000-000000000000"}}, 404, "no model"),
        ({"current": {"a": 5.0}}, 422, "current: give a value for 'c'"),
        ({"trust": 0}, 422, "trust"),
        ({"trust": 1.5}, 422, "trust"),
        ({"inputs": {"a": {"type": "stepped"}}}, 422, "step"),
        ({"limits": [{"of": "w", "equal": 1, "upper": 2}]}, 422, "equal"),
        ({"terms": [{"goal": "minimize", "of": "nowhere"}]}, 422, "nowhere"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(ask, app, asked, status, words):
    answer = ask(**asked)

    assert answer.status_code == status, answer.json
    assert words in str(answer.json)
    with app.app_context():
        assert db.session.query(Optimization).count() == 0


def test_somebody_elses_process_is_not_found(ask, stranger, viewer):
    assert (ask(headers=stranger).status_code, ask(headers=stranger).json["code"]) == (404, "process.not_found")
    assert ask(headers=viewer).status_code == 403


def test_optimizations_are_listed_by_their_process(solve, client, headers, chain):
    found = solve()

    listed = client.get("/api/v1/optimizations", query_string={"process_id": chain["id"]}, headers=headers).json

    assert [item["id"] for item in listed["items"]] == [found["id"]]

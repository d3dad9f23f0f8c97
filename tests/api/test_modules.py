"""Modules, one at a time: the graph holds whatever is done to them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.extensions import db
from app.models import Module
from tests.api.conftest import plant_table


@pytest.fixture
def two(make_process, module_of):
    """A process of a lower module, preheater, and an upper one, boiler, linked by y."""
    return make_process(
        module_of("preheater", ["a"], ["y"]),
        module_of("boiler", [{"tag": "y", "role": "link", "source": "preheater"}, "b"], ["z"]),
    )


@pytest.fixture
def change(client, headers):
    return lambda module, **fields: client.patch(f"/api/v1/modules/{module['id']}", json=fields, headers=headers)


@pytest.fixture
def graph(client, headers):
    return lambda process_id: client.get(f"/api/v1/processes/{process_id}", headers=headers).json


def test_a_module_is_added_to_a_process(app, client, headers, two, module_of, graph):
    given = module_of("mill", ["c"], ["b"]) | {"name": "mill"}

    answer = client.post(f"/api/v1/processes/{two['id']}/modules", json=given, headers=headers)

    assert answer.status_code == 201
    assert answer.json["process_id"] == two["id"]
    assert graph(two["id"])["layers"] == [["preheater", "mill"], ["boiler"]]
    with app.app_context():
        assert db.session.query(Module).count() == 3


def test_a_module_that_would_break_the_graph_is_not_added(app, client, headers, two, module_of):
    url = f"/api/v1/processes/{two['id']}/modules"

    taken = client.post(url, json=module_of("boiler", ["c"], ["b"]), headers=headers)
    doubled = client.post(url, json=module_of("mill", ["c"], ["z"]), headers=headers)

    assert (taken.status_code, taken.json["code"]) == (409, "module.name_taken")
    assert (doubled.status_code, doubled.json["code"]) == (422, "process.invalid")
    assert doubled.json["details"] == {"module": "mill", "tag": "z"}
    with app.app_context():
        assert db.session.query(Module).count() == 2


def test_of_modules_added_at_once_that_make_the_same_output_only_one_is_taken(app, headers, make_process, module_of):
    url = f"/api/v1/processes/{make_process()['id']}/modules"
    given = [module_of(f"mill {k}", ["a"], ["y"]) for k in range(6)]

    def add(module):
        return app.test_client().post(url, json=module, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(add, given))

    assert sorted(statuses) == [201] + [422] * 5
    with app.app_context():
        assert db.session.query(Module).count() == 1


def test_modules_are_listed_and_got(client, headers, two):
    listed = client.get(f"/api/v1/processes/{two['id']}/modules?sort=name", headers=headers).json
    got = client.get(f"/api/v1/modules/{two['modules'][0]['id']}", headers=headers).json

    assert [item["name"] for item in listed["items"]] == ["boiler", "preheater"]
    assert got == two["modules"][0]


def test_links_follow_the_new_name_of_a_module(change, two, graph):
    preheater, _ = two["modules"]

    answer = change(preheater, name="air preheater")

    assert answer.status_code == 200
    assert graph(two["id"])["links"] == [{"module": "boiler", "tag": "y", "source": "air preheater", "source_tag": "y"}]


def test_a_module_is_not_given_a_name_that_is_taken(change, two, graph):
    answer = change(two["modules"][0], name="boiler")

    assert (answer.status_code, answer.json["code"]) == (409, "module.name_taken")
    assert graph(two["id"]) == two


def test_a_change_that_would_break_the_graph_changes_nothing(change, two, graph):
    preheater, boiler = two["modules"]

    unlinked = change(preheater, outputs=["c"])
    circular = change(preheater, inputs=[{"tag": "z", "role": "link", "source": "boiler"}])
    unknown = change(boiler, outputs=["SO2"])

    assert (unlinked.status_code, unlinked.json["code"]) == (422, "process.invalid")
    assert "circle" in circular.json["detail"]
    assert (unknown.status_code, unknown.json["code"]) == (422, "module.tag_unknown")
    assert graph(two["id"]) == two


def test_a_module_moves_to_another_data_set_of_the_project(change, upload, module):
    other = upload(plant_table(30), name="winter")

    answer = change(module, dataset_id=other)

    assert answer.status_code == 200
    assert answer.json["dataset"] == {"id": other, "name": "winter"}


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": [{"tag": "a", "role": "control"}]},
        {"inputs": [{"tag": "a", "role": "control"}, {"tag": "b", "role": "control"}]},
        {"outputs": ["y", "z"]},
    ],
)
def test_a_model_that_no_longer_fits_its_module_is_taken_out_of_production_and_the_answer_says_so(
    app, client, headers, change, module, train, fields
):
    model = train()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)

    answer = change(module, **fields)

    assert answer.status_code == 200
    assert answer.json["production_model"] is None
    assert answer.json["unset_production_model"]["id"] == model["id"]
    kept = client.get(f"/api/v1/models/{model['id']}", headers=headers).json
    assert not kept["is_production"]
    assert kept["inputs"] == module["inputs"]
    with app.app_context():
        assert db.session.query(Module).one().production_model_id is None


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "furnace"},
        {"inputs": [{"tag": "b", "role": "disturbance"}, {"tag": "a", "role": "control"}]},
        {"outputs": ["y"]},
    ],
)
def test_a_model_that_still_fits_stays_in_production(client, headers, change, module, train, fields):
    model = train()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)

    answer = change(module, **fields)

    assert answer.status_code == 200
    assert answer.json["production_model"]["id"] == model["id"]
    assert answer.json["unset_production_model"] is None


def test_a_module_of_nothing_else_is_deleted(app, client, headers, two):
    answer = client.delete(f"/api/v1/modules/{two['modules'][1]['id']}", headers=headers)

    assert answer.status_code == 204
    with app.app_context():
        assert db.session.query(Module).one().name == "preheater"


def test_a_module_in_use_is_not_deleted_and_the_answer_names_the_users(client, headers, two, module_of, work):
    preheater = two["modules"][0]
    client.post(f"/api/v1/modules/{preheater['id']}/models", json={"kind": "linear"}, headers=headers)

    answer = client.delete(f"/api/v1/modules/{preheater['id']}", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "module.in_use")
    assert answer.json["details"] == {"n_models": 1, "linked_by": ["boiler"]}


def test_somebody_elses_module_is_not_found(client, stranger, module, module_of):
    url = f"/api/v1/modules/{module['id']}"
    list_url = f"/api/v1/processes/{module['process_id']}/modules"

    answers = [
        client.get(url, headers=stranger),
        client.patch(url, json={"name": "mine"}, headers=stranger),
        client.delete(url, headers=stranger),
    ]
    of_process = [
        client.get(list_url, headers=stranger),
        client.post(list_url, json=module_of("mine", ["c"], ["z"]), headers=stranger),
    ]

    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(404, "module.not_found")}
    assert {(answer.status_code, answer.json["code"]) for answer in of_process} == {(404, "process.not_found")}


def test_somebody_who_may_look_may_not_change(client, viewer, module, module_of):
    url = f"/api/v1/modules/{module['id']}"
    list_url = f"/api/v1/processes/{module['process_id']}/modules"

    looked = [client.get(url, headers=viewer), client.get(list_url, headers=viewer)]
    changed = [
        client.patch(url, json={"name": "mine"}, headers=viewer),
        client.delete(url, headers=viewer),
        client.post(list_url, json=module_of("mine", ["c"], ["z"]), headers=viewer),
    ]

    assert {answer.status_code for answer in looked} == {200}
    assert {(answer.status_code, answer.json["code"]) for answer in changed} == {(403, "auth.scope_missing")}

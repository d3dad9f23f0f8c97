"""Processes: whole graphs in one call."""

import pytest

from app.extensions import db
from app.models import Module, Process


@pytest.fixture
def url(project):
    return f"/api/v1/projects/{project.id}/processes"


@pytest.fixture
def create(client, headers, url):
    """Ask for a process of these modules and return the answer."""
    return lambda *modules: client.post(url, json={"name": "Unit", "modules": list(modules)}, headers=headers)


def link(tag, source, source_tag=None):
    given = {"tag": tag, "role": "link", "source": source}
    return given if source_tag is None else given | {"source_tag": source_tag}


def nothing_was_made(app):
    with app.app_context():
        return db.session.query(Process).count() == db.session.query(Module).count() == 0


def test_a_process_is_made_with_its_modules_in_one_call_in_whatever_order(create, module_of):
    upper = module_of("boiler", [link("y", "preheater"), link("c", "preheater", "z")], ["b"])
    lower = module_of("preheater", ["a"], ["y", "z"])

    answer = create(upper, lower)

    assert answer.status_code == 201
    assert [module["name"] for module in answer.json["modules"]] == ["boiler", "preheater"]
    assert answer.json["layers"] == [["preheater"], ["boiler"]]
    assert answer.json["links"] == [
        {"module": "boiler", "tag": "y", "source": "preheater", "source_tag": "y"},
        {"module": "boiler", "tag": "c", "source": "preheater", "source_tag": "z"},
    ]


def test_the_whole_graph_is_returned_in_one_call(client, headers, make_process, module_of, dataset_id):
    made = make_process(module_of("boiler", ["a", {"tag": "b", "role": "disturbance"}], ["y"]))

    graph = client.get(f"/api/v1/processes/{made['id']}", headers=headers).json

    assert graph == made
    (module,) = graph["modules"]
    assert module["dataset"] == {"id": dataset_id, "name": "history"}
    assert module["inputs"] == [{"tag": "a", "role": "control"}, {"tag": "b", "role": "disturbance"}]
    assert module["outputs"] == ["y"]
    assert module["production_model"] is None
    assert (graph["links"], graph["layers"]) == ([], [["boiler"]])


def test_the_graph_tells_the_worth_of_the_model_in_production_and_how_it_was_found(client, headers, module, train):
    model = train()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)

    graph = client.get(f"/api/v1/processes/{module['process_id']}", headers=headers).json

    summary = graph["modules"][0]["production_model"]
    assert summary["id"] == model["id"]
    assert summary["scores"] == model["metrics"]["scores"]
    assert summary["validation"] == model["validation"]


def test_a_process_may_begin_empty(create):
    answer = create()

    assert answer.status_code == 201
    assert (answer.json["modules"], answer.json["links"], answer.json["layers"]) == ([], [], [])


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        ([("one", [link("y", "two")], ["z"]), ("two", [link("z", "one")], ["y"])], "one -> (z) two -> (y) one"),
        ([("one", ["a"], ["y"]), ("one", ["b"], ["z"])], "'one'"),
        ([("one", ["a", "a"], ["y"])], "'a' twice among its inputs"),
        ([("one", ["a"], ["y", "y"])], "'y' twice among its outputs"),
        ([("one", ["a"], ["a"])], "'a' both as input and as output"),
        ([("one", [link("a", "nowhere")], ["y"])], "'nowhere', which is no module"),
        ([("one", [link("a", "two")], ["y"]), ("two", ["b"], ["z"])], "'a' of module 'two'"),
        ([("one", ["a"], ["y"]), ("two", ["b"], ["y"])], "both 'one' and 'two'"),
    ],
)
def test_modules_that_form_no_graph_are_refused_and_nothing_is_made(app, create, module_of, modules, told):
    answer = create(*(module_of(*module) for module in modules))

    assert answer.status_code == 422
    assert answer.json["code"] == "process.invalid"
    assert told in answer.json["detail"]
    assert nothing_was_made(app)


def test_a_circle_is_spelled_out_for_programs_too(create, module_of):
    answer = create(module_of("one", [link("y", "two")], ["z"]), module_of("two", [link("z", "one")], ["y"]))

    assert {step["module"] for step in answer.json["details"]["circle"]} == {"one", "two"}


@pytest.mark.parametrize(
    ("inputs", "outputs", "code", "details"),
    [
        (["a", "O2"], ["SO2"], "module.tag_unknown", {"tags": ["O2", "SO2"]}),
        (["a"], ["y", "state"], "module.tag_not_numeric", {"types": {"state": "text"}}),
        (["time"], ["y"], "module.tag_not_numeric", {"types": {"time": "time"}}),
    ],
)
def test_tags_that_the_data_set_cannot_give_are_refused_by_name(app, create, module_of, inputs, outputs, code, details):
    answer = create(module_of("boiler", inputs, outputs))

    assert answer.status_code == 422
    assert answer.json["code"] == code
    assert answer.json["details"] == details
    assert nothing_was_made(app)


def test_a_data_set_of_another_project_is_not_found(app, client, headers, create, module_of):
    other = client.post("/api/v1/projects", json={"name": "Unit 4"}, headers=headers).json["id"]
    body = {"name": "Unit", "modules": [module_of("boiler", ["a"], ["y"])]}

    answer = client.post(f"/api/v1/projects/{other}/processes", json=body, headers=headers)

    assert answer.status_code == 404
    assert answer.json["code"] == "dataset.not_found"
    assert nothing_was_made(app)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"tag": "a", "role": "link"}, "source"),
        ({"tag": "a", "role": "control", "source": "two"}, "source"),
        ({"tag": "a", "role": "disturbance", "source_tag": "b"}, "source_tag"),
        ({"tag": "a", "role": "knob"}, "role"),
        ({"role": "control"}, "tag"),
    ],
)
def test_an_input_that_contradicts_its_role_is_refused_by_field(create, module_of, given, wrong):
    answer = create(module_of("boiler", [given], ["y"]))

    assert answer.status_code == 422
    assert answer.json["code"] == "request.invalid"
    assert wrong in answer.json["details"]["json"]["modules"]["0"]["inputs"]["0"]


def test_two_processes_of_a_project_have_two_names(client, headers, make_process, create):
    make_process(name="Unit")
    other = make_process(name="Mill")

    made = create()
    renamed = client.patch(f"/api/v1/processes/{other['id']}", json={"name": "Unit"}, headers=headers)

    assert made.status_code == renamed.status_code == 409
    assert made.json["code"] == renamed.json["code"] == "process.name_taken"


def test_processes_are_listed_by_name(client, headers, url, make_process):
    for name in ("Unit", "Boiler", "Mill"):
        make_process(name=name)

    by_name = client.get(url, headers=headers).json
    newest = client.get(f"{url}?sort=-created_at&per_page=1", headers=headers).json

    assert [item["name"] for item in by_name["items"]] == ["Boiler", "Mill", "Unit"]
    assert (newest["total"], [item["name"] for item in newest["items"]]) == (3, ["Mill"])


def test_a_process_is_renamed_and_described(app, client, headers, make_process):
    made = make_process()

    answer = client.patch(f"/api/v1/processes/{made['id']}", json={"description": "200 MW"}, headers=headers)

    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["description"]) == ("Unit", "200 MW")
    with app.app_context():
        assert db.session.query(Process).one().description == "200 MW"


def test_deleting_a_process_deletes_its_modules(app, client, headers, make_process, module_of):
    made = make_process(module_of("lower", ["a"], ["y"]), module_of("upper", [link("y", "lower")], ["z"]))

    answer = client.delete(f"/api/v1/processes/{made['id']}", headers=headers)

    assert answer.status_code == 204
    assert nothing_was_made(app)


def test_a_process_with_models_is_not_deleted_and_the_answer_names_their_modules(app, client, headers, module, train):
    train()
    train()

    answer = client.delete(f"/api/v1/processes/{module['process_id']}", headers=headers)

    assert answer.status_code == 409
    assert answer.json["code"] == "process.in_use"
    assert answer.json["details"] == {"modules": [{"id": module["id"], "name": "boiler", "n_models": 2}]}
    with app.app_context():
        assert db.session.query(Module).count() == 1


def test_somebody_elses_process_is_not_found(client, stranger, url, make_process):
    process_url = f"/api/v1/processes/{make_process()['id']}"

    of_project = [
        client.get(url, headers=stranger),
        client.post(url, json={"name": "mine"}, headers=stranger),
    ]
    answers = [
        client.get(process_url, headers=stranger),
        client.patch(process_url, json={"name": "mine"}, headers=stranger),
        client.delete(process_url, headers=stranger),
    ]

    assert {(answer.status_code, answer.json["code"]) for answer in of_project} == {(404, "project.not_found")}
    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(404, "process.not_found")}


def test_somebody_who_may_look_may_not_change(client, viewer, url, make_process):
    process_url = f"/api/v1/processes/{make_process()['id']}"

    looked = [client.get(url, headers=viewer), client.get(process_url, headers=viewer)]
    changed = [
        client.post(url, json={"name": "mine"}, headers=viewer),
        client.patch(process_url, json={"name": "mine"}, headers=viewer),
        client.delete(process_url, headers=viewer),
    ]

    assert {answer.status_code for answer in looked} == {200}
    assert {(answer.status_code, answer.json["code"]) for answer in changed} == {(403, "auth.scope_missing")}


def test_an_archived_project_takes_no_process(client, headers, project, create, make_process):
    made = make_process(name="Mill")
    client.patch(f"/api/v1/projects/{project.id}", json={"is_archived": True}, headers=headers)

    answer = create()

    assert (answer.status_code, answer.json["code"]) == (409, "project.archived")
    assert client.get(f"/api/v1/processes/{made['id']}", headers=headers).status_code == 200

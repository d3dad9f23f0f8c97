"""The model registry: asking for models, looking at them, promoting, renaming, deleting."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.extensions import db, object_store
from app.libs.ids import new_id
from app.models import Model, Module, Optimization, Task
from engine.surrogates import KINDS, describe_params
from engine.surrogates.model_file import from_bytes
from tests.api.conftest import plant_table

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def queue(client, headers, module):
    """Ask for a model of ``module`` and return the answer; nobody works on it yet."""

    def ask(headers=headers, **asked):
        url = f"/api/v1/modules/{module['id']}/models"
        return client.post(url, json={"kind": "linear"} | asked, headers=headers)

    return ask


@pytest.fixture
def get(client, headers):
    return lambda path, **query: client.get(f"/api/v1{path}", query_string=query, headers=headers)


def stored_keys(app):
    with app.app_context():
        return [info.key for info in object_store.list("models/")]


def test_asking_for_a_model_makes_the_model_and_its_task_at_once(app, queue, module):
    answer = queue(kind="random_forest", params={"n_trees": 3}, seed=7, name="First try")

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["queue"], answer.json["state"]) == ("model.train", "training", "queued")
    with app.app_context():
        model = db.session.query(Model).one()
        assert str(model.id) == answer.json["subject_id"]
        assert str(model.task_id) == answer.json["id"]
        assert (model.number, model.name, model.seed, model.metrics) == (1, "First try", 7, None)
        assert model.params == {"n_trees": 3, "max_depth": None, "min_rows_leaf": 2, "max_features": 1.0}
        assert model.inputs == module["inputs"]


def test_models_of_a_module_are_numbered(queue, get):
    ids = [queue().json["subject_id"] for _ in range(3)]

    models = [get(f"/models/{model_id}").json for model_id in ids]
    assert [(model["number"], model["name"]) for model in models] == [
        (1, "Linear regression 1"),
        (2, "Linear regression 2"),
        (3, "Linear regression 3"),
    ]


def test_the_number_of_a_deleted_model_is_not_given_again(client, headers, queue, train):
    deleted = train()["id"]
    client.delete(f"/api/v1/models/{deleted}", headers=headers)

    assert train()["number"] == 2


def test_models_asked_for_at_once_get_numbers_of_their_own(app, headers, make_process, module_of):
    modules = make_process(module_of("one", ["a"], ["y"]), module_of("two", ["b"], ["z"]))["modules"]

    def ask(k):
        url = f"/api/v1/modules/{modules[k % 2]['id']}/models"
        return app.test_client().post(url, json={"kind": "linear"}, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, range(16)))

    assert statuses == [202] * 16
    with app.app_context():
        numbers = sorted((str(model.module_id), model.number) for model in db.session.query(Model))
    assert numbers == sorted((module["id"], number) for module in modules for number in range(1, 9))


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"kind": "random_forest", "params": {"n_trees": 0}}, "n_trees"),
        ({"kind": "random_forest", "params": {"alpha": 1.0}}, "alpha"),
        ({"kind": "linear", "params": {"alpha": "much"}}, "alpha"),
        ({"validation": {"scheme": "group"}}, "group"),
        ({"validation": {"scheme": "random", "group": "day"}}, "group"),
    ],
)
def test_a_hyperparameter_or_validation_that_is_not_allowed_is_refused_by_name(app, queue, asked, parameter):
    answer = queue(**asked)

    assert answer.status_code == 422
    assert answer.json["code"] == "engine.parameter"
    assert answer.json["details"]["parameter"] == parameter
    with app.app_context():
        assert db.session.query(Model).count() == 0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"kind": "oracle"}, "kind"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"validation": {"n_folds": 1}}, "validation"),
        ({"dataset_version": 0}, "dataset_version"),
        ({"trees": 3}, "trees"),
    ],
)
def test_a_field_that_is_not_as_it_must_be_is_refused_by_name(queue, asked, field):
    answer = queue(**asked)

    assert answer.status_code == 422
    assert answer.json["code"] == "request.invalid"
    assert field in answer.json["details"]["json"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_api_reference_tells_the_hyperparameters_of_every_kind(client, kind):
    schemas = client.get("/api/v1/openapi.json").json["components"]["schemas"]

    told = schemas["ModelIn"]["properties"]["params"]["anyOf"]

    wanted = describe_params(kind)
    assert [schema["properties"] for schema in told if schema["title"] == wanted["title"]] == [wanted["properties"]]


def test_validation_is_by_blocks_of_time_where_there_is_a_time_tag(queue, get):
    model = get(f"/models/{queue().json['subject_id']}").json

    assert model["validation"] == {"scheme": "time", "n_folds": 5, "group": None}


def test_validation_is_at_random_where_there_is_no_time_tag(queue, upload, get):
    upload(plant_table().drop("time"))

    model = get(f"/models/{queue().json['subject_id']}").json

    assert model["dataset_version"] == 2
    assert model["validation"]["scheme"] == "random"


def test_validation_is_by_group_where_a_group_is_named(queue, get):
    model = get(f"/models/{queue(validation={'group': 'day', 'n_folds': 2}).json['subject_id']}").json

    assert model["validation"] == {"scheme": "group", "n_folds": 2, "group": "day"}


def test_a_validation_that_the_table_does_not_allow_is_refused(queue, upload):
    upload(plant_table().drop("time"))

    by_time, by_unknown = queue(validation={"scheme": "time"}), queue(validation={"group": "shift"})

    assert by_time.status_code == by_unknown.status_code == 422
    assert by_time.json["code"] == by_unknown.json["code"] == "model.validation_unfit"


def test_a_model_learns_from_the_newest_version_unless_an_older_one_is_asked_for(queue, upload, get):
    upload(plant_table(60))

    newest, older = queue().json["subject_id"], queue(dataset_version=1).json["subject_id"]

    assert get(f"/models/{newest}").json["dataset_version"] == 2
    assert get(f"/models/{older}").json["dataset_version"] == 1


def test_a_version_that_is_not_there_or_lacks_a_tag_is_refused(queue, upload):
    upload(plant_table().drop("b"))

    missing, lacking = queue(dataset_version=9), queue()

    assert (missing.status_code, missing.json["code"]) == (404, "dataset.version_not_found")
    assert (lacking.status_code, lacking.json["code"]) == (422, "module.tag_unknown")
    assert lacking.json["details"] == {"tags": ["b"]}


def test_models_are_listed_and_filtered(queue, train, get, project, module):
    ready = train(name="ready")["id"]
    waiting = queue(kind="extra_trees", name="waiting").json["subject_id"]

    def ids(**query):
        return [item["id"] for item in get("/models", **query).json["items"]]

    assert ids() == [waiting, ready]
    assert ids(sort="name") == [ready, waiting]
    assert ids(state="ready") == [ready]
    assert ids(state="training") == [waiting]
    assert ids(state="failed") == ids(state="cancelled") == []
    assert ids(kind="extra_trees") == [waiting]
    assert ids(project_id=str(project.id), module_id=module["id"]) == [waiting, ready]
    assert ids(project_id=UNKNOWN) == []
    assert [item["id"] for item in get(f"/modules/{module['id']}/models", state="ready").json["items"]] == [ready]


def test_a_model_is_renamed(app, client, headers, train):
    model = train()

    answer = client.patch(f"/api/v1/models/{model['id']}", json={"name": "Winter"}, headers=headers)

    assert answer.status_code == 200
    assert answer.json["name"] == "Winter"
    with app.app_context():
        assert db.session.query(Model).one().name == "Winter"


def test_promoting_puts_one_model_of_a_module_into_production(app, client, headers, train, get, module):
    first, second = train()["id"], train()["id"]

    client.post(f"/api/v1/models/{first}/promote", headers=headers)
    answer = client.post(f"/api/v1/models/{second}/promote", headers=headers)

    assert answer.status_code == 200
    assert answer.json["is_production"]
    assert not get(f"/models/{first}").json["is_production"]
    assert get(f"/modules/{module['id']}").json["production_model"]["id"] == second
    with app.app_context():
        assert str(db.session.query(Module).one().production_model_id) == second


def test_a_model_is_taken_out_of_production(client, headers, train, get, module):
    model = train()["id"]
    client.post(f"/api/v1/models/{model}/promote", headers=headers)

    answer = client.delete(f"/api/v1/models/{model}/promote", headers=headers)

    assert answer.status_code == 200
    assert not answer.json["is_production"]
    assert get(f"/modules/{module['id']}").json["production_model"] is None


def test_a_model_that_is_not_trained_is_neither_promoted_nor_downloaded(client, headers, queue, get):
    model = queue().json["subject_id"]

    promoted = client.post(f"/api/v1/models/{model}/promote", headers=headers)
    downloaded = get(f"/models/{model}/file")

    assert promoted.status_code == downloaded.status_code == 409
    assert promoted.json["code"] == downloaded.json["code"] == "model.not_trained"
    assert promoted.json["details"] == {"state": "training"}


def test_a_model_of_what_the_module_was_before_is_not_promoted(app, client, headers, train, module):
    model = train()["id"]
    client.patch(f"/api/v1/modules/{module['id']}", json={"outputs": ["y", "z"]}, headers=headers)

    answer = client.post(f"/api/v1/models/{model}/promote", headers=headers)

    assert answer.status_code == 409
    assert answer.json["code"] == "model.outdated"
    with app.app_context():
        assert db.session.query(Module).one().production_model_id is None


def test_a_downloaded_model_is_the_stored_file_and_predicts(train, get):
    model = train()

    answer = get(f"/models/{model['id']}/file")

    assert answer.status_code == 200
    assert 'filename="boiler 1.safetensors"' in answer.headers["Content-Disposition"]
    assert hashlib.sha256(answer.data).hexdigest() == model["sha256"]
    assert from_bytes(answer.data).predict([[3.0, 0.5]])[0, 0] == pytest.approx(15.5)


def test_deleting_a_model_deletes_its_file(app, client, headers, train):
    model = train()["id"]
    assert len(stored_keys(app)) == 1

    answer = client.delete(f"/api/v1/models/{model}", headers=headers)

    assert answer.status_code == 204
    assert stored_keys(app) == []
    with app.app_context():
        assert db.session.query(Model).count() == 0


def test_a_model_in_use_is_not_deleted_and_the_answer_names_the_users(app, client, headers, train, engineer, module):
    model = train()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)
    with app.app_context():
        row = db.session.query(Model).one()
        optimization = Optimization(
            id=new_id(),
            project_id=row.project_id,
            name="Least coal",
            model_id=row.id,
            problem={},
            solver="pso",
            budget=10,
            seed=0,
            created_by=engineer.id,
        )
        db.session.add(optimization)
        db.session.commit()

    answer = client.delete(f"/api/v1/models/{model['id']}", headers=headers)

    assert answer.status_code == 409
    assert answer.json["code"] == "model.in_use"
    assert answer.json["details"] == {
        "production_of": [{"id": module["id"], "name": "boiler"}],
        "optimizations": [{"id": str(optimization.id), "name": "Least coal"}],
    }
    assert len(stored_keys(app)) == 1


def test_a_model_in_training_is_not_deleted_before_its_task_is_cancelled(app, client, headers, queue):
    task = queue().json
    url = f"/api/v1/models/{task['subject_id']}"

    early = client.delete(url, headers=headers)
    client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=headers)
    late = client.delete(url, headers=headers)

    assert (early.status_code, early.json["details"]) == (409, {"task_id": task["id"]})
    assert late.status_code == 204
    with app.app_context():
        assert db.session.query(Model).count() == 0
        assert db.session.query(Task).filter_by(kind="model.train").one().state == "cancelled"


def test_somebody_elses_model_is_not_found(client, stranger, train, module):
    url = f"/api/v1/models/{train()['id']}"

    answers = [
        client.get(url, headers=stranger),
        client.patch(url, json={"name": "mine"}, headers=stranger),
        client.delete(url, headers=stranger),
        client.get(f"{url}/file", headers=stranger),
        client.post(f"{url}/promote", headers=stranger),
        client.delete(f"{url}/promote", headers=stranger),
        client.post(f"{url}/predict", json={"rows": [{"a": 1, "b": 1}]}, headers=stranger),
    ]
    of_module = [
        client.get(f"/api/v1/modules/{module['id']}/models", headers=stranger),
        client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=stranger),
    ]

    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(404, "model.not_found")}
    assert {(answer.status_code, answer.json["code"]) for answer in of_module} == {(404, "module.not_found")}
    assert client.get("/api/v1/models", headers=stranger).json["total"] == 0


def test_somebody_who_may_look_may_not_change(client, viewer, queue, train):
    url = f"/api/v1/models/{train()['id']}"

    looked = [client.get(url, headers=viewer), client.get(f"{url}/file", headers=viewer)]
    changed = [
        queue(headers=viewer),
        client.patch(url, json={"name": "mine"}, headers=viewer),
        client.delete(url, headers=viewer),
        client.post(f"{url}/promote", headers=viewer),
        client.delete(f"{url}/promote", headers=viewer),
    ]

    assert {answer.status_code for answer in looked} == {200}
    assert {(answer.status_code, answer.json["code"]) for answer in changed} == {(403, "auth.scope_missing")}

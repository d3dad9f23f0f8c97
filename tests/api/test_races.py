"""What two people do at the same moment. On SQLite one waits for the other; on the servers they meet."""

from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.enums import MemberRole, Queue
from app.models import Membership
from app.viewModels import dataset_versions, models, modules, projects, task_queue, tasks


@pytest.fixture
def second_owner(app, project, make_user, sign_in):
    """Another owner of the project: who it is, and the headers."""
    actor = make_user("otto")
    with app.app_context():
        db.session.add(Membership(project_id=project.id, user_id=actor.id, role=MemberRole.OWNER))
        db.session.commit()
    return actor, sign_in(actor.username)


def test_two_owners_who_remove_each_other_leave_one(app, project, engineer, headers, second_owner, at_once, meet_after):
    other, others_headers = second_owner
    members = f"/api/v1/projects/{project.id}/members"
    meet_after(projects, "visible")

    answers = at_once(
        {"method": "DELETE", "path": f"{members}/{other.id}", "headers": headers},
        {"method": "DELETE", "path": f"{members}/{engineer.id}", "headers": others_headers},
    )

    assert sorted(answer.status_code for answer in answers) in ([204, 404], [204, 409])
    with app.app_context():
        assert db.session.query(Membership).filter_by(role=MemberRole.OWNER).count() == 1


def test_somebody_who_is_taken_in_twice_at_once_is_a_member_once(app, project, headers, make_user, at_once, meet_after):
    make_user("nina")
    request = {"method": "PUT", "path": f"/api/v1/projects/{project.id}/members", "headers": headers}
    meet_after(projects, "visible")

    answers = at_once(*[{**request, "json": {"username": "nina", "role": role}} for role in ("viewer", "editor")])

    assert [answer.status_code for answer in answers] == [200, 200]
    with app.app_context():
        assert db.session.query(Membership).count() == 2


def test_taking_a_model_out_of_production_does_not_take_out_the_one_promoted_meanwhile(
    app, client, headers, module, train, at_once, meet_after
):
    old, new = train()["id"], train()["id"]
    client.post(f"/api/v1/models/{old}/promote", headers=headers)
    meet_after(models, "visible")

    at_once(
        {"method": "DELETE", "path": f"/api/v1/models/{old}/promote", "headers": headers},
        {"method": "POST", "path": f"/api/v1/models/{new}/promote", "headers": headers},
    )

    shown = client.get(f"/api/v1/modules/{module['id']}", headers=headers).json
    assert shown["production_model"]["id"] == new


def test_a_module_and_the_deletion_of_its_data_set_do_not_both_succeed(
    client, headers, project, dataset_id, make_process, module_of, at_once, meet_after
):
    process_id = make_process()["id"]
    meet_after(modules, "newest_version")  # the module has found its data set

    created, deleted = at_once(
        {
            "method": "POST",
            "path": f"/api/v1/processes/{process_id}/modules",
            "json": module_of("boiler", ["a"], ["y"]),
            "headers": headers,
        },
        {"method": "DELETE", "path": f"/api/v1/datasets/{dataset_id}", "headers": headers},
    )

    told = (created.status_code, deleted.status_code, created.json.get("code"))
    assert told in {(201, 409, None), (404, 204, "dataset.not_found")}


def test_a_training_and_the_deletion_of_its_module_do_not_both_succeed(client, headers, module, at_once, meet_after):
    meet_after(models, "_validation")  # the training has been checked
    path = f"/api/v1/modules/{module['id']}"

    asked, deleted = at_once(
        {"method": "POST", "path": f"{path}/models", "json": {"kind": "linear"}, "headers": headers},
        {"method": "DELETE", "path": path, "headers": headers},
    )

    told = (asked.status_code, deleted.status_code, asked.json.get("code"))
    assert told in {(202, 409, None), (404, 204, "module.not_found")}


def test_a_task_that_two_cancel_at_once_is_cancelled_for_both(app, client, headers, module, at_once, meet_after):
    task = client.post(f"/api/v1/modules/{module['id']}/models", json={"kind": "linear"}, headers=headers).json
    with app.app_context():
        task_queue.claim(Queue.TRAINING, worker="somewhere", lease_ms=60_000)
    request = {"method": "POST", "path": f"/api/v1/tasks/{task['id']}/cancel", "headers": headers}
    meet_after(tasks, "visible")

    answers = at_once(request, request)

    assert [(answer.status_code, answer.json["state"]) for answer in answers] == [(200, "stopping")] * 2


def test_what_the_database_refuses_and_nobody_foresaw_is_a_conflict(client, headers, monkeypatch):
    def refuse():
        raise IntegrityError("INSERT", {}, Exception("FOREIGN KEY constraint failed"))

    monkeypatch.setattr(db.session, "commit", refuse)

    answer = client.post("/api/v1/projects", json={"name": "Unit 4"}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (409, "request.conflict")


@pytest.mark.parametrize("download", [dataset_versions.file, models.file])
def test_a_download_holds_no_transaction(app, engineer, dataset_id, train, download):
    given = (UUID(dataset_id), 1) if download is dataset_versions.file else (UUID(train()["id"]),)

    with app.app_context():
        download(*given, actor=engineer)

        assert not db.session().in_transaction()

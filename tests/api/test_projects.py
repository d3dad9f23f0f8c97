"""Projects, who is in them, and what each may do there."""

import pytest

from app.extensions import db
from app.libs.enums import Role
from app.models import Membership, Project


@pytest.fixture
def url(project):
    return f"/api/v1/projects/{project.id}"


def test_whoever_makes_a_project_owns_it(app, client, headers, engineer):
    made = client.post("/api/v1/projects", json={"name": "Unit 4", "description": "200 MW"}, headers=headers)

    assert made.status_code == 201
    assert made.json["created_by"] == str(engineer.id)
    with app.app_context():
        assert db.session.query(Membership).filter_by(user_id=engineer.id).one().role == "owner"


def test_a_viewer_by_role_makes_no_projects(client, make_user, sign_in):
    headers = sign_in(make_user("vito", Role.VIEWER).username)

    answer = client.post("/api/v1/projects", json={"name": "Unit 4"}, headers=headers)

    assert answer.status_code == 403


def test_somebody_elses_project_is_not_found(client, url, stranger):
    answers = [
        client.get(url, headers=stranger),
        client.patch(url, json={"name": "mine"}, headers=stranger),
        client.delete(url, headers=stranger),
        client.get(f"{url}/members", headers=stranger),
        client.put(f"{url}/members", json={"username": "stranger", "role": "owner"}, headers=stranger),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json["code"] for answer in answers} == {"project.not_found"}


def test_people_list_their_own_projects_and_an_administrator_lists_all(client, project, headers, stranger, admin):
    seen = {
        who: [item["name"] for item in client.get("/api/v1/projects", headers=h).json["items"]]
        for who, h in {"engineer": headers, "stranger": stranger, "admin": admin}.items()
    }

    assert seen == {"engineer": ["Unit 3"], "stranger": [], "admin": ["Unit 3"]}


def test_a_member_who_may_look_may_not_change(client, url, viewer):
    looked = client.get(url, headers=viewer)
    changed = client.patch(url, json={"name": "mine"}, headers=viewer)

    assert looked.status_code == 200
    assert changed.status_code == 403
    assert changed.json["code"] == "auth.scope_missing"


def test_the_server_wide_role_of_a_viewer_bounds_what_an_owner_may_do(client, url, headers, make_user, sign_in):
    member = make_user("vito", Role.VIEWER)
    client.put(f"{url}/members", json={"username": "vito", "role": "owner"}, headers=headers)

    answer = client.patch(url, json={"name": "mine"}, headers=sign_in(member.username))

    assert answer.status_code == 403


def test_a_project_is_renamed(client, url, headers):
    answer = client.patch(url, json={"name": "Unit 3B"}, headers=headers)

    assert answer.status_code == 200
    assert client.get(url, headers=headers).json["name"] == "Unit 3B"
    assert client.get(url, headers=headers).json["description"] == ""


def test_an_archived_project_is_listed_apart_and_comes_back(client, url, headers):
    archived = client.patch(url, json={"is_archived": True}, headers=headers).json["archived_at"]
    listed = client.get("/api/v1/projects", headers=headers).json["total"]
    listed_apart = client.get("/api/v1/projects?is_archived=true", headers=headers).json["total"]
    back = client.patch(url, json={"is_archived": False}, headers=headers).json["archived_at"]

    assert archived is not None
    assert (listed, listed_apart) == (0, 1)
    assert back is None


def test_an_empty_project_is_deleted_with_its_members(app, client, url, headers, viewer):
    answer = client.delete(url, headers=headers)

    assert answer.status_code == 204
    with app.app_context():
        assert db.session.query(Project).count() == 0
        assert db.session.query(Membership).count() == 0


def test_members_come_with_names_and_roles(client, url, headers, viewer):
    answer = client.get(f"{url}/members", headers=headers)

    assert [(m["username"], m["role"]) for m in answer.json["items"]] == [("erika", "owner"), ("vera", "viewer")]


def test_somebody_who_was_taken_in_sees_the_project_and_may_what_the_role_allows(client, url, headers, stranger):
    assert client.get(url, headers=stranger).status_code == 404

    taken_in = client.put(f"{url}/members", json={"username": "stranger", "role": "editor"}, headers=headers)

    assert (taken_in.json["username"], taken_in.json["role"]) == ("stranger", "editor")
    assert client.get(url, headers=stranger).status_code == 200
    assert client.post(f"{url}/processes", json={"name": "Unit"}, headers=stranger).status_code == 201
    assert client.patch(url, json={"name": "mine"}, headers=stranger).json["code"] == "auth.scope_missing"


def test_a_member_gets_another_role(client, url, headers, viewer):
    promoted = client.put(f"{url}/members", json={"username": "vera", "role": "owner"}, headers=headers)

    assert promoted.status_code == 200
    assert client.patch(url, json={"name": "hers"}, headers=viewer).status_code == 200


def test_a_member_who_was_removed_is_out_at_once(client, url, headers, viewer):
    vera = client.get(f"{url}/members", headers=headers).json["items"][1]["user_id"]

    answer = client.delete(f"{url}/members/{vera}", headers=headers)

    assert answer.status_code == 204
    assert client.get(url, headers=viewer).status_code == 404
    assert client.delete(f"{url}/members/{vera}", headers=headers).json["code"] == "project.member_not_found"


def test_a_project_keeps_an_owner(client, url, headers, engineer):
    demoted = client.put(f"{url}/members", json={"username": "erika", "role": "viewer"}, headers=headers)
    removed = client.delete(f"{url}/members/{engineer.id}", headers=headers)

    assert demoted.json["code"] == removed.json["code"] == "project.last_owner"
    assert client.get(f"{url}/members", headers=headers).json["items"][0]["role"] == "owner"


def test_a_field_that_nobody_declared_is_refused_by_name(client, headers):
    answer = client.post("/api/v1/projects", json={"name": "Unit 4", "nmae": "x"}, headers=headers)

    assert answer.status_code == 422
    assert answer.json["code"] == "request.invalid"
    assert "nmae" in str(answer.json["details"])

"""People, as an administrator handles them."""

import pytest

from app.libs.enums import Role
from tests.conftest import PASSWORD

NEW = {"username": "Nora", "password": PASSWORD, "role": "engineer"}


def test_an_administrator_makes_an_account_that_works(client, admin):
    made = client.post("/api/v1/users", json=NEW, headers=admin)
    login = client.post("/api/v1/auth/login", json={"username": "nora", "password": PASSWORD})

    assert made.status_code == 201
    assert made.json["username"] == "nora"
    assert login.status_code == 200


def test_a_name_is_given_once(client, admin):
    client.post("/api/v1/users", json=NEW, headers=admin)

    again = client.post("/api/v1/users", json=NEW | {"username": "NORA"}, headers=admin)

    assert again.status_code == 409
    assert again.json["code"] == "user.name_taken"


def test_an_engineer_may_not_look_after_users(client, headers):
    answers = [
        client.get("/api/v1/users", headers=headers),
        client.post("/api/v1/users", json=NEW, headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json["code"] == "auth.scope_missing"


def test_a_deactivated_user_loses_access_at_once(client, admin, engineer, headers):
    before = client.get("/api/v1/me", headers=headers)

    client.patch(f"/api/v1/users/{engineer.id}", json={"is_active": False}, headers=admin)
    after = client.get("/api/v1/me", headers=headers)
    login = client.post("/api/v1/auth/login", json={"username": "erika", "password": PASSWORD})

    assert before.status_code == 200
    assert after.json["code"] == "auth.session_ended"
    assert login.status_code == 401


def test_another_role_holds_from_the_next_request_on(client, admin, engineer, headers):
    client.patch(f"/api/v1/users/{engineer.id}", json={"role": "viewer"}, headers=admin)

    answer = client.post("/api/v1/projects", json={"name": "Unit 4"}, headers=headers)

    assert answer.status_code == 403


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "engineer"}])
def test_the_last_administrator_stays_one(client, admin, change):
    me = client.get("/api/v1/me", headers=admin).json["id"]

    answer = client.patch(f"/api/v1/users/{me}", json=change, headers=admin)

    assert answer.status_code == 409
    assert answer.json["code"] == "user.last_admin"
    assert client.get(f"/api/v1/users/{me}", headers=admin).json["role"] == "admin"


def test_one_of_two_administrators_may_go(client, admin, make_user):
    other = make_user("anton", Role.ADMIN)

    answer = client.patch(f"/api/v1/users/{other.id}", json={"role": "viewer"}, headers=admin)

    assert answer.status_code == 200
    assert answer.json["role"] == "viewer"


def test_a_password_set_by_an_administrator_ends_the_users_sessions(client, admin, engineer, headers):
    answer = client.put(f"/api/v1/users/{engineer.id}/password", json={"password": "set by ada"}, headers=admin)

    assert answer.status_code == 204
    assert client.get("/api/v1/me", headers=headers).status_code == 401
    assert client.post("/api/v1/auth/login", json={"username": "erika", "password": "set by ada"}).status_code == 200


def test_users_are_listed_page_by_page_in_the_order_asked_for(client, admin, make_user):
    for name in ("bea", "carl", "dora"):
        make_user(name, Role.VIEWER)

    answer = client.get("/api/v1/users?sort=-username&per_page=2&page=2", headers=admin)

    assert [user["username"] for user in answer.json["items"]] == ["bea", "ada"]
    assert (answer.json["total"], answer.json["page"], answer.json["per_page"]) == (4, 2, 2)


def test_an_unknown_user_is_not_found(client, admin):
    answer = client.get("/api/v1/users/00000000-0000-0000-0000-000000000000", headers=admin)

    assert answer.status_code == 404
    assert answer.json["code"] == "user.not_found"


def test_users_are_looked_after_from_the_servers_shell(app, client):
    shell = app.test_cli_runner()

    made = shell.invoke(args=["user", "create", "root", "--role", "admin", "--password-stdin"], input=PASSWORD + "\n")
    generated = shell.invoke(args=["user", "create", "guest"])
    twice = shell.invoke(args=["user", "create", "guest"])
    listed = shell.invoke(args=["user", "list"])

    assert made.exit_code == 0
    assert PASSWORD not in made.output
    assert client.post("/api/v1/auth/login", json={"username": "root", "password": PASSWORD}).status_code == 200
    password = generated.output.strip().rsplit(" ", 1)[-1]
    assert client.post("/api/v1/auth/login", json={"username": "guest", "password": password}).status_code == 200
    assert twice.exit_code == 1
    assert "There is a user 'guest' already." in twice.output
    assert listed.output.splitlines() == ["guest\tviewer\tactive", "root\tadmin\tactive"]


def test_a_user_deactivated_from_the_shell_is_out_and_a_password_set_there_works(app, client, headers, make_user):
    make_user("otto")
    shell = app.test_cli_runner()

    out = shell.invoke(args=["user", "deactivate", "erika"])
    reset = shell.invoke(args=["user", "set-password", "otto", "--password-stdin"], input="a new password\n")
    unfit = shell.invoke(args=["user", "set-password", "otto", "--password-stdin"], input="short\n")

    assert out.exit_code == reset.exit_code == 0
    assert client.get("/api/v1/me", headers=headers).status_code == 401
    assert client.post("/api/v1/auth/login", json={"username": "otto", "password": "a new password"}).status_code == 200
    assert unfit.exit_code == 1
    assert "at least 10 characters" in unfit.output

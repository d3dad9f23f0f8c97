"""Signing in and out."""

from tests.conftest import PASSWORD

CREDENTIALS = {"username": "erika", "password": PASSWORD}


def login(client, **changes):
    return client.post("/api/v1/auth/login", json=CREDENTIALS | changes)


def bearer(tokens):
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_a_signed_in_user_is_told_who_it_is(client, engineer):
    tokens = login(client).json

    answer = client.get("/api/v1/me", headers=bearer(tokens))

    assert answer.status_code == 200
    assert answer.json["id"] == str(engineer.id)
    assert answer.json["role"] == "engineer"


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(client, engineer):
    wrong, unknown = login(client, password="wrong password"), login(client, username="nobody")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json["code"] == unknown.json["code"] == "auth.login_failed"
    assert wrong.json["detail"] == unknown.json["detail"]

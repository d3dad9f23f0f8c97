"""Signing in and out, tokens that end, and one's own password."""

from dataclasses import replace

import pytest

from app.extensions import db, limiter, redis_client
from app.models import LoginSession, User
from app.viewModels import accounts
from tests.conftest import PASSWORD

CREDENTIALS = {"username": "erika", "password": PASSWORD}


def login(client, **changes):
    return client.post("/api/v1/auth/login", json=CREDENTIALS | changes)


def bearer(tokens):
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def refresh(client, tokens):
    return client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def me(client, tokens):
    return client.get("/api/v1/me", headers=bearer(tokens))


def with_settings(app, **changes):
    """Change the settings that requests see until the test ends; settings themselves are frozen."""
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **changes)


@pytest.fixture(autouse=True)
def _same_settings_afterwards(app):
    before = app.config["SETTINGS"]
    yield
    app.config["SETTINGS"] = before


def test_a_signed_in_user_is_told_who_it_is(client, engineer):
    tokens = login(client).json

    answer = me(client, tokens)

    assert answer.status_code == 200
    assert answer.json["id"] == str(engineer.id)
    assert answer.json["role"] == "engineer"
    assert "password_hash" not in answer.json


def test_names_that_differ_in_case_are_the_same_user(client, engineer):
    answer = login(client, username="  ERIKA ")

    assert answer.status_code == 200


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(client, engineer):
    wrong, unknown = login(client, password="wrong password"), login(client, username="nobody")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json["code"] == unknown.json["code"] == "auth.login_failed"
    assert wrong.json["detail"] == unknown.json["detail"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "auth.required"),
        ("Bearer nonsense", "auth.token_invalid"),
        ("Basic ZXJpa2E6eA==", "auth.token_invalid"),
    ],
)
def test_a_request_without_a_good_token_is_told_so(client, header, code):
    answer = client.get("/api/v1/me", headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.json["code"] == code
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_is_told_so(app, client, engineer):
    with_settings(app, access_token_minutes=-1)

    answer = me(client, login(client).json)

    assert answer.status_code == 401
    assert answer.json["code"] == "auth.token_expired"


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(client, engineer):
    tokens = login(client).json
    swapped = {"access_token": tokens["refresh_token"], "refresh_token": tokens["access_token"]}

    assert me(client, swapped).json["code"] == "auth.token_invalid"
    assert refresh(client, swapped).json["code"] == "auth.token_invalid"


def test_a_refresh_gives_new_tokens_that_are_good(client, engineer):
    fresh = refresh(client, login(client).json)

    assert fresh.status_code == 200
    assert me(client, fresh.json).status_code == 200
    assert refresh(client, fresh.json).status_code == 200


def test_using_an_old_refresh_token_ends_every_token_of_its_session(client, engineer):
    first = login(client).json
    second = refresh(client, first).json
    elsewhere = login(client).json

    reused = refresh(client, first)

    assert reused.status_code == 401
    assert reused.json["code"] == "auth.refresh_reused"
    assert me(client, second).json["code"] == "auth.session_ended"
    assert refresh(client, second).json["code"] == "auth.session_ended"
    assert me(client, elsewhere).status_code == 200


def test_signing_out_ends_the_session_at_once_also_when_redis_lost_its_data(app, client, engineer):
    tokens, elsewhere = login(client).json, login(client).json

    answer = client.post("/api/v1/auth/logout", headers=bearer(tokens))
    with app.app_context():
        redis_client.flushall()

    assert answer.status_code == 204
    assert me(client, tokens).json["code"] == "auth.session_ended"
    assert refresh(client, tokens).json["code"] == "auth.session_ended"
    assert me(client, elsewhere).status_code == 200


def test_signing_out_is_known_to_every_process(app, another_app, client, engineer):
    tokens = login(client).json
    other_process = another_app(database_url=app.config["SETTINGS"].database).test_client()
    before = me(other_process, tokens)

    client.post("/api/v1/auth/logout", headers=bearer(tokens))

    assert before.status_code == 200
    assert me(other_process, tokens).json["code"] == "auth.session_ended"


def test_changing_the_password_ends_the_other_sessions(app, client, engineer):
    tokens, elsewhere = login(client).json, login(client).json
    change = {"password": PASSWORD, "new_password": "another good one"}

    answer = client.put("/api/v1/me/password", json=change, headers=bearer(tokens))

    assert answer.status_code == 204
    assert me(client, tokens).status_code == 200
    assert me(client, elsewhere).json["code"] == "auth.session_ended"
    assert login(client).status_code == 401
    assert login(client, password="another good one").status_code == 200


def test_the_present_password_is_needed_to_change_it(client, headers):
    change = {"password": "not the present one", "new_password": "another good one"}

    answer = client.put("/api/v1/me/password", json=change, headers=headers)

    assert answer.status_code == 403
    assert answer.json["code"] == "auth.password_wrong"


@pytest.mark.parametrize(("password", "said"), [("short", "at least 10"), ("é" * 37, "at most 72 bytes")])
def test_a_password_that_cannot_be_used_is_refused_openly(client, headers, password, said):
    answer = client.put("/api/v1/me/password", json={"password": PASSWORD, "new_password": password}, headers=headers)

    assert answer.status_code == 422
    assert answer.json["code"] == "auth.password_unfit"
    assert said in answer.json["detail"]


def test_the_cost_of_a_password_hash_is_the_one_set(app, client, engineer):
    with app.app_context():
        stored = db.session.get(User, engineer.id).password_hash

    assert stored.startswith("$2b$04$")  # the tests' settings say 4


def test_registration_is_closed_unless_it_was_opened(client):
    answer = client.post("/api/v1/auth/register", json=CREDENTIALS)

    assert answer.status_code == 403
    assert answer.json["code"] == "auth.registration_closed"


def test_whoever_registers_becomes_a_viewer(app, client):
    with_settings(app, registration="open")

    answer = client.post("/api/v1/auth/register", json=CREDENTIALS)
    again = client.post("/api/v1/auth/register", json=CREDENTIALS)

    assert answer.status_code == 201
    assert answer.json["role"] == "viewer"
    assert again.status_code == 409
    assert again.json["code"] == "user.name_taken"


def test_guessing_passwords_is_slowed_down_for_one_name_only(app, client, engineer, make_user):
    make_user("otto")
    with_settings(app, login_rate="3 per minute")
    limiter.reset()

    guesses = [login(client, password="a wrong guess").status_code for _ in range(3)]
    throttled = login(client)
    other = login(client, username="otto")

    assert guesses == [401, 401, 401]
    assert throttled.status_code == 429
    assert throttled.json["code"] == "request.too_many"
    assert int(throttled.headers["Retry-After"]) > 0
    assert other.status_code == 200


def test_guessing_the_present_password_with_a_stolen_token_is_slowed_down(app, client, headers, stranger):
    with_settings(app, login_rate="3 per minute")
    limiter.reset()
    guess = {"password": "a wrong guess", "new_password": "quite long enough"}

    guesses = [client.put("/api/v1/me/password", json=guess, headers=headers).status_code for _ in range(4)]
    other = client.put("/api/v1/me/password", json=guess, headers=stranger)

    assert guesses == [403, 403, 403, 429]
    assert other.status_code == 403


def test_a_session_is_kept_in_the_database_without_its_tokens(app, client, engineer):
    tokens = login(client).json

    with app.app_context():
        session = db.session.query(LoginSession).one()
        row = {column.name: str(getattr(session, column.name)) for column in LoginSession.__table__.columns}

    assert session.user_id == engineer.id
    assert not any(token in value for token in tokens.values() for value in row.values() if isinstance(token, str))


@pytest.mark.parametrize("change", [{"is_active": False}, {"password_hash": "another"}])
def test_who_is_shut_out_while_the_password_is_checked_does_not_get_in(app, client, engineer, monkeypatch, change):
    def check_slowly(*args):
        with db.engine.begin() as connection:
            connection.execute(db.update(User).where(User.id == engineer.id).values(**change))
        return is_password(*args)

    is_password = accounts.is_password
    monkeypatch.setattr(accounts, "is_password", check_slowly)

    answer = login(client)

    assert answer.json["code"] == "auth.login_failed"
    with app.app_context():
        assert db.session.query(LoginSession).count() == 0

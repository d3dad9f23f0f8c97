"""Whatever is sent, the answer is a refusal that says why, never a fault of ours."""

import json

import pytest

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.models import User
from app.viewModels import tokens

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "9" * 5000, DEEP, '"\\ud800"', "\xff"])
@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/projects"])
def test_a_body_that_is_not_quite_json_is_refused(client, headers, path, value):
    body = f'{{"username": {value}, "password": "x", "name": {value}}}'.encode("latin-1")

    answer = client.post(path, data=body, content_type="application/json", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (400, "request.bad")


def test_a_whole_surrogate_pair_is_a_character(client, headers):
    answer = client.post(
        "/api/v1/projects", data=b'{"name": "\\ud83d\\udd25"}', content_type="application/json", headers=headers
    )

    assert answer.json["name"] == "\N{FIRE}"


@pytest.mark.parametrize("page", ["-1", "0", "9223372036854775807", "9" * 30, "x"])
def test_a_page_that_no_list_has_is_refused(client, headers, page):
    answer = client.get("/api/v1/projects", query_string={"page": page}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")


def test_a_number_that_no_event_has_is_refused(client, headers):
    path = "/api/v1/tasks/00000000-0000-0000-0000-000000000000/events"

    answer = client.get(path, query_string={"after": "9" * 30}, headers=headers)

    assert answer.status_code == 422


@pytest.mark.parametrize("name", [" ", "\N{LATIN SMALL LETTER SHARP S}" * 101])
def test_a_user_name_that_cannot_be_kept_is_refused(app, client, admin, name):
    body = {"username": name, "password": "long enough for all"}

    answer = client.post("/api/v1/users", json=body, headers=admin)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    with app.app_context():
        assert db.session.query(User).count() == 1


def test_a_token_that_no_bytes_can_write_is_invalid(context):
    with pytest.raises(AppError) as refused:
        tokens.refresh("\ud800")

    assert refused.value.error is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), b"bytes", {1: (2, {3})}])
def test_a_problem_document_is_json_whatever_it_tells(odd):
    document = problem(code="c", title="t", status=422, detail="d", details={"given": odd})

    assert json.loads(json.dumps(document, allow_nan=False))["details"].keys() == {"given"}


def test_invented_methods_share_one_count(client):
    for method in ("BREW", "WHEN"):
        client.open("/", method=method)

    metrics = client.get("/metrics").text
    assert 'method="other"' in metrics
    assert "BREW" not in metrics

"""What the server says of itself, and how it refuses."""

import io
import json
import re
from datetime import timedelta

import pytest

from app.extensions import object_store
from app.version import VERSION


def test_the_front_page_says_what_this_is_and_where_to_go(client):
    page = client.get("/")

    assert page.status_code == 200
    assert "set-points" in page.text
    assert all(f'href="{path}"' in page.text for path in ("/api/v1/docs", "/api/v1/openapi.json", "/readyz"))


def test_every_address_named_on_the_front_page_answers(client):
    for path in re.findall(r'href="(/[^"]*)"', client.get("/").text):
        with client.get(path) as answer:
            assert answer.status_code == 200, path


def test_the_version_is_told(client):
    assert client.get("/api/v1/version").json["version"] == VERSION


def test_a_ready_server_says_how_fast_each_part_answers(client):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert set(answer.json["parts"]) == {"database", "redis", "object_store"}
    assert all(part["ok"] and part["ms"] >= 0 for part in answer.json["parts"].values())


def test_a_server_whose_redis_is_away_lives_but_is_not_ready(another_app):
    client = another_app(redis_url="redis://127.0.0.1:1/0").test_client()

    ready = client.get("/readyz")

    assert ready.status_code == 503
    assert ready.json["parts"]["redis"] == {"ok": False}
    assert client.get("/healthz").status_code == 200


def test_a_database_that_is_away_is_told_as_such(another_app):
    client = another_app(database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing").test_client()

    answer = client.post("/api/v1/auth/login", json={"username": "erika", "password": "whatever it is"})

    assert answer.status_code == 503
    assert answer.json["code"] == "server.unavailable"
    assert "Retry-After" in answer.headers


def test_metrics_count_requests_by_route_and_work_by_queue(client, project, headers):
    client.get(f"/api/v1/projects/{project.id}", headers=headers)

    metrics = client.get("/metrics").text

    assert 'route="/api/v1/projects/<uuid:project_id>"' in metrics
    assert str(project.id) not in metrics
    assert 'setpoint_queued_tasks{queue="training"} 0.0' in metrics


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "request.not_found"),
        ("GET", "/api/v1/projects/not-a-uuid", 404, "request.not_found"),
        ("DELETE", "/api/v1/version", 405, "request.method_not_allowed"),
    ],
)
def test_a_refusal_of_the_framework_is_a_problem_document_too(client, method, path, status, code):
    answer = client.open(path, method=method)

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]


def test_a_method_not_allowed_says_which_are(client):
    assert "GET" in client.delete("/api/v1/version").headers["Allow"]


def test_a_body_that_is_no_json_is_refused(client):
    answer = client.post("/api/v1/auth/login", data="{not json", content_type="application/json")

    assert answer.status_code == 400
    assert answer.json["code"] == "request.bad"


def test_a_body_that_would_fill_the_memory_is_not_read(client):
    answer = client.post("/api/v1/auth/login", data=b" " * (16 * 1024**2 + 1), content_type="application/json")

    assert answer.status_code == 413
    assert answer.json["code"] == "request.too_large"


def test_a_wrong_field_is_named(client):
    answer = client.post("/api/v1/auth/login", json={"username": ""})

    assert answer.status_code == 422
    assert set(answer.json["details"]["json"]) == {"username", "password"}


def test_the_openapi_document_is_of_version_3_1_and_names_every_route(app, client):
    document = client.get("/api/v1/openapi.json").json

    assert document["openapi"] == "3.1.0"
    routes = {
        rule.rule.replace("<uuid:", "{").replace("<int:", "{").replace("<", "{").replace(">", "}")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith(("openapi.json", "/docs"))
    }
    assert set(document["paths"]) == routes


def test_every_operation_says_what_it_does_and_what_it_answers(client):
    document = client.get("/api/v1/openapi.json").json

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                assert operation["summary"].endswith("."), f"{method} {path}"
                assert any(status.startswith("2") for status in operation["responses"]), f"{method} {path}"


def test_the_api_reference_needs_nothing_from_elsewhere(client):
    page = client.get("/api/v1/docs").text
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(needed) >= 3
    for address in needed:
        with client.get(address) as answer:
            assert answer.status_code == 200, address


def test_a_signed_link_gives_the_file_and_an_altered_one_does_not(app, client):
    with app.app_context():
        if app.config["SETTINGS"].object_store.startswith("s3:"):
            pytest.skip("an S3 store answers its own links")
        object_store.put("test/report.csv", io.BytesIO(b"a,b\n1,2\n"))
        url = object_store.signed_url("test/report.csv", timedelta(minutes=1), "Bericht 3.csv")
        gone = object_store.signed_url("test/gone.csv", timedelta(minutes=1), "gone.csv")

    answer = client.get(url)
    altered = client.get(url[:-4] + "aaaa")

    assert answer.data == b"a,b\n1,2\n"
    assert "Bericht" in answer.headers["Content-Disposition"]
    assert altered.status_code == 403
    assert altered.json["code"] == "object.link_invalid"
    assert client.get(gone).json["code"] == "object.not_found"


def test_problem_documents_are_valid_json_whatever_is_in_them(client):
    answer = client.get("/nowhere/%F0%9F%94%A5")

    assert json.loads(answer.data)["status"] == 404

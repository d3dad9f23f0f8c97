"""Deny by default: every route says who may call it, and means it."""

import re

import pytest

from app.libs.scope import MEMBER_SCOPES, ROLE_SCOPES, Scope

# open on purpose; a new one must be added here, and be thought about
OPEN = {
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/<path:filename>",
    "/api/v1/version",
    "/api/v1/openapi.json",
    "/api/v1/docs",
    "/api/v1/auth/register",
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/api/v1/objects/<token>",
}


def calls(app):
    """Every route with each of its methods."""
    return [
        (rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


def rights_of(app, rule, method):
    """What the view says of itself. flask-smorest keeps one class for all methods of a URL."""
    view = app.view_functions[rule.endpoint]
    return getattr(getattr(getattr(view, "view_class", None), method.lower(), view), "rights", None)


def test_every_route_but_the_open_ones_needs_a_scope(app):
    unguarded = {rule.rule for rule, method in calls(app) if not isinstance(rights_of(app, rule, method), Scope)}

    assert unguarded == OPEN


def test_no_guarded_route_answers_somebody_unknown(app, client):
    for rule, method in calls(app):
        if rule.rule in OPEN:
            continue
        path = re.sub(r"<uuid:\w+>", "00000000-0000-0000-0000-000000000000", rule.rule)
        path = re.sub(r"<int:\w+>", "1", path)

        answer = client.open(path, method=method)

        assert answer.status_code == 401, f"{method} {rule.rule} answered {answer.status_code}"


def test_no_route_that_changes_anything_is_open_to_a_role_that_only_reads(app):
    for rule, method in calls(app):
        scope = rights_of(app, rule, method)
        if method != "GET" and isinstance(scope, Scope) and scope is not Scope.ACCOUNT_SELF:
            assert not scope.is_read or rule.rule.endswith("/predict"), f"{method} {rule.rule} needs only {scope}"


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_belongs_to_some_role(scope):
    assert any(scope in scopes for scopes in ROLE_SCOPES.values())


def test_a_role_that_only_reads_cannot_write():
    for scopes in (ROLE_SCOPES["viewer"], MEMBER_SCOPES["viewer"]):
        assert all(scope.is_read or scope is Scope.ACCOUNT_SELF for scope in scopes)

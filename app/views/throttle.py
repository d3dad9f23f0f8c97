"""How often somebody may try."""

from flask import current_app, request
from flask_login import current_user
from werkzeug.exceptions import BadRequest

from app.extensions import limiter
from app.views.bodies import read_json


def login_key() -> str:
    """Return by what attempts to sign in are counted: the address and the name together."""
    try:
        body = read_json(request)
    except BadRequest:  # the view will say so
        body = None
    name = body.get("username") if isinstance(body, dict) else ""
    return f"{request.remote_addr}:{str(name).strip().casefold()[:200]}"


def own_key() -> str:
    """Return by what attempts to name one's own password are counted: whoever holds a stolen token may guess it."""
    return f"{request.remote_addr}:{current_user.id}"


def rate() -> str:
    """Return how many attempts are allowed in which time."""
    return current_app.config["SETTINGS"].login_rate


# put on a view that takes a password: for somebody unknown, and below ``requires`` for somebody signed in
throttled = limiter.limit(rate, key_func=login_key)
throttled_for_user = limiter.limit(rate, key_func=own_key)


@limiter.request_filter
def takes_no_password() -> bool:
    """Spare every other request the look for limits, which costs a tenth of it."""
    return not request.path.startswith(("/api/v1/auth/", "/api/v1/me/password"))

"""How often somebody may try."""

from flask import current_app, request
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


# put on a view that takes a password
throttled = limiter.limit(lambda: current_app.config["SETTINGS"].login_rate, key_func=login_key)


@limiter.request_filter
def takes_no_password() -> bool:
    """Spare every other request the look for limits, which costs a tenth of it."""
    return not request.path.startswith("/api/v1/auth/")

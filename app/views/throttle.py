"""How often somebody may try."""

from flask import current_app, request

from app.extensions import limiter


def login_key() -> str:
    """Return by what attempts to sign in are counted: the address and the name together."""
    body = request.get_json(silent=True)
    name = body.get("username") if isinstance(body, dict) else ""
    return f"{request.remote_addr}:{str(name).strip().casefold()[:200]}"


# put on a view that takes a password
throttled = limiter.limit(lambda: current_app.config["SETTINGS"].login_rate, key_func=login_key)

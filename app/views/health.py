"""Whether the server lives, and whether it can do its work."""

import time
from collections.abc import Callable

import structlog
from flask import Blueprint, current_app, jsonify
from sqlalchemy import text

from app.extensions import db, object_store, redis_client
from app.views.auth import open_to_all

bp = Blueprint("health", __name__)
log = structlog.get_logger(__name__)


@bp.get("/healthz")
@open_to_all
def get_health():
    """Say that the process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
@open_to_all
def get_readiness():
    """Say of each part behind the server whether it answers, and in how many milliseconds. 503 when one does not."""
    parts = {name: _probe(name, ping) for name, ping in _pings().items()}
    is_ready = all(part["ok"] for part in parts.values())
    return jsonify(status="ready" if is_ready else "not ready", parts=parts), 200 if is_ready else 503


def _pings() -> dict[str, Callable[[], object]]:
    pings = {
        "database": lambda: db.session.execute(text("SELECT 1")),
        "object_store": object_store.ping,
    }
    if current_app.config["SETTINGS"].redis_url:
        pings["redis"] = redis_client.ping
    return pings


def _probe(name: str, ping: Callable[[], object]) -> dict:
    began = time.perf_counter()
    try:
        ping()
    except Exception:
        log.warning("not_ready", part=name, exc_info=True)
        return {"ok": False}
    return {"ok": True, "ms": round((time.perf_counter() - began) * 1000, 2)}

"""Each request has an id, in its answer and in every line logged for it, and one line of its own."""

import re
import time

import structlog
from flask import Flask, Response, g, request

from app.libs.ids import new_id

log = structlog.get_logger(__name__)
MAX_BODY_BYTES = 16 * 1024**2
_FIT = re.compile(r"[\w.-]{8,64}")


def init_app(app: Flask) -> None:
    """Give every request its id and its line in the log."""
    app.before_request(begin)
    app.after_request(end)


def begin() -> None:
    """Take the id that a proxy gave, if it is harmless, or make one; bound what is read into memory."""
    if request.mimetype != "multipart/form-data":  # uploads go to disk; everything else is read whole
        request.max_content_length = MAX_BODY_BYTES
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _FIT.fullmatch(given) else str(new_id())
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def end(answer: Response) -> Response:
    """Send the id back and log the request. Probes are logged only when they fail."""
    answer.headers["X-Request-ID"] = g.request_id
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    if answer.status_code >= 400 or request.path not in {"/healthz", "/readyz", "/metrics"}:
        milliseconds = round((time.perf_counter() - g.began) * 1000, 1)
        log.info("request", method=request.method, path=request.path, status=answer.status_code, ms=milliseconds)
    return answer

"""Every refusal and every fault leaves as one kind of document: RFC 9457 ``application/problem+json``."""

import json

import structlog
from flask import Flask, Response, g
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, UnprocessableEntity

from app.extensions import api, db
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.utils.object_store import ObjectStoreUnavailable
from engine.errors import EngineError

log = structlog.get_logger(__name__)

_BY_STATUS = {
    400: ErrorCode.BAD_REQUEST,
    401: ErrorCode.AUTH_REQUIRED,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    406: ErrorCode.NOT_ACCEPTABLE,
    413: ErrorCode.TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    422: ErrorCode.INVALID_INPUT,
    429: ErrorCode.TOO_MANY_REQUESTS,
    503: ErrorCode.UNAVAILABLE,
}


def init_app(app: Flask) -> None:
    """Register a handler for each family of errors."""
    app.register_error_handler(AppError, on_app_error)
    app.register_error_handler(EngineError, on_engine_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(IntegrityError, on_conflict)
    app.register_error_handler(StaleDataError, on_conflict)
    app.register_error_handler(OperationalError, on_unavailable)
    app.register_error_handler(PoolTimeout, on_unavailable)
    app.register_error_handler(InterfaceError, on_unavailable)
    app.register_error_handler(ObjectStoreUnavailable, on_unavailable)
    app.register_error_handler(Exception, on_surprise)
    api.handle_http_exception = on_http_error  # flask-smorest would give its own shape


def on_app_error(error: AppError) -> Response:
    """Our own refusal."""
    code = error.error
    answer = render(code.code, code.status, code.title, error.detail, error.details)
    if "retry_after_seconds" in error.details:
        answer.headers["Retry-After"] = str(error.details["retry_after_seconds"])
    if code.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="setpoint"'
    if "retry_after_s" in error.details:
        answer.headers["Retry-After"] = str(error.details["retry_after_s"])
    return answer


def on_engine_error(error: EngineError) -> Response:
    """What was asked for cannot be computed as given."""
    return render(error.code, 422, error.title, str(error), error.details)


def on_http_error(error: HTTPException) -> Response:
    """A refusal of Flask or of a library, told in our words."""
    if isinstance(error, UnprocessableEntity) and hasattr(error, "data"):
        fields = error.data.get("messages", {})
        code = ErrorCode.INVALID_INPUT
        answer = render(code.code, code.status, code.title, "See details for each field.", fields)
    else:
        code = _BY_STATUS.get(error.code, ErrorCode.INTERNAL if (error.code or 500) >= 500 else ErrorCode.BAD_REQUEST)
        answer = render(code.code, error.code or code.status, code.title, str(error.description or code.title), {})
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After", "WWW-Authenticate"}:
            answer.headers[name] = value
    return answer


def on_conflict(error: IntegrityError | StaleDataError) -> Response:
    """The database held what nobody had put into words: what this needed was changed or deleted meanwhile."""
    db.session.rollback()
    log.warning("conflict", exc_info=error)
    code = ErrorCode.CONFLICT
    return render(code.code, code.status, code.title, "Read it again, then try again.", {})


def on_unavailable(error: Exception) -> Response:
    """The database or the object store is away, or has more to do than it can."""
    if isinstance(error, DBAPIError) and not _is_outage(error):
        return on_surprise(error)
    db.session.rollback()
    log.error("unavailable", exc_info=error)
    code = ErrorCode.UNAVAILABLE
    answer = render(code.code, code.status, code.title, "Try again in a few seconds.", {})
    answer.headers["Retry-After"] = "5"
    return answer


def on_surprise(error: Exception) -> Response:
    """A fault of ours: logged in full, told without its inside."""
    db.session.rollback()
    log.error("unexpected", exc_info=error)
    code = ErrorCode.INTERNAL
    return render(code.code, code.status, code.title, "Tell an administrator the request id.", {})


def render(code: str, status: int, title: str, detail: str, details: dict) -> Response:
    """Return the problem document as an answer."""
    body = problem(
        code=code, title=title, status=status, detail=detail, details=details, request_id=g.get("request_id")
    )
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def _is_outage(error: DBAPIError) -> bool:
    """Whether trying again may help. Drivers raise the same class for some statements that are wrong."""
    said = str(error.orig).lower()  # "database is locked", "Deadlock found", "Lock wait timeout exceeded", ...
    return error.statement is None or error.connection_invalidated or "lock" in said

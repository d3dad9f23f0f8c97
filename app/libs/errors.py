"""The one exception that our own code raises at a user, and the one shape in which a fault is told."""

import math
from typing import Any

from app.libs.error_codes import ErrorCode


class AppError(Exception):
    """A refusal with a stable code. ``detail`` says what was given and what was wanted; ``details`` are its values."""

    def __init__(self, error: ErrorCode, detail: str | None = None, **details: Any) -> None:
        super().__init__(detail or error.title)
        self.error = error
        self.detail = detail or error.title
        self.details = details


def problem(
    *, code: str, title: str, status: int, detail: str, details: dict[str, Any], request_id: str | None = None
) -> dict[str, Any]:
    """Return the members of an RFC 9457 problem document. Answers and failed tasks carry the same kind."""
    return {
        "type": f"/errors#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "details": _plain(details),
        "request_id": request_id,
    }


def _plain(value: Any) -> Any:
    """Return what JSON can write for any value: a refusal must not fail because of what it tells."""
    if isinstance(value, dict):
        return {str(name): _plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(held) for held in value]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)

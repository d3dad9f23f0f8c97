"""Counts the connections of Socket.IO, since each holds a thread, and turns away those for which there is no place."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from app.libs.error_codes import ErrorCode
from app.libs.errors import problem
from app.utils.places import Places
from app.viewModels.task_stream import FULL_FOR_S

PATH = "/socket.io/"
Wsgi = Callable[[dict[str, Any], Callable], Iterable[bytes]]


class Doorkeeper:
    """A WSGI application around another. A WebSocket is served inside its call, for as long as it is open."""

    def __init__(self, app: Wsgi, places: Places) -> None:
        self._app = app
        self._places = places

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(PATH):
            return self._app(environ, start_response)
        if not self._places.take():
            return _turn_away(start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self._places.give_back()


def _turn_away(start_response: Callable) -> Iterable[bytes]:
    code = ErrorCode.STREAMS_FULL
    told = problem(code=code.code, title=code.title, status=code.status, detail=code.title, details={})
    body = json.dumps(told).encode()
    headers = {"Content-Type": "application/problem+json", "Content-Length": len(body), "Retry-After": FULL_FOR_S}
    start_response("503 Service Unavailable", [(name, str(value)) for name, value in headers.items()])
    return [body]

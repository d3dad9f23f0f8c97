"""A task's events as an answer that goes on: server-sent events for ``EventSource``, JSON lines for everything else."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from flask import Response, request

from app.viewModels.task_stream import End, Stream

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
STUCK_AFTER_S = 30  # a connection that takes nothing for so long is cut: it holds a thread

Told = dict[str, Any]


def wanted() -> str | None:
    """Return the form of stream that the client asks for; None: an ordinary answer. HEAD gets no stream."""
    found = request.accept_mimetypes.best_match(["application/json", SSE, NDJSON], default="application/json")
    return found if found in FORMS and request.method == "GET" else None


def send(stream: Stream, form: str) -> Response:
    """Return the stream as an answer. Nothing left of a task that has ended is 204, which ends an EventSource."""
    if form == SSE and "Last-Event-ID" in request.headers and stream.is_over:
        stream.close()
        return Response(status=204)
    _cut_when_stuck(request.environ.get("gunicorn.socket"))
    answer = Response(_Body(stream, FORMS[form]), content_type=f"{form}; charset=utf-8")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would keep events back
    return answer


class _Body:
    """An answer's body. Its ``close`` is called also when nothing of it was read, unlike a generator's ``finally``."""

    def __init__(self, stream: Stream, form: Callable[[list[Told] | End], str]) -> None:
        self._stream = stream
        self._form = form

    def __iter__(self) -> Iterator[bytes]:
        yield self._form([]).encode()  # the client learns at once that it is connected
        for told in self._stream:
            yield self._form(told).encode()

    def close(self) -> None:
        self._stream.close()


def _as_sse(told: list[Told] | End) -> str:
    if isinstance(told, End):
        return f"event: end\nid: {told.after}\ndata: {json.dumps(told._asdict())}\n\n"
    return "".join(f"id: {event['number']}\ndata: {json.dumps(event)}\n\n" for event in told) or ":\n\n"


def _as_ndjson(told: list[Told] | End) -> str:
    if isinstance(told, End):
        return json.dumps({"type": "end", "data": told._asdict()}) + "\n"
    return "".join(f"{json.dumps(event)}\n" for event in told) or "\n"


def _cut_when_stuck(connection: socket.socket | None) -> None:
    if connection is not None:
        connection.settimeout(STUCK_AFTER_S)
        with suppress(AttributeError, OSError):  # Linux: also when nobody answers at the other end
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_AFTER_S * 1000)


FORMS = {SSE: _as_sse, NDJSON: _as_ndjson}

"""What the work of a task logs, for the task's own log: lines of our code and of libraries, at the level they have."""

import logging
import threading
from collections import deque
from types import TracebackType
from typing import Any, Self

from celery.signals import worker_process_init

from app.libs.enums import EventType
from app.utils.redaction import without_secrets
from app.viewModels.task_log import Fact

MOST_LINES = 1000
"""Of one attempt. Who writes more is told where the rest is."""
LONGEST = 2000
_PLUMBING = {"celery", "kombu", "sqlalchemy", "socketio", "engineio", "redis", "urllib3"}  # not the task's own words
_KNOWN_ALREADY = {"event", "level", "logger", "timestamp", "task_id", "kind", "request_id", "exception", "stack"}


class LogLines(logging.Handler):
    """Collects what is logged in the thread that made it, as facts for the task's log. Secrets are hidden."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._facts: deque[Fact] = deque()
        self._n_left = MOST_LINES

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, if it is of this work."""
        if record.thread != self._thread or record.name.split(".")[0] in _PLUMBING or self._n_left < 0:
            return
        is_last, self._n_left = self._n_left == 0, self._n_left - 1
        text = "More was logged than is kept here; the server's log has it." if is_last else _text_of(record)
        line = {"level": record.levelname.lower(), "logger": record.name, "message": text}
        self._facts.append((EventType.LOG, line))

    def take(self) -> list[Fact]:
        """Hand over what has been collected since the last time."""
        return [self._facts.popleft() for _ in range(len(self._facts))]


def _text_of(record: logging.LogRecord) -> str:
    if not isinstance(record.msg, dict):
        return without_secrets(record.getMessage())[:LONGEST]
    said: dict[str, Any] = without_secrets(record.msg)  # of structlog: an event and its values
    values = " ".join(f"{name}={value}" for name, value in said.items() if name not in _KNOWN_ALREADY)
    return f"{said.get('event', '')} {values}".strip()[:LONGEST]


@worker_process_init.connect
def _log_warnings(**_: Any) -> None:
    """Let warnings of libraries be lines too."""
    logging.captureWarnings(True)

"""How gunicorn serves Setpoint: `gunicorn -c gunicorn.py wsgi:app`.

Every WebSocket and event stream holds a thread for as long as it is open, so the threads are what a worker can hold;
three quarters of them may be held like that. Several workers work because clients use the WebSocket transport alone
and the workers share Redis. Options are explained in docs/running.md.
"""

import json
import logging
import os
from datetime import UTC, datetime

bind = os.environ.get("SETPOINT_WEB_BIND") or "127.0.0.1:8000"
workers = int(os.environ.get("SETPOINT_WEB_WORKERS") or 1)
worker_class = "gthread"
threads = int(os.environ.get("SETPOINT_WEB_THREADS") or 64)  # well above the expected sockets and streams
worker_connections = threads + 1000  # the rest are kept alive or wait for a thread
timeout = 60
graceful_timeout = 5  # a socket never ends by itself: do not wait for it for long
control_socket_disable = True  # a Unix socket fails in a long path, and nobody uses it
accesslog = None  # the application logs requests, with their ids


class JsonLine(logging.Formatter):
    """The master's own few lines, in the form that the application gives to every other one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _logs_json() -> bool:
    log_format = os.environ.get("SETPOINT_LOG_FORMAT") or "auto"
    is_production = (os.environ.get("SETPOINT_ENV") or "production") == "production"
    return log_format == "json" or (log_format == "auto" and is_production)


def on_starting(server) -> None:
    """Give the master's lines their form, before there is an application."""
    if _logs_json():
        for handler in server.log.error_log.handlers:
            handler.setFormatter(JsonLine())


def post_worker_init(worker) -> None:
    """Hand a worker's lines to the application's logging, which is set up by now."""
    worker.log.error_log.handlers.clear()
    worker.log.error_log.propagate = True

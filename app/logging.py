"""Structured logs: JSON lines in production, readable text in development, never a secret.

Our own loggers and those of every library go through one chain, so that each line carries the request id or the task
id of the work it speaks of.
"""

import logging
import logging.config
from typing import Any

import structlog
from flask import Flask

from app.settings import Settings
from app.utils.redaction import without_secrets


def init_app(app: Flask) -> None:
    """Configure logging for this process from the application's settings."""
    settings: Settings = app.config["SETTINGS"]
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False) if settings.logs_json else _console()
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [structlog.stdlib.ExtraAdder(), *shared],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"structured": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": settings.log_level},
            "loggers": {"werkzeug": {"level": "WARNING"}, "engineio": {"level": "WARNING"}},
        }
    )


def hide_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Replace what must not be read in a log: values under telling names, and telling shapes inside texts."""
    return without_secrets(event)


def _console() -> Any:
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)

"""Setpoint's Celery application with work that does nothing but note when it began."""

import time

from app.libs.enums import TaskKind
from app.tasks import default
from wsgi import celery  # noqa: F401 (the worker's application)


def note_start(claim) -> None:
    began = time.time_ns()
    with claim.success() as result:
        result["began_ns"] = began


default.WORK[TaskKind.IMPORT] = note_start

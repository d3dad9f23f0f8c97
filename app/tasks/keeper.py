"""What keeps the promises when every worker is busy, hung or dead: threads of beat's process.

A message to a worker would wait behind the very work that must be stopped, so beat looks after the tasks itself. Two
beats at once do no harm: each row is changed by one conditional update. Schedules and callbacks have threads of their
own: what is submitted may have to be checked against a table, and whoever is called may be slow to answer.
"""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from celery.signals import beat_embedded_init, beat_init
from flask import Flask

from app.extensions import db
from app.tasks import maintenance
from app.viewModels import callback_delivery, schedule_runs

log = structlog.get_logger(__name__)
CALLBACK_PERIOD_S = 2


@beat_init.connect
@beat_embedded_init.connect
def start(sender: Any, **_: Any) -> None:
    """Begin to look after the tasks, for as long as this process lives."""
    app: Flask = sender.app.flask_app
    period_s = app.config["SETTINGS"].task_sweep_seconds
    for name, work, every_s in (
        ("keeper", maintenance.sweep, period_s),
        ("schedules", schedule_runs.run_due, period_s),
        ("callbacks", callback_delivery.deliver_due, min(period_s, CALLBACK_PERIOD_S)),
    ):
        threading.Thread(target=_keep, args=(app, work, every_s), name=name, daemon=True).start()


def _keep(app: Flask, work: Callable[[], Any], period_s: float) -> None:
    pause = threading.Event()
    while not pause.wait(period_s):
        try:
            with app.app_context():
                work()
        except Exception:
            log.warning("sweep_failed", work=work.__name__, exc_info=True)  # a part is away; the next may succeed
        finally:
            with app.app_context():
                db.session.remove()

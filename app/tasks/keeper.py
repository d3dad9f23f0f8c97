"""What keeps the promises when every worker is busy, hung or dead: a thread of beat's process.

A message to a worker would wait behind the very work that must be stopped, so beat looks after the tasks itself. Two
beats at once do no harm: each row is changed by one conditional update.
"""

import threading
from typing import Any

import structlog
from celery.signals import beat_embedded_init, beat_init
from flask import Flask

from app.extensions import db
from app.tasks import maintenance

log = structlog.get_logger(__name__)


@beat_init.connect
@beat_embedded_init.connect
def start(sender: Any, **_: Any) -> None:
    """Begin to look after the tasks, for as long as this process lives."""
    app: Flask = sender.app.flask_app
    threading.Thread(target=_keep, args=(app,), name="keeper", daemon=True).start()


def _keep(app: Flask) -> None:
    period_s = app.config["SETTINGS"].task_sweep_seconds
    pause = threading.Event()
    while not pause.wait(period_s):
        try:
            with app.app_context():
                maintenance.sweep()
        except Exception:
            log.warning("sweep_failed", exc_info=True)  # a part of the server is away; the next one may succeed
        finally:
            with app.app_context():
                db.session.remove()

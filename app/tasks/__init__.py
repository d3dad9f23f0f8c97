"""Celery: the transport that wakes workers. What is to be done stands in the ``tasks`` table."""

import ssl
from pathlib import Path

from flask import Flask
from kombu import Exchange
from kombu import Queue as KombuQueue

from app.extensions import celery_ext
from app.libs.enums import Queue
from app.settings import Settings
from app.tasks import keeper, maintenance, queues  # noqa: F401 (their tasks and signals register themselves)
from app.tasks.context import ContextTask


def init_app(app: Flask) -> None:
    """Make this application's Celery, whose tasks all run in the application's context."""
    settings: Settings = app.config["SETTINGS"]
    app.config["CELERY"] = celery_config(settings)
    celery_ext.init_app(app)
    celery_ext.celery.Task = ContextTask


def celery_config(settings: Settings) -> dict:
    """Return Celery's configuration.

    No result backend: results stand in our tables. Messages are acknowledged late and one at a time is taken, so that
    a worker that dies gives its wake-up back; a doubled wake-up does no harm.
    """
    is_tls = bool(settings.redis_url) and settings.redis_url.startswith("rediss://")
    return {
        "broker_url": settings.redis_url or "memory://",
        "broker_connection_retry_on_startup": True,
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if is_tls else None,
        "broker_transport_options": {
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "global_keyprefix": "setpoint:",
        },
        # an exchange each: left out, all queues share the default one, and every message reaches them all
        "task_queues": [KombuQueue(queue, Exchange(queue), routing_key=queue) for queue in map(str, Queue)],
        "task_default_queue": Queue.DEFAULT.value,
        "task_create_missing_queues": False,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "beat_schedule": {
            "sweep-objects": {"task": "maintenance.sweep_objects", "schedule": 3600.0},
            "remove-old-tasks": {"task": "maintenance.remove_old_tasks", "schedule": 3600.0},
        },
        "beat_schedule_filename": str(Path(settings.instance_dir).resolve() / "beat-schedule"),
        "enable_utc": True,
    }

"""Live events over Socket.IO."""

from functools import partial

from flask import Flask

from app.extensions import socketio
from app.settings import Settings
from app.sockets import handlers  # noqa: F401 (registers itself)
from app.sockets.delivery import LocalManager, QueueManager
from app.utils.places import Places
from app.viewModels import task_log, task_stream, tasks
from app.viewModels.task_feed import Feeds


def init_app(app: Flask) -> None:
    """Bind Socket.IO. With Redis, an emit of any process reaches the clients of every process."""
    settings: Settings = app.config["SETTINGS"]
    manager = QueueManager(settings.redis_url, channel="setpoint") if settings.redis_url else LocalManager()
    app.extensions["places"] = Places(max(settings.web_threads * 3 // 4, 1))
    app.extensions["task_feeds"] = manager.feeds = Feeds(
        read=partial(task_stream.in_context, app, task_log.after, limit=tasks.EVENTS_A_PAGE),
        heads=partial(task_stream.in_context, app, task_log.heads),
        listen=manager.initialize,
    )
    socketio.init_app(
        app,
        async_mode="threading",  # chosen, not detected: an installed gevent would be picked up
        client_manager=manager,
        cors_allowed_origins=_origins(settings),
        manage_session=False,
    )


def _origins(settings: Settings) -> list[str] | None:
    return [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()] or None

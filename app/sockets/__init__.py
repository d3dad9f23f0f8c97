"""Live events over Socket.IO."""

from flask import Flask

from app.extensions import socketio
from app.settings import Settings
from app.sockets import handlers  # noqa: F401 (registers itself)
from app.sockets.delivery import LocalManager, QueueManager


def init_app(app: Flask) -> None:
    """Bind Socket.IO. With Redis, an emit of any process reaches the clients of every process."""
    settings: Settings = app.config["SETTINGS"]
    manager = QueueManager(settings.redis_url, channel="setpoint") if settings.redis_url else LocalManager()
    socketio.init_app(
        app,
        async_mode="threading",  # chosen, not detected: an installed gevent would be picked up
        client_manager=manager,
        cors_allowed_origins=_origins(settings),
        manage_session=False,
    )


def _origins(settings: Settings) -> list[str] | None:
    return [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()] or None

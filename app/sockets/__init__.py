"""Live events over Socket.IO."""

from functools import partial

from flask import Flask

from app.extensions import socketio
from app.settings import Settings
from app.sockets import handlers  # noqa: F401 (registers itself)
from app.sockets.clients import Clients
from app.sockets.courier import Courier
from app.sockets.delivery import FeedingManager, LocalManager, QueueManager
from app.sockets.doorkeeper import Doorkeeper
from app.utils.places import Places
from app.viewModels import task_log, task_stream, tasks
from app.viewModels.task_feed import Feeds


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
    _bind(app, manager, Places(max(settings.web_threads * 3 // 4, 1)))  # the others answer requests


def _bind(app: Flask, manager: FeedingManager, places: Places) -> None:
    """Join what hears of events with those who bring them to clients."""
    read = partial(task_stream.in_context, app, task_log.after, limit=tasks.EVENTS_A_PAGE)
    heads = partial(task_stream.in_context, app, task_log.heads)
    manager.feeds = Feeds(read=read, heads=heads, listen=manager.initialize)
    courier = Courier(manager.feeds, manager, read)
    clients = Clients(app, manager, courier)
    manager.on_first_client = clients.start
    app.wsgi_app = Doorkeeper(app.wsgi_app, places)  # type: ignore[method-assign]
    app.extensions |= {
        "places": places,
        "task_feeds": manager.feeds,
        "task_courier": courier,
        "socket_clients": clients,
    }


def _origins(settings: Settings) -> list[str] | None:
    return [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()] or None

"""The Flask service."""

from flask import Flask

from app import commands, logging, models, sockets, tasks, views
from app.settings import Settings
from app.utils import object_store


def create_app(settings: Settings | None = None) -> Flask:
    """Return a new application. Tests pass their own settings; production reads the environment."""
    app = Flask(__name__)
    app.config["SETTINGS"] = settings or Settings.from_env()

    logging.init_app(app)  # first, so that a failure below is logged
    models.init_app(app)
    object_store.init_app(app)
    tasks.init_app(app)
    sockets.init_app(app)
    views.init_app(app)
    commands.init_app(app)
    return app

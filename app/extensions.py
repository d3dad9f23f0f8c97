"""Every extension object, unbound. ``create_app()`` binds them; nobody imports the application to reach one."""

import json
from functools import partial

from celery import Celery
from flask import Flask, current_app
from flask_celeryext import FlaskCeleryExt
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_redis import FlaskRedis
from flask_smorest import Api
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase
from werkzeug.local import LocalProxy

from app.utils.object_store import ObjectStore


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can drop it on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def create_celery_app(flask_app: Flask) -> Celery:
    """Return a Celery application of its own for this Flask application (flask-celeryext's default shares one)."""
    celery = Celery("setpoint", set_as_current=True)
    celery.config_from_object(flask_app.config["CELERY"])
    celery.flask_app = flask_app
    return celery


db = SQLAlchemy(
    model_class=Base,
    session_options={"expire_on_commit": False},
    engine_options={"json_serializer": partial(json.dumps, allow_nan=False)},
)
migrate = Migrate(compare_type=True, render_as_batch=True)
login_manager = LoginManager()
jwt = JWTManager()
api = Api()
limiter = Limiter(key_func=get_remote_address, headers_enabled=True)
redis_client = FlaskRedis(decode_responses=True, socket_timeout=5, socket_connect_timeout=2)
socketio = SocketIO()
celery_ext = FlaskCeleryExt(create_celery_app=create_celery_app)
object_store: ObjectStore = LocalProxy(lambda: current_app.extensions["object_store"])  # type: ignore[assignment]

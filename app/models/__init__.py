"""The tables: SQLAlchemy classes, one file a table family."""

from pathlib import Path

from flask import Flask

from app.extensions import db, migrate
from app.models.analysis import Analysis
from app.models.callback import Callback
from app.models.dataset import Dataset, DatasetVersion
from app.models.model import Model
from app.models.optimization import Optimization, OptimizationModel
from app.models.process import Module, Process
from app.models.project import Membership, Project
from app.models.schedule import Schedule, ScheduleRun
from app.models.task import OutboxMessage, Task, TaskEvent, TaskNeed
from app.models.user import LoginSession, User
from app.settings import Settings
from app.utils import sqlite

__all__ = [
    "Analysis",
    "Callback",
    "Dataset",
    "DatasetVersion",
    "LoginSession",
    "Membership",
    "Model",
    "Module",
    "Optimization",
    "OptimizationModel",
    "OutboxMessage",
    "Process",
    "Project",
    "Schedule",
    "ScheduleRun",
    "Task",
    "TaskEvent",
    "TaskNeed",
    "User",
]


def init_app(app: Flask) -> None:
    """Bind the database. No connection is opened here."""
    settings: Settings = app.config["SETTINGS"]
    settings.instance_dir.mkdir(parents=True, exist_ok=True)
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(Path(app.root_path).parent / "migrations"))
    with app.app_context():
        sqlite.prepare(db.engine)


def engine_options(settings: Settings) -> dict:
    """Return what SQLAlchemy's engine needs beside its URL, for this kind of database."""
    options: dict = {"pool_size": 5, "max_overflow": settings.web_threads}  # every thread may ask at once
    if not settings.database.startswith("sqlite"):
        options["pool_pre_ping"] = True  # the server may have been restarted since a connection was made
    if settings.database.startswith("mysql"):
        options["isolation_level"] = "READ COMMITTED"  # its default locks gaps, so that two inserts can deadlock
    return options

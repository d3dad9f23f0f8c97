"""Commands of the ``flask`` program, for the people who run the server."""

from flask import Flask

from app.commands.prepare import prepare
from app.commands.tasks import tasks
from app.commands.users import users


def init_app(app: Flask) -> None:
    """Register the command groups."""
    app.cli.add_command(prepare)
    app.cli.add_command(tasks)
    app.cli.add_command(users)

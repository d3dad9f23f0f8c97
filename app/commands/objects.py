"""``flask objects``: the object store, from the server's own shell."""

import click
from flask.cli import AppGroup

from app.extensions import object_store

objects = AppGroup("objects", help="Look after the object store.")


@objects.command("prepare")
def prepare() -> None:
    """Make the folder or bucket, if it is not there yet."""
    object_store.prepare()
    click.echo("The object store is ready.")

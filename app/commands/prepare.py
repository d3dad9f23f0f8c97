"""``flask prepare``: everything that must be there before the first request, in one process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import with_appcontext
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

from app.extensions import object_store
from app.libs.enums import Role
from app.libs.errors import AppError
from app.utils.object_store import ObjectStoreUnavailable
from app.viewModels import users


@click.command("prepare")
@click.option(
    "--first-admin",
    metavar="NAME",
    help="Make this administrator if there is no account at all; the password is read from standard input.",
)
@with_appcontext
def prepare(first_admin: str | None) -> None:
    """Bring the database up to date, and make the folder or bucket for objects. May be repeated at every start."""
    with _in_one_sentence():
        upgrade()
        object_store.prepare()
        if first_admin and users.page(page=1, per_page=1).total == 0:
            password = sys.stdin.readline().rstrip("\r\n")
            users.create(username=first_admin, password=password, role=Role.ADMIN)
            click.echo(f"Made {first_admin}.")


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Say what refused in words: this runs at every start, and the log's last line is what a person reads."""
    try:
        yield
    except OperationalError as error:
        raise click.ClickException(f"The database does not answer: {error.orig}") from error
    except ObjectStoreUnavailable as error:
        raise click.ClickException(f"The object store does not answer: {error}") from error
    except AppError as error:
        raise click.ClickException(error.detail) from error

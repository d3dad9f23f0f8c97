"""``flask user``: accounts, from the server's own shell."""

import sys

import click
from flask.cli import AppGroup

from app.libs.enums import Role
from app.libs.errors import AppError
from app.viewModels import users as accounts

users = AppGroup("user", help="Make, list and deactivate accounts.")
password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@users.command("create")
@click.argument("username")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value, show_default=True)
@password_option
def create_user(username: str, role: str, password_stdin: bool) -> None:
    """Make an account. Without --password-stdin a one-time password is made and printed."""
    password = _password(password_stdin)
    with _refusals():
        user = accounts.create(username=username, password=password, role=Role(role))
    click.echo(f"Made {user.username} ({user.role})." + ("" if password_stdin else f" Password: {password}"))


@users.command("set-password")
@click.argument("username")
@password_option
def set_password(username: str, password_stdin: bool) -> None:
    """Set a forgotten password. All the user's sessions end."""
    password = _password(password_stdin)
    with _refusals():
        accounts.set_password(accounts.find(username).id, password)
    click.echo(f"Set the password of {username}." + ("" if password_stdin else f" Password: {password}"))


@users.command("deactivate")
@click.argument("username")
def deactivate(username: str) -> None:
    """Take away all access at once. What the user did stays."""
    with _refusals():
        accounts.change(accounts.find(username).id, is_active=False)
    click.echo(f"Deactivated {username}.")


@users.command("list")
def list_users() -> None:
    """List all accounts: name, role, whether active."""
    page = accounts.page(page=1, per_page=1_000_000)
    for user in page.items:
        click.echo(f"{user.username}\t{user.role}\t{'active' if user.is_active else 'deactivated'}")


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else accounts.one_time_password()


class _refusals:  # noqa: N801 (reads as a statement)
    """Turn a refusal into one line and a non-zero exit."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind, error, _trace) -> None:
        if isinstance(error, AppError):
            raise click.ClickException(error.detail) from error

"""``flask task``: long work, watched from the server's own shell."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from app.libs.enums import EventType, TaskState
from app.libs.errors import AppError
from app.viewModels import task_stream
from app.viewModels.task_feed import Told
from app.viewModels.task_stream import End

BAR_WIDTH = 30
LONGEST_VALUE = 60

tasks = AppGroup("task", help="Watch long work.")


@tasks.command("follow")
@click.argument("task_id", type=click.UUID)
@click.option("--after", default=0, show_default=True, help="Number of the last event that you have seen.")
def follow_task(task_id: UUID, after: int) -> None:
    """Show a task's events until it has ended. In a terminal, progress is one line that moves.

    The exit status is 0 if the task succeeded. Ctrl-C stops the watching, not the task.
    """
    try:
        stream = task_stream.follow_as_owner_of_the_server(task_id, after=after)
    except AppError as error:
        raise click.ClickException(error.detail) from error
    with closing(stream):
        state = _show(stream, moves=sys.stdout.isatty())
    if state not in {None, TaskState.SUCCEEDED}:
        raise click.exceptions.Exit(1)


def _show(stream: Iterator[list[Told] | End], *, moves: bool) -> str | None:
    """Print what comes. Returns the state in which the task was seen last."""
    state, is_on_bar = None, False
    for told in stream:
        if isinstance(told, End):
            break
        for event in told:
            state = event["data"]["state"] if event["type"] == EventType.STATE else state
            was_on_bar, is_on_bar = is_on_bar, moves and event["type"] == EventType.PROGRESS
            click.echo(("\r\x1b[K" if is_on_bar else "\n" if was_on_bar else "") + line_of(event), nl=not is_on_bar)
    return state


def line_of(event: Told) -> str:
    """Return an event in one line: its number, its type, and what it tells."""
    data = dict(event["data"])
    if event["type"] == EventType.PROGRESS:
        done = min(max(float(data.pop("done", 0)), 0), 1)
        bar = "#" * round(done * BAR_WIDTH)
        return f"{event['number']:>6}  [{bar:<{BAR_WIDTH}}] {done:>4.0%}  {_values(data)}".rstrip()
    return f"{event['number']:>6}  {event['type']:<8} {_values(data)}".rstrip()


def _values(data: dict[str, Any]) -> str:
    shown = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in data.items()}
    return "  ".join(f"{name}={value[:LONGEST_VALUE]}" for name, value in shown.items())

"""Tasks watched live: a bar each on a terminal, a line each where the output is read later."""

from collections.abc import Mapping
from typing import Any

from client import ENDED, Refused, Setpoint
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

Event = dict[str, Any]


def watch(server: Setpoint, console: Console, tasks: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Follow tasks until all have ended well, and return the result of each.

    Args:
        tasks: task id -> what it does, in words.

    Raises:
        Refused: a task failed or was cancelled; the message is the reason that it gave.
    """
    results: dict[str, dict[str, Any]] = {}
    started: dict[str, int] = {}
    with _bars(console) as bars:
        rows = {task_id: bars.add_task(words, total=1.0, note="waiting") for task_id, words in tasks.items()}
        for event in server.follow(list(tasks)):
            task_id, data = event["task_id"], event["data"]
            if event["type"] == "progress":
                bars.update(rows[task_id], completed=data["done"], note=_note(data))
            elif event["type"] == "result":
                results[task_id] = data
            elif event["type"] == "state" and data["state"] == "running":
                started[task_id] = event["at"]
                bars.update(rows[task_id], note="at work")
            elif event["type"] == "state" and data["state"] in ENDED:
                _check(data, tasks[task_id])
                seconds = (event["at"] - started[task_id]) / 1000
                bars.update(rows[task_id], completed=1.0, note=f"done in {seconds:.1f} s")
                if not console.is_terminal:
                    console.print(f"{tasks[task_id]}: done in {seconds:.1f} s")
    return results


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        disable=not console.is_terminal,
    )


def _note(data: Event) -> str:
    """Return what a progress event tells beside how far the work is."""
    if "evaluations" in data:
        best = data["best_objective"]
        return f"{data['evaluations']} evaluations" + (f", best {best:.3f}" if best is not None else "")
    if "fold" in data:
        return f"fold {data['fold']} of {data['n_folds']}"
    return str(data.get("stage", ""))


def _check(data: Event, words: str) -> None:
    if data["state"] == "failed":
        raise Refused(f"{words} failed", data["error"])
    if data["state"] == "cancelled":
        raise Refused(f"{words} was cancelled", {"code": "task.cancelled", "detail": "somebody stopped it"})

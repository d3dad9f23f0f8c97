"""The service: speed of reading tasks, of submitting and of following them, each against a hand-written way."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import live_clients, read_task, task_speed
from benchmarks.cells import Parameters, Result, table
from benchmarks.report import Row

TITLE = "The service"

_PARTS = {"read a task": read_task, "submit a task": task_speed, "follow a task": live_clients}


def cells(is_full: bool) -> list[Parameters]:
    """Return one cell for each part; both forms are the same."""
    return [{"part": part} for part in _PARTS]


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the comparisons of one part."""
    return {"rows": [asdict(row) for row in _PARTS[parameters["part"]].measure()]}


def report(results: Sequence[Result]) -> str:
    """Return the table of all comparisons: the median of the rounds, and their range."""
    rows = [Row(**row) for result in results for row in result.figures["rows"]]
    return table(
        ["what", "ratio", "wanted", "behind the median"],
        [(row.what, _ratio(row.ratios), row.wanted or "-", row.figures) for row in rows],
    )


def _ratio(ratios: Sequence[float]) -> str:
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"

"""Long measurements, cell by cell: each figure is kept when it is made, so that a stopped run goes on where it was.

A benchmark that runs in cells is a module with

    TITLE                     the heading of its section in docs/benchmarks.md
    cells(is_full)            the parameters of each cell, as JSON values; the short form is part of the full one
    measure(parameters)       the figures of one cell, as JSON values; ratios compare within the cell
    report(results)           its section: what was wanted, tables, and where it falls short

Results lie in benchmarks/results/<module>.jsonl, a line a cell; the last line of a cell counts. They are kept with the
code: they are what the page says, and a run of hours goes on from them on another machine.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parent / "results"

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What one cell came to: its parameters, its figures, the day, and the seconds that it took."""

    parameters: dict[str, Any]
    figures: dict[str, Any]
    measured_on: str
    seconds: float


class MissingDataError(Exception):
    """The tables that a benchmark needs are not there."""


def data_folder() -> Path:
    """Return the folder of the plant tables and published numbers, which SETPOINT_DATA names.

    Raises:
        MissingDataError: it is not set, or no folder.
    """
    folder = Path(os.environ.get("SETPOINT_DATA", ""))
    if not os.environ.get("SETPOINT_DATA") or not folder.is_dir():
        raise MissingDataError("SETPOINT_DATA must name the folder with the plant tables and published numbers")
    return folder


def name_of(benchmark: ModuleType) -> str:
    """Return the name of a benchmark: that of its module, without the package."""
    return benchmark.__name__.rpartition(".")[2]


def results_of(benchmark: ModuleType) -> list[Result]:
    """Return what has been measured, in the order of the full form's cells; cells that no longer exist are left out."""
    kept = _kept(benchmark)
    return [kept[key] for key in map(_key, benchmark.cells(True)) if key in kept]


def run(benchmark: ModuleType, *, is_full: bool) -> None:
    """Measure the cells of one form: all of the short form anew, of the full form those without figures."""
    kept = _kept(benchmark) if is_full else {}
    todo = [parameters for parameters in benchmark.cells(is_full) if _key(parameters) not in kept]
    for done, parameters in enumerate(todo):
        print(f"\r{name_of(benchmark)}: {done} of {len(todo)} ", end="", flush=True)
        began = time.perf_counter()
        figures = benchmark.measure(parameters)
        _keep(
            benchmark, Result(dict(parameters), figures, f"{datetime.now(UTC):%Y-%m-%d}", time.perf_counter() - began)
        )
    print(f"\r{name_of(benchmark)}: {len(todo)} of {len(todo)} ")


def section(benchmark: ModuleType) -> str:
    """Return the benchmark's part of docs/benchmarks.md, with the cells that were run and when."""
    results = results_of(benchmark)
    head = f"## {benchmark.TITLE}\n\n"
    if not results:
        return head + "Not measured on this machine.\n"
    days = sorted({result.measured_on for result in results})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    minutes = max(1, round(sum(result.seconds for result in results) / 60))
    n_all = sum(1 for _ in benchmark.cells(True))
    ran = f"{len(results)} of {n_all} cells of the full form, measured on {when} in {minutes} min."
    return f"{head}{benchmark.report(results).strip()}\n\n{ran}\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _kept(benchmark: ModuleType) -> dict[str, Result]:
    path = _path(benchmark)
    if not path.exists():
        return {}
    kept = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):  # a line that was cut while it was written
            result = Result(**json.loads(line))
            kept[_key(result.parameters)] = result
    return kept


def _keep(benchmark: ModuleType, result: Result) -> None:
    path = _path(benchmark)
    path.parent.mkdir(parents=True, exist_ok=True)
    is_cut = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * is_cut + json.dumps(vars(result)) + "\n")


def _path(benchmark: ModuleType) -> Path:
    return FOLDER / f"{name_of(benchmark)}.jsonl"


def _key(parameters: Parameters) -> str:
    return json.dumps(parameters, sort_keys=True)

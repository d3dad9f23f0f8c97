"""The page docs/benchmarks.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """One comparison: the ratio of each round, what we want of it, and the figures behind its median."""

    what: str
    ratios: list[float]
    wanted: str
    figures: str


def write(sections: Sequence[str]) -> None:
    """Write the page."""
    page = f"""# Benchmarks

`make bench` measures the short form in under 20 minutes, `make bench-full` every cell: it may take hours, and goes on
where it was stopped. Both write this page. Every ratio compares two things in one run on one machine, in turns.
Absolute figures depend on the machine and its other work. `SETPOINT_DATA` names the folder with the plant tables.

Python {platform.python_version()} on {os.cpu_count()} cores ({platform.machine()}).

{chr(10).join(sections)}"""
    PAGE.write_text(page.rstrip() + "\n", encoding="utf-8")

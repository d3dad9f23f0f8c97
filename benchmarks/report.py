"""The table in docs/benchmarks.md."""

import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """One comparison: the ratio of each round, what we want of it, and the figures behind its median."""

    what: str
    ratios: list[float]
    wanted: str
    figures: str

    def line(self) -> str:
        low, middle, high = min(self.ratios), statistics.median(self.ratios), max(self.ratios)
        return f"| {self.what} | **{middle:.2f}** ({low:.2f} to {high:.2f}) | {self.wanted or '-'} | {self.figures} |"


def write(rows: list[Row]) -> str:
    """Write the page and return it."""
    machine = platform.machine()
    page = f"""# Benchmarks

`make bench` measures this and writes this page. Every ratio compares two things in one run on one machine, in turns;
the table gives the median of the rounds and their range. Absolute figures depend on the machine and its other work.

Measured on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()} on {os.cpu_count()} cores ({machine}).

| what | ratio | wanted | behind the median |
| --- | --- | --- | --- |
{chr(10).join(row.line() for row in rows)}
"""
    PAGE.write_text(page, encoding="utf-8")
    return page

"""Where the unit runs now: the measured row that is most usual at a load. Plain Python, for clients and notebooks."""

import csv
import json
from pathlib import Path
from statistics import median, pstdev
from typing import Any

HERE = Path(__file__).parent
LOAD, STEAM = "1JT66801S", "1FWS-STMFLW-A"  # MW, klb/h
N_NEARBY = 50


def usual_row(load: float) -> dict[str, Any]:
    """Return the row that lies nearest to the medians of the rows measured nearest to a load.

    Medians themselves would be a point at which the unit never was: each tag's may come from another row.

    Returns:
        ``row``: its place in the table, from 0; ``time``; ``load``: as measured; ``ssc``: klb/MWh, as measured; and
        ``inputs``: tag -> value, of every input of a module. Distances are counted in standard deviations.
    """
    rows, tags = _table(), _inputs()
    nearby = sorted(rows, key=lambda row: abs(row[LOAD] - load))[:N_NEARBY]
    usual = {tag: median(row[tag] for row in nearby) for tag in tags}
    sd = {tag: pstdev(row[tag] for row in rows) or 1.0 for tag in tags}
    chosen = min(nearby, key=lambda row: sum(((row[tag] - usual[tag]) / sd[tag]) ** 2 for tag in tags))
    return {
        "row": chosen["row"],
        "time": chosen["time"],
        "load": chosen[LOAD],
        "ssc": chosen[STEAM] / chosen[LOAD],
        "inputs": {tag: chosen[tag] for tag in tags},
    }


def _table() -> list[dict[str, Any]]:
    """Return the rows of data.csv; the heading of its time is blank."""
    with (HERE / "data.csv").open(encoding="utf-8", newline="") as file:
        return [
            {"row": i, "time": row.pop(""), **{tag: float(value) for tag, value in row.items()}}
            for i, row in enumerate(csv.DictReader(file))
        ]


def _inputs() -> list[str]:
    """Return the tags of all inputs of all modules, once each."""
    process = json.loads((HERE / "process.json").read_text(encoding="utf-8"))
    return list(dict.fromkeys(given["tag"] for module in process["modules"] for given in module["inputs"]))

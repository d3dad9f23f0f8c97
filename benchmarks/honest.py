"""Honest scores on real plants: what rows held out at random promise, and what new hours keep."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from benchmarks.cells import Parameters, Result, data_folder, table
from engine.folds import Validation, folds
from engine.honest import Note, compare, score_after
from engine.validation import cross_validate

TITLE = "Honest scores"

FLOTATION_OUTPUTS = ["% Silica Concentrate"]
FLOTATION_LEFT_OUT = {"date", "% Iron Concentrate", *FLOTATION_OUTPUTS}  # iron and silica are measured together
TURBINE_INPUTS = ["AT", "AP", "AH", "AFDP", "GTEP", "TIT", "TAT", "TEY", "CDP"]
TURBINE_OUTPUTS = ["CO", "NOX"]
TREES = {"n_trees": 100, "min_rows_leaf": 2}


def cells(is_full: bool) -> Iterator[dict[str, Any]]:
    """One cell a table; both forms are the same."""
    yield {"table": "flotation"}
    yield {"table": "gas_turbine"}


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the notes of the engine on this table."""
    notes = flotation() if parameters["table"] == "flotation" else gas_turbine()
    return {"notes": [note.to_json() for note in notes]}


def flotation() -> list[Note]:
    """Compare rows held out at random with blocks of time: silica in the concentrate of an iron ore flotation."""
    frame = pl.read_csv(data_folder() / "flotation" / "hourly_means.csv")
    inputs = [tag for tag in frame.columns if tag not in FLOTATION_LEFT_OUT]
    X, Y = frame.select(inputs).to_numpy(), frame.select(FLOTATION_OUTPUTS).to_numpy()
    times, by_time = np.arange(len(X)), Validation("time")  # the rows are in the order of time
    at_random, honest = (
        cross_validate("extra_trees", X, Y, parts, inputs=inputs, outputs=FLOTATION_OUTPUTS, params=TREES)
        for parts in (folds(Validation("random"), len(X)), folds(by_time, len(X), times=times))
    )
    return compare(at_random, honest, by_time)


def gas_turbine() -> list[Note]:
    """Train on 2011 to 2013 and test on 2014 and 2015, as the authors of the table do: emissions of a gas turbine."""
    years = range(2011, 2016)
    frames = [pl.read_csv(data_folder() / "gas_turbine" / f"gt_{year}.csv") for year in years]
    year, frame = np.repeat(years, [len(frame) for frame in frames]), pl.concat(frames)
    X, Y = frame.select(TURBINE_INPUTS).to_numpy(), frame.select(TURBINE_OUTPUTS).to_numpy()
    return score_after(
        "extra_trees", X, Y, year, 2014, inputs=TURBINE_INPUTS, outputs=TURBINE_OUTPUTS, params=TREES
    ).notes


def report(results: Sequence[Result]) -> str:
    """Return the section: figures side by side, and the words of the engine."""
    notes = [(result.parameters["table"], note) for result in results for note in result.figures["notes"]]
    rows = [
        (
            name,
            note["details"]["output"],
            *(f"{note['details'][side]['r2']:.2f}" for side in _sides(note)),
            f"`{note['code']}`",
        )
        for name, note in notes
    ]
    words = "\n".join(f"* {note['message']}." for _, note in notes)
    return (
        "Extra trees of 100 trees. Flotation: blocks of time against rows at random. Gas turbine: 2014-2015 predicted"
        " from 2011-2013, against rows at random within 2011-2013. Wanted: that the engine says so by itself.\n\n"
        + table(["table", "output", "R2 at random", "R2 on new hours", "the engine's verdict"], rows)
        + f"\n\nIn the engine's words:\n\n{words}"
    )


def _sides(note: dict[str, Any]) -> tuple[str, str]:
    return ("before", "after") if "after" in note["details"] else ("random", "honest")

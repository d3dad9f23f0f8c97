"""The UCI regression sets with their standard splits, and what others reached on them."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.cells import data_folder

NAMES = {
    "yacht": "yacht",
    "energy": "energy",
    "concrete": "concrete",
    "wine_quality_red": "wine_red",
    "kin8nm": "kin8nm",
    "power_plant": "power_plant",
    "naval_propulsion_plant": "naval",
    "protein_tertiary_structure": "protein",
}
"""Each set with its name in the published tables, small sets first."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on and rows to test on: inputs (n, d), outputs (n, 1), and the tags of both."""

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    X_test: NDArray[np.float64]
    Y_test: NDArray[np.float64]
    inputs: list[str]
    outputs: list[str]


def n_splits(name: str) -> int:
    """Return the number of standard splits of a set."""
    return _meta()[name]["n_splits"]


def split(name: str, i: int) -> Split:
    """Return one standard split of a set."""
    about, folder = _meta()[name], data_folder() / "uci"
    frame = pl.read_csv(folder / f"{name}.csv", infer_schema_length=None).cast(pl.Float64)
    inputs, outputs = about["feature_columns"], [about["target"]]
    lines = (folder / "splits" / f"{name}_test_index.txt").read_text(encoding="utf-8").splitlines()
    test = np.zeros(len(frame), dtype=bool)
    test[[int(row) for row in lines[i].split()]] = True
    X, Y = frame.select(inputs).to_numpy(), frame.select(outputs).to_numpy()
    return Split(X[~test], Y[~test], X[test], Y[test], inputs, outputs)


def library_baselines(name: str) -> dict[str, list[float]]:
    """Return the RMSE that scikit-learn's kinds reach untuned, by kind and split."""
    return {kind: found["per_split"] for kind, found in _published()["recomputed_baselines"]["values"][name].items()}


def best_published(name: str) -> tuple[float, str]:
    """Return the lowest published RMSE of a set and the method's name.

    Figures that were printed as 0 are left out: they were rounded away. For the naval set, where most were, the
    figures of MC-dropout by split speak instead.
    """
    tables = _published()
    found = [
        (column["rmse"][NAMES[name]][0], column["method"])
        for column in tables["columns"]
        if column["rmse"].get(NAMES[name], [0])[0] > 0
    ]
    by_split = tables["mc_dropout_per_split"]["values"].get(name)
    if by_split:
        found.append((float(np.mean(by_split["mc_rmse"])), "MC-dropout, by split"))
    return min(found)


@cache
def _meta() -> dict[str, Any]:
    return json.loads((data_folder() / "uci" / "meta.json").read_text(encoding="utf-8"))


@cache
def _published() -> dict[str, Any]:
    return json.loads((data_folder() / "published" / "uci_rmse.json").read_text(encoding="utf-8"))

"""Accuracy of ``auto`` on the UCI regression sets, against untuned library models and published methods."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import uci
from benchmarks.cells import Parameters, Result, table
from engine.surrogates import fit

TITLE = "Accuracy on the UCI sets"


def cells(is_full: bool) -> Iterator[dict[str, Any]]:
    """Every standard split of every set; in the short form one split of each."""
    for name in uci.NAMES:
        for i in range(uci.n_splits(name) if is_full else 1):
            yield {"set": name, "split": i}


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return the RMSE of auto on the test rows of one split, and the seconds of the fit: on the clock, and at work."""
    split = uci.split(parameters["set"], parameters["split"])
    began, worked = time.perf_counter(), time.process_time()
    surrogate = fit("auto", split.X, split.Y, inputs=split.inputs, outputs=split.outputs, seed=parameters["split"])
    seconds, at_work = time.perf_counter() - began, time.process_time() - worked
    choice = surrogate.choice or {}
    return {
        "rmse": float(np.sqrt(((surrogate.predict(split.X_test) - split.Y_test) ** 2).mean())),
        "seconds": seconds,
        "cpu_seconds": at_work,
        "n_fits": choice["n_fits"],
        "members": [{"kind": member["kind"], "weight": member["weights"][0]} for member in choice["members"]],
    }


def report(results: Sequence[Result]) -> str:
    """Return the table: ours, the best library model on the same splits, and the best published method."""
    rows, n_better, n_held = [], 0, 0
    for name in uci.NAMES:
        mine = [result for result in results if result.parameters["set"] == name]
        if not mine:
            continue
        splits = [result.parameters["split"] for result in mine]
        ours = float(np.mean([result.figures["rmse"] for result in mine]))
        library, kind = min(
            (float(np.mean([by_split[i] for i in splits])), kind)
            for kind, by_split in uci.library_baselines(name).items()
        )
        published, method = uci.best_published(name)
        n_held += ours <= 1.01 * library
        n_better += ours < published
        rows.append(
            (
                name,
                len(mine),
                f"**{ours:.4g}**",
                f"{library:.4g} ({kind})",
                f"{ours / library:.3f}",
                f"{published:.4g} ({method})",
                f"{ours / published:.3f}",
                f"{_seconds(mine):.0f}",
                _members(mine),
            )
        )
    heads = [
        "set",
        "splits",
        "auto",
        "best library model",
        "ratio",
        "best published",
        "ratio",
        "CPU s a fit",
        "weight of kinds",
    ]
    return (
        "RMSE on the standard splits. Wanted: at most 1.01 of the best untuned library model on every set, and below"
        f" the best published method on at least 5 of 8. Here: {n_held} of {len(rows)}, and {n_better} of {len(rows)}."
        " Library models are compared on the splits that were measured; published figures are means over all, or"
        " over such splits, mostly rounded to two places: from a few splits their ratio is a hint.\n\n"
        + table(heads, rows)
    )


def _seconds(results: Sequence[Result]) -> float:
    """Return the mean seconds of a fit at work; of cells from before they were counted, the seconds on the clock."""
    at_work = [result.figures["cpu_seconds"] for result in results if "cpu_seconds" in result.figures]
    return float(np.mean(at_work or [result.figures["seconds"] for result in results]))


def _members(results: Sequence[Result]) -> str:
    """Return the mean weight of each kind, heaviest first."""
    weights: dict[str, float] = {}
    for result in results:
        for member in result.figures["members"]:
            weights[member["kind"]] = weights.get(member["kind"], 0.0) + member["weight"] / len(results)
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {weight:.2f}" for kind, weight in ranked if weight >= 0.005)

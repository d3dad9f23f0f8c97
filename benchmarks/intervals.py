"""Whether 90 % intervals hold 90 % of what is measured, and how wide they are beside those of a Gaussian process."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import uci
from benchmarks.cells import Parameters, Result, table
from engine.folds import Validation, folds
from engine.surrogates import Surrogate, calibrate, fit
from engine.validation import cross_validate, of_choice

TITLE = "Honest intervals"

LEVEL, NORMAL_QUANTILE = 0.9, 1.6449
N_FOLDS = 10
LARGE = ("naval_propulsion_plant", "protein_tertiary_structure")
MOST_GP_ROWS = 1000


def cells(is_full: bool) -> Iterator[dict[str, Any]]:
    """Extra trees on up to five splits of every set; the full form has all sets, and ``auto``, which takes long."""
    for name in uci.NAMES:
        n = min(uci.n_splits(name), 5)
        if is_full or name not in LARGE:
            yield from ({"set": name, "kind": "extra_trees", "split": i} for i in range(n))
        if is_full:
            yield from ({"set": name, "kind": "auto", "split": i} for i in range(min(n, 2)))


def measure(parameters: Parameters) -> dict[str, Any]:
    """Return coverage and mean width on the test rows of one split, and those of a Gaussian process on its first."""
    split = uci.split(parameters["set"], parameters["split"])
    lower, upper = _calibrated(parameters["kind"], split, seed=parameters["split"]).predict_interval(
        split.X_test, LEVEL
    )
    found: dict[str, Any] = {"n_test": len(split.Y_test)} | _figures(lower, upper, split)
    if parameters["split"] == 0 and parameters["kind"] != "auto":
        found["gaussian_process"] = _figures(*_of_gaussian_process(split), split)
    return found


def report(results: Sequence[Result]) -> str:
    """Return the table: a row for each set and kind, and the mean over all splits."""
    rows = []
    for name in uci.NAMES:
        for kind in ("extra_trees", "auto"):
            mine = [r.figures for r in results if (r.parameters["set"], r.parameters["kind"]) == (name, kind)]
            if mine:
                rows.append((name, kind, len(mine), *_row(mine)))
    by_set = [float(row[3].strip("* %")) for row in rows]
    mean = sum(by_set) / len(by_set)
    return (
        f"Wanted: intervals of 90 % hold 88 to 92 % of the test rows, in the mean of the lines. Here: **{mean:.1f} %**."
        f" The Gaussian process is scikit-learn's, with a scale for each input, on at most {MOST_GP_ROWS} rows"
        " of the first split; its intervals are from its own standard deviation. Widths are of all test rows.\n\n"
        + table(["set", "kind", "splits", "held", "of the GP", "mean width", "to the GP's"], rows)
    )


def _row(mine: list[dict[str, Any]]) -> tuple[str, str, str, str]:
    held = float(np.mean([figures["coverage"] for figures in mine]))
    width = float(np.mean([figures["width"] for figures in mine]))
    peers = [figures for figures in mine if "gaussian_process" in figures]
    if not peers:
        return f"**{held:.1%}**".replace("%", " %"), "", f"{width:.4g}", ""
    peer = peers[0]["gaussian_process"]
    ratio = peers[0]["width"] / peer["width"]
    shown = (f"**{held:.1%}**", f"{peer['coverage']:.1%}", f"{width:.4g}", f"{ratio:.2f}")
    return tuple(text.replace("%", " %") for text in shown)  # type: ignore[return-value]


def _calibrated(kind: str, split: uci.Split, *, seed: int) -> Surrogate:
    tags = {"inputs": split.inputs, "outputs": split.outputs}
    surrogate = fit(kind, split.X, split.Y, seed=seed, **tags)
    if kind == "auto":
        return calibrate(surrogate, of_choice(surrogate, split.X, split.Y), seed=seed)
    parts = folds(Validation("random", N_FOLDS), len(split.X), seed=seed)
    return calibrate(surrogate, cross_validate(kind, split.X, split.Y, parts, seed=seed, **tags), seed=seed)


def _of_gaussian_process(split: uci.Split) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    rows = np.random.default_rng(0).permutation(len(split.X))[:MOST_GP_ROWS]
    center, scale = split.X.mean(axis=0), np.where(split.X.std(axis=0) > 0, split.X.std(axis=0), 1.0)
    kernel = ConstantKernel() * RBF(np.ones(split.X.shape[1])) + WhiteKernel()
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    process.fit(((split.X - center) / scale)[rows], split.Y[rows, 0])
    mean, deviation = process.predict((split.X_test - center) / scale, return_std=True)
    half = NORMAL_QUANTILE * deviation
    return (mean - half)[:, None], (mean + half)[:, None]


def _figures(lower: NDArray[np.float64], upper: NDArray[np.float64], split: uci.Split) -> dict[str, float]:
    held = (lower <= split.Y_test) & (split.Y_test <= upper)
    return {"coverage": float(held.mean()), "width": float((upper - lower).mean())}

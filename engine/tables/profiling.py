"""What stands in a table, tag by tag, as values that go to JSON."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.tables.parquet_files import type_name

QUANTILES = ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99")
BINS = 20
"""Bars of a histogram."""


def profile(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Describe each tag of a table.

    Args:
        frame: as that of a ``Table``: missing values are null, and nothing is NaN or infinite.

    Returns:
        One entry a tag, in the order of the columns: ``name``; ``type`` (real, integer, text, time, boolean);
        ``count`` of values and how many are ``missing``; ``distinct`` values; and for numbers and times ``min``,
        ``max``, ``mean``, ``sd`` (of a sample: n - 1), ``quantiles`` by name (linear between neighbors), and
        ``histogram`` with BINS bars of equal width: ``edges`` (BINS + 1) and ``counts``. Times are Unix
        milliseconds in UTC, their sd and edges milliseconds. A boolean has a mean: the share of true. What
        does not apply or cannot be computed is None.

    Raises:
        WrongTagType: a column is of a type that no ``Table`` has, such as Int32 or Date.
    """
    return [_profile_tag(frame[tag]) for tag in frame.columns]


def _profile_tag(values: pl.Series) -> dict[str, Any]:
    present = values.drop_nulls()
    described: dict[str, Any] = {
        "name": values.name,
        "type": type_name(values.dtype),
        "count": len(present),
        "missing": len(values) - len(present),
        "distinct": present.n_unique(),
    }
    described |= dict.fromkeys(("min", "max", "mean", "sd", "quantiles", "histogram"))
    if present.is_empty() or described["type"] == "text":
        return described
    if described["type"] == "boolean":
        return described | {"mean": present.cast(pl.Float64).mean()}
    if described["type"] == "time":
        present = present.dt.epoch("ms")
    return described | _describe_numbers(present, is_time=described["type"] == "time")


def _describe_numbers(present: pl.Series, is_time: bool) -> dict[str, Any]:
    numbers = present.cast(pl.Float64).to_numpy()
    tidy = _as_milliseconds if is_time else _finite
    with np.errstate(over="ignore", invalid="ignore"):
        center = float(numbers[0] + np.mean(numbers - numbers[0]))  # times are large and close together
        sd = float(np.std(numbers - numbers[0], ddof=1)) if len(numbers) > 1 else None
        quantiles = np.quantile(numbers, [float(quantile) for quantile in QUANTILES])
    return {
        "min": present.min(),
        "max": present.max(),
        "mean": tidy(center),
        "sd": None if sd is None else _finite(sd),
        "quantiles": {name: tidy(float(value)) for name, value in zip(QUANTILES, quantiles, strict=True)},
        "histogram": _histogram(numbers),
    }


def _histogram(numbers: NDArray[np.float64]) -> dict[str, list[float]] | None:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            counts, edges = np.histogram(numbers, bins=BINS)
    except ValueError:  # the range overflows, or is too narrow for so many bars
        return None
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _as_milliseconds(value: float) -> int:
    return round(value)

"""Where an answer lies among the measured rows: which are nearest, and how many are near."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from app.viewModels.model_history import History
from engine import neighbors

N_NEAREST = 5
"""Measured rows that are shown beside an answer."""

FAR = 2.0
"""An answer this many times farther from the nearest measured row than neighbors are from each other extrapolates."""


def about(
    inputs: Mapping[str, float],
    history: History,
    terms: np.ndarray | None = None,
    *,
    categorical: Collection[str] = (),
) -> dict[str, Any]:
    """Return the measured rows nearest to an answer over all its inputs, and how far from each other rows usually are.

    What a row lacks is told as None: its distance is that of what the model takes for it.

    Args:
        inputs: of the answer, by tag.
        history: the measured rows.
        terms: value of every term in each of them, (n, number of terms), to be told too.
        categorical: inputs that hold places of categories.
    """
    tags, answer = list(inputs), list(inputs.values())
    known = neighbors.History(history.matrix(tags), tags, categories=categorical)
    rows, distances = known.nearest(answer, N_NEAREST)
    spacing = known.spacing()
    return {
        "distance": float(distances[0]),
        "typical_spacing": _finite(spacing),
        "n_near": known.n_within(answer, FAR * spacing),
        "unseen": list(known.unseen(answer)),
        "filled": [tag for tag in tags if tag in history.filled],
        "rows": [
            {
                "row": int(history.places[i]),
                "time": _finite(history.times[i], int) if history.times is not None else None,
                "distance": float(distance),
                "inputs": {tag: _measured(history, tag, i) for tag in tags},
            }
            | ({} if terms is None else {"terms": [_finite(value) for value in terms[i]]})
            for i, distance in zip(rows, distances, strict=True)
        ],
    }


def in_table(trust: Mapping[str, Any] | None, places: Sequence[int] | np.ndarray) -> dict[str, Any] | None:
    """Return what an envelope says of an answer, with rows counted as in the data set, not among those it was made of.

    Args:
        trust: as the envelope reports it; None without one.
        places: where each row that it was made of stands in the data set.
    """
    if trust is None or "nearest" not in trust:
        return None if trust is None else dict(trust)
    return {**trust, "nearest": [{**each, "row": int(places[each["row"]])} for each in trust["nearest"]]}


def _measured(history: History, tag: str, i: int) -> float | None:
    is_filled = tag in history.filled and history.filled[tag][i]
    return None if is_filled else float(history.columns[tag][i])


def _finite(value: float, kind: type = float) -> Any:
    return kind(value) if np.isfinite(value) else None

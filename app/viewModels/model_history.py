"""The measured rows behind a model: those that it was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.models import DatasetVersion, Model
from app.viewModels import categories, dataset_rows


@dataclass(frozen=True)
class History:
    """Measured rows without a missing value.

    Attributes:
        columns: tag -> values, shape (n,), of every input and output of the model; the places of categories in those
            that the model knows.
        places: where each row stands in the data set, from 0, shape (n,).
        times: Unix milliseconds of each row, shape (n,); None if the data set has no time tag. NaN where it is missing.
    """

    columns: dict[str, np.ndarray]
    places: np.ndarray
    times: np.ndarray | None

    def matrix(self, tags: Sequence[str]) -> np.ndarray:
        """Return the columns of these tags side by side, shape (n, len(tags))."""
        return np.stack([self.columns[tag] for tag in tags], axis=1) if tags else np.empty((len(self.places), 0))


def of(model: Model, version: DatasetVersion) -> History:
    """Return the rows that a model was trained on. Reads the store: end your transaction before.

    Raises:
        EngineError: the data set version does not have the model's tags.
    """
    tags = [*(entry["tag"] for entry in model.inputs), *model.outputs]
    time_tag = version.time_tag
    known = categories.of(model)
    numeric = [tag for tag in [*tags, *([time_tag] if time_tag else [])] if tag not in known]
    found = dataset_rows.columns(version, list(dict.fromkeys(numeric)))
    for tag, names in known.items():
        found[tag] = dataset_rows.categories(version, tag, names)[1]
    is_complete = np.all([np.isfinite(found[tag]) for tag in tags], axis=0)
    return History(
        columns={tag: found[tag][is_complete] for tag in tags},
        places=np.flatnonzero(is_complete),
        times=found[time_tag][is_complete] if time_tag else None,
    )

"""The measured rows behind a model: those that it was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.models import DatasetVersion, Model
from app.viewModels import categories, dataset_rows, module_tags

FEWEST_COMPLETE = 10
"""With fewer complete rows, a model that fills what is missing is held against rows as it fills them."""


@dataclass(frozen=True)
class History:
    """Measured rows without a missing value, or with what the model takes for it.

    Attributes:
        columns: tag -> values, shape (n,), of every input and output of the model; the places of categories in those
            that the model knows.
        places: where each row stands in the data set, from 0, shape (n,).
        times: Unix milliseconds of each row, shape (n,); None if the data set has no time tag. NaN where it is missing.
        filled: tag -> which rows lack a value of it and hold the model's, shape (n,), of the tags of which some do.
    """

    columns: dict[str, np.ndarray]
    places: np.ndarray
    times: np.ndarray | None
    filled: Mapping[str, np.ndarray] = field(default_factory=dict)

    def matrix(self, tags: Sequence[str]) -> np.ndarray:
        """Return the columns of these tags side by side, shape (n, len(tags))."""
        return np.stack([self.columns[tag] for tag in tags], axis=1) if tags else np.empty((len(self.places), 0))


def of(model: Model, version: DatasetVersion) -> History:
    """Return the rows that a model was trained on. Reads the store: end your transaction before.

    Of a model that fills what is missing these are the complete ones, since nobody has seen a point that was filled.
    Only where there are hardly any, they are all rows, filled as the model does.

    Raises:
        EngineError: the data set version does not have the model's tags.
    """
    inputs = module_tags.names(model.inputs)
    tags = [*inputs, *model.outputs]
    time_tag = version.time_tag
    known = categories.of(model)
    numeric = [tag for tag in [*tags, *([time_tag] if time_tag else [])] if tag not in known]
    found = dataset_rows.columns(version, list(dict.fromkeys(numeric)))
    for tag, names in known.items():
        found[tag] = dataset_rows.categories(version, tag, names)[1]
    is_known = {tag: np.isfinite(found[tag]) for tag in tags}
    is_in = np.all(list(is_known.values()), axis=0)
    filled = {}
    if categories.imputes(model) and np.count_nonzero(is_in) < FEWEST_COMPLETE:
        is_in = np.all([is_known[tag] for tag in model.outputs], axis=0) & np.any(
            [is_known[tag] for tag in inputs], axis=0
        )
        for tag, value in categories.fill(model).items():
            found[tag] = np.where(is_known[tag], found[tag], value)
        filled = {tag: ~is_known[tag][is_in] for tag in inputs if not is_known[tag][is_in].all()}
    return History(
        columns={tag: found[tag][is_in] for tag in tags},
        places=np.flatnonzero(is_in),
        times=found[time_tag][is_in] if time_tag else None,
        filled=filled,
    )

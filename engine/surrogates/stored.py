"""Stored arrays, distrusted: each is compared with what a sound model holds before anything uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import ModelFileError

# Sums and products of stored numbers within this bound cannot overflow. Data beyond 1e30 is refused before
# training, so no model comes near it.
LARGEST_STORED = 1e100


@dataclass(frozen=True)
class ArraySpec:
    """What one array of a model must be; -1 in ``shape`` stands for any length from 1."""

    dtype: type[np.generic]
    shape: tuple[int, ...]
    positive: bool = False


def take(arrays: Mapping[str, np.ndarray[Any, Any]], specs: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """Return exactly the arrays that ``specs`` names, each as its spec wants it.

    Raises:
        ModelFileError: an array is missing or unknown, or has a wrong type, shape or value.
    """
    if arrays.keys() != specs.keys():
        raise ModelFileError(
            f"the model holds the arrays {sorted(arrays)} but {sorted(specs)} are needed",
            given=sorted(arrays),
            wanted=sorted(specs),
        )
    for name, spec in specs.items():
        _check(name, arrays[name], spec)
    return dict(arrays)


def _check(name: str, array: np.ndarray[Any, Any], spec: ArraySpec) -> None:
    if array.dtype != spec.dtype:
        wanted = np.dtype(spec.dtype).name
        raise ModelFileError(f"array {name!r} holds {array.dtype.name} but {wanted} is needed", array=name)
    fits = array.ndim == len(spec.shape) and all(
        length >= 1 if want == -1 else length == want for length, want in zip(array.shape, spec.shape, strict=True)
    )
    if not fits:
        raise ModelFileError(f"array {name!r} has shape {array.shape} but {spec.shape} is needed", array=name)
    if array.dtype == np.float64:
        if not (np.abs(array) <= LARGEST_STORED).all():  # NaN fails the comparison too
            raise ModelFileError(f"array {name!r} holds a number that is not finite or beyond 1e100", array=name)
        if spec.positive and not (array > 0).all():
            raise ModelFileError(f"array {name!r} holds a number that is not positive", array=name)

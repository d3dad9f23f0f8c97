"""The checks that stand at several doors of the engine: arrays of numbers, and whole numbers."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError, ParameterError, ShapeError

LARGEST_SEED = 2**32 - 1
"""scikit-learn takes no larger seed; so that one seed serves a whole job, nothing else does."""

NUMERIC = "biufO"
"""Kinds of arrays that may hold numbers. Text that looks like numbers, times and complex numbers are refused: what
would come of them is a guess."""


def floats(name: str, values: Any, refusal: type[EngineError] = ShapeError) -> NDArray[np.float64]:
    """Return ``values`` as a float64 array of the shape that they have; a missing value (None) is NaN.

    Args:
        name: what they are called in the message.
        refusal: the error to raise.

    Raises:
        EngineError: the ``refusal``: they are ragged, or hold anything but real numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in NUMERIC:
            return array.astype(np.float64, copy=False)
        problem = f"it holds {array.dtype}"
    except (TypeError, ValueError, OverflowError) as error:
        problem = str(error)
    raise refusal(f"{name} cannot be read as numbers: {problem}", array=name)


def whole_number(name: str, value: Any, at_least: int, at_most: int | None = None) -> int:
    """Return ``value`` as an int: a Python or NumPy integer within the bounds, both included.

    Raises:
        ParameterError: it is none.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or int(value) < at_least or (at_most is not None and int(value) > at_most):
        allowed = f"a whole number from {at_least}" + ("" if at_most is None else f" to {at_most}")
        raise ParameterError(f"{name} must be {allowed}, not {value!r:.40}", parameter=name, allowed=allowed)
    return int(value)

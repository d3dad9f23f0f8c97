"""Standardizing columns, and carrying a threshold from the standardized column back to the tag's own unit.

Surrogates are trained on standardized columns: a total of 1e9 kWh and a leak of 1e-9 kg/s are then treated
alike, and no output outweighs another because of its unit.

Notation:
    X: values, shape (n, d), in the units of the tags.
    c, s: center (d,) and scale (d,) > 0 of the columns, in the units of the tags.
    Z: (X - c) / s, dimensionless.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.surrogates.arrays import Bools, Floats, Ints

_LARGEST = np.finfo(np.float64).max
_SIGN_BIT = np.int64(np.iinfo(np.int64).min)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Centers and scales of columns, shape (d,) each; scale > 0."""

    center: Floats
    scale: Floats

    @classmethod
    def of(cls, X: Floats) -> "Scaling":
        """Return mean and standard deviation of the columns of ``X``; the scale of a constant column is 1.

        A column whose values differ by rounding only (4 units in the last place) counts as constant: divided
        by such a spread it would be noise of full size.
        """
        rounding = 4 * np.finfo(np.float64).eps * np.abs(X).max(axis=0)
        sd = X.std(axis=0)
        varies = (np.ptp(X, axis=0) > rounding) & (sd > 0)
        return cls(center=X.mean(axis=0), scale=np.where(varies, sd, 1.0))

    def apply(self, X: Floats) -> Floats:
        """Return Z for X, shape (n, d). Overflow gives inf, silently."""
        with np.errstate(over="ignore"):
            return (X - self.center) / self.scale

    def thresholds_of_float32(self, columns: Ints, thresholds: Floats) -> Floats:
        """Return thresholds for X that split exactly as ``float32(Z) <= threshold`` does.

        scikit-learn's forests round what they are given to float32 before each comparison. That rounding and
        the standardization are monotone, so "goes left" holds up to some largest float64 in the tag's own
        unit: this threshold. With it a tree needs neither scaling nor rounding when it predicts.

        Args:
            columns: which column each threshold belongs to, shape (k,).
            thresholds: in units of float32(Z), shape (k,).

        Returns:
            Shape (k,), in the units of the tags.
        """
        center, scale = self.center[columns], self.scale[columns]

        def goes_left(x: Floats) -> Bools:
            with np.errstate(over="ignore", under="ignore"):
                z = ((x - center) / scale).astype(np.float32)
            return np.less_equal(z, thresholds)  # compared as float64

        return last_true(goes_left, len(thresholds))


def last_true(holds: Callable[[Floats], Bools], size: int) -> Floats:
    """Return the largest finite float64 for which each of ``size`` monotone conditions holds.

    Args:
        holds: takes values, shape (size,), and tells where the condition holds; once false, false for every
            larger value. It is taken to hold at the smallest finite float64 and to fail at the largest.

    Source:
        Bisection over the order of IEEE 754 numbers: 64 halvings separate any two float64.
    """
    low = np.full(size, _ordinal(-_LARGEST))
    high = np.full(size, _ordinal(_LARGEST))
    for _ in range(64):
        middle = (low & high) + ((low ^ high) >> 1)  # their mean, rounded down, without overflow
        is_left = holds(_from_ordinal(middle))
        low, high = np.where(is_left, middle, low), np.where(is_left, high, middle)
    return _from_ordinal(low)


def _ordinal(x: float) -> np.int64:
    """Return an integer that orders as ``x`` does; neighboring floats have neighboring integers."""
    bits = np.float64(x).view(np.int64)
    return np.int64(bits if bits >= 0 else _SIGN_BIT - bits)


def _from_ordinal(ordinal: Ints) -> Floats:
    return np.where(ordinal >= 0, ordinal, _SIGN_BIT - ordinal).view(np.float64)

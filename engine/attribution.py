"""What each of several changes buys when all of them are made: shares that add up to the whole.

Notation
    p     number of changes                    S     the changes that are made, a subset; as a mask, shape (p,)
    v(S)  the value when the changes S are made

The share of change i is its Shapley value: its gain v(S with i) - v(S), averaged over the orders in which the changes
could be made one after the other. The shares add up to v(all) - v(none), a change that never matters gets 0, and two
that always do the same get the same.

Up to EXACT changes every subset is evaluated. Beyond that orders are drawn, each with its reverse: the shares are then
estimates that still add up exactly, since every order on its own does.

Sources
    Shapley (1953), Contributions to the Theory of Games II, 307-317.
    Castro, Gomez and Tejada (2009), Computers and Operations Research 36, 1726-1730: estimating it from orders.
    Mitchell, Cooper, Frank and Holmes (2022), J. Machine Learning Research 23, 43: reversed orders.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

EXACT = 10
"""Changes up to which all subsets are evaluated: 1024 of them."""

N_ORDERS = 64
"""Orders that are drawn beyond that, half of them the reverse of the others."""


@dataclass(frozen=True)
class Shares:
    """What each change buys.

    Attributes:
        shares: shape (p, ...), where ... is the shape of one value.
        none, everything: the value without any change, and with all of them.
        is_exact: whether all subsets were evaluated; if not, the shares are estimates.
        errors: standard errors of the estimates, of the shape of the shares, from the spread of the pairs of orders;
            0 where the shares are exact.
    """

    shares: Floats
    none: Floats
    everything: Floats
    is_exact: bool
    errors: Floats


def attribute(values: Callable[[Masks], Floats], p: int, *, seed: int = 0) -> Shares:
    """Return what each of p changes buys.

    Args:
        values: returns v for masks of shape (n, p): shape (n, ...). Called once.
        p: number of changes, from 0.
        seed: of the orders that are drawn.
    """
    if p <= EXACT:
        return _exact(values, p)
    return _sampled(values, p, np.random.default_rng(seed))


def _exact(values: Callable[[Masks], Floats], p: int) -> Shares:
    codes = np.arange(2**p)
    masks = (codes[:, None] >> np.arange(p)) & 1 == 1
    v = np.asarray(values(masks), dtype=np.float64)
    size = masks.sum(axis=1)
    weight = np.array([math.factorial(s) * math.factorial(p - s - 1) / math.factorial(p) for s in range(p)])
    shares = np.empty((p, *v.shape[1:]))
    for i in range(p):
        without = codes[~masks[:, i]]
        gain = v[without | 1 << i] - v[without]
        shares[i] = np.tensordot(weight[size[without]], gain, axes=1)
    return Shares(shares, v[0], v[-1], True, np.zeros_like(shares))


def _sampled(values: Callable[[Masks], Floats], p: int, rng: np.random.Generator) -> Shares:
    drawn = np.array([rng.permutation(p) for _ in range(N_ORDERS // 2)])
    orders = np.concatenate([drawn, drawn[:, ::-1]])
    place = np.argsort(orders, axis=1)  # when each change is made
    masks = place[:, None, :] < np.arange(p + 1)[None, :, None]  # (orders, steps, p)
    v = np.asarray(values(masks.reshape(-1, p)), dtype=np.float64)
    v = v.reshape(len(orders), p + 1, *v.shape[1:])
    gains = np.diff(v, axis=1)  # of each step
    of_each = np.stack([gains[np.arange(len(orders)), place[:, i]] for i in range(p)])  # (p, orders, ...)
    pairs = (of_each[:, : len(drawn)] + of_each[:, len(drawn) :]) / 2  # an order and its reverse are not independent
    errors = pairs.std(axis=1, ddof=1) / np.sqrt(len(drawn))
    return Shares(of_each.mean(axis=1), v[0, 0], v[0, -1], False, errors)

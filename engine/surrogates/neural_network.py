"""Neural networks of rectified linear units: a few of them, trained on the same rows from different starts, averaged.

Notation
    Z, V    standardized inputs (n, d) and outputs (n, m)       E   members
    h       units in each of the two hidden layers              B   rows in a step
    a(Z) = max(0, max(0, Z W1 + b1) W2 + b2) W3 + b3, for each member on its own weights

    loss    mean of (a(Z) - V)^2 + decay |W|^2, by Adam with a rate that falls as a half cosine                     (1)

The mean of several members is smoother and errs less than any of them. All members are trained side by side, in one
product of arrays, on batches drawn for each of them.

Predictions are taken in blocks of ROWS rows, the last one filled up: a matrix product may round differently for another
number of rows, and a row shall get the same bits in any company. Some BLOCKS go through all members side by side.

Sources
    (1)     Kingma and Ba (2015), ICLR; decay apart from the gradient and cosine: Loshchilov and Hutter (2019), ICLR.
    start   He, Zhang, Ren and Sun (2015), ICCV, 1026-1034.
    mean    Lakshminarayanan, Pritzel and Blundell (2017), NeurIPS.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.surrogates.arrays import Floats
from engine.surrogates.params import OnStep, ParamValue
from engine.surrogates.scaling import Scaling
from engine.surrogates.stored import ArraySpec, take

ROWS, BLOCKS = 16, 16
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
LEAST_STEPS = 2_000
"""Steps of training at least: few rows make short epochs."""

_NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")


@dataclass(frozen=True, eq=False)
class NetworkForm:
    """The mean of E networks with two hidden layers, in plain arrays.

    Attributes:
        scaling: of the inputs.
        layers: W1 (E, d, h), b1 (E, h), W2 (E, h, h), b2 (E, h), W3 (E, h, m), b3 (E, m); the last two in the units of
            the outputs.
    """

    scaling: Scaling
    layers: tuple[Floats, ...]

    def predict(self, X: Floats) -> Floats:
        """Return predictions, shape (n, m), for finite X, shape (n, d)."""
        n, n_outputs = len(X), self.layers[4].shape[2]
        n_blocks = -(-n // ROWS)
        with np.errstate(over="ignore", invalid="ignore"):
            Z = np.zeros((n_blocks * ROWS, X.shape[1]))
            Z[:n] = (X - self.scaling.center) / self.scaling.scale
            blocks = Z.reshape(n_blocks, 1, ROWS, X.shape[1])
            Y = np.empty((n_blocks, ROWS, n_outputs))
            for start in range(0, n_blocks, BLOCKS):
                some = slice(start, start + BLOCKS)
                Y[some] = _answers(blocks[some], *self.layers)
        return Y.reshape(-1, n_outputs)[:n]

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""
        named = dict(zip(_NAMES, self.layers, strict=True))
        return {"center": self.scaling.center, "scale": self.scaling.scale, **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "NetworkForm":
        """Return the model of stored arrays.

        Raises:
            ModelFileError: an array is missing or unknown, or has a wrong type, shape or value.
        """
        first = arrays.get("W1")
        E, _, h = first.shape if first is not None and first.ndim == 3 else (0, 0, 0)
        shapes = ((E, n_inputs, h), (E, h), (E, h, h), (E, h), (E, h, n_outputs), (E, n_outputs))
        found = take(
            arrays,
            {
                "center": ArraySpec(np.float64, (n_inputs,)),
                "scale": ArraySpec(np.float64, (n_inputs,), positive=True),
            }
            | {name: ArraySpec(np.float64, shape) for name, shape in zip(_NAMES, shapes, strict=True)},
        )
        return cls(Scaling(found["center"], found["scale"]), tuple(found[name] for name in _NAMES))


def fit_neural_network(
    X: Floats, Y: Floats, params: Mapping[str, ParamValue], seed: int, n_jobs: int, on_step: OnStep
) -> NetworkForm:
    """Return trained networks; ``n_jobs`` changes nothing."""
    rng = np.random.default_rng(seed)
    x_scaling, y_scaling = Scaling.of(X), Scaling.of(Y)
    layers = _trained(x_scaling.apply(X), y_scaling.apply(Y), params, rng, on_step)
    layers[0][:, np.ptp(X, axis=0) == 0] = 0.0  # nothing is known of what a constant input does
    is_constant = np.ptp(Y, axis=0) == 0
    layers[4][:, :, is_constant], layers[5][:, is_constant] = 0.0, 0.0
    layers[4], layers[5] = layers[4] * y_scaling.scale, layers[5] * y_scaling.scale + y_scaling.center
    return NetworkForm(x_scaling, tuple(layers))


def _answers(Z: Floats, W1: Floats, b1: Floats, W2: Floats, b2: Floats, W3: Floats, b3: Floats) -> Floats:
    """Return the mean of the members' answers, (blocks, ROWS, m), for Z, (blocks, 1, ROWS, d)."""
    one = Z @ W1
    one += b1[:, None]
    two = np.maximum(0, one, out=one) @ W2
    two += b2[:, None]
    three = np.maximum(0, two, out=two) @ W3
    three += b3[:, None]
    total = three[:, 0]
    for e in range(1, len(W3)):  # one after the other: a sum by NumPy may take them in another order
        total = total + three[:, e]
    mean: Floats = total / len(W3)
    return mean


def _trained(
    Z: Floats, V: Floats, params: Mapping[str, ParamValue], rng: np.random.Generator, on_step: OnStep
) -> list[Floats]:
    """Return the layers that minimize the loss (1); in training they lie in one array, in single precision."""
    E, h = int(params["n_members"] or 1), int(params["n_units"] or 1)
    n, B = len(Z), min(len(Z), 32 if len(Z) < 4_000 else 128)
    started = _started(rng, E, Z.shape[1], h, V.shape[1])
    Z, V = Z.astype(np.float32), V.astype(np.float32)
    flat = np.concatenate([each.ravel() for each in started]).astype(np.float32)
    layers, is_weight = _views(flat, started), np.zeros(len(flat), dtype=np.float32)
    for each in _views(is_weight, started)[::2]:
        each[...] = 1.0
    g, first, second = np.empty_like(flat), np.zeros_like(flat), np.zeros_like(flat)
    into = _views(g, started)
    n_steps = max(LEAST_STEPS, int(params["n_epochs"] or 1) * (n // B))
    rate, decay = float(params["learning_rate"] or 0.0), float(params["decay"] or 0.0)
    for step in range(n_steps):
        rows = rng.integers(0, n, (E, B))
        now = rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        correction = math.sqrt(1 - BETA2 ** (step + 1)) / (1 - BETA1 ** (step + 1))
        for target, each in zip(into, _gradients(layers, Z[rows], V[rows]), strict=True):
            target[...] = each
        first += (1 - BETA1) * (g - first)
        second += (1 - BETA2) * (g * g - second)
        flat -= now * correction * first / (np.sqrt(second) + EPSILON)
        flat *= 1 - now * decay * is_weight
        if step % 100 == 0:
            on_step(step / n_steps)
    return [each.astype(np.float64) for each in layers]


def _views(flat: Any, like: list[Floats]) -> list[Any]:
    """Return the parts of a flat array in the shapes of these arrays."""
    ends = np.cumsum([each.size for each in like])
    return [flat[end - each.size : end].reshape(each.shape) for end, each in zip(ends, like, strict=True)]


def _started(rng: np.random.Generator, E: int, d: int, h: int, m: int) -> list[Floats]:
    def weights(n_in: int, n_out: int) -> Floats:
        return rng.standard_normal((E, n_in, n_out)) * math.sqrt(2 / n_in)

    return [weights(d, h), np.zeros((E, h)), weights(h, h), np.zeros((E, h)), weights(h, m) * 0.5, np.zeros((E, m))]


def _gradients(layers: list[Floats], Z: Floats, V: Floats) -> list[Floats]:
    """Return the gradient of the mean squared error by each layer; Z is (E, B, d), V is (E, B, m)."""
    W1, b1, W2, b2, W3, b3 = layers
    one = np.maximum(0, Z @ W1 + b1[:, None])
    two = np.maximum(0, one @ W2 + b2[:, None])
    error = (two @ W3 + b3[:, None] - V) * (2 / V.shape[1] / V.shape[2])
    into_two = (error @ W3.transpose(0, 2, 1)) * (two > 0)
    into_one = (into_two @ W2.transpose(0, 2, 1)) * (one > 0)
    return [
        Z.transpose(0, 2, 1) @ into_one,
        into_one.sum(axis=1),
        one.transpose(0, 2, 1) @ into_two,
        into_two.sum(axis=1),
        two.transpose(0, 2, 1) @ error,
        error.sum(axis=1),
    ]

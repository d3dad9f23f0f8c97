"""Models made elsewhere, taken in as ONNX files: looked at and run in a process of their own, and never trusted.

A file is read and run by ``engine.surrogates.onnx_sandbox`` only, at import and ever after: a process with little
memory and time. Only plain arithmetic is let through: no loops, no data in other files, no operator beyond a list. That
alone would not do: what a file costs may depend on the numbers that it is given.

The file says little of what it takes and gives, so that the tags, types and bounds of its inputs are declared with it.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.errors import ModelFileError, ParameterError
from engine.surrogates.arrays import Floats
from engine.surrogates.onnx_worker import OnnxRefused, Worker
from engine.surrogates.stored import ArraySpec, take

__all__ = ["LARGEST_FILE", "TYPES", "InputDeclaration", "OnnxForm", "OnnxRefused", "of_file", "probe_points"]

LARGEST_FILE = 64 * 2**20
N_PROBES = 16
TYPES = ("real", "integer")

LARGEST = 1e30
"""Numbers beyond this (either sign) are no measurements, as in training."""


@dataclass(frozen=True)
class InputDeclaration:
    """What an input of an imported model is.

    Attributes:
        tag: its name in the plant's tables.
        lower, upper: the range in which the model is meant to be used, in the unit of the tag; at most LARGEST.
        type: "real" or "integer".

    Raises:
        ParameterError: the bounds are not such numbers or in the wrong order, or the type is unknown.
    """

    tag: str
    lower: float
    upper: float
    type: str = "real"

    def __post_init__(self) -> None:
        if not -LARGEST <= self.lower <= self.upper <= LARGEST:  # nor NaN
            raise ParameterError(
                f"the bounds of {self.tag!r} must be two numbers up to {LARGEST:g} in ascending order,"
                f" not {self.lower!r} and {self.upper!r}",
                tag=self.tag,
            )
        if self.type not in TYPES:
            raise ParameterError(f"the type of {self.tag!r} must be real or integer, not {self.type!r}", tag=self.tag)


@dataclass(frozen=True, eq=False)
class OnnxForm:
    """An ONNX file as the form of a surrogate. ``of_file`` makes it.

    Attributes:
        content: the file's bytes, shape (n_bytes,), uint8.
        is_integer: 1 where an input takes whole numbers, else 0, shape (d,), int32.
        n_outputs: columns that it predicts.
    """

    content: np.ndarray[Any, np.dtype[np.uint8]] = field(repr=False)
    is_integer: np.ndarray[Any, np.dtype[np.int32]]
    n_outputs: int

    def __post_init__(self) -> None:
        if len(self.content) > LARGEST_FILE:
            raise OnnxRefused(
                f"the ONNX file has {len(self.content)} bytes; at most {LARGEST_FILE} are read",
                n_bytes=len(self.content),
                allowed=LARGEST_FILE,
            )

    def predict(self, X: Floats) -> Floats:
        """Return predictions (n, m) for finite X (n, d).

        Raises:
            OnnxRefused: the file cannot be run on these rows, though it could on those that it was tried with.
        """
        if len(X) == 0:
            return np.empty((0, self.n_outputs))
        Y = self._worker.predict(X)
        if Y.shape[1] != self.n_outputs:
            raise OnnxRefused(f"the ONNX file gives {Y.shape[1]} outputs, but {self.n_outputs} tags are declared")
        return Y

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: the file itself, and which inputs are whole numbers."""
        return {"onnx": self.content, "is_integer": self.is_integer}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "OnnxForm":
        """Return the form of a stored file, looked at as if it came from outside.

        Raises:
            ModelFileError: there is no such file, or it is refused.
        """
        specs = {"onnx": ArraySpec(np.uint8, (-1,)), "is_integer": ArraySpec(np.int32, (n_inputs,))}
        found = take(arrays, specs)
        if not np.isin(found["is_integer"], (0, 1)).all():
            raise ModelFileError("the types of the inputs of an imported model must be 0 or 1")
        try:
            form = cls(found["onnx"], found["is_integer"], n_outputs)
            form.predict(np.zeros((1, n_inputs)))
        except OnnxRefused as refused:
            raise ModelFileError(f"the stored ONNX file cannot be used: {refused}") from refused
        return form

    def close(self) -> None:
        """End the process that the file runs in; the next prediction starts another."""
        self._worker.close()

    @functools.cached_property
    def _worker(self) -> Worker:
        return Worker(self.content)


def of_file(content: bytes, inputs: Sequence[InputDeclaration], n_outputs: int) -> OnnxForm:
    """Return a form that predicts with an ONNX file.

    Args:
        content: the file.
        inputs: what its d inputs are, in its order. It must predict whatever lies within their bounds.
        n_outputs: columns that it must give.

    Raises:
        OnnxRefused: it is too large, no ONNX file, uses what is not allowed, does not take or give so many columns,
            needs too much memory or time, or its prediction of a row is not finite or depends on other rows.
    """
    is_integer = np.array([each.type == "integer" for each in inputs], dtype=np.int32)
    form = OnnxForm(np.frombuffer(content, dtype=np.uint8), is_integer, n_outputs)
    probe = probe_points(inputs)
    Y = form.predict(probe)
    if not (np.abs(Y) <= LARGEST).all():  # nor NaN
        raise OnnxRefused(
            f"the ONNX file predicts values that are no finite numbers up to {LARGEST:g} within the declared bounds"
        )
    alone = np.concatenate([form.predict(probe[[i]]) for i in range(len(probe))])
    if not np.allclose(alone, Y, rtol=1e-5, atol=1e-7 * float(np.abs(Y).max(initial=0))):
        raise OnnxRefused("the ONNX file's prediction of a row depends on the rows that are asked for with it")
    return form


def probe_points(inputs: Sequence[InputDeclaration]) -> Floats:
    """Return N_PROBES points within the declared bounds, (N_PROBES, d): their ends, and others evenly spread."""
    from engine.solvers.space import from_cube, latin_hypercube

    lower = np.array([each.lower for each in inputs], dtype=np.float64)
    upper = np.array([each.upper for each in inputs], dtype=np.float64)
    inside = from_cube(latin_hypercube(np.random.default_rng(0), N_PROBES - 2, len(inputs)), lower, upper)
    is_integer = np.array([each.type == "integer" for each in inputs])
    inside[:, is_integer] = np.round(inside[:, is_integer])
    return np.vstack([lower, upper, inside])

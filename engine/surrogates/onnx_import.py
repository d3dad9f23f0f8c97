"""Models made elsewhere, taken in as ONNX files: looked at in a process of their own, and never trusted.

A file is first read and run by ``engine.surrogates.onnx_sandbox``, a process with little memory and time. Only plain
arithmetic is let through: no loops, no data in other files, no operator beyond a list. What passed there predicts here
with the same bytes and the same size of batch, so that it takes no more memory than it did there.

The file says little of what it takes and gives, so that the tags, types and bounds of its inputs are declared with it.
"""

import functools
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError, ModelFileError, ParameterError
from engine.surrogates.arrays import Floats
from engine.surrogates.onnx_sandbox import Refused, open_session, run_session

LARGEST_FILE = 64 * 2**20
MOST_SECONDS = 60.0
"""Wall time in which the sandbox must answer."""

N_PROBES = 16
TYPES = ("real", "integer")


class OnnxRefused(EngineError):  # noqa: N818  (an answer, not a fault)
    """An ONNX file is not one that will be run as a model."""

    code = "model.onnx_refused"
    title = "This ONNX file cannot be used as a model."


@dataclass(frozen=True)
class InputDeclaration:
    """What an input of an imported model is.

    Attributes:
        tag: its name in the plant's tables.
        lower, upper: the range in which the model is meant to be used, finite, in the unit of the tag.
        type: "real" or "integer".

    Raises:
        ParameterError: the bounds are not finite or in the wrong order, or the type is unknown.
    """

    tag: str
    lower: float
    upper: float
    type: str = "real"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and math.isfinite(self.upper) and self.lower <= self.upper):
            raise ParameterError(
                f"the bounds of {self.tag!r} must be two finite numbers in ascending order,"
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
        n_outputs: columns that it predicts.
    """

    content: np.ndarray[Any, np.dtype[np.uint8]]
    n_outputs: int

    def predict(self, X: Floats) -> Floats:
        """Return predictions (n, m) for finite X (n, d).

        Raises:
            OnnxRefused: the file cannot be run on these rows, though it could on those that it was tried with.
        """
        try:
            Y: Floats = run_session(self._session, X)
        except Refused as refused:
            raise OnnxRefused(f"the ONNX file cannot be run: {refused}") from refused
        return Y

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: the file itself."""
        return {"onnx": self.content}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "OnnxForm":
        """Return the form of a stored file, looked at as if it came from outside.

        Raises:
            ModelFileError: there is no such file, or it is refused.
        """
        content = arrays.get("onnx")
        if content is None or len(arrays) != 1 or content.dtype != np.uint8 or content.ndim != 1:
            raise ModelFileError("a stored ONNX model is one array of bytes, which is not what is there")
        try:
            return of_file(content.tobytes(), np.zeros((1, n_inputs)), n_outputs)
        except OnnxRefused as refused:
            raise ModelFileError(f"the stored ONNX file is refused: {refused}") from refused

    @functools.cached_property
    def _session(self) -> Any:
        return open_session(self.content.tobytes())


def of_file(content: bytes, probe: Floats, n_outputs: int) -> OnnxForm:
    """Return a form that predicts with an ONNX file.

    Args:
        content: the file.
        probe: rows of inputs that it must be able to predict, shape (k, d), k >= 1.
        n_outputs: columns that it must give.

    Raises:
        OnnxRefused: it is too large, no ONNX file, uses what is not allowed, does not take or give so many columns,
            needs too much memory or time, or predicts differently here than in the sandbox.
    """
    if len(content) > LARGEST_FILE:
        raise OnnxRefused(
            f"the ONNX file has {len(content)} bytes; at most {LARGEST_FILE} are read",
            n_bytes=len(content),
            allowed=LARGEST_FILE,
        )
    there = _tried(content, probe, n_outputs)
    form = OnnxForm(np.frombuffer(content, dtype=np.uint8), n_outputs)
    if not np.array_equal(form.predict(probe), there):
        raise OnnxRefused("the ONNX file does not predict the same twice")
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


def _tried(content: bytes, probe: Floats, n_outputs: int) -> Floats:
    """Return what the file predicts for the probe in the sandbox."""
    request = {"n_outputs": n_outputs, "probe": probe.tolist()}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "engine.surrogates.onnx_sandbox"],
            input=json.dumps(request).encode() + b"\n" + content,
            capture_output=True,
            timeout=MOST_SECONDS,
            cwd=Path(__file__).parents[2],
            env={"OMP_NUM_THREADS": "1", "PATH": ""},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OnnxRefused(f"the ONNX file was not loaded and run within {MOST_SECONDS:.0f} seconds") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise OnnxRefused(
            "the ONNX file was stopped: it needs more memory or time than a model may, or is not sound",
            exit_status=done.returncode,
        ) from error
    if "refused" in answer:
        raise OnnxRefused(f"the ONNX file is refused: {answer['refused']}", reason=answer["refused"])
    return np.array(answer["outputs"], dtype=np.float64).reshape(len(probe), n_outputs)

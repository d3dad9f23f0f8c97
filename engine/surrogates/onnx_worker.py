"""The other end of the sandbox: a process for each ONNX file that is in use, asked through its pipes.

A file from outside never runs here. It runs in ``engine.surrogates.onnx_sandbox``, which may use little memory and
time, and whatever it answers is read as numbers of a shape. A process is started when its file is first asked for,
takes a fraction of a millisecond a question from then on, and ends itself when nobody asks.
"""

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Timer
from typing import IO, Any, cast

import numpy as np

from engine.errors import EngineError
from engine.surrogates import onnx_sandbox
from engine.surrogates.arrays import Floats

START_SECONDS = 60.0
"""Wall time in which the sandbox must have started and looked at its file."""

ANSWER_SECONDS = 20.0
"""Wall time in which it must predict ROWS rows."""

ROWS = 4096
"""Rows of one question, at most."""

_WIDTHS = range(1, 1001)
"""Columns of an answer that are believed."""


class OnnxRefused(EngineError):  # noqa: N818  (an answer, not a fault)
    """An ONNX file is not one that will be run as a model."""

    code = "model.onnx_refused"
    title = "This ONNX file cannot be used as a model."


class _EndedError(Exception):
    """The process is not there any more, or talks nonsense."""


class Worker:
    """Predicts with one ONNX file, in a process of its own. Threads may share it; they take turns.

    Args:
        content: the file's bytes.
    """

    def __init__(self, content: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self._content = content
        self._lock = Lock()
        self._sandbox: _Sandbox | None = None
        self._end: Callable[[], Any] = lambda: None

    def predict(self, X: Floats) -> Floats:
        """Return predictions (n, m) for X (n, d), n >= 1. The same row gives the same bits in any company.

        Raises:
            OnnxRefused: the file is not one that will be run, cannot be run on these rows, or was stopped.
        """
        with self._lock:
            return np.concatenate([self._predicted(X[start : start + ROWS]) for start in range(0, len(X), ROWS)])

    def close(self) -> None:
        """End the process. The next question starts another."""
        with self._lock:
            self._drop()

    def _predicted(self, X: Floats) -> Floats:
        if self._sandbox is not None and self._sandbox.is_ours:
            with suppress(_EndedError):  # it has waited long and ended itself: that is no fault of the file
                return self._sandbox.predict(X)
        self._drop()
        self._sandbox = _Sandbox()
        self._end = weakref.finalize(self, self._sandbox.end)
        try:
            self._sandbox.load(self._content)
            return self._sandbox.predict(X)
        except _EndedError as ended:
            raise OnnxRefused(
                "the ONNX file was stopped: it needs more memory or time than a model may, or is not sound"
            ) from ended

    def _drop(self) -> None:
        self._end()
        self._sandbox = None


class _Sandbox:
    """One process, from its start to its end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (a file of ours)
            [sys.executable, "-P", onnx_sandbox.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"OMP_NUM_THREADS": "1", "PATH": ""},
        )
        self._owner = os.getpid()
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)

    @property
    def is_ours(self) -> bool:
        """Whether it was started here, and not by the process from which this one was forked."""
        return self._owner == os.getpid()

    def load(self, content: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Let it look at a file.

        Raises:
            OnnxRefused: it does not let the file through.
            _EndedError: it ended.
        """
        with self._within(START_SECONDS, "loaded"):
            self._send({"n_bytes": len(content)}, content)
            self._line()

    def predict(self, X: Floats) -> Floats:
        """Return what the file predicts.

        Raises:
            OnnxRefused: it cannot be run on these rows.
            _EndedError: the process ended.
        """
        with self._within(ANSWER_SECONDS, "run"):
            self._send({"shape": X.shape}, np.ascontiguousarray(X))
            width = _width(self._line().get("shape"), len(X))
            content = self._answers.read(len(X) * width * 8)
            if len(content) < len(X) * width * 8:
                raise _EndedError
        return np.frombuffer(content).reshape(len(X), width)

    def end(self) -> None:
        """End it at once. A fork of its owner merely forgets it."""
        if not self.is_ours:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._answers):
            with suppress(OSError):
                pipe.close()

    @contextmanager
    def _within(self, seconds: float, done: str) -> Iterator[None]:
        """End the process if the block takes longer; what is then read from it ends too."""
        late = Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (_EndedError, OSError) as error:
            if late.is_set():
                raise OnnxRefused(f"the ONNX file was not {done} within {seconds:g} seconds") from error
            raise _EndedError from error
        finally:
            timer.cancel()

    def _send(self, line: dict[str, Any], content: np.ndarray[Any, Any]) -> None:
        self._requests.write(json.dumps(line).encode() + b"\n")
        self._requests.write(content.data)
        self._requests.flush()

    def _line(self) -> dict[str, Any]:
        try:
            told = json.loads(self._answers.readline(onnx_sandbox.LONGEST_LINE))
        except (ValueError, RecursionError) as error:
            raise _EndedError from error
        if not isinstance(told, dict):
            raise _EndedError
        if "refused" in told:
            reason = f"{told['refused']!s:.500}"
            raise OnnxRefused(f"the ONNX file is refused: {reason}", reason=reason)
        return told


def _width(shape: Any, n_rows: int) -> int:
    """Return the columns of an answer to so many rows."""
    is_sound = isinstance(shape, list) and len(shape) == 2 and all(type(length) is int for length in shape)
    if not (is_sound and shape[0] == n_rows and shape[1] in _WIDTHS):
        raise _EndedError
    return int(shape[1])

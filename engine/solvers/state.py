"""A solver's state outside the process: plain arrays and JSON, in memory and as bytes.

A state is a flat dictionary of NumPy arrays and JSON values. As bytes it is a safetensors file whose tensor ``json``
holds the JSON values as UTF-8: nothing in it can run code, and reading it takes no more memory than it has bytes.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from engine.errors import EngineError

State = dict[str, Any]
"""Names to NumPy arrays (float64, int64, bool) and JSON values."""

_JSON = "json"


class SolverStateError(EngineError):
    """A saved state of a solver is damaged, or belongs to another run."""

    code = "solver.state"
    title = "The saved state of the solver is damaged or belongs to another run."


def to_bytes(state: Mapping[str, Any]) -> bytes:
    """Return the state as bytes that ``from_bytes`` reads again, to the last bit."""
    arrays = {name: np.array(value, order="C") for name, value in state.items() if isinstance(value, np.ndarray)}
    values = {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
    text = json.dumps(values, allow_nan=False, sort_keys=True).encode()
    data: bytes = safetensors.numpy.save({**arrays, _JSON: np.frombuffer(text, dtype=np.uint8)})
    return data


def from_bytes(data: bytes) -> State:
    """Return the state that ``to_bytes`` wrote.

    Raises:
        SolverStateError: the bytes are not such a state.
    """
    try:
        arrays = safetensors.numpy.load(data)
        values = json.loads(arrays.pop(_JSON).tobytes())
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SolverStateError(f"this is not a saved state: {error}") from error
    if not isinstance(values, dict):
        raise SolverStateError(f"a saved state holds named values, but this one holds {type(values).__name__}")
    return {**values, **arrays}


def generator_to_json(generator: np.random.Generator) -> dict[str, Any]:
    """Return the whole state of a PCG64 generator; its 128-bit numbers as hexadecimal text, safe in any JSON."""
    state = generator.bit_generator.state
    return {
        "bit_generator": state["bit_generator"],
        "state": hex(state["state"]["state"]),
        "inc": hex(state["state"]["inc"]),
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }


def generator_from_json(saved: Any) -> np.random.Generator:
    """Return a generator that goes on where the saved one was.

    Raises:
        SolverStateError: this is not the saved state of a PCG64 generator.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    try:
        generator.bit_generator.state = {
            "bit_generator": saved["bit_generator"],
            "state": {"state": int(saved["state"], 16), "inc": int(saved["inc"], 16)},
            "has_uint32": saved["has_uint32"],
            "uinteger": saved["uinteger"],
        }
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise SolverStateError(f"this is not the state of a PCG64 generator: {error!r}") from error
    return generator

"""The model file: arrays and a description, never code.

A model file is a safetensors file: a header in JSON that tells name, type and shape of each array, then their
bytes. Its metadata hold one text, ``model``, a JSON object: format, version, kind, params, inputs, outputs,
n_rows and sha256, the checksum of all other fields and of the arrays. The checksum finds accidents; against
intent everything is checked as if there were none, because whoever can alter a file can alter that as well.
So whatever bytes a file holds, reading it gives a model whose every walk ends, or raises ModelFileError.

Version 1 holds the arrays of the kind's form and ``input_ranges``, ``output_ranges``, ``input_sd`` and
``output_sd``. Version 2 tells ``choice`` too, and the arrays of the intervals, if there are some, have names that begin
with "intervals.". Version 3 tells ``encoding``, whose arrays have names that begin with "encoding.", and
``routes``, which hold measured times. All are read, version 3 is written. The same surrogate gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save as to_safetensors

from engine.errors import ModelFileError, ParameterError
from engine.surrogates.encoding import Encoding
from engine.surrogates.intervals import Intervals
from engine.surrogates.kinds import IMPORTED, KINDS, Kind
from engine.surrogates.params import complete
from engine.surrogates.routes import routes_from_json, routes_to_json
from engine.surrogates.stored import ArraySpec, take
from engine.surrogates.surrogate import LARGEST_MODEL, Surrogate

FORMAT = "setpoint.surrogate"
VERSION = 3
LARGEST_HEADER = 2**20
LARGEST_FILE = LARGEST_MODEL + LARGEST_HEADER + 8

_DTYPES: dict[str, np.dtype[Any]] = {"F64": np.dtype("<f8"), "I32": np.dtype("<i4"), "U8": np.dtype("u1")}
_SUMMARIES = ("input_ranges", "output_ranges", "input_sd", "output_sd")
_FIELDS = {"format", "version", "kind", "params", "inputs", "outputs", "n_rows", "sha256"}
_FIELDS_OF_VERSION = {1: _FIELDS, 2: _FIELDS | {"choice"}, VERSION: _FIELDS | {"choice", "encoding", "routes"}}
_INTERVALS, _ENCODING = "intervals.", "encoding."


def save(surrogate: Surrogate, path: Path) -> None:
    """Write the surrogate to a model file."""
    Path(path).write_bytes(to_bytes(surrogate))


def load(path: Path) -> Surrogate:
    """Return the surrogate of a model file; it predicts what the stored one predicted, to the last bit.

    Reads at most LARGEST_FILE bytes, whatever the file claims to hold, and runs nothing of it; but for an imported
    model, whose ONNX file is looked at and run in a process of its own (``onnx_sandbox``).

    Raises:
        ModelFileError: the file is damaged, altered, not a model file, or of another version.
        OSError: the file is not there or cannot be read.
    """
    with Path(path).open("rb") as file:
        return from_bytes(file.read(LARGEST_FILE + 1))


def to_bytes(surrogate: Surrogate) -> bytes:
    """Return the content of a model file."""
    model = {
        "format": FORMAT,
        "version": VERSION,
        "kind": surrogate.kind,
        "params": dict(surrogate.params),
        "inputs": surrogate.inputs,
        "outputs": surrogate.outputs,
        "n_rows": surrogate.n_rows,
        "choice": surrogate.choice,
        "encoding": surrogate.encoding.to_json() if surrogate.encoding else None,
        "routes": routes_to_json(surrogate.form),
    }
    arrays = surrogate.form.arrays() | {name: getattr(surrogate, name) for name in _SUMMARIES}
    if surrogate.intervals:
        arrays |= {_INTERVALS + name: array for name, array in surrogate.intervals.arrays().items()}
    if surrogate.encoding:
        arrays |= {_ENCODING + name: array for name, array in surrogate.encoding.arrays().items()}
    return pack(model, arrays)


def pack(model: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Return a file of this description and these arrays, sound or not, with a valid checksum."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = _canonical({**model, "sha256": _checksum(model, contiguous)})
    return to_safetensors(contiguous, {"model": text})  # one text only: several would come in any order


def from_bytes(content: bytes) -> Surrogate:
    """Return the surrogate of a model file's content.

    Raises:
        ModelFileError: as ``load``.
    """
    try:
        return _read(content)
    except RecursionError as error:
        raise ModelFileError("the model file is damaged: its JSON holds brackets within brackets") from error


def _read(content: bytes) -> Surrogate:
    model = _description(content)
    arrays = _arrays(content)
    if model.pop("sha256") != _checksum(model, arrays):
        raise ModelFileError("the model file does not match its checksum: it was damaged or altered")
    kind = _kind(model)
    params = _complete_params(model, kind)
    d, m = len(model["inputs"]), len(model["outputs"])
    summaries = _summaries({name: arrays.pop(name) for name in _SUMMARIES if name in arrays}, d, m)
    of_intervals, of_encoding = _taken(arrays, _INTERVALS), _taken(arrays, _ENCODING)
    encoding = Encoding.from_stored(model.get("encoding"), of_encoding, tuple(model["inputs"]))
    n_columns = len(encoding.columns) if encoding else d
    form = kind.form.from_arrays(arrays, n_columns, m)
    return Surrogate(
        kind=model["kind"],
        params=MappingProxyType(params),
        inputs=tuple(model["inputs"]),
        outputs=tuple(model["outputs"]),
        n_rows=model["n_rows"],
        **summaries,
        form=routes_from_json(model.get("routes"), form),
        choice=_choice(model),
        intervals=Intervals.from_arrays(of_intervals, d, m) if of_intervals else None,
        encoding=encoding,
    )


def _description(content: bytes) -> dict[str, Any]:
    """Return the model's description, each field but ``params`` and ``sha256`` checked.

    The size of the header is checked before it is read.
    """
    if len(content) > LARGEST_FILE:
        raise ModelFileError(f"the model file is larger than {LARGEST_FILE} bytes")
    header_size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= header_size <= min(LARGEST_HEADER, len(content) - 8):
        raise ModelFileError("the file does not begin with a safetensors header: it is not a model file")
    metadata = _json(content[8 : 8 + header_size].decode("utf-8", errors="replace")).get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("model"), str):
        raise ModelFileError("the file is not a model file of Setpoint: it has no model description")
    model = _json(metadata["model"])
    version = model.get("version")
    wanted = _FIELDS_OF_VERSION.get(version) if type(version) is int else None  # True is 1 too
    if model.get("format") != FORMAT or wanted is None:
        given = {name: model.get(name) for name in ("format", "version")}
        raise ModelFileError(f"the model file is of format and version {given}; {FORMAT} up to {VERSION} is read")
    if model.keys() != wanted:
        raise ModelFileError(f"the model description has the fields {sorted(model)}, not {sorted(wanted)}")
    for name in ("inputs", "outputs"):
        tags = model[name]
        is_sound = isinstance(tags, list) and tags and all(isinstance(tag, str) for tag in tags)
        if not is_sound or len(set(tags)) < len(tags):
            raise ModelFileError(f"the {name} of the model are not a list of different tags")
    n_rows = model["n_rows"]
    least = 0 if model["kind"] in list(IMPORTED) else 1  # who knows what an imported model was trained on
    if isinstance(n_rows, bool) or not isinstance(n_rows, int) or n_rows < least:
        raise ModelFileError(f"the model's number of rows is not a whole number from {least}")
    return model


def _kind(model: Mapping[str, Any]) -> Kind:
    known = {**KINDS, **IMPORTED}
    if not isinstance(model["kind"], str) or model["kind"] not in known:
        raise ModelFileError(f"there is no kind of surrogate {model['kind']!r:.40}")
    return known[model["kind"]]


def _complete_params(model: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    if not isinstance(model["params"], dict):
        raise ModelFileError("the model's hyperparameters are not an object")
    try:
        return complete(kind.params, model["params"], kind=model["kind"])
    except ParameterError as error:
        raise ModelFileError(f"the model's hyperparameters are not allowed: {error}") from error


def _choice(model: Mapping[str, Any]) -> dict[str, Any] | None:
    choice = model.get("choice")
    if choice is not None and not isinstance(choice, dict):
        raise ModelFileError("what the model tells of its choice is not an object")
    return choice


def _taken(arrays: dict[str, np.ndarray[Any, Any]], prefix: str) -> dict[str, np.ndarray[Any, Any]]:
    """Take the arrays whose names begin so out of ``arrays``, and return them without that beginning."""
    return {name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)}


def _arrays(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays. safetensors checks that their places neither overlap nor leave the file."""
    try:
        stored: list[tuple[str, Any]] = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"the model file is damaged: {error}") from error
    return {name: _array(name, **entry) for name, entry in stored}


def _array(name: str, dtype: str, shape: list[int], data: bytearray) -> np.ndarray[Any, Any]:
    if dtype not in _DTYPES:
        raise ModelFileError(f"array {name!r} is of type {dtype}; {', '.join(_DTYPES)} are read", array=name)
    try:
        return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
    except (ValueError, OverflowError) as error:  # 65 dimensions; [0, 2**64], which is empty and yet too large
        raise ModelFileError(f"array {name!r} claims an impossible shape", array=name) from error


def _checksum(model: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Return the sha256 of the description (without its checksum) and the arrays, both in a fixed order."""
    digest = hashlib.sha256(_canonical(model).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(_canonical([name, array.dtype.str, array.shape]).encode())
        digest.update(array.data)
    return digest.hexdigest()


def _canonical(values: Any) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _summaries(arrays: Mapping[str, np.ndarray[Any, Any]], d: int, m: int) -> dict[str, Any]:
    """Return ranges and standard deviations, checked."""
    shapes = {"input_ranges": (d, 2), "output_ranges": (m, 2), "input_sd": (d,), "output_sd": (m,)}
    found = take(arrays, {name: ArraySpec(np.float64, shape) for name, shape in shapes.items()})
    ranges = np.concatenate([found["input_ranges"], found["output_ranges"]])
    sds = np.concatenate([found["input_sd"], found["output_sd"]])
    if (ranges[:, 0] > ranges[:, 1]).any() or (sds < 0).any():
        raise ModelFileError("a range of the model ends before it begins, or a standard deviation is negative")
    return found


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise ModelFileError(f"the model file is damaged: {type(error).__name__} in its JSON") from error
    if not isinstance(found, dict):
        raise ModelFileError("the model file is damaged: its JSON is not an object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

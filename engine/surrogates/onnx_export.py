"""Surrogates as ONNX files, for whoever predicts without us; each is held against its surrogate before it leaves.

The file takes "X", (n, d), and gives "Y", (n, m), both double, with columns in the order of the surrogate's tags and in
their units. Its metadata tell ``inputs``, ``outputs`` and ``input_ranges`` as JSON, and the kind. Where the surrogate
encodes its inputs (``encoding``), so does the file: a category is the place that it has in the list of ``categories``,
which is told too, and a missing cell is NaN.
"""

import json
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.surrogates.arrays import Floats
from engine.surrogates.blend import BlendForm
from engine.surrogates.gaussian_process import GaussianProcessForm
from engine.surrogates.surrogate import Surrogate

TOLERANCE, TOLERANCE_OF_PROCESSES = 1e-10, 1e-6
"""Largest difference of the two predictions, as a share of the output's size over the rows they are compared on.

All is computed in float64, and trees compare the very same numbers: what is left is the order in which sums are taken.
In a Gaussian process of little noise those sums are of large numbers that cancel, and their last digits go with them.
"""

N_ROWS = 128
"""Rows they are compared on: half within the ranges of the training rows, half up to their width beyond."""

SHARE_OF_GAPS = 0.1
"""Cells of those rows that are missing, where the surrogate fills them."""


class NotExportable(EngineError):  # noqa: N818  (called after what is wrong, as the others are)
    """A surrogate cannot be written as an ONNX file."""

    code = "model.not_exportable"
    title = "This model cannot be written as an ONNX file."


def to_onnx(surrogate: Surrogate) -> bytes:
    """Return an ONNX file that predicts what the surrogate predicts, within ``tolerance``; compared before it leaves.

    An imported model is given back as the file that it is.

    Raises:
        NotExportable: the kind has no graph, its trees are too many, or the file predicts otherwise.
    """
    from engine.surrogates.onnx_graphs import Graph, add_encoding, add_form  # imports onnx
    from engine.surrogates.onnx_import import OnnxForm

    if isinstance(surrogate.form, OnnxForm):
        return surrogate.form.content.tobytes()
    graph = Graph()
    model = graph.model(
        add_form(graph, surrogate.form, add_encoding(graph, surrogate.encoding, "X")),
        len(surrogate.inputs),
        len(surrogate.outputs),
        _told(surrogate),
    )
    content: bytes = model.SerializeToString(deterministic=True)
    _compare(surrogate, content)
    return content


def tolerance(form: Any) -> float:
    """Return the largest difference that is taken for rounding."""
    forms = [member.form for member in form.members] if isinstance(form, BlendForm) else [form]
    is_process = any(isinstance(each, GaussianProcessForm) for each in forms)
    return TOLERANCE_OF_PROCESSES if is_process else TOLERANCE


def compared_rows(surrogate: Surrogate) -> Floats:
    """Return the rows on which surrogate and file are compared, (N_ROWS, d); with gaps if the surrogate fills them."""
    lower, upper = surrogate.input_ranges.T
    width = np.where(upper > lower, upper - lower, 1.0)
    beyond = np.repeat([0.0, 1.0], N_ROWS // 2)[:, None]
    share = np.random.default_rng(0).uniform(-beyond, 1 + beyond, (N_ROWS, len(lower)))
    rows: Floats = lower + share * width
    if surrogate.encoding is None:
        return rows
    rows = surrogate.encoding.possible(rows)
    if surrogate.encoding.imputes:
        rows[np.random.default_rng(1).random(rows.shape) < SHARE_OF_GAPS] = np.nan
    return rows


def difference(given: Floats, wanted: Floats, spread: Floats) -> float:
    """Return the largest difference of two predictions (n, m), as a share of each output's size; it may be infinite.

    Args:
        spread: of each output in the training rows, (m,): predictions that are all near zero are not told apart
            further than that.
    """
    if not (np.isfinite(given) == np.isfinite(wanted)).all():
        return float("inf")
    finite = np.isfinite(wanted)
    size = np.maximum(np.abs(np.where(finite, wanted, 0.0)).max(axis=0), spread)
    gap = np.abs(np.where(finite, given - wanted, 0.0)).max(axis=0)
    return float((gap / np.where(size > 0, size, 1.0)).max())


def _told(surrogate: Surrogate) -> dict[str, str]:
    told = {
        "setpoint.kind": surrogate.kind,
        "inputs": json.dumps(surrogate.inputs),
        "outputs": json.dumps(surrogate.outputs),
        "input_ranges": json.dumps(surrogate.input_ranges.tolist()),
    }
    if surrogate.encoding:
        told["categories"] = json.dumps(surrogate.encoding.to_json()["categories"], ensure_ascii=False)
    return told


def _compare(surrogate: Surrogate, content: bytes) -> None:
    from engine.surrogates.onnx_sandbox import open_session

    X = compared_rows(surrogate)
    with np.errstate(invalid="ignore", over="ignore"):
        found = open_session(content).run(["Y"], {"X": X})[0]
        off = difference(found, surrogate.predict(X), surrogate.output_sd)
    if off > (most := tolerance(surrogate.form)):
        raise NotExportable(
            f"the ONNX file of this {surrogate.kind} model predicts otherwise than the model, by {off:.1g} of the size"
            f" of an output; up to {most:g} is rounding",
            kind=surrogate.kind,
            difference=off,
        )

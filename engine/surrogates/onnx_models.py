"""An ONNX file with what is declared about it, as a surrogate like any other."""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.errors import ShapeError
from engine.surrogates.arrays import Floats, matrix
from engine.surrogates.onnx_import import InputDeclaration, of_file, probe_points
from engine.surrogates.surrogate import Surrogate, distinct


def import_onnx(
    content: bytes, *, inputs: Sequence[InputDeclaration], outputs: Sequence[str], X: Any = None, Y: Any = None
) -> Surrogate:
    """Return a surrogate of the kind "onnx" that predicts with an ONNX file.

    It takes one tensor (n, d) or d tensors (n, 1), float or double, and gives m columns in one or several tensors. Both
    are taken in their order in the file.

    Args:
        content: the file.
        inputs: tags, bounds and types of its inputs. The bounds are the ranges that the surrogate is good for.
        outputs: tags of its outputs.
        X, Y: measured inputs (n, d) and outputs (n, m), if there are some, which tell how far tags vary in the plant.
            Without them inputs are taken to vary evenly within their bounds, and outputs as the model makes of that.

    Raises:
        OnnxRefused: the file is not one that will be run as a model, or not one of these inputs and outputs.
        TrainingError: there are no tags, or one is there twice.
        ShapeError, NotFinite: X or Y does not hold a finite number for each tag, or they differ in their rows.
    """
    tags, given = distinct("inputs", [each.tag for each in inputs]), distinct("outputs", outputs)
    form = of_file(content, inputs, len(given))
    ranges = np.array([[each.lower, each.upper] for each in inputs], dtype=np.float64)
    measured = _measured(X, Y, tags, given)
    if measured is None:
        input_sd, seen = (ranges[:, 1] - ranges[:, 0]) / math.sqrt(12), form.predict(probe_points(inputs))
    else:
        input_sd, seen = measured[0].std(axis=0), measured[1]
    return Surrogate(
        kind="onnx",
        params=MappingProxyType({}),
        inputs=tags,
        outputs=given,
        n_rows=0,
        input_ranges=ranges,
        output_ranges=np.stack([seen.min(axis=0), seen.max(axis=0)], axis=1),
        input_sd=input_sd,
        output_sd=seen.std(axis=0),
        form=form,
    )


def _measured(X: Any, Y: Any, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[Floats, Floats] | None:
    if X is None or Y is None:
        return None
    X, Y = matrix("X", X, inputs), matrix("Y", Y, outputs)
    if len(X) != len(Y) or len(X) == 0:
        raise ShapeError(f"X has {len(X)} rows and Y has {len(Y)}: both need the same, at least one")
    return X, Y

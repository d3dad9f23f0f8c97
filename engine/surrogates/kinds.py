"""The kinds of surrogate that can be trained, each told in one line of the table at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np

from engine.errors import ParameterError, TrainingError
from engine.surrogates.arrays import Floats
from engine.surrogates.auto import fit_auto
from engine.surrogates.blend import BlendForm
from engine.surrogates.boosting import fit_boosting
from engine.surrogates.forests import fit_extra_trees, fit_random_forest
from engine.surrogates.gaussian_process import GaussianProcessForm, fit_gaussian_process
from engine.surrogates.linear import LinearForm, fit_linear, fit_ridge
from engine.surrogates.neural_network import NetworkForm, fit_neural_network
from engine.surrogates.onnx_import import OnnxForm
from engine.surrogates.params import (
    AutoParams,
    BoostingParams,
    ForestParams,
    GaussianProcessParams,
    LinearParams,
    NetworkParams,
    OnnxParams,
    Params,
    ParamValue,
    RidgeParams,
    complete,
    schema,
)
from engine.surrogates.trees import TreeEnsemble


class Form(Protocol):
    """What a kind computes with: plain arrays that predict and can be stored."""

    def predict(self, X: Floats) -> Floats:
        """Return predictions (n, m) for finite X (n, d). The same row gives the same bits in any company."""

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: arrays by name."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> Self:
        """Return the form of stored arrays, which may hold anything; ModelFileError if unsound."""


@dataclass(frozen=True)
class Kind:
    """One kind of surrogate.

    Attributes:
        title: the name that people read.
        params: dataclass of its hyperparameters.
        form: what it computes with.
        fit: from X (n, d), Y (n, m), complete hyperparameters, seed, number of threads and the function that
            is told of the progress, to the form.
        chooses: whether it chooses by rows held out; its ``fit`` takes the ``folds`` to do so by, too.
        threaded: the modules with threads of their own (OpenMP, BLAS) that ``fit`` uses beside NumPy.
    """

    title: str
    params: type[Params]
    form: type[Form]
    fit: Callable[..., Form]
    chooses: bool = False
    threaded: tuple[str, ...] = ()


_TREES, _ALGEBRA = ("sklearn.ensemble",), ("scipy.linalg",)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "linear": Kind("Linear regression", LinearParams, LinearForm, fit_linear),
        "ridge": Kind("Ridge regression", RidgeParams, LinearForm, fit_ridge),
        "random_forest": Kind("Random forest", ForestParams, TreeEnsemble, fit_random_forest, threaded=_TREES),
        "extra_trees": Kind("Extra trees", ForestParams, TreeEnsemble, fit_extra_trees, threaded=_TREES),
        "hist_gradient_boosting": Kind(
            "Gradient boosting", BoostingParams, TreeEnsemble, fit_boosting, threaded=_TREES
        ),
        "gaussian_process": Kind(
            "Gaussian process", GaussianProcessParams, GaussianProcessForm, fit_gaussian_process, threaded=_ALGEBRA
        ),
        "neural_network": Kind("Neural network", NetworkParams, NetworkForm, fit_neural_network),
        "auto": Kind(
            "Chosen by validation", AutoParams, BlendForm, fit_auto, chooses=True, threaded=(*_TREES, *_ALGEBRA)
        ),
    }
)


def _untrained(*_given: Any) -> Form:
    raise TrainingError("a model of the kind 'onnx' is imported; it is not trained")


IMPORTED: Mapping[str, Kind] = MappingProxyType({"onnx": Kind("Imported model", OnnxParams, OnnxForm, _untrained)})
"""Kinds of models that were made elsewhere: they are stored and predict like the others."""


def find_kind(kind: str) -> Kind:
    """Return the kind of this name that can be trained.

    Raises:
        ParameterError: there is none, or models of it are imported and not trained.
    """
    if isinstance(kind, str) and kind in IMPORTED:
        raise ParameterError(
            f"models of the kind {kind!r} are imported, not trained; trained can be {', '.join(KINDS)}",
            parameter="kind",
            given=repr(kind),
            allowed=list(KINDS),
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise ParameterError(
            f"there is no kind of surrogate {kind!r}; there are {', '.join(KINDS)}",
            parameter="kind",
            given=repr(kind),
            allowed=list(KINDS),
        )
    return KINDS[kind]


def check_params(kind: str, params: Mapping[str, Any] | None = None) -> dict[str, ParamValue]:
    """Return the complete hyperparameters of ``kind``: those given, checked, and defaults for the others.

    Raises:
        ParameterError: the kind or a name is unknown, or a value is of the wrong type or out of its bounds; the
            message names it, what was given and what is allowed.
    """
    return complete(find_kind(kind).params, params or {}, kind=kind)


def describe_params(kind: str) -> dict[str, Any]:
    """Return the JSON schema of the hyperparameters of ``kind``, with bounds, defaults and meaning.

    Raises:
        ParameterError: the kind is unknown.
    """
    found = find_kind(kind)
    return schema(found.params, title=found.title)

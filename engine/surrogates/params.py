"""Hyperparameters of every kind of surrogate: their names, defaults, bounds and meaning.

Each kind has a frozen dataclass whose fields carry their bounds, so that the check, the JSON schema of the
API and the documentation cannot tell different stories. ``null`` (None) means "no limit" where it is allowed.
"""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any

from engine.errors import ParameterError

# Deepest tree that is grown, stored or loaded. Splits halve rows, so real trees stay far below; the bound
# keeps every walk through a tree short and recursion in other people's tree code off the end of the stack.
MAX_DEPTH = 256

ParamValue = int | float | None
OnStep = Callable[[float], None]  # is told the share of a training that is done; what it raises ends the training


def _bounded(default: ParamValue, minimum: float, maximum: float, doc: str, *, is_open: bool = False) -> Any:
    """Return a dataclass field within [minimum, maximum], or (minimum, maximum] if ``is_open``."""
    bounds = {"minimum": minimum, "maximum": maximum, "is_open": is_open, "doc": doc}
    return field(default=default, metadata=bounds)


@dataclass(frozen=True)
class LinearParams:
    """Least squares on standardized inputs, with a ridge penalty if ``alpha`` > 0."""

    alpha: float = _bounded(
        0.0,
        0.0,
        1e12,
        "Ridge penalty on the squared coefficients of the standardized inputs; 0 is least squares.",
    )


@dataclass(frozen=True)
class RidgeParams:
    """Ridge regression on standardized inputs; the penalty is chosen by leaving out one row at a time."""

    alpha: float | None = _bounded(
        None, 0.0, 1e12, "Penalty on the squared coefficients; null: the one that predicts rows left out best."
    )


@dataclass(frozen=True)
class GaussianProcessParams:
    """A Gaussian process with a length scale for each input, learned by the likelihood: for up to some 2,000 rows."""

    smoothness: int = _bounded(
        2, 0, 3, "0, 1, 2: Matern kernels of 1/2, 3/2, 5/2; 3: squared exponential (RBF), the smoothest."
    )
    max_rows: int = _bounded(2000, 10, 4000, "Most rows that are predicted from; more are thinned out evenly.")


@dataclass(frozen=True)
class NetworkParams:
    """The mean of several neural networks with two hidden layers of rectified linear units."""

    n_units: int = _bounded(64, 1, 512, "Units in each hidden layer.")
    n_members: int = _bounded(3, 1, 20, "Networks that are averaged.")
    n_epochs: int = _bounded(150, 1, 5000, "How often all rows are gone through.")
    learning_rate: float = _bounded(3e-3, 0.0, 1.0, "Step of the training at its beginning.", is_open=True)
    decay: float = _bounded(1e-3, 0.0, 10.0, "Pull of the weights towards zero.")


@dataclass(frozen=True)
class ForestParams:
    """A forest of trees grown independently; the prediction is the mean of the trees."""

    n_trees: int = _bounded(100, 1, 2000, "Number of trees.")
    max_depth: int | None = _bounded(None, 1, MAX_DEPTH, f"Most splits from root to leaf; null: {MAX_DEPTH}.")
    min_rows_leaf: int = _bounded(2, 1, 1_000_000, "Fewest rows in a leaf; more rows give a smoother model.")
    max_features: float = _bounded(1.0, 0.0, 1.0, "Share of the inputs that is tried at each split.", is_open=True)


@dataclass(frozen=True)
class BoostingParams:
    """Shallow trees grown one after the other, each on the errors of those before; one booster per output."""

    n_iterations: int = _bounded(100, 1, 2000, "Number of trees per output.")
    learning_rate: float = _bounded(0.1, 0.0, 1.0, "Share of each tree's correction that is used.", is_open=True)
    max_leaves: int = _bounded(31, 2, 1024, "Most leaves of a tree.")
    max_depth: int | None = _bounded(None, 1, MAX_DEPTH, f"Most splits from root to leaf; null: {MAX_DEPTH}.")
    min_rows_leaf: int = _bounded(10, 1, 1_000_000, "Fewest rows in a leaf; more rows give a smoother model.")
    l2: float = _bounded(0.0, 0.0, 1e12, "Penalty that draws leaf values towards zero, in rows.")
    max_features: float = _bounded(1.0, 0.0, 1.0, "Share of the inputs that is tried at each split.", is_open=True)


@dataclass(frozen=True)
class AutoParams:
    """The kind, or the blend of kinds, that predicts held-out rows of this very table best."""

    budget: int = _bounded(
        100, 1, 10_000, "Most fits while searching; those of what was chosen, on all rows, come on top."
    )
    time_limit: float | None = _bounded(
        None, 0.0, 1e7, "Seconds after which the search ends with what it has found; null: no limit.", is_open=True
    )


@dataclass(frozen=True)
class OnnxParams:
    """A model that was made elsewhere: nothing of it can be set."""


Params = (
    LinearParams
    | RidgeParams
    | ForestParams
    | BoostingParams
    | GaussianProcessParams
    | NetworkParams
    | AutoParams
    | OnnxParams
)

_REAL = (float, float | None)
"""Types of fields that take any number; the others take whole numbers."""


def complete(spec: type[Params], params: Mapping[str, Any], *, kind: str) -> dict[str, ParamValue]:
    """Return every hyperparameter of ``spec``: those given, checked, and the defaults of the others.

    Raises:
        ParameterError: a name is unknown, or a value is of the wrong type or out of its bounds.
    """
    if not isinstance(params, Mapping):
        raise ParameterError(f"hyperparameters are named values, not {params!r:.40}", kind=kind)
    known = {f.name: f for f in fields(spec)}
    for name in params:
        if name not in known:
            raise ParameterError(
                f"{kind} has no hyperparameter {name!r}; it has {', '.join(known)}",
                kind=kind,
                parameter=str(name),
                allowed=list(known),
            )
    return {name: _checked(f, params.get(name, f.default), kind) for name, f in known.items()}


def schema(spec: type[Params], *, title: str) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of the hyperparameters of ``spec``."""
    return {
        "type": "object",
        "title": title,
        "description": spec.__doc__,
        "additionalProperties": False,
        "properties": {f.name: _property(f) for f in fields(spec)},
    }


def _checked(f: Field[Any], value: Any, kind: str) -> ParamValue:
    if not _is_allowed(f, value):
        raise ParameterError(
            f"{f.name} of {kind} must be {_allowed(f)}, not {value!r}",
            kind=kind,
            parameter=f.name,
            given=repr(value),
            allowed=_allowed(f),
        )
    if value is None:
        return None
    return float(value) if f.type in _REAL else int(value)  # 1 and 1.0 are the same share; NumPy's numbers are welcome


def _is_allowed(f: Field[Any], value: Any) -> bool:
    if value is None:
        return _may_be_null(f)
    if isinstance(value, bool) or not isinstance(value, Real if f.type in _REAL else Integral):
        return False
    low, high = f.metadata["minimum"], f.metadata["maximum"]
    return bool((low < value if f.metadata["is_open"] else low <= value) and value <= high)  # NaN: never


def _may_be_null(f: Field[Any]) -> bool:
    return f.default is None


def _allowed(f: Field[Any]) -> str:
    bounds = f.metadata
    what = "a number" if f.type in _REAL else "a whole number"
    low, high = (f"{bounds[end]:g}" if f.type in _REAL else str(bounds[end]) for end in ("minimum", "maximum"))
    between = f"above {low} and up to {high}" if bounds["is_open"] else f"from {low} to {high}"
    return f"{what} {between}" + (" or null" if _may_be_null(f) else "")


def _property(f: Field[Any]) -> dict[str, Any]:
    bounds = f.metadata
    plain = "number" if f.type in _REAL else "integer"
    return {
        "type": [plain, "null"] if _may_be_null(f) else plain,
        "exclusiveMinimum" if bounds["is_open"] else "minimum": bounds["minimum"],
        "maximum": bounds["maximum"],
        "default": f.default,
        "description": bounds["doc"],
    }

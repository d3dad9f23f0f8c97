"""What a module takes and gives, held against a table and against a model."""

from collections.abc import Sequence
from typing import Any

from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import DatasetVersion, Model, Module
from engine.lookback import MOST_ROWS_BACK as MOST_BACK
from engine.lookback import InputHistory, Lookback

NUMERIC = {"real", "integer"}
TEXT = "text"

MOST_ROWS_BACK = MOST_BACK

HISTORY = ("lags", "windows")
"""What an input says of its past, beside its tag, its role and its source."""


def names(inputs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the tags of a module's inputs."""
    return [given["tag"] for given in inputs]


def lookback(inputs: Sequence[dict[str, Any]], horizon: int) -> Lookback:
    """Return what is seen of the inputs' past, and how many rows the outputs lie ahead.

    Raises:
        ParameterError: a lag, a window or the horizon is not allowed.
    """
    seen = [
        InputHistory(given["tag"], **{name: tuple(given[name]) for name in HISTORY if name in given})
        for given in inputs
    ]
    return Lookback(tuple(seen), horizon)


def lookback_of(model: Model) -> Lookback:
    """Return what a model sees of its inputs' past: what its module did when it was trained."""
    return lookback(model.inputs, model.options.get("horizon", 0))


def types(version: DatasetVersion) -> dict[str, str]:
    """Return the type of every tag of a table."""
    return {tag["name"]: tag["type"] for tag in version.tags}


def are_numbers(inputs: Sequence[dict[str, Any]], version: DatasetVersion) -> bool:
    """Return whether a table holds numbers in all of these inputs."""
    present = types(version)
    return all(present.get(tag) in NUMERIC for tag in names(inputs))


def check(
    inputs: Sequence[dict[str, Any]], outputs: Sequence[str], version: DatasetVersion, *, takes_text: bool = True
) -> None:
    """Refuse inputs and outputs that the table cannot give.

    An input may hold text, which are categories then, unless it is a link or its past is seen: there is no text between
    modules, and no mean of two.

    Args:
        takes_text: whether inputs may hold text at all.

    Raises:
        AppError: MODULE_TAG_UNKNOWN, MODULE_TAG_NOT_NUMERIC; details hold all such tags.
    """
    tags, present = [*names(inputs), *outputs], types(version)
    table = f"version {version.number} of the data set {version.dataset.name!r}"
    if unknown := [tag for tag in tags if tag not in present]:
        raise AppError(ErrorCode.MODULE_TAG_UNKNOWN, f"There is no {_listed(unknown)} in {table}.", tags=unknown)
    as_text = {given["tag"] for given in inputs if takes_text and _is_plain(given)}
    allowed = {tag: NUMERIC | {TEXT} if tag in as_text else NUMERIC for tag in tags}
    if others := [tag for tag in tags if present[tag] not in allowed[tag]]:
        held = {tag: present[tag] for tag in others}
        detail = f"In {table}, {_listed(others)} {'does' if len(others) == 1 else 'do'} not hold numbers."
        if takes_text and any(present[given["tag"]] == TEXT and given["tag"] in others for given in inputs):
            detail += " Text is taken of controls and disturbances, at the present row."
        raise AppError(ErrorCode.MODULE_TAG_NOT_NUMERIC, detail, types=held)


def fits(model: Model, module: Module) -> bool:
    """Whether the model takes and gives what the module does now, in whatever order and wherever links come from.

    Roles count: an optimization frees and fixes inputs by the roles that the model was trained with.
    """
    is_ahead_alike = model.options.get("horizon", 0) == module.horizon
    return (
        is_ahead_alike and _taken(model.inputs) == _taken(module.inputs) and set(model.outputs) == set(module.outputs)
    )


def _is_plain(given: dict[str, Any]) -> bool:
    return given["role"] != "link" and given.get("lags", [0]) == [0] and not given.get("windows")


def texts(tags: Sequence[str], version: DatasetVersion) -> list[str]:
    """Return those of the tags that hold text in a table."""
    present = types(version)
    return [tag for tag in tags if present.get(tag) == TEXT]


def _taken(inputs: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return for each tag its role and what is seen of its past."""
    return {given["tag"]: (given["role"], given.get("lags", [0]), given.get("windows", [])) for given in inputs}


def _listed(tags: Sequence[str]) -> str:
    quoted = [repr(tag) for tag in tags[:8]]
    return ", ".join(quoted) + (f" and {len(tags) - 8} more" if len(tags) > 8 else "")

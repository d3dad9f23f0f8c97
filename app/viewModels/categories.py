"""Categories of a model's inputs: texts for people, and the places in a list that the engine knows them by."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn

from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import Model

Known = Mapping[str, Sequence[str]]

MOST_TOLD = 8


def of(model: Model) -> dict[str, list[str]]:
    """Return the categories of each categorical input of a trained model, in the order of their places."""
    return (model.encoding or {}).get("categories", {})


def of_all(*models: Model) -> dict[str, list[str]]:
    """Return the categories that models know, which must agree where they take the same input.

    Raises:
        AppError: INVALID_INPUT, one knows other categories of an input than another.
    """
    known: dict[str, list[str]] = {}
    for model in models:
        for tag, names in of(model).items():
            if known.setdefault(tag, names) != names:
                _refuse("models", f"one knows other categories of {tag!r} than another", tag)
    return known


def imputes(model: Model) -> bool:
    """Return whether a model fills what is missing."""
    return (model.encoding or {}).get("missing") == "impute"


def flagged(model: Model) -> list[str]:
    """Return the inputs that lacked a value in some row that a model was trained on, and may lack one."""
    return (model.encoding or {}).get("flagged", [])


def fill(model: Model) -> dict[str, float]:
    """Return what a model fills each input with where it is missing, by its place for a category."""
    return unworded((model.encoding or {}).get("fill", {}), of(model))


def fault(value: Any, names: Collection[str]) -> str | None:
    """Return what is wrong with a value that shall be one of these categories."""
    if isinstance(value, str) and value in names:
        return None
    shown = ", ".join(map(repr, islice(names, MOST_TOLD))) + (", ..." if len(names) > MOST_TOLD else "")
    given = repr(value[:80]) if isinstance(value, str) else type(value).__name__
    return f"it is one of {shown}, not {given}"


def placed(path: str, given: Mapping[str, Any], known: Known) -> dict[str, float]:
    """Return values by tag, with the place of a category in place of its text.

    Raises:
        AppError: INVALID_INPUT, a categorical input has no category of its own, or another one holds a text.
    """
    values = {}
    for tag, value in given.items():
        if tag in known:
            if wrong := fault(value, known[tag]):
                _refuse(path, f"{tag!r}: {wrong}", tag)
            values[tag] = float(known[tag].index(value))
        elif isinstance(value, str):
            _refuse(path, f"{tag!r} needs a number, not a text", tag)
        else:
            values[tag] = float(value)
    return values


def worded(values: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """Return values by tag, with the text of a category in place of its place."""
    return {tag: word(tag, value, known) for tag, value in values.items()}


def unworded(values: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """Return values that ``worded`` gave as they were."""
    return {
        tag: float(known[tag].index(value)) if tag in known and isinstance(value, str) else value
        for tag, value in values.items()
    }


def word(tag: str, value: Any, known: Known) -> Any:
    """Return the text of a category if the tag is categorical; else the value."""
    return known[tag][round(value)] if tag in known and isinstance(value, int | float) else value


def in_report(found: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """Return what an optimization found with texts for categories wherever the values of inputs stand."""
    if not known:
        return dict(found)
    return {name: _in_words(name, value, known) for name, value in found.items()}


def _in_words(name: str, value: Any, known: Known) -> Any:
    """Return one part of a report, however deep its values of inputs lie."""
    if name in {"inputs", "medians"} and isinstance(value, Mapping):
        return worded(value, known)
    if name == "fixed_ranges":
        return {tag: [word(tag, each, known) for each in ends] for tag, ends in value.items()}
    if name == "repeat":
        return value
    if isinstance(value, Mapping):
        told = {key: _in_words(key, each, known) for key, each in value.items()}
        values = {key: told[key] for key in ("value", "before", "after") if key in told and told.get("tag") in known}
        return told | {key: word(told["tag"], each, known) for key, each in values.items()}
    if isinstance(value, list):
        return [_in_words("", each, known) for each in value]
    return value


def _refuse(path: str, reason: str, tag: str) -> NoReturn:
    raise AppError(ErrorCode.INVALID_INPUT, f"{path}: {reason}.", path=path, tags=[tag])

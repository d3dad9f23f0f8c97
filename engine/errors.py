# ruff: noqa: N818  (the concrete errors are called after what is wrong: RaggedRow, ZipBomb)
"""What the engine refuses, and how it says so.

An ``EngineError`` is an answer: what was given cannot be used, and the message says what was given, what was
wanted and where. A program branches on ``code``, which never changes; the words may. Every class has a code
of its own, also a family such as ``TableError``, so that a refusal that fits no narrower class has one too.
"""

import importlib
import pkgutil
from typing import Any, ClassVar


class EngineError(Exception):
    """The engine cannot do what was asked with what was given.

    Args:
        message: one or two sentences: what was given, what was wanted, and where.
        details: the same facts for programs, as values that go to JSON.
    """

    code: ClassVar[str] = "engine.refused"
    title: ClassVar[str] = "The engine cannot do this with what was given."

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        missing = {"code", "title"} - vars(cls).keys()
        if missing:
            raise TypeError(f"{cls.__name__} needs its own {' and '.join(sorted(missing))}")


def all_errors() -> list[type[EngineError]]:
    """Return every error class of the engine, sorted by code: the rows of the error-code table.

    Imports every module of the engine, since a class exists only after its module has run.
    """
    package = importlib.import_module("engine")
    for module in pkgutil.walk_packages(package.__path__, "engine."):
        importlib.import_module(module.name)
    found: set[type[EngineError]] = set()
    unseen: list[type[EngineError]] = [EngineError]
    while unseen:
        error = unseen.pop()
        if error.__module__.partition(".")[0] == "engine":  # a caller's own subclasses are not in our table
            found.add(error)
        unseen.extend(error.__subclasses__())
    return sorted(found, key=lambda error: error.code)


# Numbers and arrays


class ShapeError(EngineError):
    """Arrays do not fit each other, or not the model that is to take them."""

    code = "engine.shape"
    title = "The arrays do not have the shapes that are needed."


class ParameterError(EngineError):
    """A parameter is unknown, of the wrong type or out of its range."""

    code = "engine.parameter"
    title = "A parameter is unknown, of the wrong type or out of its range."


# Expressions


class ExpressionError(EngineError):
    """An expression cannot be read or computed. ``details["position"]`` counts characters from 1."""

    code = "expression.invalid"
    title = "The expression cannot be read or computed."


class UnknownExpressionTag(ExpressionError):
    """An expression speaks of a tag for which there is no column."""

    code = "expression.unknown_tag"
    title = "The expression speaks of a tag that is not there."


# Tables


class TableError(EngineError):
    """A table, or what is asked of it, cannot be used."""

    code = "table.unusable"
    title = "The table cannot be used as given."


class UnknownFormat(TableError):
    """Neither the name nor the first bytes are those of a table that can be read."""

    code = "table.unknown_format"
    title = "The file is not a table that can be read: CSV, XLSX and Parquet are."


class UnreadableFile(TableError):
    """The file is damaged, or is not what its name says."""

    code = "table.unreadable"
    title = "The file is damaged or is not of the format that it claims."


class EmptyTable(TableError):
    """There is no row of data."""

    code = "table.empty"
    title = "The table holds no rows."


class MissingHeader(TableError):
    """No row names the columns."""

    code = "table.no_header"
    title = "The table has no row that names its columns."


class RaggedRow(TableError):
    """A row has more or fewer cells than the header."""

    code = "table.ragged_row"
    title = "A row has more or fewer cells than the header."


class DuplicateTag(TableError):
    """Two columns have the same name."""

    code = "table.duplicate_tag"
    title = "Two columns of the table have the same name."


class BadEncoding(TableError):
    """Bytes of the file are not text in the encoding that is used."""

    code = "table.encoding"
    title = "The file is not text in the encoding that is used to read it."


class ZipBomb(TableError):
    """A compressed file would grow beyond every plausible table."""

    code = "table.zip_bomb"
    title = "The compressed file would grow beyond what is accepted."


class TooLarge(TableError):
    """The table has more rows, columns or bytes in one cell than is accepted."""

    code = "table.too_large"
    title = "The table is larger than is accepted."


class UnknownTag(TableError):
    """A tag is asked for that the table does not have."""

    code = "table.unknown_tag"
    title = "The table has no such tag."


class WrongTagType(TableError):
    """A tag holds another type than is needed, such as text where numbers are wanted."""

    code = "table.wrong_tag_type"
    title = "A tag does not hold the type of values that is needed."


class InvalidReading(TableError):
    """An option for reading the table is unknown, malformed or does not fit the file."""

    code = "table.invalid_reading"
    title = "An option for reading the table is unknown, malformed or does not fit the file."


class InvalidDerivedTag(TableError):
    """A derived tag is malformed, or refers to itself."""

    code = "table.invalid_derived_tag"
    title = "A derived tag is malformed or refers to itself."


# Surrogates


class TrainingError(EngineError):
    """A surrogate cannot be trained or validated on this data."""

    code = "model.training"
    title = "The model cannot be trained on this data."


class ModelFileError(EngineError):
    """A stored model is damaged, altered or of an unknown version."""

    code = "model.file"
    title = "The stored model is damaged, altered or of an unknown version."


# Optimization and the process


class ProblemError(EngineError):
    """An optimization problem contradicts itself or does not fit its model."""

    code = "problem.invalid"
    title = "The optimization problem contradicts itself or does not fit its model."


class ProcessGraphError(EngineError):
    """The modules of a process do not form a graph that can be computed."""

    code = "process.invalid"
    title = "The modules of the process do not form a graph that can be computed."

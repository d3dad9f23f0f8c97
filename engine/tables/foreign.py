"""The border to the readers that are written in Rust."""

from collections.abc import Iterator
from contextlib import contextmanager

import fastexcel
import polars as pl

from engine.errors import UnreadableFile

_REFUSALS = (pl.exceptions.PolarsError, fastexcel.FastExcelError, OSError, ValueError)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn whatever a foreign reader says about a damaged file, panics included, into an UnreadableFile.

    Args:
        what: the file in a sentence, such as "the workbook".
    """
    try:
        yield
    except _REFUSALS as error:
        raise _unreadable(what, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a Rust panic is no Exception
            raise
        raise _unreadable(what, error) from error


def _unreadable(what: str, error: BaseException) -> UnreadableFile:
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    return UnreadableFile(f"{what} cannot be read: {first_line}", reader=first_line)

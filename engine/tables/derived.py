"""Tags that are computed from other tags, declared as data.

A derived tag is an expression over tags, or a part of a time tag:

    day       the calendar day in the time zone of the table, as an integer: days since 1970-01-01. It groups the
              rows of a day, sorts in time order and is a number where numbers are wanted.
    hour      the hour of the day in the time zone of the table, 0 to 23, as an integer.
    campaign  1, 2, 3, ... in time order: a new number after every gap of more than ``gap_hours``, whatever the
              order of the rows.

A missing value, and a result that is not finite, makes a missing value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import polars as pl

from engine.errors import InvalidDerivedTag, InvalidReading, UnknownTag, WrongTagType
from engine.expressions import Expression
from engine.tables.parquet_files import columns_to_numpy
from engine.tables.reading import Note, Table

PARTS = ("day", "hour", "campaign")
_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True)
class DerivedTag:
    """A tag that is computed: either ``expression``, or ``part`` of the time tag ``of``.

    Attributes:
        name: of the new tag.
        expression: over measured and other derived tags.
        part: one of PARTS.
        of: the time tag of which it is a part; None means the time tag of the table.
        gap_hours: for a campaign: a longer gap begins a new one.
    """

    name: str
    expression: str | None = None
    part: str | None = None
    of: str | None = None
    gap_hours: float | None = None

    def __post_init__(self) -> None:
        """Check that the declaration makes sense by itself.

        Raises:
            InvalidDerivedTag: it does not; details name the field.
            ExpressionError: the expression cannot be read.
        """
        self._check("name", isinstance(self.name, str) and bool(self.name.strip()), "a name")
        self._check("name", self.name == self.name.strip(), "a name without white space around it")
        is_part = self.part is not None
        if is_part == (self.expression is not None):
            raise InvalidDerivedTag(
                f"derived tag {self.name!r} needs either an expression or a part, one of {', '.join(PARTS)}",
                tag=self.name,
                field="part",
            )
        self._check("part", self.part in (None, *PARTS), f"one of {', '.join(PARTS)}")
        self._check("of", self.of is None or (is_part and isinstance(self.of, str)), "the name of a time tag")
        if self.part == "campaign":
            self._check("gap_hours", _is_positive(self.gap_hours), "a number of hours above 0")
        else:
            self._check("gap_hours", self.gap_hours is None, "nothing unless the part is a campaign")
        if self.expression is not None:
            Expression.parse(self.expression)

    def _check(self, name: str, is_valid: bool, wanted: str) -> None:
        if not is_valid:
            given = getattr(self, name)
            message = f"{name} of derived tag {self.name!r} is {given!r}, but {wanted} is needed"
            raise InvalidDerivedTag(message, tag=self.name, field=name)

    def to_json(self) -> dict[str, Any]:
        """Return the declaration as values that go to JSON, without what is not given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, declaration: Mapping[str, Any]) -> "DerivedTag":
        """Return the derived tag that ``to_json`` gave, or that a user wrote.

        Raises:
            InvalidDerivedTag: it has an unknown field, lacks its name, or makes no sense.
            ExpressionError: the expression cannot be read.
        """
        if not isinstance(declaration, Mapping):
            raise InvalidDerivedTag(f"a derived tag is an object with named fields, not {declaration!r:.40}")
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(declaration) - set(known))
        if unknown:
            message = f"a derived tag has no field {unknown[0]!r}; it has {', '.join(known)}"
            raise InvalidDerivedTag(message, field=unknown[0])
        if "name" not in declaration:
            raise InvalidDerivedTag("a derived tag needs a name", field="name")
        return cls(**declaration)


def derive(table: Table, tags: Sequence[DerivedTag]) -> Table:
    """Return the table with derived tags as further columns, in the order in which they are given.

    They may build on each other in any order, as long as there is no circle.

    Raises:
        InvalidDerivedTag: a name is taken or given twice, or tags build on each other in a circle.
        UnknownTag: a tag is used that the table does not have.
        WrongTagType: an expression uses text or times, or a part is taken of a tag that is no time.
        InvalidReading: a day or an hour is wanted in a time zone that is not known.
    """
    _check_names(table, tags)
    frame, notes = table.frame, list(table.notes)
    for tag in _in_order(tags):
        values, n_infinite = _from_expression(frame, tag) if tag.expression else (_part(frame, table, tag), 0)
        frame = frame.with_columns(values.alias(tag.name))
        if n_infinite:
            message = f"{n_infinite} results of {tag.name} are infinite, a missing value here"
            notes.append(Note("not_finite", message, {"tags": {tag.name: n_infinite}}))
    columns = [*table.frame.columns, *(tag.name for tag in tags)]
    return replace(table, frame=pl.DataFrame([frame[name] for name in columns]), notes=tuple(notes))


def _check_names(table: Table, tags: Sequence[DerivedTag]) -> None:
    taken = set(table.frame.columns)
    for tag in tags:
        if tag.name in taken:
            message = f"derived tag {tag.name!r} has the name of another tag of the table"
            raise InvalidDerivedTag(message, tag=tag.name, field="name")
        taken.add(tag.name)
    for tag in tags:
        missing = [used for used in _uses(tag) if used not in taken]
        if missing:
            message = f"derived tag {tag.name!r} uses {missing[0]!r}, which the table does not have"
            raise UnknownTag(message, tag=missing[0], derived_tag=tag.name)


def _uses(tag: DerivedTag) -> tuple[str, ...]:
    if tag.expression is not None:
        return Expression.parse(tag.expression).tags
    return (tag.of,) if tag.of is not None else ()


def _in_order(tags: Sequence[DerivedTag]) -> list[DerivedTag]:
    """Return the tags so that each comes after those that it uses."""
    by_name = {tag.name: tag for tag in tags}
    graph = {tag.name: [used for used in _uses(tag) if used in by_name] for tag in tags}
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = error.args[1]
        message = f"derived tags build on each other in a circle: {' -> '.join(circle)}"
        raise InvalidDerivedTag(message, circle=circle, tag=circle[0]) from error


def _from_expression(frame: pl.DataFrame, tag: DerivedTag) -> tuple[pl.Series, int]:
    """Return the values and how many of them were infinite."""
    expression = Expression.parse(tag.expression or "")
    for used in expression.tags:
        if not (frame[used].dtype.is_numeric() or frame[used].dtype == pl.Boolean):
            message = f"derived tag {tag.name!r} computes with {used!r}, which holds {frame[used].dtype}, not numbers"
            raise WrongTagType(message, tag=used, derived_tag=tag.name)
    columns = columns_to_numpy(frame, expression.tags)
    values = np.broadcast_to(expression.evaluate(columns), frame.height)
    series = pl.Series(values.copy())
    return series.set(~series.is_finite(), None), int(np.isinf(values).sum())


def _part(frame: pl.DataFrame, table: Table, tag: DerivedTag) -> pl.Series:
    time_tag = tag.of or table.time_tag
    if time_tag is None:
        raise UnknownTag(f"derived tag {tag.name!r} needs a time tag, but the table has none", derived_tag=tag.name)
    times = frame[time_tag]
    if times.dtype != pl.Datetime:
        message = f"derived tag {tag.name!r} is a part of {time_tag!r}, which holds {times.dtype}, not times"
        raise WrongTagType(message, tag=time_tag, derived_tag=tag.name)
    if tag.part == "campaign":
        return _campaigns(times, tag.gap_hours or 0.0)
    try:
        local = times.dt.convert_time_zone(table.reading.time_zone)
    except pl.exceptions.PolarsError as error:  # names such as "localtime", which only Python knows
        raise InvalidReading(f"there is no time zone {table.reading.time_zone!r}", option="time_zone") from error
    part = local.dt.date().to_physical() if tag.part == "day" else local.dt.hour()
    return part.cast(pl.Int64)


def _campaigns(times: pl.Series, gap_hours: float) -> pl.Series:
    """Return 1, 2, 3, ... in time order, going up by one after each longer gap."""
    order = times.arg_sort(nulls_last=True)
    in_time_order = times.gather(order)
    gaps = in_time_order.dt.epoch("ms").diff()
    numbers = (gaps > gap_hours * _MS_PER_HOUR).fill_null(False).cast(pl.Int64).cum_sum() + 1
    numbers = numbers.set(in_time_order.is_null(), None)
    return numbers.gather(order.arg_sort())


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")

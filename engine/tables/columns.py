"""From the columns of a file to typed tags.

A column of text becomes numbers, times or booleans if every cell is one, apart from blanks and from words that
stand for a missing value. Otherwise it stays text, and a note says so where most of its cells are numbers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from engine.errors import EmptyTable, InvalidReading, WrongTagType
from engine.tables.layout import RawTable
from engine.tables.reading import BAD_VALUES, Note, OnProgress, Reading, Table
from engine.tables.times import LOCAL_TIME, UTC_TIME, Stamps, read_stamps, to_utc

_COMMA_NUMBER = r"^\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*$"
_POINT_NUMBER = r"^\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*$"
_GROUPED_NUMBER = r"^\s*[+-]?[1-9]\d{0,2},\d{3}\s*$"
_MAX_SHOWN = 5


@dataclass(frozen=True)
class _Column:
    """A column with its type, and what happened on the way.

    ``bad`` counts the words that became missing, ``odd`` the words that keep a column of numbers from being one.
    """

    values: pl.Series
    bad: Mapping[str, int] = field(default_factory=dict)
    odd: Mapping[str, int] = field(default_factory=dict)
    n_infinite: int = 0
    stamps: Stamps | None = None


def settle(raw: RawTable, on_progress: OnProgress) -> Table:
    """Give every column its type and every tag its name.

    Raises:
        EmptyTable: there are no rows or no columns.
        WrongTagType: a column holds lists or other values that no tag can have.
        InvalidReading: the time zone or the time format cannot be used.
    """
    if not raw.columns or not len(raw.columns[0]):
        raise EmptyTable("the table has no rows of data")
    reading, notes = raw.reading, list(raw.notes)
    decimal = reading.decimal or _guess_decimal(raw.columns, reading.delimiter, notes)
    bad_values = BAD_VALUES if reading.bad_values is None else reading.bad_values
    bad_words = frozenset(word.strip().lower() for word in bad_values)
    columns, preferred = [], reading.time_format
    for index, heading in enumerate(raw.headings):
        values, raw.columns[index] = raw.columns[index], pl.Series()  # let go of the text as the numbers come
        column = _typed(values, heading or f"column_{index + 1}", decimal, bad_words, reading, preferred)
        if preferred is None and column.stamps:
            preferred = column.stamps.time_format or None
        columns.append(column)
        on_progress(len(columns) / len(raw.columns))
    if reading.time_format and not any(c.stamps and c.stamps.time_format == reading.time_format for c in columns):
        message = f"time_format is {reading.time_format!r}, but no column reads as such times"
        raise InvalidReading(message, option="time_format")
    tags = _named(raw.headings, columns, notes)
    kept = {tag: columns[index] for index, tag in tags.items()}
    notes += _column_notes(kept, reading)
    times = [tag for tag, column in kept.items() if column.values.dtype == UTC_TIME]
    filled = replace(
        reading,
        decimal=decimal,
        bad_values=bad_values,
        time_format=preferred,
    )
    return Table(
        pl.DataFrame([column.values.alias(tag) for tag, column in kept.items()]),
        filled,
        tuple(notes),
        times[0] if times else None,
        {tags[index]: unit for index, unit in raw.units.items() if index in tags},
    )


def _typed(
    values: pl.Series,
    name: str,
    decimal: str,
    bad_words: Collection[str],
    reading: Reading,
    preferred: str | None,
) -> _Column:
    kind = values.dtype
    if kind == pl.String or kind == pl.Categorical or kind == pl.Enum:
        return _from_text(values.cast(pl.String), decimal, bad_words, reading, preferred)
    if kind == pl.Boolean:
        return _Column(values)
    if kind == pl.Null:
        return _Column(values.cast(pl.Float64))
    if kind.is_integer():
        whole = values.cast(pl.Int64, strict=False)
        fits = whole.null_count() == values.null_count()
        return _Column(whole) if fits else _from_floats(values.cast(pl.Float64))
    if kind.is_numeric():
        return _from_floats(values.cast(pl.Float64))
    if kind == pl.Date or kind == pl.Datetime:
        return _from_times(values, reading.time_zone)
    raise WrongTagType(
        f"{name!r} holds {kind}, but a tag holds numbers, text, times or booleans", tag=name, type=str(kind)
    )


def _from_floats(values: pl.Series) -> _Column:
    is_infinite = values.is_infinite().fill_null(False)
    return _Column(values.set(~values.is_finite(), None), n_infinite=int(is_infinite.sum()))


def _from_times(values: pl.Series, time_zone: str) -> _Column:
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        return _Column(values.dt.convert_time_zone("UTC").cast(UTC_TIME))
    times, n_skipped, n_repeated = to_utc(values.cast(LOCAL_TIME), time_zone)
    return _Column(times, stamps=Stamps(times, "", n_skipped=n_skipped, n_repeated=n_repeated))


# Text


def _from_text(
    text: pl.Series, decimal: str, bad_words: Collection[str], reading: Reading, preferred: str | None
) -> _Column:
    numbers = _numbers(text, decimal)
    if numbers.null_count() == text.null_count():
        return _Column(_whole_if_whole(numbers, text))
    text = text.str.strip_chars()
    text = text.set(text == "", None)
    numbers = _numbers(text, decimal)
    words = text.filter(numbers.is_null() & text.is_not_null())
    is_bad = words.str.to_lowercase().is_in(list(bad_words))
    bad = _counts(words.filter(is_bad))
    good = text.set(text.str.to_lowercase().is_in(list(bad_words)), None) if bad else text
    if is_bad.all():
        return _Column(_whole_if_whole(numbers, good), bad)
    if numbers.null_count() == len(numbers):
        booleans = _booleans(good)
        if booleans is not None:
            return _Column(booleans, bad)
        stamps = read_stamps(good, reading.time_zone, preferred)
        if stamps:
            return _Column(stamps.values, bad, stamps=stamps)
    is_mostly_numbers = numbers.count() > len(words)
    return _Column(text, odd=_counts(words.filter(~is_bad)) if is_mostly_numbers else {})


def _numbers(text: pl.Series, decimal: str) -> pl.Series:
    """Return the numbers that the text is, null where it is none."""
    if decimal == ",":
        has_point = text.str.contains(".", literal=True)
        text = text.set(has_point, None).str.replace(",", ".", literal=True)
    numbers = text.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)  # NaN and infinity are words here


def _whole_if_whole(numbers: pl.Series, text: pl.Series) -> pl.Series:
    """Return the numbers as Int64 if all were written as such, read from the text to keep every digit."""
    if numbers.count() and (numbers == numbers.floor()).all():
        whole = text.cast(pl.Int64, strict=False)
        if whole.null_count() == numbers.null_count():
            return whole
    return numbers


def _booleans(text: pl.Series) -> pl.Series | None:
    lower = text.str.to_lowercase()
    if lower.is_in(["true", "false"]).all() and lower.count():  # null is neither
        return lower == "true"
    return None


def _counts(words: pl.Series) -> dict[str, int]:
    counts = words.value_counts(sort=True, name="count").rows()
    return {str(word): int(count) for word, count in counts}


def _guess_decimal(columns: Sequence[pl.Series], delimiter: str | None, notes: list[Note]) -> str:
    """Return "," if more cells have it as their decimal than a point."""
    texts = [column for column in columns if column.dtype == pl.String]
    with_comma = [text for text in texts if text.str.contains(",", literal=True).any()]
    n_comma = sum(int(text.str.contains(_COMMA_NUMBER).sum()) for text in with_comma)
    if not n_comma:
        return "."
    n_point = sum(int(text.str.contains(_POINT_NUMBER).sum()) for text in texts)
    if n_comma <= n_point:
        return "."
    if delimiter not in (";", "\t", "|"):
        # Where a comma separates cells, a number with one was quoted: 1,234 may well be a thousand and more
        n_grouped = sum(int(text.str.contains(_GROUPED_NUMBER).sum()) for text in with_comma)
        if n_grouped == n_comma:
            note = f"{n_comma} cells such as 1,234 may be read in two ways and stay text; name the decimal sign"
            notes.append(Note("ambiguous_decimal", note, {"cells": n_comma}))
            return "."
    notes.append(Note("decimal", "numbers are written with a decimal comma", {"decimal": ","}))
    return ","


# Names and notes


def _named(headings: Sequence[str], columns: Sequence[_Column], notes: list[Note]) -> dict[int, str]:
    """Return the tag of each column that is kept; a column without heading and values is left out."""
    taken = set(headings)
    tags: dict[int, str] = {}
    named: dict[str, int] = {}
    for index, heading in enumerate(headings):
        if heading:
            tags[index] = heading
        elif columns[index].values.count():
            is_time = columns[index].values.dtype == UTC_TIME
            name = "timestamp" if is_time and "timestamp" not in taken else f"column_{index + 1}"
            while name in taken:
                name += "_"
            taken.add(name)
            tags[index] = name
            named[name] = index + 1
    if named:
        shown = _listed([f"column {column} is called {name!r}" for name, column in named.items()])
        notes.append(Note("blank_header", f"without a heading, {shown}", {"columns": named}))
    dropped = [index + 1 for index in range(len(headings)) if index not in tags]
    if dropped:
        shown = _listed([str(column) for column in dropped])
        notes.append(Note("empty_columns", f"columns without heading and values: {shown}", {"columns": dropped}))
    return tags


def _column_notes(columns: Mapping[str, _Column], reading: Reading) -> list[Note]:
    notes = []
    bad = {tag: dict(column.bad) for tag, column in columns.items() if column.bad}
    if bad:
        counts = {tag: sum(words.values()) for tag, words in bad.items()}
        shown = _listed([f"{tag} ({', '.join(bad[tag])}: {count})" for tag, count in counts.items()])
        message = f"words that stand for a missing value, in {sum(counts.values())} cells: {shown}"
        notes.append(Note("bad_values", message, {"tags": bad}))
    odd = {tag: dict(list(column.odd.items())[:_MAX_SHOWN]) for tag, column in columns.items() if column.odd}
    if odd:
        shown = _listed([f"{tag} because of {next(iter(words))!r}" for tag, words in odd.items()])
        message = f"mostly numbers, but kept as text: {shown}; name such words as bad values to read numbers"
        notes.append(Note("mostly_numbers", message, {"tags": odd}))
    empty = [tag for tag, column in columns.items() if not column.values.count()]
    if empty:
        notes.append(Note("no_values", f"tags without any value: {_listed(empty)}", {"tags": empty}))
    infinite = {tag: column.n_infinite for tag, column in columns.items() if column.n_infinite}
    if infinite:
        message = f"infinite numbers are missing values: {_listed(list(infinite))}"
        notes.append(Note("not_finite", message, {"tags": infinite}))
    ticked = [tag for tag in columns if "`" in tag]
    if ticked:
        message = f"expressions cannot speak of tags with a backtick: {_listed(ticked)}"
        notes.append(Note("backtick", message, {"tags": ticked}))
    for tag, column in columns.items():
        if column.stamps:
            notes += _time_notes(tag, column.stamps, reading)
    return notes


def _time_notes(tag: str, stamps: Stamps, reading: Reading) -> list[Note]:
    notes = []
    zone = reading.time_zone
    if stamps.time_format:
        where = "with their own distance from UTC" if stamps.has_offset else f"in {zone}"
        message = f"{tag} is read as times like {stamps.time_format} {where}"
        details = {"tag": tag, "time_format": stamps.time_format, "time_zone": zone}
        notes.append(Note("time_format", message, details))
    else:
        notes.append(
            Note("time_zone", f"the times of {tag} are taken to be in {zone}", {"tag": tag, "time_zone": zone})
        )
    if stamps.is_ambiguous and reading.time_format is None:
        message = f"day and month of {tag} could be exchanged; {stamps.time_format} keeps the times closest together"
        notes.append(Note("ambiguous_dates", message, {"tag": tag, "time_format": stamps.time_format}))
    if stamps.n_skipped:
        message = f"{stamps.n_skipped} times of {tag} do not exist in {zone}, where clocks went forward"
        notes.append(
            Note(
                "skipped_times",
                message + "; they count on from the hour before",
                {"tag": tag, "rows": stamps.n_skipped},
            )
        )
    if stamps.n_repeated:
        message = f"{stamps.n_repeated} times of {tag} exist twice in {zone}, where clocks went back"
        notes.append(
            Note("repeated_times", message + "; the order of the rows decides", {"tag": tag, "rows": stamps.n_repeated})
        )
    return notes


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _MAX_SHOWN
    return ", ".join(parts[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")

"""Time stamps: from text to UTC.

A column is a column of times if one format reads all of it. Which of day and month comes first is decided by
the values; where every value can be read both ways, the way in which the stamps lie closer together is taken,
because a swap of day and month scatters neighboring days over the year.
"""

import re
from dataclasses import dataclass

import polars as pl

from engine.errors import InvalidReading

UTC_TIME = pl.Datetime("ms", "UTC")
LOCAL_TIME = pl.Datetime("ms")

_YEARS = (1900, 2200)  # a stamp outside was read with the wrong format
_GAP = "3h"  # longer than any gap of a clock change, shorter than the time to another one

_UTC_OFFSET = r"Z|UTC|[+-](?:0\d|1[0-4]):?[0-5]\d"  # no clock is further from UTC than 14 hours
_STAMP = re.compile(
    r"(?P<date>(?P<a>\d{1,4})(?P<sep>[-/.])(?P<b>\d{1,2}|[A-Za-z]{3,9})(?P=sep)(?P<c>\d{1,4})"
    r"|\d{4}年\d{1,2}月\d{1,2}日)"
    r"(?:(?P<gap>T| +)(?P<clock>\d{1,2}:\d{2}(?P<seconds>:\d{2})?(?:\.\d+)?)(?P<half> ?[AaPp][Mm])?)?"
    rf"(?P<zone> ?(?:{_UTC_OFFSET}))?"
)
_OFFSET = rf" ?({_UTC_OFFSET})$"


@dataclass(frozen=True)
class Stamps:
    """A column of text that was read as times.

    Attributes:
        values: Datetime("ms", "UTC"); null where the text is null.
        time_format: the format that read all of it.
        is_ambiguous: day and month could be exchanged.
        n_skipped: local times that do not exist, because clocks went forward.
        n_repeated: local times that exist twice, because clocks went back.
        has_offset: the stamps name their distance from UTC themselves.
    """

    values: pl.Series
    time_format: str
    is_ambiguous: bool = False
    n_skipped: int = 0
    n_repeated: int = 0
    has_offset: bool = False


def read_stamps(text: pl.Series, time_zone: str, preferred: str | None = None) -> Stamps | None:
    """Read a column of text as time stamps, None if it does not hold them.

    Args:
        text: String, stripped; null where a value is missing.
        time_zone: of stamps without an offset.
        preferred: a format that was given, or that read another column of the same table; it is tried first,
            and its order of day and month decides where the values leave it open.
    """
    head = text.drop_nulls().head(1000)
    sample = max(head, key=len, default="")  # the longest, since midnight and seconds may be left out
    candidates = _candidate_formats(sample)
    if preferred and _reads(head, preferred):
        candidates = [preferred, *(other for other in candidates if _order(other) != _order(preferred))]
    read = [(time_format, local) for time_format in candidates if (local := _parse(text, time_format)) is not None]
    if not read:
        return None
    is_ambiguous = len(read) > 1
    if is_ambiguous and preferred:
        read.sort(key=lambda pair: _order(pair[0]) != _order(preferred))
    elif is_ambiguous:
        read.sort(key=lambda pair: _span_ms(pair[1]))
    time_format, local = read[0]
    if time_format.endswith("%z"):
        return Stamps(local.dt.replace_time_zone("UTC"), time_format, is_ambiguous, has_offset=True)
    values, n_skipped, n_repeated = to_utc(local, time_zone)
    return Stamps(values, time_format, is_ambiguous, n_skipped, n_repeated)


def to_utc(local: pl.Series, time_zone: str) -> tuple[pl.Series, int, int]:
    """Turn local times without a zone into UTC.

    A time that clocks skip is taken as if they had not gone forward. A time that they repeat is its first
    occurrence; where the table has the stamp twice, the later row is the second (the other way round in a
    table whose times run backward).

    Returns:
        Datetime("ms", "UTC"), the number of skipped times, the number of repeated ones.

    Raises:
        InvalidReading: there is no such time zone.
    """
    local = local.cast(LOCAL_TIME)
    try:
        earlier = local.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.PolarsError as error:
        raise InvalidReading(f"there is no time zone {time_zone!r}", option="time_zone") from error
    later = local.dt.replace_time_zone(time_zone, ambiguous="latest", non_existent="null")
    frame = pl.DataFrame({"local": local, "earlier": earlier, "later": later}).with_columns(
        is_skipped=pl.col("local").is_not_null() & pl.col("earlier").is_null(),
        is_repeated=pl.col("earlier") != pl.col("later"),
    )
    n_skipped, n_repeated = int(frame["is_skipped"].sum()), int(frame["is_repeated"].sum())
    values = earlier.dt.convert_time_zone("UTC")
    if n_repeated:
        is_pair = pl.len().over("local") == 2
        is_second = pl.int_range(pl.len()).over("local") == (0 if _runs_backward(local) else 1)
        chosen = pl.when(pl.col("is_repeated") & is_pair & is_second).then("later").otherwise("earlier")
        values = frame.select(chosen.dt.convert_time_zone("UTC")).to_series()
    if n_skipped:
        before = local.dt.offset_by(f"-{_GAP}").dt.replace_time_zone(
            time_zone, ambiguous="earliest", non_existent="null"
        )
        values = values.fill_null(before.dt.convert_time_zone("UTC").dt.offset_by(_GAP))
    return values.cast(UTC_TIME), n_skipped, n_repeated


def looks_like_time(cell: str) -> bool:
    """Whether a cell has the shape of a time stamp; says nothing about a column."""
    return _STAMP.fullmatch(cell.strip()) is not None


def _candidate_formats(sample: str) -> list[str]:
    """Return the formats that one stamp allows: several where day and month may be exchanged."""
    match = _STAMP.fullmatch(sample)
    if not match:
        return []
    clock = ""
    if match["clock"]:
        hour = "%I" if match["half"] else "%H"
        seconds = (":%S%.f" if "." in match["clock"] else ":%S") if match["seconds"] else ""
        half = (" " if " " in match["half"] else "") + "%p" if match["half"] else ""
        clock = ("T" if match["gap"] == "T" else " ") + f"{hour}:%M{seconds}{half}"
    zone = (" " if match["zone"].startswith(" ") else "") + "%z" if match["zone"] else ""
    return [date + clock + zone for date in _dates(match)]


def _dates(match: re.Match[str]) -> list[str]:
    if match["sep"] is None:
        return ["%Y年%m月%d日"]
    sep, month = match["sep"], "%b" if match["b"].isalpha() else "%m"
    if len(match["a"]) == 4:
        return [f"%Y{sep}{month}{sep}%d"]
    if len(match["c"]) not in (2, 4):
        return []  # such as 1.2.3
    year = "%Y" if len(match["c"]) == 4 else "%y"
    day_first, month_first = f"%d{sep}{month}{sep}{year}", f"%m{sep}%d{sep}{year}"
    if month == "%b":
        return [day_first]
    both = [month_first, day_first] if match["half"] else [day_first, month_first]
    return both if year == "%Y" else [f"%y{sep}%m{sep}%d", *both] if sep == "-" else both


def _parse(text: pl.Series, time_format: str) -> pl.Series | None:
    """Return local times (with %z: UTC) without a zone, None if some text is not in this format."""
    if time_format.endswith("%z"):
        offset = _offset(text)
        local = _parse(text.str.replace(_OFFSET, ""), time_format.removesuffix("%z").rstrip())
        is_complete = offset.null_count() == text.null_count()
        return local - offset if local is not None and is_complete else None
    local = pl.Series(text.name, [None], dtype=LOCAL_TIME).new_from_index(0, len(text))
    for variant in _variants(time_format):
        values = text.str.to_datetime(variant, strict=False, time_unit="ms")
        local = local.fill_null(values.set(~values.dt.year().is_between(*_YEARS), None))
        if local.null_count() == text.null_count():
            return local
    return None


def _variants(time_format: str) -> list[str]:
    """Return the format, and its likes with and without seconds and with midnight left out."""
    time_format = time_format.replace(".%f", "%.f")  # Python's way to write it
    short = re.sub(r":%S(%?\.\d*f)?", "", time_format)
    full = short.replace("%M", "%M:%S%.f")
    date = re.sub(r"[T ]*%[HI].*$", "", short)
    return list(dict.fromkeys([time_format, full, short, date]))


def _offset(text: pl.Series) -> pl.Series:
    """Return the distance from UTC that each stamp names, as Duration("ms"); null where there is none."""
    named = text.str.extract(_OFFSET).str.replace(r"^(Z|UTC)$", "+0000").str.replace(":", "", literal=True)
    minutes = named.str.slice(1, 2).cast(pl.Int64) * 60 + named.str.slice(3, 2).cast(pl.Int64)
    milliseconds = minutes * 60_000
    return milliseconds.zip_with(~named.str.starts_with("-").fill_null(False), -milliseconds).cast(pl.Duration("ms"))


def _reads(text: pl.Series, time_format: str) -> bool:
    try:
        return _parse(text, time_format) is not None
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise InvalidReading(f"time_format {time_format!r} cannot be used: {why}", option="time_format") from error


def _order(time_format: str) -> str:
    """Return the order of the parts of the date, such as "dmY"."""
    return "".join(re.findall("%([dembBYy])", time_format)).lower().translate({ord("e"): "d", ord("b"): "m"})


def _span_ms(times: pl.Series) -> int:
    first, last = times.dt.epoch("ms").min(), times.dt.epoch("ms").max()
    return int(last) - int(first)  # type: ignore[arg-type]


def _runs_backward(times: pl.Series) -> bool:
    present = times.drop_nulls()
    return bool(present[0] > present[-1])

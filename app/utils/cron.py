"""Times by five fields, as cron has them: minute, hour, day of the month, month, day of the week; on a zone's clock.

    field = part,part,...    part = * | value | value-value, each perhaps with /step

Months and days of the week have English names of three letters too; 0 and 7 are Sunday. Where both kinds of days are
limited, a day counts that either of them names; a field that begins with a star limits nothing in this.

Clocks that are set forward or back: a time that a day does not have is the moment at which the clock jumps over it. A
time that a day has twice is the first of them, but for hours of ``*``, which are every hour that passes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:(?P<all>\*)|(?P<first>[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?)(?:/(?P<step>[0-9]{1,4}))?")
_FARTHEST_DAYS = 366 * 9
"""Between two 29th of February there can be eight years."""

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


class CronError(ValueError):
    """This does not say when. The message can be shown."""


class ZoneError(CronError):
    """There is no such time zone."""


@dataclass(frozen=True)
class Cron:
    """Times on a zone's clock."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    either_day: bool
    every_hour: bool
    zone: ZoneInfo

    def after(self, moment_ms: int) -> int | None:
        """Return the first moment (Unix ms) after this one; None if there is none in many years."""
        day = self._day(moment_ms)
        for n in range(_FARTHEST_DAYS):
            later = (moment for moment in self._moments(day + n * _DAY) if moment > moment_ms)
            if (first := next(later, None)) is not None:
                return first
        return None

    def last(self, after_ms: int, until_ms: int) -> int | None:
        """Return the last moment after one and not after another; None if there is none between them."""
        day = self._day(until_ms)
        for n in range((day - self._day(after_ms)).days + 2):  # a moment may count to the day before
            between = [moment for moment in self._moments(day - n * _DAY) if after_ms < moment <= until_ms]
            if between:
                return between[-1]
        return None

    def _day(self, moment_ms: int) -> date:
        return datetime.fromtimestamp(moment_ms / 1000, self.zone).date()

    def _moments(self, day: date) -> list[int]:
        """Return the moments of a day, in order."""
        if not self._names(day):
            return []
        times = (
            datetime.combine(day, time(hour, minute)) for hour in sorted(self.hours) for minute in sorted(self.minutes)
        )
        found = {moment for local in times for moment in self._moments_of(local)}
        return sorted(int(moment.timestamp()) * 1000 for moment in found)

    def _names(self, day: date) -> bool:
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        is_named = (by_month or by_week) if self.either_day else (by_month and by_week)
        return day.month in self.months and is_named

    def _moments_of(self, local: datetime) -> Iterator[datetime]:
        first, second = (local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(self.zone).replace(tzinfo=None) != local:
            yield self._jump(second, first)
            return
        yield first
        if self.every_hour:
            yield second

    def _jump(self, before: datetime, after: datetime) -> datetime:
        """Return when, between two moments, the clock is set forward."""
        offset = before.astimezone(self.zone).utcoffset()
        while after - before > _SECOND:
            middle = before + (after - before) // 2
            middle = middle.replace(microsecond=0)
            if middle.astimezone(self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after


def parse(text: str, zone: str) -> Cron:
    """Return the times that five fields name on the clock of a zone, such as ``Europe/Berlin``.

    Raises:
        CronError: they name none.
        ZoneError: there is no such zone.
    """
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise CronError(f"It must have five fields (minute, hour, day, month, day of the week), not {len(fields)}.")
    minutes, hours, days, months, weekdays = (
        _field(given, *about) for given, about in zip(fields, _FIELDS, strict=True)
    )
    found = Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
        every_hour=fields[1].startswith("*") and len(hours) == 24,
        zone=_zone(zone),
    )
    if found.after(0) is None:
        raise CronError("There is no such day.")
    return found


def _field(text: str, name: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise CronError(f"{part!r} is not a {name}.")
        first, last = least, 6 if names.get("sun") == 0 else most
        if not match["all"]:
            first = _number(match["first"], name, least, most, names)
            last = _number(match["last"], name, least, most, names) if match["last"] else first
            last = most if match["step"] and not match["last"] else last
        step = int(match["step"] or 1)
        if first > last or step == 0:
            raise CronError(f"{part!r} names no {name}.")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, name: str, least: int, most: int, names: dict[str, int]) -> int:
    number = names.get(text, int(text) if re.fullmatch("[0-9]{1,4}", text) else -1)
    if not least <= number <= most:
        raise CronError(f"{text!r} is not a {name}: {least} to {most}" + (", or a name." if names else "."))
    return number


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ZoneError(f"There is no time zone {name!r}; write it as in 'Europe/Berlin', or 'UTC'.") from error

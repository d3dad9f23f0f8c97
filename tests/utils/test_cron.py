"""Times by the five fields of cron, on the clocks of zones that are set forward and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.utils import cron
from app.utils.cron import CronError

BERLIN = "Europe/Berlin"  # 2026: forward on 29 March at 2:00, back on 25 October at 3:00


def ms(text, zone="UTC"):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def next_times(text, zone, start, n):
    """The next moments after a local time, as UTC."""
    times, moment, found = cron.parse(text, zone), ms(start, zone), []
    for _ in range(n):
        moment = times.after(moment)
        found.append(datetime.fromtimestamp(moment / 1000, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("30 2 * * *", ["03-01 02:30", "03-02 02:30"]),
        ("*/20 0-1 * * *", ["03-01 00:20", "03-01 00:40", "03-01 01:00", "03-01 01:20"]),
        ("0 0 1,15 * *", ["03-15 00:00", "04-01 00:00"]),
        ("0 6 * * mon-fri", ["03-02 06:00", "03-03 06:00"]),  # the 1st is a Sunday
        ("0 6 * * 0", ["03-01 06:00", "03-08 06:00"]),
        ("0 6 * * 7", ["03-01 06:00", "03-08 06:00"]),
        ("0 6 13 * fri", ["03-06 06:00", "03-13 06:00", "03-20 06:00"]),  # either day
        ("0 6 */2 * mon", ["03-09 06:00", "03-23 06:00"]),  # a star: both
        ("0 0 * feb *", ["02-01 00:00", "02-02 00:00"]),
        ("5/25 0 * * *", ["03-01 00:05", "03-01 00:30", "03-01 00:55", "03-02 00:05"]),
        ("0 0 31 * *", ["03-31 00:00", "05-31 00:00"]),
    ],
)
def test_the_next_times(text, wanted):
    assert next_times(text, "UTC", "2026-03-01T00:00", len(wanted)) == wanted


def test_the_29th_of_february_comes_also_after_eight_years():
    assert cron.parse("0 0 29 2 *", "UTC").after(ms("2096-03-01")) == ms("2104-02-29")


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *",
        "* * * * 8", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "-1 * * * *", "1.5 * * * *", "a * * * *",
        "* * * mon *", "* * * * jan", "0 0 30 2 *", "0 0 31 feb,apr,jun,sep,nov *", "١ * * * *", "*5 * * * *",
    ],
)  # fmt: skip
def test_what_names_no_time_is_refused(text):
    with pytest.raises(CronError):
        cron.parse(text, "UTC")


@pytest.mark.parametrize("zone", ["", "Berlin", "Europe", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\0"])
def test_what_is_no_zone_is_refused(zone):
    with pytest.raises(CronError, match="no time zone"):
        cron.parse("* * * * *", zone)


def test_a_time_that_a_day_does_not_have_is_when_the_clock_jumps_over_it():
    assert next_times("30 2 * * *", BERLIN, "2026-03-28T00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_several_times_that_a_day_does_not_have_are_one():
    assert next_times("0,30 2,3 * * *", BERLIN, "2026-03-29T00:00", 3) == ["03-29 01:00", "03-29 01:30", "03-30 00:00"]


def test_a_time_that_a_day_has_twice_is_the_first_of_them():
    assert next_times("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_what_is_for_every_hour_follows_the_hours_that_pass():
    wanted = ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert next_times("0 * * * *", BERLIN, "2026-10-25T00:30", 4) == wanted
    assert next_times("0 * * * *", BERLIN, "2026-03-29T00:30", 3) == ["03-29 00:00", "03-29 01:00", "03-29 02:00"]


def test_a_clock_that_jumps_at_midnight_or_by_half_an_hour():
    assert next_times("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", 2) == ["04-23 22:00", "04-24 21:00"]
    assert next_times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", 2) == ["10-03 15:30", "10-04 15:15"]


def test_a_day_that_a_zone_never_had_is_when_it_was_jumped_over():
    samoa = cron.parse("0 12 * * *", "Pacific/Apia")
    assert samoa.after(ms("2011-12-29T13:00", "Pacific/Apia")) == ms("2011-12-31T00:00", "Pacific/Apia")


@given(
    st.sampled_from(["30 2 * * *", "*/30 * * * *", "0 0 * * 1", "15 1,2,3 * * *", "0 */6 1 * *"]),
    st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.integers(ms("2026-01-01"), ms("2027-01-01")),
)
@settings(max_examples=60, deadline=None)
def test_the_next_time_is_the_first_minute_whose_clock_reads_so(text, zone, start):
    times = cron.parse(text, zone)
    found = times.after(start)

    local = datetime.fromtimestamp(found / 1000, ZoneInfo(zone))
    before = datetime.fromtimestamp(found / 1000 - 60, ZoneInfo(zone))
    jumped = local.utcoffset() > before.utcoffset()
    assert found > start
    assert jumped or reads_so(times, local)
    minute = start // 60_000 * 60_000 + 60_000
    for moment in range(minute, min(found, minute + 4 * 86_400_000), 60_000):
        clock = datetime.fromtimestamp(moment / 1000, ZoneInfo(zone))
        assert not reads_so(times, clock) or (clock.fold == 1 and not times.every_hour)


def reads_so(times, clock):
    by_month, by_week = clock.day in times.days, clock.isoweekday() % 7 in times.weekdays
    is_day = (by_month or by_week) if times.either_day else by_month and by_week
    return clock.minute in times.minutes and clock.hour in times.hours and clock.month in times.months and is_day


@given(st.integers(0, 400), st.integers(1, 400 * 60))
@settings(max_examples=40, deadline=None)
def test_the_last_time_between_two_is_the_last_of_the_next_ones(days, minutes):
    times = cron.parse("30 */5 * * *", BERLIN)
    start = ms("2026-01-01") + days * 86_400_000
    end = start + minutes * 60_000
    found, moment = None, times.after(start)
    while moment <= end:
        found, moment = moment, times.after(moment)

    assert times.last(start, end) == found


def test_times_of_many_years_ago_and_ahead_are_found_at_once():
    times = cron.parse("* * * * *", BERLIN)
    end = ms("2126-01-01")

    assert times.last(0, end) == end
    assert times.after(end) == end + int(timedelta(minutes=1).total_seconds() * 1000)

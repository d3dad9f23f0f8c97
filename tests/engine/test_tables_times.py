from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidReading
from engine.tables import Reading, read_table
from engine.tables.times import read_stamps, to_utc


def stamps(*texts, zone="UTC", preferred=None):
    return read_stamps(pl.Series(texts, dtype=pl.String), zone, preferred)


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.fixture
def table_of(tmp_path):
    """Write text to a file and read it as a table."""

    def read(text, **options):
        path = tmp_path / "table.csv"
        path.write_text(text)
        return read_table(path, "csv", Reading(**options))

    return read


def codes(table):
    return [note.code for note in table.notes]


@pytest.mark.parametrize(
    ("text", "time_format", "expected"),
    [
        ("2020-01-31", "%Y-%m-%d", at(2020, 1, 31)),
        ("2020-01-31 06:30", "%Y-%m-%d %H:%M", at(2020, 1, 31, 6, 30)),
        ("2020-01-31T06:30:15", "%Y-%m-%dT%H:%M:%S", at(2020, 1, 31, 6, 30, 15)),
        ("2020-01-31 06:30:15.250", "%Y-%m-%d %H:%M:%S%.f", at(2020, 1, 31, 6, 30, 15, 250_000)),
        ("2020/2/3 6:30:00", "%Y/%m/%d %H:%M:%S", at(2020, 2, 3, 6, 30)),
        ("2020/1/31 6:30", "%Y/%m/%d %H:%M", at(2020, 1, 31, 6, 30)),
        ("31/01/2020 06:30", "%d/%m/%Y %H:%M", at(2020, 1, 31, 6, 30)),
        ("1/31/2020 6:30", "%m/%d/%Y %H:%M", at(2020, 1, 31, 6, 30)),
        ("31.01.2020 06:30:15", "%d.%m.%Y %H:%M:%S", at(2020, 1, 31, 6, 30, 15)),
        ("1/31/2020 6:30:15 PM", "%m/%d/%Y %I:%M:%S %p", at(2020, 1, 31, 18, 30, 15)),
        ("31-Jan-20 06:30:15", "%d-%b-%y %H:%M:%S", at(2020, 1, 31, 6, 30, 15)),
        ("31-JAN-2020 06:30", "%d-%b-%Y %H:%M", at(2020, 1, 31, 6, 30)),
        ("31/01/20 06:30", "%d/%m/%y %H:%M", at(2020, 1, 31, 6, 30)),
        ("2020年1月31日 06:30", "%Y年%m月%d日 %H:%M", at(2020, 1, 31, 6, 30)),
        ("2020-01-31T06:30:00Z", "%Y-%m-%dT%H:%M:%S%z", at(2020, 1, 31, 6, 30)),
        ("2020-01-31 06:30:00 +08:00", "%Y-%m-%d %H:%M:%S %z", at(2020, 1, 30, 22, 30)),
        ("2020-01-31T06:30:00-0330", "%Y-%m-%dT%H:%M:%S%z", at(2020, 1, 31, 10, 0)),
    ],
)
def test_common_ways_to_write_a_time_are_read(text, time_format, expected):
    read = stamps(text, None, text)

    assert read.time_format == time_format
    assert read.values.to_list() == [expected, None, expected]
    assert read.values.dtype == pl.Datetime("ms", "UTC")


@pytest.mark.parametrize(
    "texts",
    [
        ("hello",),
        ("2020-01-31 10:00", "soon"),
        ("31/12/2019", "12/31/2019"),
        ("31/02/2020",),
        ("1.2.3", "1.2.4"),
        ("2020-01-31 25:00",),
        ("1/1/0020 10:00",),
        ("2020-01-31T06:30:00Z", "2020-01-31T06:30:00"),
        (None, None),
    ],
)
def test_what_no_single_format_reads_is_no_column_of_times(texts):
    assert stamps(*texts) is None


def test_seconds_and_midnight_may_be_left_out():
    read = stamps("31/01/2020", "31/01/2020 00:10", "31/01/2020 00:20:30", "31/01/2020 00:20:30.5")

    assert read.values.to_list() == [
        at(2020, 1, 31),
        at(2020, 1, 31, 0, 10),
        at(2020, 1, 31, 0, 20, 30),
        at(2020, 1, 31, 0, 20, 30, 500_000),
    ]


def test_one_day_beyond_the_twelfth_decides_between_day_and_month():
    day_first = stamps("01/02/2020 10:00", "13/02/2020 10:00")
    month_first = stamps("01/02/2020 10:00", "02/13/2020 10:00")

    assert (day_first.values[0], day_first.is_ambiguous) == (at(2020, 2, 1, 10), False)
    assert (month_first.values[0], month_first.is_ambiguous) == (at(2020, 1, 2, 10), False)


def test_where_day_and_month_can_be_exchanged_the_closer_times_are_taken():
    days_of_a_month = stamps(*[f"03/{day:02d}/2020 10:00" for day in range(1, 13)])
    firsts_in_a_row = stamps(*[f"{day:02d}/03/2020 10:00" for day in range(1, 13)])

    assert days_of_a_month.is_ambiguous
    assert days_of_a_month.values[1] - days_of_a_month.values[0] == timedelta(days=1)
    assert firsts_in_a_row.is_ambiguous
    assert firsts_in_a_row.values[1] - firsts_in_a_row.values[0] == timedelta(days=1)


def test_an_open_choice_follows_the_format_that_is_preferred():
    assert stamps("01/02/2020", preferred="%m/%d/%Y %H:%M").values[0] == at(2020, 1, 2)
    assert stamps("01.02.2020", preferred="%m/%d/%Y %H:%M").values[0] == at(2020, 1, 2)
    assert stamps("01/02/2020", preferred="%d/%m/%Y").values[0] == at(2020, 2, 1)


@given(
    st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=20),
    st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f", "%Y/%m/%dT%H:%M:%S.%f"]),
)
def test_written_times_come_back_to_the_millisecond(times, time_format):
    day_first = [datetime(2020, 12, 31), *times]  # leaves no choice of day and month

    read = stamps(*[time.strftime(time_format)[:-3] for time in day_first])

    wanted = [time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC) for time in day_first]
    assert read.values.to_list() == wanted


# Time zones


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/Denver", "Asia/Shanghai", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_local_times_become_the_utc_that_python_knows(time, zone):
    time = time.replace(microsecond=0)

    values, n_skipped, n_repeated = to_utc(pl.Series([time]), zone)

    by_python = time.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)  # fold=0 also counts on over a gap
    assert values.to_list() == [by_python]
    is_gap = by_python.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != time
    has_two = time.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC) != by_python
    assert (n_skipped, n_repeated) == (int(is_gap), int(has_two and not is_gap))


def test_a_repeated_hour_that_is_there_twice_is_told_apart_by_its_order():
    hours = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    local = pl.Series([f"2020-10-25 {hour}" for hour in hours]).str.to_datetime()

    forward, _, n_repeated = to_utc(local, "Europe/Berlin")
    backward, _, _ = to_utc(local.reverse(), "Europe/Berlin")

    assert forward.diff()[1:].to_list() == [timedelta(minutes=30)] * 5
    assert backward.reverse().to_list() == forward.to_list()
    assert n_repeated == 4


def test_a_repeated_hour_that_is_there_once_is_the_first():
    local = pl.Series(["2020-10-25 02:30"]).str.to_datetime()

    assert to_utc(local, "Europe/Berlin")[0].to_list() == [at(2020, 10, 25, 0, 30)]


def test_clock_changes_are_told(table_of):
    text = "time,x\n2020-03-29 01:30,1\n2020-03-29 02:30,2\n2020-10-25 02:30,3\n"

    table = table_of(text, time_zone="Europe/Berlin")

    assert {"skipped_times", "repeated_times"} <= set(codes(table))
    assert table.frame["time"].to_list() == [at(2020, 3, 29, 0, 30), at(2020, 3, 29, 1, 30), at(2020, 10, 25, 0, 30)]


def test_times_without_a_zone_are_local_in_the_zone_of_the_table(table_of):
    table = table_of("time,x\n2020-01-31 08:00,1\n", time_zone="Asia/Shanghai")

    assert table.frame["time"].to_list() == [at(2020, 1, 31)]
    assert table.time_tag == "time"


def test_times_with_an_offset_do_not_need_a_zone(table_of):
    table = table_of("time,x\n2020-01-31T08:00:00+01:00,1\n", time_zone="Asia/Shanghai")

    assert table.frame["time"].to_list() == [at(2020, 1, 31, 7)]


# In a table


def test_ambiguous_dates_are_told_unless_the_format_was_given(table_of):
    text = "time,x\n01/02/2020 10:00,1\n02/02/2020 10:00,2\n"

    guessed = table_of(text)
    told = table_of(text, time_format="%m/%d/%Y %H:%M")

    assert "ambiguous_dates" in codes(guessed)
    assert guessed.frame["time"][0] == at(2020, 2, 1, 10)
    assert "ambiguous_dates" not in codes(told)
    assert told.frame["time"][0] == at(2020, 1, 2, 10)
    assert told.reading.time_format == "%m/%d/%Y %H:%M"


def test_a_format_that_reads_no_column_is_refused(table_of):
    for time_format in ("%Y/%m/%d", "%Y-%m-%d %H"):
        with pytest.raises(InvalidReading, match="time_format") as refusal:
            table_of("time,x\nMonday,1\nTuesday,2\n", time_format=time_format)

        assert refusal.value.details["option"] == "time_format"


def test_a_format_may_be_written_as_python_writes_it(table_of):
    table = table_of("time,x\n20200131 063015.250,1\n", time_format="%Y%m%d %H%M%S.%f")

    assert table.frame["time"][0] == at(2020, 1, 31, 6, 30, 15, 250_000)


def test_missing_words_in_a_column_of_times_are_missing_times(table_of):
    table = table_of("time,x\n2020-01-31 08:00,1\nNo Data,2\n")

    assert table.frame["time"].to_list() == [at(2020, 1, 31, 8), None]


def test_the_first_column_of_times_is_the_time_tag(table_of):
    table = table_of("x,start,end\n1,2020-01-31,2020-02-01\n")

    assert table.time_tag == "start"
    assert table_of("x\n1\n").time_tag is None


def test_a_column_that_starts_with_a_time_but_holds_text_stays_text(table_of):
    table = table_of("remark,x\n2020-01-31,1\nall well,2\n")

    assert table.frame["remark"].to_list() == ["2020-01-31", "all well"]


def test_an_unknown_zone_is_refused():
    with pytest.raises(InvalidReading, match="time_zone is 'Mars/Base'"):
        Reading(time_zone="Mars/Base")
    with pytest.raises(InvalidReading, match="no time zone 'Mars/Base'"):
        to_utc(pl.Series([datetime(2020, 1, 1)]), "Mars/Base")


@pytest.mark.parametrize("offset", ["+99:99", "+15:00", "-02:60", "+24:00"])
def test_an_offset_that_no_clock_has_makes_no_time(offset):
    text = pl.Series([f"2021-06-01 12:00{offset}", "2021-06-01 12:30+02:00"])

    assert read_stamps(text, "UTC") is None

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ExpressionError, InvalidDerivedTag, UnknownTag, WrongTagType
from engine.tables import DerivedTag, Reading, Table, derive

START = datetime(2020, 1, 1, tzinfo=UTC)


def table(hours=None, time_zone="UTC", **columns):
    """A table with a time tag at these hours after START."""
    if hours is not None:
        stamps = [None if hour is None else START + timedelta(hours=hour) for hour in hours]
        columns = {"time": pl.Series(stamps, dtype=pl.Datetime("ms", "UTC"))} | columns
    return Table(pl.DataFrame(columns), Reading(time_zone=time_zone), time_tag="time" if hours is not None else None)


def values(source, *tags):
    return derive(source, tags).frame[tags[-1].name].to_list()


def test_an_expression_is_computed_row_by_row():
    source = table(**{"Steam Flow (t/h)": [1200.0, None, 900.0], "load": [200, 100, 150]})

    assert values(source, DerivedTag("ssc", "`Steam Flow (t/h)` / load")) == [6.0, None, 6.0]


def test_results_that_are_not_finite_are_missing_and_told():
    derived = derive(table(a=[1.0, -1.0, 4.0], b=[0.0, 2.0, 2.0]), [DerivedTag("r", "sqrt(a) / b")])

    assert derived.frame["r"].to_list() == [None, None, 1.0]
    assert [note.details for note in derived.notes] == [{"tags": {"r": 1}}]


def test_a_constant_fills_the_column():
    assert values(table(a=[1.0, 2.0]), DerivedTag("one", "1")) == [1.0, 1.0]


def test_derived_tags_build_on_each_other_in_any_order():
    tags = [
        DerivedTag("c", "b + 1"),
        DerivedTag("b", "a * 2"),
        DerivedTag("h2", "hour * 2"),
        DerivedTag("hour", part="hour"),
    ]

    frame = derive(table([0, 5], a=[1.0, 2.0]), tags).frame

    assert frame.columns == ["time", "a", "c", "b", "h2", "hour"]
    assert frame["c"].to_list() == [3.0, 5.0]
    assert frame["h2"].to_list() == [0.0, 10.0]


def test_booleans_count_as_numbers():
    assert values(table(on=[True, False]), DerivedTag("n", "on + 1")) == [2.0, 1.0]


def test_day_and_hour_are_those_of_the_local_calendar():
    hours = [15.5, 16, 40.5, None]
    shanghai = table(hours, time_zone="Asia/Shanghai")

    assert values(shanghai, DerivedTag("day", part="day")) == [18262, 18263, 18264, None]
    assert values(shanghai, DerivedTag("hour", part="hour")) == [23, 0, 0, None]
    assert values(table(hours), DerivedTag("day", part="day")) == [18262, 18262, 18263, None]


def test_day_counts_days_since_1970():
    day = values(table([0]), DerivedTag("day", part="day", of="time"))[0]

    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) == START


def test_a_campaign_ends_with_a_gap_that_is_longer_than_said():
    source = table([0, 1, 2, 5, 6, 10])

    assert values(source, DerivedTag("c", part="campaign", gap_hours=2)) == [1, 1, 1, 2, 2, 3]
    assert values(source, DerivedTag("c", part="campaign", gap_hours=3)) == [1, 1, 1, 1, 1, 2]


@given(st.lists(st.none() | st.integers(0, 200), min_size=1, max_size=30), st.integers(1, 20))
def test_campaigns_do_not_depend_on_the_order_of_the_rows(hours, gap):
    got = values(table(hours), DerivedTag("c", part="campaign", gap_hours=gap))

    numbers, last, number = {}, None, 1  # by hand, hour by hour
    for hour in sorted({hour for hour in hours if hour is not None}):
        number += last is not None and hour - last > gap
        numbers[hour] = number
        last = hour
    assert got == [numbers.get(hour) for hour in hours]


def test_the_table_stays_as_it_was():
    source = table(a=[1.0])

    derive(source, [DerivedTag("b", "a")])

    assert source.frame.columns == ["a"]


def test_declarations_survive_json():
    for tag in [
        DerivedTag("x", "a + 1"),
        DerivedTag("day", part="day"),
        DerivedTag("c", part="campaign", of="t", gap_hours=6),
    ]:
        assert DerivedTag.from_json(tag.to_json()) == tag
    assert DerivedTag("x", "a + 1").to_json() == {"name": "x", "expression": "a + 1"}


# What is refused


@pytest.mark.parametrize(
    ("tags", "error", "says"),
    [
        ([DerivedTag("a", "1")], InvalidDerivedTag, "'a' has the name of another tag"),
        ([DerivedTag("x", "1"), DerivedTag("x", "2")], InvalidDerivedTag, "'x' has the name of another tag"),
        ([DerivedTag("x", "nope + 1")], UnknownTag, "'x' uses 'nope'"),
        ([DerivedTag("x", part="day", of="nope")], UnknownTag, "'x' uses 'nope'"),
        ([DerivedTag("x", "y"), DerivedTag("y", "x")], InvalidDerivedTag, "in a circle: . -> . -> ."),
        ([DerivedTag("x", "x + 1")], InvalidDerivedTag, "in a circle: x -> x"),
        ([DerivedTag("x", "grade * 2")], WrongTagType, "'x' computes with 'grade'"),
        ([DerivedTag("x", "time - 1")], WrongTagType, "'x' computes with 'time'"),
        ([DerivedTag("x", part="hour", of="a")], WrongTagType, "'x' is a part of 'a'"),
    ],
)
def test_tags_that_do_not_fit_the_table_are_refused(tags, error, says):
    with pytest.raises(error, match=says):
        derive(table([0.0], a=[1.0], grade=["high"]), tags)


def test_a_part_needs_a_time_tag():
    with pytest.raises(UnknownTag, match="needs a time tag"):
        derive(table(a=[1.0]), [DerivedTag("day", part="day")])


@pytest.mark.parametrize(
    ("declaration", "field"),
    [
        ({"name": "x"}, "part"),
        ({"name": "x", "expression": "1", "part": "day"}, "part"),
        ({"name": "x", "part": "week"}, "part"),
        ({"name": "x", "part": "campaign"}, "gap_hours"),
        ({"name": "x", "part": "campaign", "gap_hours": 0}, "gap_hours"),
        ({"name": "x", "part": "campaign", "gap_hours": True}, "gap_hours"),
        ({"name": "x", "part": "day", "gap_hours": 2}, "gap_hours"),
        ({"name": "x", "expression": "1", "of": "t"}, "of"),
        ({"name": "", "expression": "1"}, "name"),
        ({"name": " x", "expression": "1"}, "name"),
        ({"expression": "1"}, "name"),
        ({"name": "x", "code": "1"}, "code"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(declaration, field):
    with pytest.raises(InvalidDerivedTag) as refusal:
        DerivedTag.from_json(declaration)

    assert refusal.value.details["field"] == field


def test_an_expression_is_checked_when_it_is_declared():
    with pytest.raises(ExpressionError, match="at character 4"):
        DerivedTag("x", "a +")

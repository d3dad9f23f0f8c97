import csv
import io
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import (
    BadEncoding,
    DuplicateTag,
    EmptyTable,
    InvalidReading,
    MissingHeader,
    RaggedRow,
    TooLarge,
    UnreadableFile,
)
from engine.tables import Reading, csv_files, limits, read_table


@pytest.fixture
def table_of(tmp_path):
    """Write text or bytes to a file and read it as a table."""

    def read(content, written_in="utf-8", **options):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(written_in))
        return read_table(path, "csv", Reading(**options))

    return read


def note(table, code):
    return next((note for note in table.notes if note.code == code), None)


def codes(table):
    return [note.code for note in table.notes]


# What is read


def test_numbers_text_and_booleans_become_what_they_are(table_of):
    table = table_of("load,mills,grade,on\n200.5,3,high,true\n1e2,2,low,FALSE\n")

    assert table.frame.schema == {
        "load": pl.Float64,
        "mills": pl.Int64,
        "grade": pl.String,
        "on": pl.Boolean,
    }
    assert table.frame.rows() == [(200.5, 3, "high", True), (100.0, 2, "low", False)]


def test_numbers_keep_every_bit(table_of):
    written = ["0.1", "1.7976931348623157e308", "5e-324", "498.29187", "-0.30000000000000004", "9007199254740993"]

    table = table_of("x,n\n" + "".join(f"{number},9223372036854775807\n" for number in written))

    assert table.frame["x"].to_list() == [float(number) for number in written]
    assert table.frame["n"].to_list() == [2**63 - 1] * len(written)


def test_blank_cells_are_missing_values(table_of):
    table = table_of("a,b,c\n1,,x\n, 2 ,\n3,4,  \n")

    assert table.frame.rows() == [(1, None, "x"), (None, 2, None), (3, 4, None)]


def test_headings_keep_their_signs_and_lose_the_white_space_around_them(table_of):
    table = table_of('" Flue gas (°C) ",Feedwater (℃),给煤量\n1,2,3\n')

    assert table.frame.columns == ["Flue gas (°C)", "Feedwater (℃)", "给煤量"]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(table_of):
    table = table_of('tag,"O2\n(%)"\n"a, ""b""\nc",1\nplain,2\n')

    assert table.frame.rows() == [('a, "b"\nc', 1), ("plain", 2)]
    assert table.frame.columns == ["tag", "O2\n(%)"]


def test_blank_rows_are_left_out_and_counted(table_of):
    table = table_of("a,b\n1,2\n\n,\n3,4\n   \n")

    assert table.frame.rows() == [(1, 2), (3, 4)]
    assert note(table, "blank_rows").details == {"rows": 3}


def test_a_single_column_is_a_table(table_of):
    assert table_of("load\n1.5\n2.25\n").frame["load"].to_list() == [1.5, 2.25]
    assert table_of("load\n1,5\n2,25\n", delimiter=";").frame["load"].to_list() == [1.5, 2.25]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_every_kind_of_line_end_is_read(table_of, end):
    table = table_of(end.join(["a,b", "1,2", "3,4"]))

    assert table.frame.rows() == [(1, 2), (3, 4)]


# What is guessed


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b,c\n1,2,3\n4,5,6\n", ","),
        ("a;b;c\n1,5;2,5;3\n4;5,5;6\n", ";"),
        ("a\tb\n1\t2,5\n", "\t"),
        ("a|b|c\n1|2|3\n", "|"),
        ("Druck, bar;Temp, °C\n1,5;2,5\n", ";"),
        ("a,b\nx;y;z,1\nx;y;z,2\n", ","),
    ],
)
def test_the_delimiter_is_the_one_that_cuts_all_rows_alike(table_of, text, delimiter):
    table = table_of(text)

    assert table.reading.delimiter == delimiter
    assert note(table, "delimiter").details == {"delimiter": delimiter}


def test_a_decimal_comma_is_seen(table_of):
    table = table_of("t;p\n01.02.2020 10:00;1,5\n13.02.2020 10:00;-,25\n")

    assert table.frame["p"].to_list() == [1.5, -0.25]
    assert table.reading.decimal == ","
    assert "decimal" in codes(table)


def test_a_comma_that_may_group_thousands_is_not_taken_for_a_decimal(table_of):
    table = table_of('a,b\n"1,234",x\n"5,678",y\n')

    assert table.frame["a"].to_list() == ["1,234", "5,678"]
    assert note(table, "ambiguous_decimal").details == {"cells": 2}


def test_words_for_missing_values_keep_a_column_numeric_and_are_counted(table_of):
    table = table_of("a,b,quality\n1.5,Bad,Good\nNo Data,2,Bad\nI/O Timeout,3,Good\nno data,#N/A,Good\nNaN,-,Good\n")

    assert table.frame["a"].to_list() == [1.5, None, None, None, None]
    assert table.frame["b"].to_list() == [None, 2, 3, None, None]
    assert table.frame["quality"].to_list() == ["Good", "Bad", "Good", "Good", "Good"]
    assert note(table, "bad_values").details == {
        "tags": {
            "a": {"No Data": 1, "I/O Timeout": 1, "no data": 1, "NaN": 1},
            "b": {"Bad": 1, "#N/A": 1, "-": 1},
        }
    }


def test_an_unknown_word_among_numbers_is_shown_and_can_be_named(table_of):
    text = "a\n1\n2\n3\nSensor fail\n"

    as_text = table_of(text)
    as_numbers = table_of(text, bad_values=("sensor fail",))

    assert as_text.frame["a"].dtype == pl.String
    assert note(as_text, "mostly_numbers").details == {"tags": {"a": {"Sensor fail": 1}}}
    assert as_numbers.frame["a"].to_list() == [1, 2, 3, None]


def test_a_row_of_units_is_not_data(table_of):
    table = table_of("time,load,flow,grade\n,MW,-,\n2020-01-31,1.5,2,high\n2020-02-01,Bad,3,low\n")

    assert table.frame["load"].to_list() == [1.5, None]
    assert table.units == {"load": "MW"}
    assert table.reading.unit_row is True
    assert note(table, "unit_row").details == {"units": {"load": "MW"}}


@pytest.mark.parametrize(
    "text",
    ["a,b\nx,y\nz,w\n", "a,b\nBad,x\n1,y\n", "a,b\n,start-up\n1,steady\n", "a,b\n1,x\n2,y\n"],
    ids=["all text", "bad value first", "blank first", "numbers first"],
)
def test_a_first_row_of_data_is_not_taken_for_units(table_of, text):
    assert table_of(text).frame.height == 2


def test_whether_units_are_there_can_be_said(table_of):
    table = table_of("a,b\nMW,t/h\n1,2\n", unit_row=False)

    assert table.frame.rows() == [("MW", "t/h"), ("1", "2")]


def test_titles_above_the_header_are_left_out(table_of):
    table = table_of("Unit 3, daily report\nexported by historian;;\n\ntime;load;x\n2020-01-31;1;2\n2020-02-01;2;3\n")

    assert table.frame.columns == ["time", "load", "x"]
    assert table.reading.header_row == 4
    assert note(table, "header_row").details == {"header_row": 4}


def test_the_header_row_can_be_named(table_of):
    text = "site,A\nload,flow\n1,2\n"

    assert table_of(text, header_row=2).frame.rows() == [(1, 2)]
    with pytest.raises(InvalidReading, match="header_row is 9"):
        table_of(text, header_row=9)


def test_numbers_as_names_are_a_header_if_the_user_says_so(table_of):
    assert table_of("101,102\n1,2\n", header_row=1).frame.columns == ["101", "102"]


def test_a_blank_heading_over_times_is_called_timestamp(table_of):
    table = table_of(",load\n2020-01-31 10:00,1\n2020-01-31 11:00,2\n")

    assert table.frame.columns == ["timestamp", "load"]
    assert table.time_tag == "timestamp"
    assert note(table, "blank_header").details == {"columns": {"timestamp": 1}}


def test_other_blank_headings_are_numbered_and_never_collide(table_of):
    table = table_of("timestamp,,column_3,,\n2020-01-31,2020-01-31,1,2,\n2020-02-01,2020-01-31,1,2,\n")

    assert table.frame.columns == ["timestamp", "column_2", "column_3", "column_4"]
    assert note(table, "empty_columns").details == {"columns": [5]}


def test_a_tag_without_values_stays_as_numbers_that_are_missing(table_of):
    table = table_of("a,dead\n1,\n2,\n")

    assert table.frame["dead"].to_list() == [None, None]
    assert table.frame["dead"].dtype == pl.Float64
    assert note(table, "no_values").details == {"tags": ["dead"]}


def test_infinite_numbers_are_missing_values(table_of):
    table = table_of("a\n1.5\ninf\n-Infinity\n")

    assert table.frame["a"].to_list() == [1.5, None, None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_the_encoding_is_guessed(table_of, encoding):
    table = table_of("时间,给煤量 (t/h),入口一次风温度 (℃)\n2020-01-31 10:00,1.5,280\n", written_in=encoding)

    assert table.frame.columns == ["时间", "给煤量 (t/h)", "入口一次风温度 (℃)"]
    assert table.reading.encoding == encoding


def test_a_western_table_is_not_taken_for_chinese(table_of):
    table = table_of("Kühlwasser (°C);Fluß (m³/h);Größe\n1,5;2;3\n", written_in="cp1252")

    assert table.frame.columns == ["Kühlwasser (°C)", "Fluß (m³/h)", "Größe"]
    assert table.reading.encoding == "cp1252"


def test_a_late_sign_counts_for_the_encoding(table_of):
    text = "a,b\n" + "1,plain\n" * 300_000 + "2,磨煤机\n"

    assert table_of(text, written_in="gb18030").frame["b"][-1] == "磨煤机"


def test_reading_again_with_what_was_guessed_gives_the_same_table(table_of):
    text = (
        "Report;;;\n;Druck;Zeit 2;Sorte\n;bar;;\n1/2/2020 10:00;1,5;02.01.2020;a\n13/2/2020 11:00:30;Bad;03.01.2020;b\n"
    )

    first = table_of(text)
    again = table_of(text, **{k: tuple(v) if isinstance(v, list) else v for k, v in first.reading.to_json().items()})

    assert again.frame.equals(first.frame)
    assert again.reading == first.reading
    assert again.units == first.units == {"Druck": "bar"}
    assert first.frame["timestamp"].to_list()[1] == datetime(2020, 2, 13, 11, 0, 30, tzinfo=UTC)


# What is refused, and where


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n  \n", b",,\n,,\n"], ids=repr)
def test_an_empty_file_is_refused(table_of, content):
    with pytest.raises(EmptyTable):
        table_of(content)


@pytest.mark.parametrize("text", ["a,b,c\n", "a,b\n\n\n", "a,b\nMW,bar", "a,b\n,\n"])
def test_a_header_without_rows_is_refused(table_of, text):
    options = {"unit_row": True} if "MW" in text else {}

    with pytest.raises(EmptyTable, match=r"header in line 1, but no rows"):
        table_of(text, **options)


@pytest.mark.parametrize(
    "text",
    ["1,2\n3,4\n", "2020-01-31 10:00,1.5\n2020-01-31 11:00,2\n", "1.5,x\n2.5,y\n", "5\n6\n"],
    ids=["numbers", "times", "half of it numbers", "one column"],
)
def test_a_table_without_header_is_refused(table_of, text):
    with pytest.raises(MissingHeader, match="line 1 begins with") as refusal:
        table_of(text)

    assert refusal.value.details["line"] == 1


@pytest.mark.parametrize("quote", ["", '"'], ids=["plain", "quoted"])
@pytest.mark.parametrize("row", ["1,2", "1,2,3,4"])
def test_a_ragged_row_is_refused_with_its_line(table_of, quote, row):
    lines = ["a,b,c", f"{quote}x{quote},2,3", *["1,2,3"] * 14, row, "1,2,3"]

    with pytest.raises(RaggedRow) as refusal:
        table_of("\n".join(lines))

    assert refusal.value.details == {"line": 17, "found": row.count(",") + 1, "wanted": 3, "header_row": 1}
    assert "line 17 has" in str(refusal.value)


def test_the_line_of_a_ragged_row_counts_lines_inside_quotes(table_of):
    with pytest.raises(RaggedRow) as refusal:
        table_of('a,b\n"x\ny\nz",1\n"u\nv",1\n2\n')

    assert refusal.value.details["line"] == 7


def test_a_ragged_unit_row_is_refused(table_of):
    with pytest.raises(RaggedRow) as refusal:
        table_of("a,b,c\nMW,bar\n1,2,3\n1,2,3\n")

    assert refusal.value.details["line"] == 2


def test_duplicate_tags_are_refused_with_their_columns(table_of):
    with pytest.raises(DuplicateTag, match="'load' in columns 1, 3") as refusal:
        table_of("load,flow, load \n1,2,3\n")

    assert refusal.value.details == {"tags": {"load": [1, 3]}}


def test_bytes_that_are_no_text_are_shown_with_their_place(table_of):
    with pytest.raises(BadEncoding) as refusal:
        table_of(b"a,b\n1,2\n3,\xff\x03\n")

    assert refusal.value.details["line"] == 3
    assert refusal.value.details["offset"] == 10
    assert refusal.value.details["bytes"].startswith("ff")


def test_a_wrong_encoding_that_was_asked_for_is_refused(table_of):
    with pytest.raises(BadEncoding, match="line 2 holds the bytes b0 43") as refusal:
        table_of("a,b\n1,20 °C\n", written_in="cp1252", encoding="utf-8")

    assert refusal.value.details["encoding"] == "utf-8"


def test_utf_16_without_its_mark_needs_the_order_of_its_bytes(table_of):
    text = "a,b\n1,2\n"

    assert table_of(text, written_in="utf-16-le", encoding="utf-16-le").frame.rows() == [(1, 2)]
    with pytest.raises(BadEncoding):
        table_of(text, written_in="utf-16-be")


def test_a_file_that_ends_within_a_sign_is_refused(table_of):
    with pytest.raises(BadEncoding) as refusal:
        table_of("a,b\n1,煤".encode()[:-1], encoding="utf-8")

    assert refusal.value.details["offset"] == 6


def test_zero_bytes_are_no_text(table_of):
    with pytest.raises(BadEncoding, match="zero byte"):
        table_of(b"a,b\n1,2\n\0,3\n")


def test_a_quote_that_is_never_closed_is_refused_with_its_line(table_of):
    with pytest.raises(UnreadableFile, match="line 3 cannot be read: a quote is opened and never closed"):
        table_of('a,b\n1,2\n3,"4\n5,6\n')


def test_text_after_a_closing_quote_is_refused_with_its_line(table_of):
    with pytest.raises(UnreadableFile, match="line 3 cannot be read: text follows a closing quote"):
        table_of('a,b\n1,2\n"3"x,4\n')


def test_a_cell_without_end_is_refused(table_of):
    with pytest.raises(UnreadableFile, match="more than 131072 characters"):
        table_of('a,b\n1,2\n3,"' + "x" * 140_000 + '"\n')


def test_too_many_columns_are_refused(table_of):
    with pytest.raises(TooLarge, match="10001 columns"):
        table_of(",".join(f"t{n}" for n in range(10_001)) + "\n")


def test_too_many_cells_are_refused(table_of, monkeypatch):
    monkeypatch.setattr(csv_files, "MAX_CELLS", 10)

    with pytest.raises(TooLarge, match="more than 10 cells"):
        table_of("a,b\n" + "1,2\n" * 6)


def test_a_heading_without_end_is_refused(table_of):
    with pytest.raises(TooLarge, match=f"heading of column 2 has {limits.MAX_HEADING + 1}"):
        table_of("a," + "x" * (limits.MAX_HEADING + 1) + "\n1,2\n")


def test_a_first_line_without_end_is_refused(table_of):
    with pytest.raises(TooLarge, match="line 1 is longer"):
        table_of("a," * 3_000_000)


# Both ways of cutting text into cells, against the generated cells

cell = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters='",'), max_size=5
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(st.tuples(cell, cell, st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=8),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_any_table_comes_back_as_it_was_written(table_of, rows, quoting):
    file = io.StringIO()
    writer = csv.writer(file, quoting=quoting, lineterminator="\n")
    writer.writerows([("first", "second", "x"), *rows])
    options = {"header_row": 1, "unit_row": False, "delimiter": ",", "encoding": "utf-8", "decimal": "."}

    frame = table_of(file.getvalue(), **options).frame

    assert frame.height == len(rows)
    assert frame["x"].cast(pl.Float64).to_list() == [row[2] for row in rows]
    if frame["first"].dtype == pl.String:
        assert frame["first"].to_list() == [row[0].strip() or None for row in rows]


def test_pieces_join_to_the_same_table(table_of, monkeypatch):
    rows = "".join(f"{n},{n / 7},{'x' * (n % 5)}\n" for n in range(500))
    whole = table_of("n,v,w\n" + rows).frame
    monkeypatch.setattr(csv_files, "_PIECE_CHARACTERS", 300)
    monkeypatch.setattr(csv_files, "_PIECE_CELLS", 40)
    in_pieces = table_of("n,v,w\n" + rows).frame
    with_quotes = table_of("n,v,w\n" + rows.replace("xxxx", '"xxxx"')).frame

    assert in_pieces.equals(whole)
    assert with_quotes.equals(whole)

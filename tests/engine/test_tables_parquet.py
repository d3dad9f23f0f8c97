from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from engine.errors import DuplicateTag, EmptyTable, TableError, TooLarge, UnknownTag, UnreadableFile, WrongTagType
from engine.tables import (
    Reading,
    category_places,
    columns_to_numpy,
    complete_matrix,
    complete_rows,
    count_rows,
    parquet_files,
    read_rows,
    read_table,
    read_tags,
    write_parquet,
)

STAMP = datetime(2020, 1, 31, 6, 30, tzinfo=UTC)
STAMP_MS = 1_580_452_200_000


@pytest.fixture
def parquet(tmp_path):
    """Write a frame to a Parquet file; return its path."""

    def write(frame):
        path = tmp_path / "table.parquet"
        pl.DataFrame(frame).write_parquet(path)
        return path

    return write


@pytest.fixture
def stored(tmp_path):
    """A table as it is kept."""
    frame = pl.DataFrame(
        {
            "time": pl.Series([STAMP, None, STAMP + timedelta(minutes=10)], dtype=pl.Datetime("ms", "UTC")),
            "load": [200.5, None, 150.0],
            "mills": [3, 2, None],
            "grade": ["high", None, "low"],
            "on": [True, False, None],
        }
    )
    write_parquet(frame, tmp_path / "kept.parquet")
    return tmp_path / "kept.parquet"


# What people give


def test_types_of_a_parquet_file_become_those_of_tags(parquet):
    path = parquet(
        {
            "f32": pl.Series([0.5, float("nan"), float("inf")], dtype=pl.Float32),
            "u64": pl.Series([1, 2**63 + 2**40, 3], dtype=pl.UInt64),
            "i8": pl.Series([1, None, 3], dtype=pl.Int8),
            "decimal": pl.Series([Decimal("1.25"), None, Decimal("2.50")]),
            "category": pl.Series(["a", None, "b"], dtype=pl.Categorical),
            "date": [date(2020, 1, 31), None, date(2020, 2, 1)],
            "local": [datetime(2020, 1, 31, 14, 30), None, None],
            "zoned": pl.Series([STAMP, None, None], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo"),
            "text": ["Bad", "1.5", "2.5"],
            "nothing": pl.Series([None, None, None], dtype=pl.Null),
        }
    )

    table = read_table(path, "parquet", Reading(time_zone="Asia/Shanghai"))

    assert table.frame["f32"].to_list() == [0.5, None, None]
    assert table.frame["u64"].to_list() == [1.0, float(2**63 + 2**40), 3.0]
    assert table.frame["i8"].to_list() == [1, None, 3]
    assert table.frame["decimal"].to_list() == [1.25, None, 2.5]
    assert table.frame["category"].to_list() == ["a", None, "b"]
    assert table.frame["date"].to_list()[0] == datetime(2020, 1, 30, 16, tzinfo=UTC)
    assert table.frame["local"].to_list()[0] == STAMP
    assert table.frame["zoned"].to_list()[0] == STAMP
    assert table.frame["text"].to_list() == [None, 1.5, 2.5]
    assert table.frame["nothing"].dtype == pl.Float64
    assert {dtype.base_type() for dtype in table.frame.dtypes} <= {pl.Float64, pl.Int64, pl.String, pl.Datetime}
    assert "not_finite" in [note.code for note in table.notes]


def test_reading_what_was_written_changes_nothing(stored):
    table = read_table(stored, "parquet")

    assert table.frame.equals(pl.read_parquet(stored))
    assert table.time_tag == "time"


def test_lists_are_no_tag(parquet):
    with pytest.raises(WrongTagType, match="'x' holds List"):
        read_table(parquet({"x": [[1], [2]]}), "parquet")


def test_names_that_differ_only_in_white_space_are_refused(parquet):
    with pytest.raises(DuplicateTag):
        read_table(parquet({"a": [1], "a ": [2]}), "parquet")


def test_a_file_without_rows_is_refused(parquet):
    with pytest.raises(EmptyTable):
        read_table(parquet({"a": pl.Series([], dtype=pl.Float64)}), "parquet")


def test_a_small_file_that_promises_too_many_cells_is_refused(parquet, monkeypatch):
    path = parquet({"a": pl.Series([1.0]).new_from_index(0, 100_000)})
    monkeypatch.setattr(parquet_files, "MAX_CELLS", 99_999)

    with pytest.raises(TooLarge, match="100000 rows of 1 columns"):
        read_table(path, "parquet")


def test_a_damaged_file_is_read_or_refused_but_nothing_else(parquet):
    path = parquet({"a": [1.5, 2.5], "b": ["x", "y"]})
    sound = path.read_bytes()

    outcomes = []
    for position in range(0, len(sound), 29):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 0x2A]) + sound[position + 1 :])
        try:
            outcomes.append(read_table(path, "parquet").frame.height)
        except TableError as error:
            outcomes.append(error.code)

    assert "table.unreadable" in outcomes


def test_what_is_no_parquet_file_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 and nothing else")

    with pytest.raises(UnreadableFile, match="the Parquet file cannot be read"):
        read_table(path, "parquet")


# What is kept


def test_a_page_of_rows_is_plain_json(stored):
    rows = read_rows(stored)

    assert rows == [
        {"time": STAMP_MS, "load": 200.5, "mills": 3, "grade": "high", "on": True},
        {"time": None, "load": None, "mills": 2, "grade": None, "on": False},
        {"time": STAMP_MS + 600_000, "load": 150.0, "mills": None, "grade": "low", "on": None},
    ]


def test_a_page_has_the_rows_and_columns_that_were_asked_for(stored):
    assert read_rows(stored, offset=1, limit=1, columns=["mills", "on"]) == [{"mills": 2, "on": False}]
    assert read_rows(stored, offset=3) == []
    with pytest.raises(UnknownTag, match="no tag 'nope'; it has time, load"):
        read_rows(stored, columns=["nope"])


def test_numbers_that_are_not_finite_are_none_in_a_page(tmp_path):
    write_parquet(pl.DataFrame({"x": [1.0, float("nan"), float("inf")]}), tmp_path / "x.parquet")

    assert [row["x"] for row in read_rows(tmp_path / "x.parquet")] == [1.0, None, None]


def test_rows_and_tags_are_known_without_reading_values(stored):
    assert count_rows(stored) == 3
    assert read_tags(stored) == {
        "time": "time",
        "load": "real",
        "mills": "integer",
        "grade": "text",
        "on": "boolean",
    }


def test_columns_become_float64_arrays_with_nan_where_values_are_missing(stored):
    from_file = columns_to_numpy(stored, ["load", "mills", "on", "time", "load"])
    from_frame = columns_to_numpy(pl.read_parquet(stored), ["load", "mills", "on", "time"])

    assert list(from_file) == ["load", "mills", "on", "time"]
    np.testing.assert_array_equal(from_file["load"], [200.5, np.nan, 150.0])
    np.testing.assert_array_equal(from_file["mills"], [3, 2, np.nan])
    np.testing.assert_array_equal(from_file["on"], [1, 0, np.nan])
    np.testing.assert_array_equal(from_file["time"], [STAMP_MS, np.nan, STAMP_MS + 600_000])
    for tag, column in from_file.items():
        np.testing.assert_array_equal(column, from_frame[tag])
        assert column.dtype == np.float64
        assert column.flags.writeable


def test_a_path_may_look_like_a_pattern(tmp_path):
    folder = tmp_path / "Ünit [3] {a} day=5"
    folder.mkdir()
    path = folder / "what?*.parquet"

    write_parquet(pl.DataFrame({"a": [1.0]}), path)

    assert read_table(path, "parquet").frame.to_dict(as_series=False) == {"a": [1.0]}
    assert read_rows(path) == [{"a": 1.0}]


def test_a_tag_may_be_called_like_a_pattern(tmp_path):
    write_parquet(pl.DataFrame({"*": [1.0], "^.*$": [2.0], "a": [3.0]}), tmp_path / "x.parquet")

    assert columns_to_numpy(tmp_path / "x.parquet", ["^.*$"]) == {"^.*$": [2.0]}
    assert read_rows(tmp_path / "x.parquet", columns=["*"]) == [{"*": 1.0}]


def test_texts_become_their_places_in_a_sorted_list(tmp_path):
    write_parquet(pl.DataFrame({"*": ["b", None, "a", "b", "Ä"], "n": range(5)}), tmp_path / "x.parquet")

    names, places = category_places(tmp_path / "x.parquet", "*")
    known, among = category_places(tmp_path / "x.parquet", "*", ["b", "never", "a"])

    assert (names, known) == (("a", "b", "Ä"), ("b", "never", "a"))
    np.testing.assert_array_equal(places, [1, np.nan, 0, 1, 2])
    np.testing.assert_array_equal(among, [0, np.nan, 2, 0, np.nan])


def test_a_tag_without_any_text_has_no_places(tmp_path):
    write_parquet(pl.DataFrame({"a": pl.Series([None, None], dtype=pl.String)}), tmp_path / "x.parquet")

    names, places = category_places(tmp_path / "x.parquet", "a")

    assert names == ()
    np.testing.assert_array_equal(places, [np.nan, np.nan])


def test_places_are_of_texts_only(stored):
    with pytest.raises(WrongTagType, match="'load' holds real values, not text"):
        category_places(stored, "load")
    with pytest.raises(UnknownTag, match="'nope'"):
        category_places(stored, "nope")


def test_text_and_unknown_tags_are_no_numbers(stored):
    with pytest.raises(WrongTagType, match="'grade' holds text"):
        columns_to_numpy(stored, ["load", "grade"])
    with pytest.raises(UnknownTag, match="'nope'"):
        columns_to_numpy(stored, ["nope"])


def test_rows_are_complete_if_every_column_has_a_finite_value():
    columns = {"a": np.array([1.0, np.nan, 3.0, 4.0]), "b": np.array([1.0, 2.0, np.inf, 4.0])}

    assert complete_rows(columns).tolist() == [0, 3]


def test_a_complete_matrix_holds_the_rows_with_every_tag_in_the_order_of_the_tags():
    frame = pl.DataFrame({"a": [1.0, None, 3.0, 4.0], "b": [10, 20, None, 40], "c": ["x", "y", "z", "w"]})

    M, rows = complete_matrix(frame, ["b", "a"])

    np.testing.assert_array_equal(M, [[10.0, 1.0], [40.0, 4.0]])
    np.testing.assert_array_equal(rows, [0, 3])

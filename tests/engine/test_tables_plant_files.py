import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.tables import DerivedTag, Reading, columns_to_numpy, complete_rows, derive, profile, read_table

ROOT = Path(__file__).parents[2]
COAL_UNIT = ROOT / "examples" / "coal_unit" / "data.csv"
DATA = ROOT / "tests" / "data"


@pytest.fixture(scope="module")
def coal_unit():
    return read_table(COAL_UNIT, "csv")


@pytest.fixture(scope="module")
def coal_rows():
    """The same table, as Python's csv module and float() read it."""
    with COAL_UNIT.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def codes(table):
    return [note.code for note in table.notes]


def test_the_coal_unit_is_read_without_any_option(coal_unit, coal_rows):
    header, rows = coal_rows

    assert coal_unit.frame.columns == ["timestamp", *header[1:]]
    assert coal_unit.time_tag == "timestamp"
    assert coal_unit.frame.height == 1846
    assert coal_unit.reading.time_format == "%m/%d/%Y %H:%M"
    assert codes(coal_unit) == ["encoding", "delimiter", "blank_header", "time_format"]
    for index, tag in enumerate(header[1:], start=1):
        assert coal_unit.frame[tag].to_list() == [float(row[index]) for row in rows]
    stamps = [datetime.strptime(row[0], "%m/%d/%Y %H:%M").replace(tzinfo=UTC) for row in rows]
    assert coal_unit.frame["timestamp"].to_list() == stamps


def test_the_coal_unit_has_the_types_that_its_description_gives(coal_unit):
    described = {entry["name"]: entry for entry in profile(coal_unit.frame)}

    assert described["timestamp"]["type"] == "time"
    assert described["num_mills"]["type"] == "integer"
    assert (described["num_mills"]["min"], described["num_mills"]["max"]) == (2, 3)
    assert {described[tag]["type"] for tag in coal_unit.frame.columns[1:-1]} == {"real"}
    assert all(entry["missing"] == 0 for entry in described.values())


def test_the_coal_unit_falls_into_25_days(coal_unit):
    derived = derive(
        coal_unit,
        [
            DerivedTag("day", part="day"),
            DerivedTag("ssc", "`1FWS-STMFLW-A` / `1JT66801S`"),
            DerivedTag("campaign", part="campaign", gap_hours=24),
        ],
    )

    columns = columns_to_numpy(derived.frame, ["day", "ssc", "campaign", "1JT66801S"])

    assert len(np.unique(columns["day"])) == 25
    assert len(complete_rows(columns)) == 1846
    near_200_mw = np.abs(columns["1JT66801S"] - 200) < 5
    assert np.median(columns["ssc"][near_200_mw]) == pytest.approx(6.52, abs=0.02)
    n_campaigns = int(columns["campaign"].max())
    assert 1 < n_campaigns < 25
    assert set(columns["campaign"]) == set(range(1, n_campaigns + 1))


def test_a_chinese_mill_table_is_read_without_any_option():
    table = read_table(DATA / "mill_gb18030.csv", "csv", Reading(time_zone="Asia/Shanghai"))

    assert table.reading.encoding == "gb18030"
    assert table.frame.columns == ["时间", "给煤量 (t/h)", "入口一次风温度 (℃)", "磨煤机电流 (A)", "状态"]
    assert table.frame["时间"][0] == datetime(2021, 3, 1, 0, tzinfo=UTC)
    assert table.frame["磨煤机电流 (A)"].null_count() == 2
    assert table.frame["磨煤机电流 (A)"].dtype == pl.Float64
    assert table.units == {"给煤量 (t/h)": "t/h", "入口一次风温度 (℃)": "℃", "磨煤机电流 (A)": "A"}
    assert table.frame["状态"].unique().sort().to_list() == ["启动", "运行"]


def test_a_german_boiler_table_is_read_without_any_option():
    table = read_table(DATA / "boiler_cp1252.csv", "csv", Reading(time_zone="Europe/Berlin"))

    assert (table.reading.encoding, table.reading.delimiter, table.reading.decimal) == ("cp1252", ";", ",")
    assert table.frame.columns == ["Zeit", "Speisewasserdruck (bar)", "Abgastemperatur (°C)", "Rauchgas (m³/h)"]
    assert table.frame["Speisewasserdruck (bar)"][:2].to_list() == [181.5, 181.625]
    assert table.frame["Abgastemperatur (°C)"].null_count() == 1
    assert table.frame["Zeit"][0] == datetime(2021, 3, 27, 23, 30, tzinfo=UTC)
    assert {"header_row", "bad_values", "decimal", "skipped_times"} <= set(codes(table))

import json
from pathlib import Path

import pytest

from engine.errors import EmptyTable, InvalidReading, UnknownFormat, UnreadableFile
from engine.tables import HEAD_BYTES, Note, Reading, read_table, sniff

ROOT = Path(__file__).parents[2]

# Options


def test_a_reading_survives_json():
    reading = Reading(encoding="gb18030", delimiter=";", bad_values=("Aus",), time_zone="Asia/Shanghai", unit_row=True)

    again = Reading.from_json(json.loads(json.dumps(reading.to_json())))

    assert again == reading
    assert Reading.from_json({}) == Reading()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("encoding", "zip"),
        ("encoding", "unicode_escape"),
        ("delimiter", ";;"),
        ("delimiter", '"'),
        ("delimiter", "\n"),
        ("decimal", "'"),
        ("header_row", 0),
        ("header_row", True),
        ("unit_row", "yes"),
        ("bad_values", "Bad"),
        ("bad_values", [1]),
        ("time_zone", None),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", ""),
        ("time_format", "%H:%M"),
        ("time_format", 5),
        ("sheet", 1),
        ("colour", "red"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(option, value):
    with pytest.raises(InvalidReading, match=option) as refusal:
        Reading.from_json({option: value})

    assert refusal.value.details["option"] == option


def test_a_sign_cannot_be_delimiter_and_decimal():
    with pytest.raises(InvalidReading, match="both ','"):
        Reading(delimiter=",", decimal=",")


def test_a_note_goes_to_json():
    note = Note("encoding", "the text is read as utf-8", {"encoding": "utf-8"})

    assert json.loads(json.dumps(note.to_json())) == {
        "code": "encoding",
        "message": "the text is read as utf-8",
        "details": {"encoding": "utf-8"},
    }


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(UnknownFormat, match="'ods'; there are csv, xlsx, parquet"):
        read_table(tmp_path / "x", "ods")


# The first bytes


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"a,b\n1,2\n", "table.csv", "csv"),
        ("时间,x".encode("gb18030"), "表.TXT", "csv"),
        ("a\tb".encode("utf-16"), "x.tsv", "csv"),
        (b"PK\x03\x04\x14\0", "Daily report.XLSX", "xlsx"),
        (b"PK\x03\x04\x14\0", "x.xlsm", "xlsx"),
        (b"PAR1\x15", "x.parquet", "parquet"),
    ],
)
def test_name_and_first_bytes_tell_the_format(head, name, expected):
    assert sniff(head, name) == expected


@pytest.mark.parametrize(
    ("head", "name", "says"),
    [
        (b"PK\x03\x04\x14\0", "x.csv", "a ZIP or Excel file"),
        (b"PAR1\x15", "x.csv", "a Parquet file"),
        (b"%PDF-1.7", "x.csv", "a PDF document"),
        (b"\n<!DOCTYPE html>", "x.csv", "a web page"),
        (b"\xd0\xcf\x11\xe0\xa1", "x.xlsx", "old (.xls) or encrypted"),
        (b"a,b\n1,2\n", "x.xlsx", "its first bytes are 61 2c 62 0a"),
        (b"PK\x03\x04\x14\0", "x.parquet", "a ZIP or Excel file"),
        (b"a\0b\0", "x.csv", "zero bytes"),
    ],
)
def test_first_bytes_that_contradict_the_name_are_refused(head, name, says):
    with pytest.raises(UnreadableFile) as refusal:
        sniff(head, name)

    assert says in str(refusal.value)


@pytest.mark.parametrize("name", ["x.xls", "x.doc", "csv", "x.csv.exe", ""])
def test_a_name_that_is_not_that_of_a_table_is_refused(name):
    with pytest.raises(UnknownFormat):
        sniff(b"a,b\n", name)


def test_a_file_without_bytes_is_refused_at_once():
    with pytest.raises(EmptyTable, match="0 bytes"):
        sniff(b"", "x.csv")


def test_the_shipped_table_passes():
    with (ROOT / "examples" / "coal_unit" / "data.csv").open("rb") as file:
        assert sniff(file.read(HEAD_BYTES), "data.csv") == "csv"

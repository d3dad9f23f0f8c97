import io
import struct
import zipfile
import zlib
from datetime import UTC, datetime

import polars as pl
import pytest
import xlsxwriter

from engine.errors import (
    DuplicateTag,
    EmptyTable,
    InvalidReading,
    MissingHeader,
    TableError,
    TooLarge,
    UnreadableFile,
    ZipBomb,
)
from engine.tables import Reading, read_table, xlsx_files, zip_guard

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def workbook(tmp_path):
    """Write sheets, given as rows of cells from A1, to a workbook; return its path."""

    def write(**sheets):
        path = tmp_path / "table.xlsx"
        with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
            for name, rows in sheets.items():
                sheet = book.add_worksheet(name)
                for row, cells in enumerate(rows):
                    for column, cell in enumerate(cells):
                        if cell == "=NA()":
                            sheet.write_formula(row, column, cell, None, "#N/A")
                        elif cell is not None:
                            sheet.write(row, column, cell)
        return path

    return write


@pytest.fixture
def altered(workbook, tmp_path):
    """Write a sound workbook with one member replaced; return its path."""

    def write(member, content):
        source, target = workbook(data=[["a", "b"], [1, 2]]), tmp_path / "altered.xlsx"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                if name != member:
                    new.writestr(name, old.read(name))
            new.writestr(member, content)
        return target

    return write


def read(path, **options):
    return read_table(path, "xlsx", Reading(**options))


def note(table, code):
    return next((note for note in table.notes if note.code == code), None)


def sheet_xml(rows):
    return f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'


# What is read


def test_cells_keep_their_types(workbook):
    path = workbook(
        data=[
            ["time", "load", "mills", "grade", "on", "dead"],
            [datetime(2020, 1, 31, 6, 30), 200.5, 3, "high", True, None],
            [datetime(2020, 1, 31, 6, 40), 1 / 3, 2, "low", False, None],
        ]
    )

    table = read(path)

    assert table.frame.schema == {
        "time": pl.Datetime("ms", "UTC"),
        "load": pl.Float64,
        "mills": pl.Int64,
        "grade": pl.String,
        "on": pl.Boolean,
        "dead": pl.Float64,
    }
    assert table.frame.row(1) == (datetime(2020, 1, 31, 6, 40, tzinfo=UTC), 1 / 3, 2, "low", False, None)
    assert table.time_tag == "time"


def test_a_number_between_words_keeps_every_digit(workbook):
    numbers = [1 / 3, 1e-12, 123456789.125, 4.0, -2e17]
    path = workbook(data=[["x"], *([number] for number in numbers), ["Bad"], ["12.5"], [" No Data "]])

    table = read(path)

    assert table.frame["x"].to_list() == [*numbers, None, 12.5, None]
    assert note(table, "bad_values").details == {"tags": {"x": {"Bad": 1, "No Data": 1}}}


def test_times_between_words_and_times_as_text_are_times(workbook):
    path = workbook(
        data=[["a", "b"], [datetime(2020, 1, 31, 6, 30), "31.01.2020 06:30"], ["No Data", "01.02.2020 06:30"]]
    )

    table = read(path, time_zone="Asia/Shanghai")

    utc = datetime(2020, 1, 30, 22, 30, tzinfo=UTC)
    assert table.frame["a"].to_list() == [utc, None]
    assert table.frame["b"][0] == utc


def test_error_cells_are_missing_values_and_counted(workbook):
    table = read(workbook(data=[["x"], [1.5], ["=NA()"], [2.5]]))

    assert table.frame["x"].to_list() == [1.5, 2.5]
    assert note(table, "error_cells").details == {"cells": 1}
    assert note(table, "blank_rows").details == {"rows": 1}


def test_a_table_may_begin_anywhere_below_titles_and_above_units(workbook):
    path = workbook(
        data=[
            [],
            [None, "Unit 3"],
            [],
            [None, "time", "load"],
            [None, None, "MW"],
            [None, datetime(2020, 1, 31), 1.5],
            [None, None, None],
            [None, datetime(2020, 2, 1), 2.5],
        ]
    )

    table = read(path)

    assert table.frame["load"].to_list() == [1.5, 2.5]
    assert table.units == {"load": "MW"}
    assert (table.reading.header_row, table.reading.unit_row) == (4, True)


def test_the_first_sheet_with_anything_in_it_is_read_unless_one_is_named(workbook):
    path = workbook(cover=[], data=[["a"], [1]], more=[["b"], [2]])

    first, named = read(path), read(path, sheet="more")

    assert (first.frame.columns, first.reading.sheet) == (["a"], "data")
    assert note(first, "sheet").details == {"sheet": "data", "others": ["cover", "more"]}
    assert named.frame.columns == ["b"]
    with pytest.raises(InvalidReading, match="no sheet 'nope'; there are 'cover', 'data', 'more'"):
        read(path, sheet="nope")


def test_reading_again_with_what_was_guessed_gives_the_same_table(workbook):
    path = workbook(data=[["t", ""], ["", "MW"], ["31.01.2020", 1.25], ["01.02.2020", "Bad"]], other=[["x"], [1]])

    first = read(path)
    again = read_table(path, "xlsx", Reading.from_json(first.reading.to_json()))

    assert again.frame.equals(first.frame)
    assert again.reading == first.reading


# What is refused


def test_tables_without_rows_names_or_with_double_names_are_refused(workbook):
    with pytest.raises(EmptyTable, match="nothing is in any sheet"):
        read(workbook(data=[]))
    with pytest.raises(EmptyTable, match="header in row 1, but no rows"):
        read(workbook(data=[["a", "b"]]))
    with pytest.raises(MissingHeader):
        read(workbook(data=[[1, 2], [3, 4]]))
    with pytest.raises(DuplicateTag, match="'a' in columns 1, 3"):
        read(workbook(data=[["a", "b", " a"], [1, 2, 3]]))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing else", b"a,b\n1,2\n"], ids=repr)
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "table.xlsx"
    path.write_bytes(content)

    with pytest.raises(EmptyTable if not content else UnreadableFile):
        read(path)


def test_an_archive_that_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "table.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")

    with pytest.raises(UnreadableFile, match="no Excel workbook"):
        read(path)


def test_a_cut_workbook_is_refused(workbook):
    path = workbook(data=[["a"], [1]])
    path.write_bytes(path.read_bytes()[:-300])

    with pytest.raises(UnreadableFile):
        read(path)


def test_a_damaged_workbook_is_read_or_refused_but_nothing_else(workbook):
    path = workbook(data=[["a", "b"], [1, "x"], [2.5, "y"]])
    sound = path.read_bytes()

    outcomes = []
    for position in range(0, len(sound), 37):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 0x55]) + sound[position + 1 :])
        try:
            outcomes.append(read(path).frame.height)
        except TableError as error:
            outcomes.append(error.code)

    assert "table.unreadable" in outcomes


def test_a_damaged_sheet_is_refused(altered):
    with pytest.raises(UnreadableFile):
        read(altered(SHEET, '<worksheet><sheetData><row r="1"><c r="A1"><v>1</sheetData>'))


# Bombs


def test_an_honest_bomb_is_refused_before_it_is_unpacked(altered, monkeypatch):
    monkeypatch.setattr(zip_guard, "RATIO_FREE_BYTES", 1 << 20)
    path = altered(SHEET, sheet_xml(" " * (4 << 20)))

    with pytest.raises(ZipBomb, match="a ratio of 200 is accepted") as refusal:
        read(path)

    assert refusal.value.details["member"] == SHEET
    assert refusal.value.details["unpacked"] > 4 << 20


def test_an_archive_beyond_the_budget_is_refused(altered, monkeypatch):
    monkeypatch.setattr(zip_guard, "MAX_UNPACKED_BYTES", 1 << 20)

    with pytest.raises(ZipBomb, match="1048576 are accepted"):
        read(altered(SHEET, sheet_xml("x" * (2 << 20))))


def test_the_budget_holds_for_all_members_together(altered, monkeypatch):
    path = altered("xl/media/picture.bin", bytes(range(256)) * 40)
    monkeypatch.setattr(zip_guard, "MAX_UNPACKED_BYTES", 9_000)

    with pytest.raises(ZipBomb):
        read(path)


@pytest.mark.parametrize("declared", [10, 3 << 20])
def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path, altered, monkeypatch, declared):
    monkeypatch.setattr(zip_guard, "RATIO_FREE_BYTES", 1 << 20)
    path = altered(SHEET, b"0" * (4 << 20))
    lie = struct.pack("<L", declared)
    truth = struct.pack("<L", 4 << 20)
    path.write_bytes(path.read_bytes().replace(truth, lie))  # in the directory and in front of the member

    with pytest.raises(ZipBomb):
        read(path)


def test_a_member_that_goes_on_after_its_declared_size_is_refused(tmp_path, altered):
    path = altered(SHEET, b"0" * 5000)
    prefix = b"0" * 100
    content = path.read_bytes().replace(struct.pack("<L", 5000), struct.pack("<L", len(prefix)))
    path.write_bytes(content.replace(struct.pack("<L", zlib.crc32(b"0" * 5000)), struct.pack("<L", zlib.crc32(prefix))))

    with pytest.raises(ZipBomb, match="says that it unpacks to 100 bytes, but there are more"):
        read(path)


def test_members_may_be_stored_unpacked(workbook, tmp_path):
    source, target = workbook(data=[["a"], [1.5]]), tmp_path / "stored.xlsx"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))

    assert read(target).frame["a"].to_list() == [1.5]


def test_a_tag_without_end_is_refused(altered):
    with pytest.raises(UnreadableFile, match="does not end"):
        read(altered(SHEET, b"<worksheet " + bytes(range(32, 127)).replace(b"<", b"") * 30_000))


def test_two_members_of_one_name_are_refused(altered):
    path = altered("x.txt", "1")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.txt", "2")

    with pytest.raises(ZipBomb, match="some of one name"):
        read(path)


def test_two_cells_far_apart_do_not_fill_the_memory(altered):
    far = '<row r="1"><c r="A1" t="str"><v>a</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'

    with pytest.raises(TooLarge, match="spans 1048576 rows and 16384 columns with 2 cells"):
        read(altered(SHEET, sheet_xml(far)))


def test_cells_that_do_not_say_where_they_are_do_not_hide_the_rectangle(altered):
    row = '<row r="900000">' + "<c><v>1</v></c>" * 5000 + "</row>"

    with pytest.raises(TooLarge, match="in the workbook spans"):
        read(altered(SHEET, sheet_xml(row)))


@pytest.mark.parametrize(
    "hidden",
    ["<c s=' r=\"A1\"'>", '<c x:r="A1">', '<c s="1" t="n">', "<x:c>"],
    ids=["in a value", "other", "none", "prefix"],
)
def test_a_cell_that_only_seems_to_say_where_it_is_counts_as_one_that_does_not(hidden):
    extent = xlsx_files.SheetExtent("sheet.xml")

    extent.feed(f'<row r="70000"><c r="B70000"/>{hidden}</row>'.encode())
    extent.check()

    assert (extent.n_rows, extent.n_columns, extent.n_cells) == (70_001, 4, 2)


def test_the_rectangle_is_the_same_however_the_xml_is_cut():
    xml = sheet_xml(
        "".join(f'<row r="{row}"><c r="B{row}" t="e"/><x:c s="1" r=\'AA{row}\'><v>1</v></x:c></row>' for row in (1, 40))
    ).encode()

    found = set()
    for size in (1, 7, 50, 10_000):
        extent = xlsx_files.SheetExtent("sheet.xml")
        for start in range(0, len(xml), size):
            extent.feed(xml[start : start + size])
        extent.check()
        found.add((extent.n_rows, extent.n_columns, extent.n_cells, extent.n_errors))

    assert found == {(40, 27, 4, 2)}


def test_the_fast_way_to_measure_a_sheet_comes_to_the_same(workbook, monkeypatch):
    path = workbook(data=[["a", None, "b"], *([n, "=NA()", None] for n in range(300)), [None, None, None, 1]])
    with zipfile.ZipFile(path) as archive:
        xml = archive.read(SHEET)

    def measured():
        extent = xlsx_files.SheetExtent(SHEET)
        for start in range(0, len(xml), 1000):
            extent.feed(xml[start : start + 1000])
        extent.check()
        return extent.n_rows, extent.n_columns, extent.n_cells, extent.n_errors

    fast = measured()
    monkeypatch.setattr(xlsx_files.SheetExtent, "_measure_plain", lambda extent, xml: False)
    slow = measured()

    assert fast == slow == (302, 4, 603, 300)


def test_members_that_are_packed_in_an_unusual_way_are_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    path = tmp_path / "table.xlsx"
    path.write_bytes(file.getvalue())

    with pytest.raises(UnreadableFile, match="packed in an unusual way"):
        read(path)

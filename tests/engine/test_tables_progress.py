"""Reading tells how far it is, and can be stopped."""

import polars as pl
import pytest

from engine.tables import Reading, csv_files, read_table

ROWS = "time,load\n" + "".join(
    f"2026-03-{day:02d} {hour:02d}:00,{hour}\n" for day in range(1, 32) for hour in range(24)
)
WITH_QUOTES = ROWS.replace("load", '"load"')


class Stopped(Exception):  # noqa: N818
    pass


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(csv_files, "_PIECE_CHARACTERS", 1000)
    monkeypatch.setattr(csv_files, "_PIECE_CELLS", 100)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("text", [ROWS, WITH_QUOTES], ids=["plain", "quoted"])
def test_progress_rises_to_one_while_a_csv_file_is_read_piece_by_piece(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    told = []

    read_table(path, "csv", on_progress=told.append)

    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 0 < told[0] < 0.6


@pytest.mark.parametrize("file_format", ["parquet", "xlsx"])
def test_progress_ends_at_one_in_the_other_formats_too(tmp_path, file_format):
    path = tmp_path / f"table.{file_format}"
    frame = pl.DataFrame({"load": [100.0, 120.0], "flow": [1.0, 2.0]})
    frame.write_parquet(path) if file_format == "parquet" else frame.write_excel(path)
    told = []

    read_table(path, file_format, on_progress=told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("text", [ROWS, WITH_QUOTES], ids=["plain", "quoted"])
def test_what_the_watcher_raises_stops_the_reading(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    told = []

    def stop(done):
        told.append(done)
        raise Stopped

    with pytest.raises(Stopped):
        read_table(path, "csv", Reading(), stop)

    assert len(told) == 1

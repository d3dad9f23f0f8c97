"""A child's log: read along, reported, and kept under its limit while the child writes on."""

import os

import pytest

from launcher.logs import Log


@pytest.fixture
def write(tmp_path):
    """Open web.log and return it with a function that writes as its child would."""
    log = Log(tmp_path / "web.log", max_bytes=100)
    descriptor = log.open()
    yield log, lambda text: os.write(descriptor, text)
    os.close(descriptor)


def test_only_whole_lines_are_passed_on(write):
    log, child_writes = write

    child_writes(b"one\ntw")
    first = log.read_new_lines()
    child_writes("o °C\n".encode())

    assert (first, log.read_new_lines(), log.read_new_lines()) == (["one"], ["two °C"], [])


def test_bytes_that_are_no_text_do_not_stop_the_reading(write):
    log, child_writes = write

    child_writes(b"\xff\n")

    assert log.read_new_lines() == ["\ufffd"]


def test_a_report_shows_the_last_lines_of_this_run_only(tmp_path):
    (tmp_path / "web.log").write_text("an older run\n")
    log = Log(tmp_path / "web.log")

    with log.path.open("a") as file:
        file.write("first\n\nsecond\nthird\n")

    assert log.tail(2) == "    second\n    third"
    assert "older" not in log.since_start()


def test_a_large_log_is_put_aside_while_the_child_goes_on_writing(write):
    log, child_writes = write

    for number in range(5):
        child_writes(f"{number}".encode() * 99 + b"\n")
        log.read_new_lines()
    child_writes(b"on\n")

    assert log.read_new_lines() == ["on"]
    assert log.path.read_text() == "on\n"
    assert [log.path.with_name(f"web.log.{n}").read_text()[0] for n in (1, 2, 3)] == ["4", "3", "2"]
    assert not log.path.with_name("web.log.4").exists()


def test_a_log_is_private(write):
    log, _ = write

    assert log.path.stat().st_mode & 0o777 == 0o600

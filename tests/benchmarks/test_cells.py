from types import SimpleNamespace

import pytest

from benchmarks import cells


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "FOLDER", tmp_path)


class Benchmark(SimpleNamespace):
    """A benchmark of squares, which notes what it measured."""

    TITLE = "Squares"
    __name__ = "benchmarks.squares"

    def __init__(self, fails_at=None):
        super().__init__(measured=[], fails_at=fails_at)

    def cells(self, is_full):
        return [{"n": n} for n in range(4 if is_full else 2)]

    def measure(self, parameters):
        if parameters["n"] == self.fails_at:
            raise KeyboardInterrupt
        self.measured.append(parameters["n"])
        return {"square": parameters["n"] ** 2}

    def report(self, results):
        return cells.table(["n", "square"], [(r.parameters["n"], r.figures["square"]) for r in results])


def test_a_full_run_that_was_stopped_goes_on_with_the_cell_that_was_lost():
    stopped, again = Benchmark(fails_at=2), Benchmark()
    with pytest.raises(KeyboardInterrupt):
        cells.run(stopped, is_full=True)

    cells.run(again, is_full=True)

    assert (stopped.measured, again.measured) == ([0, 1], [2, 3])
    assert [result.figures["square"] for result in cells.results_of(again)] == [0, 1, 4, 9]


def test_the_short_form_is_measured_anew_and_leaves_the_other_cells_as_they_are():
    cells.run(Benchmark(), is_full=True)
    short = Benchmark()

    cells.run(short, is_full=False)

    assert short.measured == [0, 1]
    assert len(cells.results_of(short)) == 4


def test_a_line_that_was_cut_while_it_was_written_is_measured_again(tmp_path):
    benchmark = Benchmark()
    cells.run(benchmark, is_full=False)
    path = tmp_path / "squares.jsonl"
    path.write_text(path.read_text()[:-20])
    again = Benchmark()

    cells.run(again, is_full=True)

    assert again.measured == [1, 2, 3]
    assert [result.figures["square"] for result in cells.results_of(again)] == [0, 1, 4, 9]


def test_a_section_says_which_cells_were_run_and_when():
    benchmark = Benchmark()
    cells.run(benchmark, is_full=False)
    day = cells.results_of(benchmark)[0].measured_on

    section = cells.section(benchmark)

    assert section.startswith("## Squares\n\n| n | square |\n| --- | --- |\n| 0 | 0 |\n| 1 | 1 |\n")
    assert f"2 of 4 cells of the full form, measured on {day}" in section


def test_a_benchmark_without_figures_says_so():
    assert "Not measured" in cells.section(Benchmark())


def test_data_that_are_not_there_are_asked_for_by_name(monkeypatch, tmp_path):
    for value in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv("SETPOINT_DATA", value)

        with pytest.raises(cells.MissingDataError, match="SETPOINT_DATA"):
            cells.data_folder()

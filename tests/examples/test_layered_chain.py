"""The chain with a joint optimum known by hand, as its example solves it."""

import runpy

import pytest


@pytest.fixture(scope="module")
def example():
    """Every name that the example leaves behind."""
    return runpy.run_module("examples.layered_chain")


def test_the_optimum_by_hand_is_the_best_of_a_fine_grid(example):
    shares = [i / 10_000 for i in range(10_001)]

    best = min(shares, key=lambda u: (u - 0.9) ** 2 + 4 * (1 - u - 0.9) ** 2)

    assert best == pytest.approx(example["BY_HAND"], abs=1e-4)
    assert example["by_hand"] == pytest.approx(0.512)


def test_greedy_top_down_promises_everything_and_misses_the_optimum(example):
    cascade = example["answers"]["cascade"]

    assert cascade.promised == pytest.approx(0, abs=1e-3)
    assert cascade.objective == pytest.approx(2.56, rel=0.01)


@pytest.mark.parametrize("mode", ["joint", "negotiated"])
def test_the_other_modes_reach_it(example, mode):
    answer = example["answers"][mode]

    assert answer.objective == pytest.approx(example["by_hand"], rel=0.005)
    assert answer.inputs["u"] == pytest.approx(example["BY_HAND"], abs=0.01)


def test_the_comparison_is_printed(capsys):
    runpy.run_module("examples.layered_chain")

    printed = capsys.readouterr().out
    assert "cascade     u = 0.900, promised 0.000, gives 2.560" in printed
    assert "joint       u = 0.260, promised 0.512, gives 0.512" in printed
    assert "off by 0.80 or 1.33 sd" in printed

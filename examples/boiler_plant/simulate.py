"""Rows of history of the simulated plant, as its historian would export them.

    python -m examples.boiler_plant.simulate --rows 4000 --seed 1 out.csv

An operator follows the turbine's demand: water for the pressure, coal for the steam's temperature, air for the coal.
All else wanders about its usual place. Each row is a steady state of the balances, read by instruments with noise.
Start-up rows, drop-outs and drift come on request.
"""

import argparse
import csv
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from examples.boiler_plant import balances, plant

START = datetime(2024, 3, 1)
MINUTES = 15
STARTUP_ROWS, MILL_OFF_ROWS = 50, 10
DROPOUT = "No Data"

NOISE: Mapping[str, float] = {
    plant.FEED: 0.10,
    plant.POWDER: 0.10,
    plant.COAL: 0.08,
    plant.CURRENT: 0.6,
    plant.AIR: 0.6,
    plant.AIR_C: 0.7,
    plant.RAW_C: 0.3,
    plant.MOISTURE: 0.15,
    plant.HOT_C: 0.5,
    plant.COLD_C: 0.3,
    plant.O2_IN: 0.04,
    plant.GAS_IN_C: 0.8,
    plant.GAS_C: 0.5,
    plant.O2_OUT: 0.05,
    plant.CORRECTED: 0.6,
    plant.SPRAY: 0.1,
    plant.REHEAT_SPRAY: 0.05,
    plant.WATER_MPA: 0.005,
    plant.COOLING_C: 0.2,
    plant.WATER_C: 0.2,
    plant.WATER: 0.4,
    plant.ENERGY: 1e5,
    plant.O2: 0.03,
    plant.EFFICIENCY: 0.06,
    plant.SO2: 8.0,
    plant.NOX: 3.0,
    plant.CO: 4.0,
    plant.CO2: 400.0,
    plant.STEAM_C: 0.8,
    plant.STEAM_MPA: 0.02,
}
"""Standard deviation of each reading, a mean over the quarter of an hour, in its tag's unit. What an operator sets by a
drive is known exactly."""

COLD: Mapping[str, float] = {
    plant.STEAM_C: 320.0,
    plant.STEAM_MPA: 4.0,
    plant.WATER_C: 120.0,
    plant.WATER: 120.0,
    plant.EFFICIENCY: 70.0,
    plant.NOX: 250.0,
    plant.CO: 900.0,
    plant.CORRECTED: 95.0,
    plant.AIR_C: 90.0,
    plant.FEED: 0.0,
    plant.POWDER: 0.0,
    plant.COAL: 0.0,
    plant.CURRENT: 0.0,
    plant.ENERGY: 2e7,
}
"""Where a start-up begins; from there every tag goes in a straight line to where it would be."""

DRIFT: Mapping[str, float] = {plant.O2: 0.4, plant.O2_IN: 0.3, plant.FEED: -1.2}
"""By how much an instrument is off at the end of a history that drifts; the mill wears by WEAR besides."""

WEAR = 0.12


def simulate(
    n_rows: int,
    seed: int,
    *,
    startup: bool = False,
    dropouts: bool = False,
    drift: bool = False,
    noise: float = 1.0,
) -> dict[str, Any]:
    """Return tag -> readings, (n_rows,); NaN where an instrument dropped out. The same arguments give the same rows.

    Args:
        n_rows: rows, a quarter of an hour apart.
        seed: of everything random. Start-up, drop-outs and drift change no draw of the rest.
        startup: whether the first STARTUP_ROWS are a start-up, with the mill off at its beginning.
        dropouts: whether instruments drop out, each in about one row of fifty.
        drift: whether instruments drift (DRIFT) and the mill wears.
        noise: factor on NOISE; 0 gives what the balances say.
    """
    operation, instruments, gaps = (np.random.default_rng([seed, i]) for i in range(3))
    hardness = balances.WORK_INDEX * (1 + 0.03 * _wander(operation, n_rows, 200))
    age = np.linspace(0, 1, n_rows) if drift else np.zeros(n_rows)
    values = plant.run(_operated(operation, n_rows), work_index=hardness * (1 + WEAR * age))
    if startup:
        _start_up(values, n_rows)
    for tag, sd in NOISE.items():
        read = values[tag] + noise * sd * instruments.standard_normal(n_rows) + DRIFT.get(tag, 0.0) * age
        values[tag] = np.maximum(read, 0.0)
    if dropouts:
        for tag in values:
            values[tag] = np.where(_gaps(gaps, n_rows), np.nan, values[tag])
    return values


def usual(load: float) -> dict[str, float]:
    """Return the controls that operators choose at a load, as a share of the full one, in the case plant.CASE."""
    x: dict[str, Any] = {**plant.CASE, plant.ENERGY: load * balances.ENERGY_0, **_habits(load)}
    follow(x, steam_c=balances.STEAM_C, steam_mpa=balances.STEAM_MPA)
    return {tag: float(x[tag]) for tag in plant.CONTROLS}


def _habits(load: Any) -> dict[str, Any]:
    """Return where operators leave what they do not need to follow the load."""
    above = load - 0.87
    return {
        plant.O2: 2.9 - 1.5 * above,
        plant.O2_IN: 4.6 - 2.0 * above,
        plant.GAS_IN_C: 354 + 60 * above,
        plant.GAS_C: 133 + 30 * above,
        plant.SPRAY: 15 + 0 * above,
        plant.REHEAT_SPRAY: 5 + 0 * above,
        plant.HOT_VALVE: 60 + 60 * above,
        plant.COLD_VALVE: 42 + 30 * above,
        plant.RATIO: 1.0 + 0 * above,
    }


HABIT_SD: Mapping[str, tuple[float, float]] = {
    plant.O2: (0.35, 40),
    plant.O2_IN: (0.35, 40),
    plant.GAS_IN_C: (9, 40),
    plant.GAS_C: (5, 40),
    plant.SPRAY: (5, 40),
    plant.REHEAT_SPRAY: (2.5, 40),
    plant.HOT_VALVE: (5, 40),
    plant.COLD_VALVE: (6, 40),
    plant.RATIO: (0.03, 120),
}
"""How far they wander from there (standard deviation), and within how many rows they forget it."""


def _operated(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Return controls and disturbances, tag -> (n,), of a plant that is driven to hold its steam."""
    hours = np.arange(n) * MINUTES / 60
    load = 0.87 + 0.08 * np.sin(2 * np.pi * (hours - 9) / 24) + 0.04 * _wander(rng, n, 60)
    load = np.clip(load, 0.74, 1.0)

    x: dict[str, Any] = {plant.ENERGY: load * balances.ENERGY_0}
    x[plant.HOT_C] = 285 + 30 * (load - 0.9) + 5 * _wander(rng, n, 80)
    x[plant.COLD_C] = 25 + 5 * np.sin(2 * np.pi * (hours - 9) / 24) + 3 * _wander(rng, n, 300)
    x[plant.RAW_C] = 15 + 3 * _wander(rng, n, 300)
    x[plant.MOISTURE] = np.clip(10 + 1.5 * _wander(rng, n, 150), 6, 15)
    x[plant.COOLING_C] = 32 + 2.5 * _wander(rng, n, 200)
    for tag, middle in _habits(load).items():
        sd, rows = HABIT_SD[tag]
        x[tag] = np.clip(middle + sd * _wander(rng, n, rows), *plant.CONTROLS[tag])
    follow(x, steam_c=540 + 5 * _wander(rng, n, 10), steam_mpa=13.5 + 0.12 * _wander(rng, n, 20))
    x[plant.BELT] = np.clip(x[plant.BELT] * (1 + 0.004 * _wander(rng, n, 5)), *plant.CONTROLS[plant.BELT])
    return x


def follow(x: dict[str, Any], *, steam_c: Any, steam_mpa: Any) -> None:
    """Set the pumps and the belt so that the steam is what is wanted: the balances, solved backwards.

    Args:
        x: tag -> values of all other controls and of the disturbances; the two are added.
        steam_c, steam_mpa: main steam.
    """
    share = x[plant.ENERGY] / balances.ENERGY_0
    root = 1 + (steam_c - balances.STEAM_C) / (2 * (balances.STEAM_C + 273.15))
    water = balances.WATER_0 * share * steam_mpa / balances.STEAM_MPA / root
    pressure = balances.DRUM_MPA + ((water + x[plant.REHEAT_SPRAY]) / balances.VALVE) ** 2
    x[plant.WATER_MPA] = np.clip(pressure, *plant.CONTROLS[plant.WATER_MPA])
    water_c = balances.feedwater(
        x[plant.SPRAY], x[plant.REHEAT_SPRAY], x[plant.WATER_MPA], x[plant.GAS_C], x[plant.COOLING_C]
    ).temperature
    heat = water * (balances.steam_kj(steam_c, steam_mpa) - balances.water_kj(water_c)) / 1000 / (1 - balances.REHEAT)
    gas = balances.preheater(x[plant.O2_IN], x[plant.GAS_IN_C], x[plant.GAS_C])
    air = balances.fan(x[plant.HOT_VALVE], x[plant.COLD_VALVE], x[plant.HOT_C], x[plant.COLD_C])
    coal = heat / balances.LHV / 0.92
    feed = coal / 0.9
    for _ in range(4):  # efficiency and yield hardly depend on what is sought: four rounds are exact to 1e-6
        burnt = balances.boiler(coal, gas.o2, gas.corrected, water_c, water, x[plant.ENERGY], x[plant.O2])
        coal = heat / balances.LHV / (burnt.efficiency / 100)
        ground = balances.mill(air.air, air.temperature, feed, x[plant.RAW_C], x[plant.MOISTURE])
        feed = coal * feed / ground.powder
    x[plant.BELT] = np.clip(feed / balances.feeder(1.0, x[plant.RATIO]).feed, *plant.CONTROLS[plant.BELT])


def _wander(rng: np.random.Generator, n: int, rows: float) -> Any:
    """Return a walk of mean 0 and sd 1 that forgets within about this many rows, cut at 2.5."""
    keeps = np.exp(-1 / rows)
    steps = rng.standard_normal(n)
    steps[1:] *= np.sqrt(1 - keeps**2)
    walk = np.empty(n)
    level = 0.0
    for i, step in enumerate(steps):
        level = keeps * level + step
        walk[i] = level
    return np.clip(walk, -2.5, 2.5)


def _start_up(values: dict[str, Any], n: int) -> None:
    """Let the first rows come up from COLD, with the mill off in the very first ones."""
    rows = min(STARTUP_ROWS, n)
    up = np.minimum(np.arange(1, n + 1) / rows, 1.0)
    for tag, cold in COLD.items():
        values[tag] = cold + up * (values[tag] - cold)
    for tag in (plant.CURRENT, plant.POWDER, plant.FEED, plant.COAL):
        values[tag] = np.where(np.arange(n) < min(MILL_OFF_ROWS, rows), 0.0, values[tag])


def _gaps(rng: np.random.Generator, n: int) -> Any:
    """Return where an instrument is silent: spells of one to eight rows, one row of fifty in all."""
    starts, lengths = rng.random(n) < 0.02 / 4.5, rng.integers(1, 9, n)
    is_silent = np.zeros(n, dtype=bool)
    for i in np.flatnonzero(starts):
        is_silent[i : i + lengths[i]] = True
    return is_silent


def write(values: Mapping[str, Any], path: Path) -> None:
    """Write the rows as CSV with a time stamp; a drop-out is DROPOUT, as historians have it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", *values])
        for i, row in enumerate(zip(*values.values(), strict=True)):
            stamp = (START + timedelta(minutes=MINUTES * i)).isoformat(sep=" ")
            writer.writerow([stamp, *(DROPOUT if np.isnan(value) else f"{value:.7g}" for value in row)])


def main() -> int:
    """Write the rows that the command line asks for."""
    parser = argparse.ArgumentParser(description="Simulate a history of the boiler plant.")
    parser.add_argument("path", type=Path, help="the CSV file to write")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    for name, words in (("startup", "begin with a start-up"), ("dropouts", "lose readings"), ("drift", "let it drift")):
        parser.add_argument(f"--{name}", action="store_true", help=words)
    given = vars(parser.parse_args())
    path, n_rows, seed = given.pop("path"), given.pop("rows"), given.pop("seed")
    write(simulate(n_rows, seed, **given), path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

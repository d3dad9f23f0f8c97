"""The plant by its tags: headings, the graph of its modules, and its balances as models that the engine can ask.

Two posings of the mill's current: "output", as the plant has it, and "input", as tables often have it. ``process.json``
is the first one; the second differs by that one tag.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.process import ProcessGraph
from engine.process_model import ProcessModel
from examples.boiler_plant import balances

POSINGS = ("output", "input")

FEED, POWDER, CURRENT = "给煤量", "出口煤粉流量", "磨煤机电流"
AIR, AIR_C = "入口一次风流量", "入口一次风温度"
COAL, ENERGY, O2 = "Coal Flow (t/h)", "Energy Input From Boiler (Kcal/h)", "Boiler oxygen level (%)"
GAS_C, GAS_IN_C, O2_IN = "Flue gas temperature (℃)", "Flue Gas in Temperature (°C)", "O2 in APH (%)"
CORRECTED, O2_OUT = "Corrected Flue Gas Out Temperature (°C)", "O2 Out APH (%)"
SPRAY = "Superheater desuperheating water flow (t/h)"
REHEAT_SPRAY = "Reheater desuperheating water flow (t/h)"
WATER_MPA, WATER_C, WATER = "Feedwater pressure (MPa)", "Feedwater temperature (℃)", "Feedwater flow (t/h)"
COOLING_C = "Circulating water outlet temperature (℃)"
EFFICIENCY, SO2, NOX, CO, CO2 = "Boiler Eff (%)", "SO2 (mg/m3)", "Nox (mg/m3)", "CO (mg/m3)", "CO2 (ppm)"
STEAM_C = "Main steam temperature (boiler side) (℃)"
STEAM_MPA = "Main steam pressure (boiler side) (Mpa)"
BELT, RATIO = "皮带转速", "比例系数"
HOT_VALVE, COLD_VALVE, HOT_C, COLD_C = "热风阀门开度", "冷风阀门开度", "热一次风温度", "冷一次风温度"
RAW_C, MOISTURE = "原煤温度", "原煤水分"

CONTROLS: Mapping[str, tuple[float, float]] = {
    BELT: (550, 1000),  # 1/min
    RATIO: (0.92, 1.08),
    HOT_VALVE: (40, 85),  # %
    COLD_VALVE: (15, 65),
    O2_IN: (3.6, 5.6),  # burnout air comes in above the furnace, so there is more oxygen than in it
    GAS_IN_C: (330, 380),
    GAS_C: (118, 150),
    SPRAY: (4, 30),
    REHEAT_SPRAY: (0, 12),
    WATER_MPA: (15.8, 18.0),
    O2: (2.0, 3.6),
}
"""What an operator sets, with the range in which the plant is driven."""

CASE: Mapping[str, float] = {
    HOT_C: 285.0,
    COLD_C: 25.0,
    RAW_C: 15.0,
    MOISTURE: 10.0,
    COOLING_C: 32.0,
    ENERGY: 0.9 * balances.ENERGY_0,
}
"""Disturbances in the case that is optimized: nine tenths of full load on an ordinary day."""

FULL_CURRENT = (80.0, 140.0)
"""A of the mills under load; also the range that a current given as an input has in the balances."""


FORMULAS: Mapping[str, Callable[..., Sequence[Any]]] = {
    "feeder": lambda *columns: balances.feeder(*columns)[:1],
    "fan": lambda *columns: balances.fan(*columns)[:2],
    "air_preheater": lambda *columns: balances.preheater(*columns)[:2],
    "feedwater": lambda *columns: balances.feedwater(*columns)[:2],
    "boiler": lambda *columns: balances.boiler(*columns)[:7],
}
"""Module -> its balances, from inputs in the order of process.json to outputs. Grinding depends on the posing."""


@dataclass(frozen=True)
class Physics:
    """The balances of a module, as a model.

    Attributes:
        inputs, outputs: tags, in the order of the formula.
        formula: from columns to columns.
        input_ranges, output_sd: what a trained model would tell of its data, (d, 2) and (m,).
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    formula: Callable[..., Sequence[Any]]
    input_ranges: Any = None
    output_sd: Any = None

    def predict(self, X: Any) -> Any:
        """Return the outputs, (n, m), for inputs X, (n, d), without noise."""
        X = np.asarray(X, dtype=float)
        return np.column_stack([np.broadcast_to(y, len(X)) for y in self.formula(*X.T)])


def definition(posing: str = "output") -> dict[str, Any]:
    """Return the process in the API's form, with the mill's current as an "output" or as an "input"."""
    if posing not in POSINGS:
        raise ValueError(f"posing must be one of {', '.join(POSINGS)}, not {posing!r}")
    process = json.loads(Path(__file__).with_name("process.json").read_text(encoding="utf-8"))
    if posing == "input":
        grinding = next(module for module in process["modules"] if module["name"] == "grinding")
        grinding["inputs"].insert(3, {"tag": CURRENT, "role": "control"})
        grinding["outputs"].remove(CURRENT)
    return process


def graph(posing: str = "output") -> ProcessGraph:
    """Return the modules and their links."""
    return ProcessGraph.from_json(definition(posing)["modules"])


def physics(
    posing: str = "output", history: Mapping[str, Any] | None = None, *, work_index: Any = balances.WORK_INDEX
) -> ProcessModel:
    """Return the balances as one model.

    Args:
        posing: of the mill's current.
        history: tag -> values, to tell ranges and spreads as a trained model would; without it none are told.
        work_index: of the coal in the posing "output", a number or one for each row that will be asked.
    """
    modules, models = graph(posing), {}
    formulas = {
        **FORMULAS,
        "grinding": (lambda *columns: balances.mill_given_current(*columns)[:1])
        if posing == "input"
        else (lambda *columns: balances.mill(*columns, work_index)[:2]),
    }
    for module in modules.modules:
        inputs = tuple(each.tag for each in module.inputs)
        known: dict[str, Any] = {}
        if history is not None:
            known["input_ranges"] = np.array([[np.nanmin(history[tag]), np.nanmax(history[tag])] for tag in inputs])
            known["output_sd"] = np.array([np.nanstd(history[tag]) for tag in module.outputs])
        models[module.name] = Physics(inputs, module.outputs, formulas[module.name], **known)
    return ProcessModel(modules, models)


def run(inputs: Mapping[str, Any], *, work_index: Any = balances.WORK_INDEX) -> dict[str, Any]:
    """Return every tag of the plant, outputs included, for controls and disturbances (tag -> values)."""
    model = physics(work_index=work_index)
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(inputs[tag], dtype=float)) for tag in model.inputs))
    Y = model.predict(np.column_stack(columns))
    values = dict(zip(model.inputs, columns, strict=True)) | dict(zip(model.outputs, Y.T, strict=True))
    return values | {COAL: values[POWDER]}

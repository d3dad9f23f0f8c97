"""What each mode of the optimization promises, and what the plant then gives: the set-points applied to its balances.

    python -m examples.boiler_plant.modes --plot modes.png
    python -m examples.boiler_plant.modes --seeds 1 2 3 4 5 --posing output

Models of the six modules are trained on a simulated history, and asked for the best set-points in each mode. Four
numbers are told for each answer: what the modules promise on their own, what the models composed say, what the plant
gives, and how far that is from the best there can be. A seed is one of the history, the models and the searches.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.process_model import ProcessModel
from engine.process_optimum import MODES, ProcessOptimum, optimize_process
from engine.surrogates import fit
from engine.trust import DistanceEnvelope, Envelope
from examples.boiler_plant import plant, simulate, truth

KIND, PARAMS = "neural_network", {"n_units": 32}
QUESTIONS = 20_000
"""To single modules, in every mode: the joint one asks all of them at once, and so as many fewer points."""

MARGIN = 0.4
"""By which limits are pulled in for trained models, in their scales: 2 K of steam temperature."""

LEAST_CURRENT = 10.0
"""A; below it the mills stand still, and the row is of no use."""


@dataclass(frozen=True)
class Line:
    """One line of the table: a way to set the plant, and what becomes of it.

    Attributes:
        models: "trained", or "balances" for models that make no error; "" for the operators' habit and the optimum.
        mode: how the set-points were found.
        promised, composed: the objective as the modules promise it on their own, and as the models composed have it.
        true: the objective that the plant gives; not comparable where limits are broken.
        gap: true - that of the true optimum; in points of efficiency that it is worth, and in raw coal, worth, t/h.
        fuel: raw coal for the turbine's demand, t/h. fuel_gap: above that of the true optimum.
        efficiency: of the boiler, percent; steam_c, steam_mpa: main steam.
        broken: limits that the plant breaks, with their values. violation: the sum, each in its scale.
        evaluations, seconds: what the search took.
    """

    models: str
    mode: str
    promised: float | None
    composed: float | None
    true: float
    gap: float
    points: float
    worth: float
    fuel: float
    fuel_gap: float
    efficiency: float
    steam_c: float
    steam_mpa: float
    broken: Mapping[str, float]
    violation: float
    evaluations: int
    seconds: float


def usable(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows to learn from: complete ones, after a start-up, with the mills at work."""
    columns = np.column_stack(list(history.values()))
    at_work = np.nan_to_num(history[plant.CURRENT]) >= LEAST_CURRENT
    if not at_work[0]:  # a history that begins with the mills off begins with a start-up
        at_work[: simulate.STARTUP_ROWS] = False
    rows = np.isfinite(columns).all(axis=1) & at_work
    return {tag: values[rows] for tag, values in history.items()}


def train(
    history: Mapping[str, Any],
    posing: str = "output",
    *,
    kind: str = KIND,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> ProcessModel:
    """Return trained models of the six modules, composed."""
    graph, models = plant.graph(posing), {}
    for module in graph.modules:
        inputs = [each.tag for each in module.inputs]
        X = np.column_stack([history[tag] for tag in inputs])
        Y = np.column_stack([history[tag] for tag in module.outputs])
        models[module.name] = fit(kind, X, Y, inputs=inputs, outputs=module.outputs, params=params, seed=seed)
    return ProcessModel(graph, models)


def trusted(history: Mapping[str, Any], posing: str = "output") -> dict[str, Envelope]:
    """Return for each module where its inputs are near enough to what was measured."""
    inputs = {module.name: [each.tag for each in module.inputs] for module in plant.graph(posing).modules}
    return {
        name: DistanceEnvelope.fit(np.column_stack([history[tag] for tag in tags]), tags)
        for name, tags in inputs.items()
    }


def bounds(history: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the range of every control that was seen, within the one that it may be driven in."""
    ranges = {**plant.CONTROLS, plant.CURRENT: plant.FULL_CURRENT}
    return {
        tag: (max(low, float(history[tag].min())), min(high, float(history[tag].max())))
        for tag, (low, high) in ranges.items()
    }


def compare(
    history: Mapping[str, Any],
    posing: str = "output",
    *,
    kind: str = KIND,
    params: Mapping[str, Any] | None = None,
    questions: int = QUESTIONS,
    seed: int = 0,
    best: ProcessOptimum | None = None,
    modes: Sequence[str] = MODES,
    models: Sequence[str] = ("trained", "balances"),
) -> list[Line]:
    """Return the lines: the optimum, the operators' habit, and every mode with trained models and with the balances."""
    best = best or truth.optimum()
    habit = simulate.usual(plant.CASE[plant.ENERGY] / simulate.balances.ENERGY_0)
    lines = [_line("", "true optimum", best.inputs, best), _line("", "operators", habit, best)]
    envelopes = trusted(history, posing)
    budgets = dict.fromkeys(modes, questions) | {"joint": questions // len(envelopes)}
    now = habit | ({plant.CURRENT: float(np.median(history[plant.CURRENT]))} if posing == "input" else {})
    for name in models:
        is_exact = name == "balances"
        model = (
            plant.physics(posing, history) if is_exact else train(history, posing, kind=kind, params=params, seed=seed)
        )
        asked = truth.problem(posing, bounds(history), margin=0.0 if is_exact else MARGIN)
        for mode in modes:
            began = time.perf_counter()
            found = optimize_process(
                model, asked, mode=mode, budget=budgets[mode], seed=seed, envelopes=envelopes, current=now
            )
            lines.append(_line(name, mode, found.inputs, best, found, time.perf_counter() - began))
    return lines


def _line(
    models: str,
    mode: str,
    controls: Mapping[str, float],
    best: ProcessOptimum,
    found: ProcessOptimum | None = None,
    seconds: float = 0.0,
) -> Line:
    given, there = truth.applied(controls), truth.applied(best.inputs)
    report = given.report
    gap = report.objective - there.report.objective
    return Line(
        models=models,
        mode=mode,
        promised=found.promised if found else None,
        composed=found.objective if found else None,
        true=report.objective,
        gap=gap,
        points=truth.points(gap),
        worth=truth.worth(gap, there),
        fuel=given.fuel,
        fuel_gap=given.fuel - there.fuel,
        efficiency=report.outputs[plant.EFFICIENCY],
        steam_c=report.outputs[plant.STEAM_C],
        steam_mpa=report.outputs[plant.STEAM_MPA],
        broken={limit.of.strip("`"): limit.value for limit in report.limits if not limit.is_kept},
        violation=report.total_violation,
        evaluations=found.evaluations if found else 0,
        seconds=seconds,
    )


def table(lines: list[Line]) -> str:
    """Return the lines as a Markdown table. Objectives are told as distances from the true optimum."""
    zero = lines[0].true
    head = [
        "models",
        "mode",
        "promised",
        "composed",
        "true",
        "worth points",
        "worth t/h",
        "eff. %",
        "steam °C",
        "MPa",
        "fuel t/h",
        "more fuel",
        "breaks",
    ]
    rows = [
        [
            line.models,
            line.mode,
            *("" if value is None else f"{value - zero:+.3f}" for value in (line.promised, line.composed)),
            f"{line.gap:+.3f}",
            f"{line.points:+.2f}",
            f"{line.worth:+.2f}",
            f"{line.efficiency:.2f}",
            f"{line.steam_c:.1f}",
            f"{line.steam_mpa:.2f}",
            f"{line.fuel:.2f}",
            f"{line.fuel_gap:+.2f}",
            f"{', '.join(f'{tag} {value:.4g}' for tag, value in line.broken.items())}",
        ]
        for line in lines
    ]
    return _markdown(head, rows)


def summary(tables: Sequence[Sequence[Line]]) -> str:
    """Return what several seeds come to: medians and ranges, each line against the true optimum."""
    head = ["models", "mode", "promised", "true", "points of efficiency", "coal t/h", "limits broken", "steam °C"]
    rows = []
    for lines in list(zip(*tables, strict=True))[1:]:
        promised = [line.promised - table[0].true for line, table in zip(lines, tables, strict=True) if line.promised]
        n_broken = sum(bool(line.broken) for line in lines)
        rows.append(
            [
                lines[0].models,
                lines[0].mode,
                _spread(promised, "+.2f") if promised else "",
                _spread([line.gap for line in lines], "+.2f"),
                f"{np.median([line.points for line in lines]):.2f}",
                f"{np.median([line.worth for line in lines]):.2f}",
                f"{n_broken} of {len(lines)}" if n_broken else "none",
                _spread([line.steam_c for line in lines], ".0f"),
            ]
        )
    return _markdown(head, rows)


def _spread(values: Sequence[float], form: str) -> str:
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def main() -> int:
    """Print the tables of both posings; write JSON and a plot where they are wanted."""
    parser = argparse.ArgumentParser(description="Compare the modes on the boiler plant.")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="several are summed up")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="to a module, for each mode")
    parser.add_argument("--kind", default=KIND, help="kind of surrogate")
    parser.add_argument(
        "--posing", choices=[*plant.POSINGS, "both"], default="both", help="mill current: output or input"
    )
    parser.add_argument("--json", type=Path, help="write the lines to this file")
    parser.add_argument("--plot", type=Path, help="draw those of the first seed into this PNG file")
    given = parser.parse_args()
    asked = {"kind": given.kind, "params": PARAMS if given.kind == KIND else None, "questions": given.questions}
    best, told = truth.optimum(), {}
    histories = {seed: usable(simulate.simulate(given.rows, seed)) for seed in given.seeds}
    for posing in plant.POSINGS if given.posing == "both" else [given.posing]:
        print(f"\nmill current as an {posing}", flush=True)
        told[posing] = {}
        for seed, history in histories.items():
            told[posing][seed] = compare(history, posing, seed=seed, best=best, **asked)
            print(f"\nseed {seed}\n\n{table(told[posing][seed])}", flush=True)
        if len(histories) > 1:
            print(f"\n{len(histories)} seeds\n\n{summary(list(told[posing].values()))}", flush=True)
    if given.json:
        plain = {
            posing: {seed: [asdict(each) for each in lines] for seed, lines in seeds.items()}
            for posing, seeds in told.items()
        }
        given.json.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.plot:
        from examples.boiler_plant.plot import draw  # matplotlib takes long to load

        draw({posing: next(iter(seeds.values())) for posing, seeds in told.items()}, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The coal unit's layers solved in three ways by the engine alone: what each promises, and what it would really give.

Top-down (cascade), in talks between the layers (negotiated), and all at once (joint), at three loads, each beside the
operating point of now. It takes less than a minute; run it from the repository root, or paste it cell by cell:

    .venv/bin/python -m examples.coal_unit.layers --plot layers.png --report layers.json
"""

# %% What is asked: the least steam a megawatt hour. The same work for every mode, counted in questions to one module
import argparse
import csv
import json
from pathlib import Path

from engine.problem import Limit, Problem, Term, Variable
from engine.process import ProcessGraph
from engine.process_model import ProcessModel
from engine.process_optimum import optimize_process
from engine.surrogates import fit
from engine.tables import DerivedTag, complete_matrix, derive, read_table
from engine.trust import DistanceEnvelope
from examples.coal_unit.operating_point import HERE, LOAD, usual_row

parser = argparse.ArgumentParser(description="Solve the coal unit's layers in three ways.")
parser.add_argument("--loads", type=float, nargs="+", default=[120, 160, 200], help="MW")
parser.add_argument("--trees", type=int, default=50, help="trees of each module's model")
parser.add_argument("--questions", type=int, default=20_000, help="questions to a module, for each mode and load")
parser.add_argument("--plot", type=Path, help="draw the comparison into this PNG file")
parser.add_argument("--report", type=Path, help="write all answers to this JSON file")
given, _ = parser.parse_known_args()  # a notebook has arguments of its own

# %% The table, and the graph of the modules
table = derive(read_table(HERE / "data.csv", "csv"), [DerivedTag("ssc", "`1FWS-STMFLW-A` / `1JT66801S`")])
graph = ProcessGraph.from_json(json.loads((HERE / "process.json").read_text(encoding="utf-8"))["modules"])
with (HERE / "tags.csv").open(encoding="utf-8", newline="") as file:
    units = {row["tag"]: row["unit"] for row in csv.DictReader(file)}

# %% A model of each module, and the region in which it has seen enough to be believed
models, envelopes = {}, {}
for module in graph.modules:
    inputs = [each.tag for each in module.inputs]
    M, _ = complete_matrix(table.frame, [*inputs, *module.outputs])
    X, Y = M[:, : len(inputs)], M[:, len(inputs) :]
    params = {"n_trees": given.trees, "min_rows_leaf": 5}
    models[module.name] = fit("extra_trees", X, Y, inputs=inputs, outputs=module.outputs, params=params, seed=1)
    envelopes[module.name] = DistanceEnvelope.fit(X, inputs)
process = ProcessModel(graph, models)
print(f"{len(models)} modules, {len(process.inputs)} inputs from outside, {len(graph.links)} links, {len(X)} rows")


# %% What is free: the controls, within what was measured, with no more coal than now. Load and weather are given
def problem_at(load, now):
    """Return the problem at a load, with the operating point of now."""
    held = {tag: now[tag] for tag in process.inputs if process.roles[tag] != "control"} | {LOAD: load}
    ranges = process.ranges()
    free = [
        Variable(tag, *ranges[tag], type="integer" if tag == "num_mills" else "real")
        for tag in process.inputs
        if tag not in held
    ]
    return Problem(free, held, [Term("minimize", "ssc")], [Limit("DGS3", upper=now["DGS3"])])


# %% Solve it in three ways
BUDGETS = {"cascade": given.questions, "negotiated": given.questions, "joint": given.questions // len(graph.modules)}
points = {load: usual_row(load) for load in given.loads}
answers = {}
for load, point in points.items():
    problem = problem_at(load, point["inputs"])
    answers[load] = {
        mode: optimize_process(
            process,
            problem,
            mode=mode,
            solver="pso",
            budget=budget,
            seed=1,
            envelopes=envelopes,
            current=point["inputs"],
        )
        for mode, budget in BUDGETS.items()
    }


# %% What each promises, and what it would really give
def kept(answer):
    """Say whether an answer keeps its limits, and whether the models have seen the like of it."""
    said = [
        f"{name} has seen nothing like it" for name, each in answer.trust["modules"].items() if not each["is_inside"]
    ]
    said += [f"breaks {each.of}" for each in answer.limits if not each.is_kept]
    return "; ".join(said) or "yes"


def print_promises(load):
    """Print promise and truth of each mode at a load."""
    point = points[load]
    now = answers[load]["joint"].comparison.objective
    print(f"\n{load:g} MW. Now: row of {point['time']}, {point['ssc']:.3f} klb/MWh measured, {now:.3f} by the models")
    print("  klb/MWh      promises    gives  against now   worst miss   keeps its limits")
    for mode, answer in answers[load].items():
        misses = [abs(link.miss_sd) for link in answer.links if link.miss_sd is not None]
        worst = f"{max(misses):.2f} sd" if misses else "-"
        numbers = f"{answer.promised:9.3f}{answer.objective:9.3f}{answer.objective - now:+13.3f}"
        print(f"  {mode:<12}{numbers}{worst:>13}   {kept(answer)}")


for load in answers:
    print_promises(load)


# %% What became of each link: what the upper module wanted, and what the composed models say it got
def print_links(load):
    """Print what became of each link at a load; one that feeds two modules is told once."""
    told = {mode: {link.source_tag: link for link in answer.links} for mode, answer in answers[load].items()}
    print(f"\n{load:g} MW: wanted -> got, and the miss in sd" + "cascade".rjust(20) + "negotiated".rjust(32))
    for tag, link in told["cascade"].items():
        both = [told[mode][tag] for mode in ("cascade", "negotiated")]
        words = [
            f"{each.target:8.2f} -> {each.reached:8.2f} ({each.miss:+7.2f}, {each.miss_sd:+.2f} sd)" for each in both
        ]
        print(f"  {link.source:<21}{tag:<7}{units[tag]:<8}{words[0]}   {words[1]}")


for load in answers:
    print_links(load)
for part in process.parts:
    if all(process.roles.get(tag) == "disturbance" for tag in part.sources):
        print(f"\nNothing can be asked of {part.name}: all that goes into it is given, and the top cannot know.")


# %% What the joint answer changes, and what each change buys
def print_changes(load):
    """Print the changes that buy most at a load, and what the others come to."""
    compared = answers[load]["joint"].comparison
    print(f"\n{load:g} MW, joint: {compared.gain:.4f} klb/MWh less than now; what each change buys of it")
    for change in compared.changes[:6]:
        moved = f"{change.before:10.2f} -> {change.after:9.2f} {units[change.tag]:<9}"
        print(f"  {change.tag:<17}{moved}{change.buys:+.4f}")
    rest = compared.changes[6:]
    print(f"  {len(rest)} others{'':<37}{sum(change.buys for change in rest):+.4f}")


for load in answers:
    print_changes(load)

# %% The same as a plot and as JSON
if given.plot:
    from examples.coal_unit.layers_plot import draw_layers  # matplotlib takes long to load

    draw_layers(answers, points, given.plot)
if given.report:
    plain = {
        f"{load:g}": {"now": points[load]} | {mode: answer.to_json() for mode, answer in found.items()}
        for load, found in answers.items()
    }
    given.report.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")

"""The coal unit, from its table to its best set-points, through the API of a running Setpoint server.

    SETPOINT_CLIENT_PASSWORD=... python examples/coal_unit/run.py --url http://127.0.0.1:8000 --username admin

It uploads the table, trains the five modules of the process with whole days held out, and looks for the inputs of the
upper module that need the least steam a megawatt hour at 200 MW; then for what all layers together can really give,
beside the operating point of now. What it prints also goes to --report as JSON.
"""

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import requests
import socketio
from client import Failed, Setpoint
from operating_point import usual_row
from progress import watch
from report import about_joint, about_module, about_optimum
from rich.console import Console
from summary import show

HERE = Path(__file__).parent
PROJECT = "Coal unit demo"
DERIVED = [
    {"name": "ssc", "expression": "`1FWS-STMFLW-A` / `1JT66801S`"},  # specific steam consumption, klb/MWh
    {"name": "day", "part": "day"},
]
TRAINING = {
    "kind": "extra_trees",
    "params": {"n_trees": 100, "min_rows_leaf": 5},
    "validation": {"scheme": "group", "group": "day", "n_folds": 5},
    "seed": 1,
}
UPPER_MODULE = "unit"
SEARCH = {
    "name": "Least steam at 200 MW",
    "terms": [{"goal": "minimize", "of": "ssc"}],
    "fixed": {"1JT66801S": 200.0},
    "solver": "pso",
    "budget": 4000,
    "seed": 1,
}
JOINT_SEARCH = {
    "name": "Least steam at 200 MW, all layers at once",
    "terms": SEARCH["terms"],
    "mode": "joint",
    "inputs": {"num_mills": {"type": "integer"}},
    "solver": "pso",
    "budget": 3000,
    "seed": 1,
}


def main() -> int:
    """Run the example and return the exit status. A failure is one sentence on stderr."""
    given = arguments()
    sys.stdout.reconfigure(errors="replace")  # a path may hold what the terminal cannot write
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    try:
        password = os.environ.get("SETPOINT_CLIENT_PASSWORD")
        if not password:
            raise Failed("SETPOINT_CLIENT_PASSWORD is not set: it must hold the password of --username.")
        found = run(Setpoint(given.url, given.username, password), console)
        write(found, report=given.report, plot=given.plot)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the last stop before the terminal
        if given.debug:
            raise
        print(f"coal unit: {sentence(error, given.url)}", file=sys.stderr)
        return 1
    show(console, found)
    for path in filter(None, (given.report, given.plot)):
        console.print(f"Written: {path}", soft_wrap=True)
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Drive the coal unit's example through a Setpoint server.")
    parser.add_argument("--url", required=True, help="address of the server, such as http://127.0.0.1:8000")
    parser.add_argument("--username", required=True, help="its password is read from SETPOINT_CLIENT_PASSWORD")
    parser.add_argument("--report", type=Path, help="write everything found to this JSON file")
    parser.add_argument("--plot", type=Path, help="draw the convergence of the search into this PNG file")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    return parser.parse_args()


def run(server: Setpoint, console: Console) -> dict[str, Any]:
    """Carry the example out and return its report."""
    started_at, began = int(time.time() * 1000), time.monotonic()
    tags = tag_words()
    project = project_of(server)
    data = uploaded(server, console, project)
    process = process_of(server, project, data["dataset_id"])
    modules = trained(server, console, process, tags)
    for module in modules:
        server.post(f"/models/{module['model_id']}/promote")
    optimum = optimized(server, console, process, tags)
    return {
        "report_version": 1,
        "product": server.get("/version"),
        "server": server.url,
        "started_at": started_at,
        "seconds": round(time.monotonic() - began, 2),
        "project": {"id": project["id"], "name": project["name"]},
        "data": data,
        "process": {"id": process["id"], "name": process["name"], "layers": process["layers"]},
        "modules": modules,
        "optimum": optimum,
        "joint": solved_jointly(server, console, process, tags),
    }


def project_of(server: Setpoint) -> dict[str, Any]:
    """Return the example's project; make it if it is not there."""
    known = next((each for each in server.items("/projects") if each["name"] == PROJECT), None)
    return known or server.post("/projects", {"name": PROJECT, "description": "The worked example of Setpoint."})


def uploaded(server: Setpoint, console: Console, project: dict[str, Any]) -> dict[str, Any]:
    """Upload the table with its derived tags. The same upload is known to the server, and not read again."""
    began = time.monotonic()
    answer = server.upload(
        f"/projects/{project['id']}/datasets",
        HERE / "data.csv",
        {"name": "Coal unit", "derived": json.dumps(DERIVED)},
    )
    is_reused = "version" in answer
    if is_reused:
        dataset_id, number = answer["id"], answer["version"]
    else:
        result = watch(server, console, {answer["id"]: "Reading data.csv"})[answer["id"]]
        dataset_id, number = result["dataset_id"], result["version"]
    version = server.get(f"/datasets/{dataset_id}/versions/{number}")
    console.print(
        f"Data: {version['file_name']}, {version['n_rows']} rows, {version['n_tags']} tags"
        + (" (known from an earlier run)" if is_reused else "")
    )
    return {
        "dataset_id": dataset_id,
        "version": number,
        "is_reused": is_reused,
        "seconds": round(time.monotonic() - began, 2),
        **{name: version[name] for name in ("file_name", "sha256", "n_rows", "n_tags", "time_tag", "derived", "notes")},
    }


def process_of(server: Setpoint, project: dict[str, Any], dataset_id: str) -> dict[str, Any]:
    """Return the process of process.json; make it, or bring its modules up to date, as needed."""
    wanted = json.loads((HERE / "process.json").read_text(encoding="utf-8"))
    for module in wanted["modules"]:
        module["dataset_id"] = dataset_id
    processes = server.items(f"/projects/{project['id']}/processes")
    known = next((each for each in processes if each["name"] == wanted["name"]), None)
    if known is None:
        return server.post(f"/projects/{project['id']}/processes", wanted)
    present = {module["name"]: module for module in server.get(f"/processes/{known['id']}")["modules"]}
    for module in wanted["modules"]:
        there = present.get(module["name"])
        if there is None:
            server.post(f"/processes/{known['id']}/modules", module)
        elif any(there[part] != module[part] for part in ("inputs", "outputs")):
            server.call("PATCH", f"/modules/{there['id']}", json=module)
    return server.get(f"/processes/{known['id']}")


def trained(
    server: Setpoint, console: Console, process: dict[str, Any], tags: dict[str, dict[str, str]]
) -> list[dict[str, Any]]:
    """Train a model of every module, as many at once as the server has workers."""
    tasks = {module["name"]: server.post(f"/modules/{module['id']}/models", TRAINING) for module in process["modules"]}
    watch(server, console, {task["id"]: f"Training {name}" for name, task in tasks.items()})
    return [about_module(name, task, server.get(f"/models/{task['subject_id']}"), tags) for name, task in tasks.items()]


def optimized(
    server: Setpoint, console: Console, process: dict[str, Any], tags: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Search over the upper module with the model that it has in production."""
    module = next(module for module in process["modules"] if module["name"] == UPPER_MODULE)
    task = server.post(f"/modules/{module['id']}/optimizations", SEARCH)
    watch(server, console, {task["id"]: "Searching for the optimum"})
    return about_optimum(server.get(f"/optimizations/{task['subject_id']}"), module, tags)


def solved_jointly(
    server: Setpoint, console: Console, process: dict[str, Any], tags: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Search over all layers at once, from the operating point of now, with no more coal than it takes."""
    point = usual_row(SEARCH["fixed"]["1JT66801S"])
    roles = {each["tag"]: each["role"] for module in process["modules"] for each in module["inputs"]}
    now = point["inputs"] | SEARCH["fixed"]
    asked = JOINT_SEARCH | {
        "fixed": {tag: now[tag] for tag, role in roles.items() if role == "disturbance"},
        "current": {tag: now[tag] for tag, role in roles.items() if role == "control"},
        "limits": [{"of": "DGS3", "upper": now["DGS3"]}],
    }
    task = server.post(f"/processes/{process['id']}/optimizations", asked)
    watch(server, console, {task["id"]: "Searching all layers at once"})
    return about_joint(server.get(f"/optimizations/{task['subject_id']}"), process, point, tags)


def tag_words() -> dict[str, dict[str, str]]:
    """Return description and unit of every tag, from tags.csv and for what the example derives."""
    with (HERE / "tags.csv").open(encoding="utf-8", newline="") as file:
        found = {row["tag"]: {"description": row["description"], "unit": row["unit"]} for row in csv.DictReader(file)}
    return found | {"ssc": {"description": "SPECIFIC STEAM CONSUMPTION", "unit": "klb/MWh"}}


def write(found: dict[str, Any], *, report: Path | None, plot: Path | None) -> None:
    """Write the report and the plot to where they are wanted."""
    if report:
        report.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if plot:
        from plot import draw  # matplotlib takes long to load: only who wants a plot waits for it

        draw(found["optimum"], found["joint"], plot)


def sentence(error: Exception, url: str) -> str:
    """Say in one sentence what went wrong."""
    if isinstance(error, Failed):
        return str(error)
    if isinstance(error, requests.ConnectionError | requests.Timeout | socketio.exceptions.ConnectionError):
        return f"The server at {url} cannot be reached ({type(error).__name__})."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}."
    return f"Unexpected {type(error).__name__}: {error}."


if __name__ == "__main__":
    sys.exit(main())

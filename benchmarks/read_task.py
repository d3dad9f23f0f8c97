"""Requests a second of an authenticated ``GET /api/v1/tasks/<id>``, against hand-written Flask views."""

import statistics
import sys

from benchmarks.load import requests_per_second
from benchmarks.report import Row
from benchmarks.site import site
from tests.support.deployment import ROOT, deployment, environment
from tests.support.servers import accepts, free_port, serve, server_folder

ROUNDS = 5


def measure() -> list[Row]:
    """Serve both under the same gunicorn configuration, ask in turns, compare within each turn."""
    with site() as ours, server_folder() as folder:
        task = ours.submit()
        port = free_port()
        env = environment(ours.settings) | {"SETPOINT_WEB_BIND": f"127.0.0.1:{port}"}
        command = [sys.executable, "-c", "from gunicorn.app.wsgiapp import run; run()", "--chdir", ROOT]
        command += ["--config", ROOT / "gunicorn.py", "benchmarks.handwritten_web:app"]
        with (
            serve(command, folder=folder, env=env, is_ready=lambda: accepts(port)),
            deployment(ours.settings, web_workers=1, celery=False) as url,
        ):
            by_hand = f"http://127.0.0.1:{port}"
            urls = {
                "ours": f"{url}/api/v1/tasks/{task.id}",
                "token and row": f"{by_hand}/tasks/{task.id}",
                "same promises": f"{by_hand}/tasks/{task.id}/kept",
                "empty": f"{by_hand}/empty",
            }
            headers = {"Authorization": f"Bearer {ours.token}"}
            turns = [
                {name: requests_per_second(address, headers, seconds=1.5) for name, address in urls.items()}
                for _ in range(ROUNDS)
            ]
    return [
        Row(
            "reading a task: requests/s against a hand-written view that checks the token and reads the row",
            _ratio(turns, "token and row"),
            ">= 0.7",
            _speeds(turns, "token and row"),
        ),
        Row(
            "the same against a hand-written view that keeps the same promises (ended sessions, membership, log)",
            _ratio(turns, "same promises"),
            "",
            _speeds(turns, "same promises"),
        ),
        Row("the same against an empty view, for information", _ratio(turns, "empty"), "", _speeds(turns, "empty")),
    ]


def _ratio(turns: list[dict[str, float]], other: str) -> list[float]:
    return [turn["ours"] / turn[other] for turn in turns]


def _speeds(turns: list[dict[str, float]], other: str) -> str:
    ours, theirs = (statistics.median(turn[name] for turn in turns) for name in ("ours", other))
    return f"{ours:.0f} against {theirs:.0f} requests/s"

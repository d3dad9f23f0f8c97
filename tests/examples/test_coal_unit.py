"""The worked example, driven through real processes: two web workers and a Celery worker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.libs.enums import Role
from app.viewModels import users
from tests.support.deployment import deployment
from tests.support.servers import free_port

SCRIPT = Path(__file__).parents[2] / "examples" / "coal_unit" / "run.py"
USER, PASSWORD = "dana", "correct horse battery"
SECONDS = 300


def run(url, *options, password=PASSWORD):
    """Run the example as a person would; returns the ended process with its output."""
    environment = {name: value for name, value in os.environ.items() if name != "SETPOINT_CLIENT_PASSWORD"}
    return subprocess.run(
        [sys.executable, SCRIPT, "--url", url, "--username", USER, *map(str, options)],
        env=environment | ({"SETPOINT_CLIENT_PASSWORD": password} if password else {}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def url(migrated_app, settings, running_backend):
    """A server that runs as in production, with one user."""
    with migrated_app.app_context():
        users.create(username=USER, password=PASSWORD, role=Role.ENGINEER)
    with deployment(settings) as address:
        yield address
    running_backend.clear()


@pytest.fixture(scope="module")
def first(url, tmp_path_factory):
    """The first run on the server: what it printed, and what it wrote."""
    folder = tmp_path_factory.mktemp("first run")
    ended = run(url, "--report", folder / "report.json", "--plot", folder / "convergence.png")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, json.loads((folder / "report.json").read_text()), folder / "convergence.png"


@pytest.fixture(scope="module")
def second(url, first, tmp_path_factory):
    """A second run on the same server."""
    path = tmp_path_factory.mktemp("second run") / "report.json"
    ended = run(url, "--report", path)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, json.loads(path.read_text())


def test_every_module_is_trained_on_all_rows_with_whole_days_held_out(first):
    _printed, report, _plot = first

    lower, middle, upper = report["process"]["layers"]
    assert (middle, upper) == (["boiler"], ["unit"])
    assert {module["name"] for module in report["modules"]} == {*lower, *middle, *upper}
    for module in report["modules"]:
        assert module["n_rows"] == 1846
        assert module["validation"] == {"scheme": "group", "n_folds": 5, "group": "day"}
        assert module["seconds"] > 0
        assert all(output["rmse"] > 0 and output["unit"] for output in module["outputs"])


def test_the_scores_by_day_are_those_that_were_measured_before(first):
    _printed, report, _plot = first

    scores = {output["tag"]: output["r2"] for module in report["modules"] for output in module["outputs"]}
    # by-day R2 of extra trees with 200 trees of 2 rows a leaf; ours are smaller and smoother
    known = {
        "ssc": 0.897,
        "FW606": 0.999,
        "S11": 0.983,
        "S634": 0.939,
        "S831": 0.842,
        "BA2004": 0.988,
        "BG3506A": 0.829,
    }
    assert {tag: scores[tag] for tag in known} == pytest.approx(known, abs=0.03)


def test_the_optimum_saves_steam_against_the_rows_measured_nearby(first):
    _printed, report, _plot = first
    optimum = report["optimum"]

    assert optimum["fixed"]["value"] == 200
    assert optimum["before"]["n_rows"] == 50
    assert optimum["before"]["median"] == pytest.approx(6.52, abs=0.02)
    assert optimum["before"]["best"] == pytest.approx(6.37, abs=0.02)
    assert 5.9 < optimum["after"] < 6.4
    assert optimum["saving"]["gain"] == pytest.approx(optimum["before"]["median"] - optimum["after"])
    assert optimum["saving"]["gain"] > optimum["score"]["rmse"]
    assert optimum["evaluations"] == optimum["curve"][-1]["evaluations"] == 4000
    assert optimum["is_feasible"] is True


def test_every_free_input_is_set_within_the_range_of_the_data(first):
    _printed, report, _plot = first

    settings = {row["tag"]: row for row in report["optimum"]["set"]}
    assert list(settings) == ["S833", "S831", "S634", "S11", "FW606", "FW463"]
    for row in settings.values():
        assert row["lower"] <= row["value"] <= row["upper"]
        assert row["lower"] <= row["median"] <= row["upper"]
        assert row["description"]
        assert row["unit"]
    assert settings["S11"]["source"] == "condenser"
    assert settings["S833"]["source"] is None


def test_the_report_says_how_far_the_answer_is_from_anything_measured(first):
    _printed, report, _plot = first
    nearest = report["optimum"]["nearest"]

    assert nearest["distance"] > 2 * nearest["typical_spacing"]
    assert len(nearest["rows"]) == 5
    assert "answer.extrapolates" in [note["code"] for note in report["optimum"]["notes"]]
    assert any("extrapolates" in sentence for sentence in report["optimum"]["trust"])


def test_all_layers_together_save_less_than_the_top_alone_promises_but_more_than_nothing(first):
    _printed, report, _plot = first
    joint = report["joint"]

    assert joint["mode"] == "joint"
    assert joint["is_feasible"] is True
    assert joint["envelope"]["is_inside"] is True
    assert report["optimum"]["after"] < joint["after"] < joint["now"]["predicted"] - 0.05
    assert joint["now"]["measured"] == pytest.approx(joint["now"]["predicted"], abs=0.1)
    assert joint["gain"] == pytest.approx(joint["now"]["predicted"] - joint["after"])
    assert sum(change["buys"] for change in joint["changes"]) == pytest.approx(joint["gain"])


def test_the_joint_answer_leaves_what_nobody_chooses_and_burns_no_more_coal(first):
    _printed, report, _plot = first
    joint = report["joint"]

    changed = {change["tag"]: change for change in joint["changes"]}
    assert joint["fixed"]["1JT66801S"] == 200
    assert not set(changed) & set(joint["fixed"])
    assert changed["DGS3"]["after"] <= changed["DGS3"]["before"]
    assert changed["S833"]["modules"] == ["boiler", "unit"]
    links = {(link["module"], link["source_tag"]): link for link in joint["links"]}
    assert len(links) == 9
    assert links["unit", "FW606"]["reached"] == links["boiler", "FW606"]["now"]  # all that makes it is given


def test_the_joint_answer_can_be_repeated_from_its_report(first):
    _printed, report, _plot = first

    assert report["joint"]["repeat"]["models"] == {module["name"]: module["sha256"] for module in report["modules"]}
    assert report["joint"]["repeat"]["mode"] == "joint"


def test_the_report_can_be_traced_back(first):
    _printed, report, _plot = first

    assert report["report_version"] == 1
    assert report["product"]["name"] == "Setpoint"
    assert report["data"]["is_reused"] is False
    assert report["data"]["time_tag"] == "timestamp"
    upper = next(module for module in report["modules"] if module["name"] == "unit")
    assert report["optimum"]["model_id"] == upper["model_id"]
    assert report["optimum"]["repeat"]["model_sha256"] == upper["sha256"]
    assert report["optimum"]["repeat"]["dataset_sha256"] == report["data"]["sha256"]


def test_the_summary_is_plain_text_where_nobody_looks_on(first):
    printed, report, _plot = first

    assert "\x1b" not in printed
    assert "Training unit: done in" in printed
    assert f"{report['optimum']['after']:.3f} klb/MWh" in printed
    assert f"{report['joint']['after']:.3f} klb/MWh" in printed
    for words in ("R2 by day", "What to set", "All layers at once", "How far to trust it"):
        assert words in " ".join(printed.split())
    assert max(map(len, printed.splitlines()[:-4])) <= 120


def test_the_convergence_is_drawn(first):
    _printed, _report, plot = first

    content = plot.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20], "big") == 1200  # the width stands in the first chunk


def test_a_second_run_knows_the_data_and_finds_the_same_answer_to_the_last_bit(first, second):
    _printed, before, _plot = first
    printed, after = second

    assert after["data"]["is_reused"] is True
    assert "known from an earlier run" in printed
    assert after["project"] == before["project"]
    assert after["process"] == before["process"]
    assert [module["number"] for module in after["modules"]] == [2] * 5
    assert after["optimum"]["after"] == before["optimum"]["after"]
    assert after["optimum"]["curve"] == before["optimum"]["curve"]
    assert after["joint"]["changes"] == before["joint"]["changes"]


def test_a_wrong_password_is_told_in_one_sentence(url):
    ended = run(url, password="wrong horse battery")

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("coal unit: POST /auth/login was refused with 401:")
    assert ended.stderr.count("\n") == 1


def test_without_a_password_it_says_where_to_put_it():
    ended = run("http://127.0.0.1:1", password=None)

    assert ended.returncode == 1
    assert ended.stderr == (
        "coal unit: SETPOINT_CLIENT_PASSWORD is not set: it must hold the password of --username.\n"
    )


def test_a_server_that_is_not_there_is_told_in_one_sentence():
    address = f"http://127.0.0.1:{free_port()}"

    ended = run(address)

    assert ended.returncode == 1
    assert ended.stderr == f"coal unit: The server at {address} cannot be reached (ConnectionError).\n"

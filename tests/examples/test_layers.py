"""The coal unit's layers in three ways, as the example solves them, with small models and budgets."""

import json
import runpy
import sys

import numpy as np
import pytest

from examples.coal_unit.operating_point import usual_row


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("layers")


@pytest.fixture(scope="module")
def example(folder):
    """Every name that the example leaves behind after a short run at two loads."""
    asked = ["--loads", "120", "200", "--trees", "10", "--questions", "2000"]
    with pytest.MonkeyPatch.context() as patch:
        written = ["--plot", str(folder / "layers.png"), "--report", str(folder / "layers.json")]
        patch.setattr(sys, "argv", ["layers", *asked, *written])
        return runpy.run_module("examples.coal_unit.layers")


def test_what_a_mode_gives_is_what_the_modules_say_one_after_the_other(example):
    for found in example["answers"].values():
        for answer in found.values():
            known = dict(answer.inputs)
            for name in example["graph"].order:
                model = example["models"][name]
                known |= zip(model.outputs, model.predict([[known[tag] for tag in model.inputs]])[0], strict=True)

            assert answer.objective == pytest.approx(known["ssc"], rel=1e-12)


def test_the_cascade_promises_more_than_it_gives(example):
    for found in example["answers"].values():
        cascade = found["cascade"]

        assert cascade.promised < cascade.objective - 0.03
        assert max(abs(link.miss_sd) for link in cascade.links) > 0.3


def test_the_joint_answer_keeps_what_it_promises_and_every_limit(example):
    for load, found in example["answers"].items():
        joint = found["joint"]

        assert joint.promised == joint.objective
        assert joint.is_feasible
        assert joint.trust["is_inside"]
        assert joint.inputs["DGS3"] <= example["points"][load]["inputs"]["DGS3"]
        assert joint.inputs["num_mills"] in {2, 3}


def test_the_joint_answer_is_better_than_now_and_says_what_each_change_buys(example):
    for load, found in example["answers"].items():
        compared = found["joint"].comparison
        now = example["points"][load]["inputs"]

        assert compared.gain > 0.01
        assert sum(change.buys for change in compared.changes) == pytest.approx(compared.gain)
        assert all(change.before == now[change.tag] for change in compared.changes)


def test_disturbances_stay_as_they_are_and_the_load_is_the_one_asked_for(example):
    for load, found in example["answers"].items():
        now = example["points"][load]["inputs"] | {example["LOAD"]: load}
        held = [tag for tag, role in example["process"].roles.items() if role == "disturbance"]

        for answer in found.values():
            assert {tag: answer.inputs[tag] for tag in held} == {tag: now[tag] for tag in held}


def test_the_operating_point_is_a_measured_row_near_the_load_and_near_what_is_usual(example):
    point = usual_row(200)

    row = example["table"].frame.row(point["row"], named=True)
    loads = example["table"].frame["1JT66801S"].to_numpy()
    assert {tag: row[tag] for tag in point["inputs"]} == point["inputs"]
    assert point["ssc"] == pytest.approx(row["ssc"])
    assert (np.abs(loads - 200) < abs(point["load"] - 200)).sum() < 50


def test_the_comparison_is_drawn_and_written(example, folder):
    assert (folder / "layers.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((folder / "layers.json").read_text())
    assert set(report) == {"120", "200"}
    assert report["200"]["joint"]["objective"] == example["answers"][200]["joint"].objective
    assert report["200"]["now"]["time"]

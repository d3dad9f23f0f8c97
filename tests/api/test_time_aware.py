"""Modules that see the past of their inputs, and predict what will be.

In the table y follows a two rows later, and w is the mean of the last three a: exactly.
"""

import numpy as np
import polars as pl
import pytest

from tests.api.conftest import plant_table

N_ROWS = 200
A = np.random.default_rng(8).uniform(0, 10, N_ROWS)


def history():
    y, w = np.full(N_ROWS, np.nan), np.full(N_ROWS, np.nan)
    y[2:] = 3 * A[:-2] + 1
    w[2:] = (A[2:] + A[1:-1] + A[:-2]) / 3
    time = plant_table(N_ROWS)["time"]
    shuffled = np.random.default_rng(9).permutation(N_ROWS)  # rows need not be in the order of time
    return pl.DataFrame({"time": time, "a": A, "y": y, "w": w}).fill_nan(None)[shuffled]


@pytest.fixture
def module(upload, make_process):
    """Make a module of what is seen of a."""
    dataset_id = upload(history(), name="slow plant")

    def make(output="y", horizon=0, **seen):
        inputs = [{"tag": "a", "role": "control", **seen}]
        described = {"name": "slow", "dataset_id": dataset_id, "inputs": inputs, "outputs": [output]}
        return make_process(described | {"horizon": horizon})["modules"][0]

    return make


@pytest.fixture
def learned(client, headers, module, work):
    """Train a linear model of a module that sees the past."""

    def learn(*, validation=None, **described):
        made = module(**described)
        asked = {"kind": "linear", "validation": validation or {"scheme": "time", "n_folds": 4}}
        task = client.post(f"/api/v1/modules/{made['id']}/models", json=asked, headers=headers).json
        work()
        task = client.get(f"/api/v1/tasks/{task['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return client.get(f"/api/v1/models/{task['subject_id']}", headers=headers).json

    return learn


@pytest.mark.parametrize(
    "described",
    [{"lags": [0, 2]}, {"lags": [2]}, {"lags": [0], "horizon": 2}, {"output": "w", "windows": [3], "lags": []}],
    ids=str,
)
def test_a_module_that_sees_what_matters_predicts_exactly(learned, described):
    model = learned(**described)

    (scores,) = model["metrics"]["scores"].values()
    assert scores["rmse"] == pytest.approx(0, abs=1e-9)


def test_a_module_that_sees_the_present_alone_predicts_nothing(learned):
    assert learned()["metrics"]["scores"]["y"]["r2"] < 0.1


def test_rows_asked_about_are_consecutive_and_those_without_a_past_get_none(client, headers, learned):
    model = learned(lags=[2])
    rows = [{"a": float(a)} for a in (1.0, 2.0, 3.0, 4.0)]

    answer = client.post(f"/api/v1/models/{model['id']}/predict", json={"rows": rows, "level": 0.8}, headers=headers)

    first, second, *predicted = answer.json["predictions"]
    assert first is second is None
    assert answer.json["intervals"][:2] == [None, None]
    assert [row["y"] for row in predicted] == pytest.approx([3 * 1 + 1, 3 * 2 + 1])


def test_inputs_that_are_held_are_their_own_past(client, headers, learned):
    model = learned(lags=[2])

    answer = client.post(
        f"/api/v1/models/{model['id']}/predict", json={"rows": [{"a": 4.0}], "is_held": True}, headers=headers
    )

    assert answer.json["predictions"][0]["y"] == pytest.approx(13)


def test_an_optimization_finds_what_to_hold(client, headers, learned, work):
    model = learned(lags=[0, 2])
    asked = {"terms": [{"goal": "target", "of": "y", "value": 16.0}], "budget": 300, "trust": None}

    task = client.post(f"/api/v1/models/{model['id']}/optimizations", json=asked, headers=headers)
    work()

    found = client.get(f"/api/v1/optimizations/{task.json['subject_id']}", headers=headers).json["result"]
    assert found["inputs"]["a"] == pytest.approx(5, abs=0.01)
    assert found["outputs"]["y"] == pytest.approx(16, abs=0.03)


def test_no_certificate_is_promised_over_a_model_that_sees_the_past(client, headers, learned):
    model = learned(lags=[0, 2])
    asked = {"terms": [{"goal": "minimize", "of": "y"}], "certify": True}

    answer = client.post(f"/api/v1/models/{model['id']}/optimizations", json=asked, headers=headers)

    assert answer.status_code == 422
    assert "model of the past" in answer.json["detail"]


def test_no_fold_tests_a_row_that_shares_a_measurement_with_training(learned):
    metrics = learned(lags=[0, 2], horizon=3)["metrics"]

    span = 5  # rows that share a measurement lie at most so far apart
    n = metrics["n_rows"]
    purged = [n - fold["n_train"] - fold["n_test"] for fold in metrics["per_fold"]]
    assert purged == [span, 2 * span, 2 * span, span]


@pytest.mark.parametrize("seen", [{"lags": [0, 2]}, {"windows": [3]}, {"horizon": 1}])
def test_rows_that_share_measurements_are_not_scored_at_random(learned, seen):
    metrics = learned(**seen)["metrics"]

    assert metrics["validation"]["scheme"] != "random"
    assert (metrics["random"], metrics["notes"]) == (None, [])


def test_a_model_that_saw_another_past_no_longer_fits_its_module(client, headers, learned):
    model = learned(lags=[0, 2])
    url = f"/api/v1/modules/{model['module_id']}"
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)

    changed = client.patch(url, json={"horizon": 1}, headers=headers).json
    promoted = client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)

    assert changed["unset_production_model"]["id"] == model["id"]
    assert promoted.json["code"] == "model.outdated"


@pytest.mark.parametrize(
    "seen",
    [{"lags": [], "windows": []}, {"lags": [1, 1]}, {"windows": [1]}, {"lags": [-1]}, {"horizon": 10_001}],
    ids=str,
)
def test_a_past_that_makes_no_sense_is_refused(client, headers, module, seen):
    made = module()
    horizon = {"horizon": seen.pop("horizon")} if "horizon" in seen else {}
    asked = {"inputs": [{"tag": "a", "role": "control", **seen}], **horizon}

    answer = client.patch(f"/api/v1/modules/{made['id']}", json=asked, headers=headers)

    assert answer.status_code == 422
    assert client.get(f"/api/v1/modules/{made['id']}", headers=headers).json["inputs"] == made["inputs"]

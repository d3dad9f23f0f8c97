"""Inputs that hold text, and rows that lack a value: from the table to the optimum.

In the table steam is 4 load + 10, - 5 or + 2 by the fuel, and 3 less where the O2 probe fails: exactly.
"""

import numpy as np
import polars as pl
import pytest

from app.viewModels import optimization_baseline, optimization_nearest
from app.viewModels.model_history import History
from engine.problem import Problem, Term, Variable

N_ROWS = 150
LEVEL = {"gas": 10.0, "coal": -5.0, "oil": 2.0}
FUELS = sorted(LEVEL)


def history(n=N_ROWS):
    rng = np.random.default_rng(4)
    fuel = rng.choice(list(LEVEL), n)
    load, o2 = rng.uniform(0, 1, n), rng.normal(3, 1, n)
    fails = rng.random(n) < 0.2
    steam = 4 * load + np.array([LEVEL[each] for each in fuel]) - 3 * fails
    table = pl.DataFrame({"fuel": fuel, "load": load, "o2": np.where(fails, np.nan, o2), "steam": steam})
    is_known = pl.Series([True] * (n - 1) + [False])
    return table.fill_nan(None).with_columns(
        pl.when(is_known).then(pl.col("fuel")),
        pl.when(is_known.reverse()).then(pl.col("steam")),
        shift=pl.lit("early"),
        note=pl.when(is_known).then(pl.lit("fine")),
    )


@pytest.fixture
def module(upload, make_process):
    """Make a module of the table; fuel is a control unless it is said otherwise."""
    dataset_id = upload(history())

    def make(inputs=("fuel", "load", "o2"), outputs=("steam",), **roles):
        described = [{"tag": tag, "role": "control"} | roles.get(tag, {}) for tag in inputs]
        module = {"name": "boiler", "dataset_id": dataset_id, "inputs": described, "outputs": list(outputs)}
        return make_process(module)["modules"][0]

    return make


@pytest.fixture
def learned(client, headers, module, work):
    """Train a model of a module to its end."""

    def learn(made=None, **asked):
        made = made or module()
        asked = {"kind": "linear", "missing": "impute", "compares_at_random": False} | asked
        answer = client.post(f"/api/v1/modules/{made['id']}/models", json=asked, headers=headers)
        assert answer.status_code == 202, answer.json
        work()
        task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return client.get(f"/api/v1/models/{task['subject_id']}", headers=headers).json

    return learn


def ask(client, headers, model, *rows, **more):
    url = f"/api/v1/models/{model['id']}/predict"
    return client.post(url, json={"rows": list(rows), **more}, headers=headers)


# Training


def test_the_rule_that_training_followed_is_told(learned):
    model = learned()

    median = np.nanmedian(history()["o2"].cast(pl.Float64).fill_null(np.nan).to_numpy()[1:])
    encoding = model["encoding"]
    assert encoding["categories"] == {"fuel": FUELS}
    assert (encoding["missing"], encoding["flagged"]) == ("impute", ["fuel", "o2"])
    assert encoding["fill"]["o2"] == pytest.approx(median)
    assert encoding["fill"]["fuel"] in FUELS
    assert model["missing"] == "impute"


def test_rows_are_kept_unless_they_lack_the_output(learned):
    metrics = learned()["metrics"]

    n_gaps = history()[1:].select(pl.sum_horizontal(pl.col("fuel", "load", "o2").null_count()))["fuel"][0]
    assert (metrics["n_rows"], metrics["n_rows_dropped"]) == (N_ROWS - 1, 1)
    assert metrics["n_cells_imputed"] == n_gaps > 20
    assert metrics["scores"]["steam"]["r2"] > 0.95  # nobody knows the fuel of the row that lacks it


def test_rows_that_lack_an_input_are_left_out_by_default(learned):
    model = learned(missing="drop")

    complete = history().drop_nulls(["fuel", "load", "o2", "steam"])
    assert model["metrics"]["n_rows"] == len(complete) < N_ROWS - 20
    assert model["encoding"] == {"categories": {"fuel": FUELS}, "missing": "refuse", "fill": {}, "flagged": []}
    assert model["metrics"]["scores"]["steam"]["rmse"] == pytest.approx(0, abs=1e-9)


def test_numbers_without_gaps_need_no_rule(learned, module):
    model = learned(module(inputs=["load"]), missing="drop")

    assert model["encoding"] is None
    assert model["routes"] is None


def test_the_log_tells_how_many_cells_were_filled(client, headers, learned):
    model = learned()

    events = client.get(f"/api/v1/tasks/{model['task_id']}/events", headers=headers).json
    (about,) = [e["data"] for e in events["items"] if e["type"] == "log" and "n_cells_imputed" in e["data"]]
    assert about["n_cells_imputed"] == model["metrics"]["n_cells_imputed"]
    assert "missing cells are filled" in about["message"]


def test_the_routes_are_measured_once_and_change_no_bit(client, headers, learned, module):
    made = module()
    asked = {"kind": "random_forest", "params": {"n_trees": 10}}
    first, again = learned(made, **asked), learned(made, **asked)

    (steps,) = first["routes"]
    assert [step["n_rows"] for step in steps] == sorted({step["n_rows"] for step in steps})
    assert all(step["way"] in step["seconds"] for step in steps)
    row = {"fuel": "oil", "load": 0.5, "o2": None}
    assert ask(client, headers, first, row).json == ask(client, headers, again, row).json
    assert first["sha256"] == again["sha256"]


def test_kinds_of_all_sorts_learn_from_text_and_gaps(learned, module):
    made = module()
    small = {
        "hist_gradient_boosting": {"n_iterations": 20},
        "gaussian_process": {},
        "neural_network": {"n_units": 8, "n_members": 1, "n_epochs": 5},
    }

    in_two = {"scheme": "random", "n_folds": 2}
    scores = {
        kind: learned(made, kind=kind, params=params, validation=in_two)["metrics"]["scores"]
        for kind, params in small.items()
    }

    assert all(score["steam"]["r2"] > 0.7 for score in scores.values()), scores


# Asking


def test_a_model_is_asked_with_texts_and_gaps(client, headers, learned):
    model = learned(missing="drop")
    rows = [{"fuel": fuel, "load": 0.5, "o2": 3.0} for fuel in LEVEL]

    answer = ask(client, headers, model, *rows, level=0.9)

    predicted = [row["steam"] for row in answer.json["predictions"]]
    assert predicted == pytest.approx([2 + level for level in LEVEL.values()])
    assert answer.json["out_of_range"] == [[], [], []]
    assert len(answer.json["intervals"]) == 3


def test_a_gap_is_filled_by_the_rule_of_training(client, headers, learned):
    model = learned()

    given, gap = ({"fuel": "coal", "load": 0.5, "o2": o2} for o2 in (3.0, None))
    answer = ask(client, headers, model, given, gap)

    with_probe, without = (row["steam"] for row in answer.json["predictions"])
    assert with_probe - without == pytest.approx(3, abs=0.3)


OURS = "it is one of 'coal', 'gas', 'oil', not"


@pytest.mark.parametrize(
    ("missing", "wrong"),
    [
        ("impute", {"fuel": ("peat", f"{OURS} 'peat'"), "load": ("half", "a number is needed, not str")}),
        ("drop", {"fuel": (None, f"{OURS} NoneType"), "o2": (None, "null is not a number")}),
        ("drop", {"fuel": (1, f"{OURS} int"), "load": (True, "a number is needed, not bool")}),
    ],
)
def test_cells_that_the_model_does_not_take_are_refused_by_row_and_tag(client, headers, learned, missing, wrong):
    model = learned(missing=missing)
    right = {"fuel": "coal", "load": 0.5, "o2": 3.0}

    answer = ask(client, headers, model, right, right | {tag: value for tag, (value, _) in wrong.items()})

    assert (answer.status_code, answer.json["code"]) == (422, "model.rows_invalid")
    assert answer.json["details"]["faults"] == [
        {"row": 2, "tag": tag, "problem": problem} for tag, (_, problem) in wrong.items()
    ]


# What cannot be


@pytest.mark.parametrize("seen", [{"lags": [0, 1]}, {"lags": [1]}, {"windows": [3]}], ids=str)
def test_text_has_no_past(client, headers, module, seen):
    made = module()
    inputs = [{"tag": "fuel", "role": "control", **seen}, {"tag": "load", "role": "control"}]

    answer = client.patch(f"/api/v1/modules/{made['id']}", json={"inputs": inputs}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "module.tag_not_numeric")
    assert "at the present row" in answer.json["detail"]


def test_text_is_no_output(client, headers, module):
    made = module()

    answer = client.patch(f"/api/v1/modules/{made['id']}", json={"outputs": ["note"]}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "module.tag_not_numeric")


def test_text_that_is_the_same_in_all_rows_fails_the_training_by_name(client, headers, module, work):
    made = module(inputs=["shift", "load"])

    answer = client.post(f"/api/v1/modules/{made['id']}/models", json={"kind": "linear"}, headers=headers)
    work()

    task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
    assert (task["state"], task["error"]["code"]) == ("failed", "model.training")
    assert "'shift' holds 'early' in all rows" in task["error"]["detail"]


def test_cells_of_a_past_are_not_imputed(client, headers, module):
    made = module(inputs=["load"], load={"lags": [0, 1]})
    asked = {"kind": "linear", "missing": "impute"}

    answer = client.post(f"/api/v1/modules/{made['id']}/models", json=asked, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "request.invalid")
    assert answer.json["details"]["path"] == "missing"


# Optimization


@pytest.fixture
def optimize(client, headers, work):
    """Optimize over a model, and return the optimization as the API shows it; or the refusal."""

    def do(model, **asked):
        asked = {"terms": [{"goal": "maximize", "of": "steam"}], "budget": 400} | asked
        answer = client.post(f"/api/v1/models/{model['id']}/optimizations", json=asked, headers=headers)
        if answer.status_code != 202:
            return answer
        work()
        task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
        assert task["state"] == "succeeded", task["error"]
        return client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json

    return do


def test_an_optimization_chooses_a_category(learned, optimize):
    found = optimize(learned(), current={"fuel": "coal", "load": 0.2, "o2": 3.0})

    result = found["result"]
    assert result["inputs"]["fuel"] == "gas"
    (variable,) = [each for each in found["problem"]["variables"] if each["tag"] == "fuel"]
    assert (variable["type"], variable["choices"]) == ("categorical", FUELS)
    told = {each["tag"]: each for each in result["variables"]}
    assert (told["fuel"]["value"], told["fuel"]["at"]) == ("gas", None)
    assert result["comparison"]["inputs"]["fuel"] == "coal"
    (change,) = [each for each in result["comparison"]["changes"] if each["tag"] == "fuel"]
    assert (change["before"], change["after"]) == ("coal", "gas")
    assert result["baseline"]["medians"]["fuel"] in FUELS
    assert {row["inputs"]["fuel"] for row in result["nearest"]["rows"]} == {"gas"}


def test_a_row_with_another_text_is_one_unit_from_the_answer_whichever_it_is():
    columns = {"fuel": np.array([2.0, 1.0, 0.0]), "load": np.array([5.0, 5.0, 7.0])}

    nearest = optimization_nearest.about(
        {"fuel": 0.0, "load": 5.0}, History(columns, np.arange(3), None), categorical=["fuel"]
    )

    assert [(each["row"], each["distance"]) for each in nearest["rows"][:2]] == [(0, 1.0), (1, 1.0)]


def test_what_was_measured_with_another_text_is_as_comparable_whichever_it_is():
    fuel = np.array([0.0] * 2 + [2.0] * 10 + [1.0] * 10)
    rows = History({"fuel": fuel, "steam": np.arange(22.0)}, places=np.arange(22), times=None)
    problem = Problem((Variable("load", 0, 1),), {"fuel": 0.0}, (Term("minimize", "steam", scale=1.0),))

    compared = optimization_baseline.compared(problem, optimization_baseline.measure(problem, rows), rows, {"fuel"})

    assert (compared["n_rows"], compared["medians"]["fuel"]) == (10, 2)  # the first ones: others are no nearer


def test_a_category_that_is_given_is_kept(learned, module, optimize):
    model = learned(module(fuel={"role": "disturbance"}))

    found = optimize(model, fixed={"fuel": "coal"})

    assert found["name"] == "maximize steam at fuel = coal"
    assert found["problem"]["fixed"] == {"fuel": 0.0}
    assert found["result"]["inputs"]["fuel"] == "coal"
    assert found["result"]["baseline"]["fixed_ranges"] == {"fuel": ["coal", "coal"]}


REFUSED = [
    ({"fixed": {"fuel": "peat"}}, "fixed", "it is one of 'coal', 'gas', 'oil', not 'peat'"),
    ({"fixed": {"fuel": 0}}, "fixed", "not int"),
    ({"fixed": {"load": "full"}}, "fixed", "'load' needs a number"),
    ({"current": {"fuel": "peat", "load": 0.5, "o2": 3.0}}, "current", "not 'peat'"),
    ({"bounds": {"fuel": [0, 1]}}, "bounds", "'fuel' holds categories"),
    ({"inputs": {"fuel": {"type": "integer"}}}, "inputs", "'fuel' holds categories"),
    ({"trust_form": "polyhedral"}, "trust_form", "no polyhedron"),
    ({"terms": [{"goal": "minimize", "of": "steam + fuel"}]}, "terms[0].of", "nothing can be computed"),
    ({"limits": [{"of": "fuel", "upper": 1}]}, "limits[0].of", "nothing can be computed"),
]


def test_what_cannot_be_said_of_categories_is_refused_by_field(learned, optimize):
    model = learned()

    answers = [optimize(model, **asked) for asked, _, _ in REFUSED]

    assert [(answer.status_code, answer.json["details"]["path"]) for answer in answers] == [
        (422, path) for _, path, _ in REFUSED
    ]
    assert all(words in answer.json["detail"] for answer, (_, _, words) in zip(answers, REFUSED, strict=True))


def test_no_certificate_is_promised_over_categories(learned, optimize):
    answer = optimize(learned(), certify=True)

    assert answer.status_code == 422
    assert "encodes its inputs" in answer.json["detail"]


def test_a_process_is_optimized_over_categories(client, headers, learned, work):
    model = learned()
    client.post(f"/api/v1/models/{model['id']}/promote", headers=headers)
    module = client.get(f"/api/v1/modules/{model['module_id']}", headers=headers).json
    asked = {"terms": [{"goal": "minimize", "of": "steam"}], "fixed": {"o2": 3.0}, "budget": 300}

    task = client.post(f"/api/v1/processes/{module['process_id']}/optimizations", json=asked, headers=headers).json
    work()

    found = client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json["result"]
    assert found["inputs"]["fuel"] == "coal"


# A model of which no row is complete


def broken_history(n=60):
    """Return rows each of which lacks load or o2, and their places among the others."""
    whole = history().drop_nulls(["fuel", "load", "o2", "steam"])[:n].with_row_index()
    lacks_load = pl.col("index") % 2 == 0
    return whole.with_columns(
        pl.when(~lacks_load).then(pl.col("load")), pl.when(lacks_load).then(pl.col("o2")).alias("o2")
    ).drop("index")


@pytest.fixture
def of_gaps(upload, make_process, learned):
    """Train a model on rows none of which is complete."""
    inputs = [{"tag": tag, "role": "control"} for tag in ("fuel", "load", "o2")]
    module = {"name": "boiler", "dataset_id": upload(broken_history()), "inputs": inputs, "outputs": ["steam"]}
    return learned(make_process(module)["modules"][0])


def test_a_model_without_one_complete_row_is_optimized_over_rows_as_it_fills_them(of_gaps, optimize):
    found = optimize(of_gaps, limits=[{"of": "load", "upper": 0.9}])["result"]

    assert found["inputs"]["fuel"] == "gas"
    assert found["nearest"]["filled"] == ["load", "o2"]
    assert all((row["inputs"]["load"] is None) != (row["inputs"]["o2"] is None) for row in found["nearest"]["rows"])
    assert found["baseline"]["n_rows"] == 60
    assert found["trust"]["n_rows"] == 60
    (note,) = [each for each in found["notes"] if each["code"] == "rows.filled"]
    assert note["details"] == {"tags": ["load", "o2"]}
    assert "'load', 'o2'" in note["message"]


def test_what_is_missing_is_taken_to_be_what_the_model_fills_it_with(client, headers, of_gaps, work):
    load = of_gaps["encoding"]["fill"]["load"]
    params = {"points": [{"fuel": "gas", "load": load, "o2": 3.0}], "background": {"load": [load, load]}}

    found = analyzed(client, headers, work, of_gaps, "contributions", **params)["found"]

    assert found["n_background"] == 30
    along = analyzed(client, headers, work, of_gaps, "dependence", tags=["load"], n_points=5)["found"]
    assert len(along["grid"][0]) == 5


def test_a_process_is_optimized_over_a_model_without_one_complete_row(client, headers, of_gaps, work):
    client.post(f"/api/v1/models/{of_gaps['id']}/promote", headers=headers)
    module = client.get(f"/api/v1/modules/{of_gaps['module_id']}", headers=headers).json
    asked = {"terms": [{"goal": "minimize", "of": "steam"}], "budget": 300}

    task = client.post(f"/api/v1/processes/{module['process_id']}/optimizations", json=asked, headers=headers).json
    work()

    found = client.get(f"/api/v1/optimizations/{task['subject_id']}", headers=headers).json["result"]
    assert found["inputs"]["fuel"] == "coal"
    assert found["modules"][0]["nearest"]["filled"] == ["load", "o2"]


def test_rows_that_are_complete_stand_alone_where_there_are_enough(learned, optimize):
    found = optimize(learned())["result"]

    complete = history().drop_nulls(["fuel", "load", "o2", "steam"])
    assert found["nearest"]["filled"] == []
    assert found["baseline"]["n_rows"] == len(complete)
    assert "rows.filled" not in {note["code"] for note in found["notes"]}


# Analyses


def analyzed(client, headers, work, model, kind, **params):
    asked = {"kind": kind, "params": params}
    answer = client.post(f"/api/v1/models/{model['id']}/analyses", json=asked, headers=headers)
    if answer.status_code != 202:
        return answer
    work()
    task = client.get(f"/api/v1/tasks/{answer.json['id']}", headers=headers).json
    assert task["state"] == "succeeded", task["error"]
    return client.get(f"/api/v1/analyses/{task['subject_id']}", headers=headers).json["result"]


@pytest.mark.parametrize("asked", [{"method": "model"}, {"method": "permutation", "n_repeats": 2, "n_draws": 100}])
def test_the_importance_of_text_is_told_like_that_of_numbers(client, headers, learned, work, asked):
    found = analyzed(client, headers, work, learned(), "importance", **asked)["found"]

    first, *others = [each["input"] for each in found["overall"]]
    assert (first, sorted(others)) == ("fuel", ["load", "o2"])


def test_how_few_inputs_are_enough_is_told_of_text_and_gaps_too(client, headers, learned, work):
    found = analyzed(client, headers, work, learned(), "importance", method="elimination", n_repeats=2)["found"]

    assert found["order"][0] == "fuel"
    assert [point["n_inputs"] for point in found["curve"]] == [1, 2, 3]
    assert found["curve"][-1]["r2"] > 0.95


def test_what_tells_something_new_is_told_of_text_and_gaps_too(client, headers, learned, work):
    found = analyzed(client, headers, work, learned(), "importance", method="redundancy")["found"]

    assert found["picked"][0]["input"] == "fuel"
    assert {each["input"] for each in found["picked"]} == {"fuel", "load", "o2"}


@pytest.mark.parametrize("measure", ["correlation", "f_test"])
def test_texts_are_not_correlated(client, headers, learned, work, measure):
    model = learned()

    refused = analyzed(client, headers, work, model, "importance", method="redundancy", measure=measure)

    assert (refused.status_code, refused.json["details"]["path"]) == (422, "params.measure")
    assert refused.json["details"]["tags"] == ["fuel", "o2"]
    assert "no order to correlate" in refused.json["detail"]
    assert "ask for 'mutual_information'" in refused.json["detail"]


def test_contributions_are_asked_for_with_texts(client, headers, learned, work):
    model = learned(missing="drop")
    point = {"fuel": "gas", "load": 0.5, "o2": 3.0}

    result = analyzed(client, headers, work, model, "contributions", points=[point])
    refused = analyzed(client, headers, work, model, "contributions", points=[point | {"fuel": None}])

    (told,) = result["found"]["points"]
    assert {each["input"]: each["value"] for each in told["inputs"]} == point
    (listed,) = client.get("/api/v1/analyses", headers=headers).json["items"]
    assert listed["params"]["points"] == result["repeat"]["params"]["points"] == [point]
    assert result["notes"] == []
    assert refused.json["code"] == "model.rows_invalid"


def test_an_optimum_over_categories_is_explained(client, headers, learned, optimize, work):
    model = learned()
    found = optimize(model, current={"fuel": "coal", "load": 0.2, "o2": 3.0})

    told = analyzed(client, headers, work, model, "contributions", optimization_id=found["id"])

    (listed,) = client.get("/api/v1/analyses", headers=headers).json["items"]
    assert [point["fuel"] for point in listed["params"]["points"]] == ["coal", "gas"]
    changes = {each["input"]: each for each in told["change"]["inputs"]}
    assert (changes["fuel"]["before"], changes["fuel"]["after"]) == ("coal", "gas")
    assert changes["fuel"]["adds"][0] == pytest.approx(LEVEL["gas"] - LEVEL["coal"], rel=0.1)


def test_dependence_is_told_along_the_texts(client, headers, learned, work):
    model = learned(missing="drop")

    found = analyzed(client, headers, work, model, "dependence", tags=["fuel", "load"], n_points=3)["found"]

    assert found["grid"][0] == FUELS
    assert all(isinstance(value, float) for value in found["grid"][1])

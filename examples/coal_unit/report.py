"""From the API's answers to the example's report: what the summary prints, and everything to trace it back."""

from typing import Any

Words = dict[str, dict[str, str]]  # tag -> {"description", "unit"}
Json = dict[str, Any]


def about_module(name: str, task: Json, model: Json, words: Words) -> Json:
    """Return what the report tells of a trained module."""
    scores = model["metrics"]["scores"]
    return {
        "name": name,
        "module_id": model["module_id"],
        "model_id": model["id"],
        "task_id": task["id"],
        "number": model["number"],
        "kind": model["kind"],
        "params": model["params"],
        "validation": model["validation"],
        "n_rows": model["n_rows"],
        "seconds": model["seconds"],
        "sha256": model["sha256"],
        "outputs": [{"tag": tag, **words[tag], **scores[tag]} for tag in model["outputs"]],
    }


def about_optimum(optimization: Json, module: Json, words: Words) -> Json:
    """Return what the report tells of an optimum: one term, one fixed input."""
    result = optimization["result"]
    (term,), (saving,) = result["terms"], result["saving"]["terms"]
    ((fixed_tag, fixed_value),) = optimization["problem"]["fixed"].items()
    tag, baseline = term["of"], result["baseline"]
    optimum = {
        "optimization_id": optimization["id"],
        "task_id": optimization["task_id"],
        "model_id": optimization["model_id"],
        "objective": {"goal": term["goal"], "tag": tag, **words[tag]},
        "fixed": {"tag": fixed_tag, "value": fixed_value, **words[fixed_tag]},
        "is_feasible": result["is_feasible"],
        "before": {
            **baseline["terms"][0],
            "n_rows": baseline["n_rows"],
            "fixed_range": baseline["fixed_ranges"][fixed_tag],
        },
        "after": term["value"],
        "saving": saving,
        "set": _settings(result, module, words),
        "limits": result["limits"],
        "score": result["model"]["scores"][tag],
        "validation": result["model"]["validation"],
        "nearest": result["nearest"],
        "evaluations": result["evaluations"],
        "seconds": result["seconds"],
        "curve": _curve(result),
        "notes": result["notes"],
        "repeat": result["repeat"],
    }
    return optimum | {"trust": _trust(optimum)}


def about_joint(optimization: Json, process: Json, point: Json, words: Words) -> Json:
    """Return what the report tells of the answer of all layers: one term, beside the operating point of now."""
    result = optimization["result"]
    (term,), compared = result["terms"], result["comparison"]
    now = next(each["before"] for each in compared["terms"])
    tag, takers = term["of"], _takers(process)
    joint = {
        "optimization_id": optimization["id"],
        "task_id": optimization["task_id"],
        "mode": optimization["mode"],
        "objective": {"goal": term["goal"], "tag": tag, **words[tag]},
        "fixed": optimization["problem"]["fixed"],
        "is_feasible": result["is_feasible"],
        "now": {**{name: point[name] for name in ("row", "time", "load")}, "measured": point[tag], "predicted": now},
        "after": term["value"],
        "gain": compared["gain"],
        "percent": 100 * compared["gain"] / now,
        "changes": [
            {
                **{name: change[name] for name in ("tag", "before", "after", "buys")},
                **words[change["tag"]],
                "modules": takers[change["tag"]],
            }
            for change in compared["changes"]
        ],
        "links": [
            {**link, "unit": words[link["source_tag"]]["unit"], "now": compared["outputs"][link["source_tag"]]}
            for link in result["links"]
        ],
        "limits": result["limits"],
        "envelope": result["trust"],
        "curve": _curve(result),
        "scores": {name: model["scores"] for name, model in result["models"].items()},
        "evaluations": result["evaluations"],
        "seconds": result["seconds"],
        "notes": result["notes"],
        "repeat": result["repeat"],
    }
    return joint | {"trust": _joint_trust(joint)}


def _joint_trust(joint: Json) -> list[str]:
    """Say how sure the models are, whether each of them has seen the like, and what they leave out."""
    tag, unit = joint["objective"]["tag"], joint["objective"]["unit"]
    rmse = next(scores[tag]["rmse"] for scores in joint["scores"].values() if tag in scores)
    outside = [name for name, each in joint["envelope"]["modules"].items() if not each["is_inside"]]
    level = 100 * joint["envelope"]["level"]
    return [
        f"The saving is {joint['gain'] / rmse:.1f} times the error of {tag} on unseen days ({rmse:.3f} {unit}, RMSE).",
        f"Outside of what it has seen: {', '.join(outside)}."
        if outside
        else f"Every module is asked as near to measured rows as {level:.0f} % of these are to the others.",
        "Load, weather and feedwater flow are held as measured; with less steam the feedwater flow would fall too.",
    ]


def _curve(result: Json) -> list[Json]:
    """Return how the best value fell, by names."""
    return [dict(zip(("evaluations", "best", "violation"), point, strict=True)) for point in result["curve"]]


def _takers(process: Json) -> dict[str, list[str]]:
    """Return for each tag the modules that take it in."""
    takers: dict[str, list[str]] = {}
    for module in process["modules"]:
        for given in module["inputs"]:
            takers.setdefault(given["tag"], []).append(module["name"])
    return takers


def _settings(result: Json, module: Json, words: Words) -> list[Json]:
    """Return each free input: what it is at the comparable rows, and what it should be."""
    sources = {given["tag"]: given.get("source") for given in module["inputs"]}
    return [
        {
            "tag": variable["tag"],
            **words[variable["tag"]],
            "source": sources[variable["tag"]],  # the module that gives it; None: we set it ourselves
            "median": result["baseline"]["medians"][variable["tag"]],
            "value": variable["value"],
            "lower": variable["lower"],
            "upper": variable["upper"],
            "at_bound": variable["at"],
        }
        for variable in result["variables"]
    ]


def _trust(optimum: Json) -> list[str]:
    """Say how sure the model is, and how far the answer is from anything ever measured."""
    objective, score, nearest = optimum["objective"], optimum["score"], optimum["nearest"]
    tag, unit, gain = objective["tag"], objective["unit"], optimum["saving"]["gain"]
    at_bound = [row["tag"] for row in optimum["set"] if row["at_bound"]]
    distance, spacing = nearest["distance"], nearest["typical_spacing"]
    fixed, nearby = optimum["fixed"], nearest["rows"][0]["inputs"][optimum["fixed"]["tag"]]
    is_far = any(note["code"] == "answer.extrapolates" for note in optimum["notes"])
    return [
        f"On days that it was not trained on, the model explains {100 * score['r2']:.0f} % of {tag} (R2 by day "
        f"{score['r2']:.3f}), with an error of {score['rmse']:.3f} {unit} (RMSE). "
        f"The saving is {gain / score['rmse']:.1f} times that error.",
        f"The answer lies {distance:.1f} sd from the nearest measured row, which ran at {nearby:.1f} {fixed['unit']}, "
        f"while neighbors are {spacing:.2f} sd apart: "
        + (
            "nothing like it was ever measured, so the model extrapolates."
            if is_far
            else "the model knows this region."
        ),
        f"{len(at_bound)} of {len(optimum['set'])} inputs end at the edge of what was measured"
        + (f": {', '.join(at_bound)}." if at_bound else "."),
        f"The best of the {optimum['before']['n_rows']} measured rows nearby reached {optimum['before']['best']:.3f} "
        f"{unit}. Beyond that there is only the model's word: go there in small steps, and measure.",
    ]

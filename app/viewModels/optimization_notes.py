"""What is to be known before an answer is used, in plain words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.viewModels.optimization_nearest import FAR
from engine.expressions import Expression

Note = dict[str, Any]


def about(
    result: Mapping[str, Any], *, ranges: Mapping[str, Sequence[float]], metrics: Mapping[str, Any]
) -> list[Note]:
    """Return what a plant engineer should know of a result, the gravest first.

    Args:
        result: the report so far.
        ranges: lowest and highest value of every tag in the rows that the model was trained on.
        metrics: the model's scores on rows that were held out.
    """
    return [
        *_infeasible(result),
        *_distance(result["nearest"]),
        *_filled(result["nearest"]["filled"]),
        *_beyond_the_data(result, ranges),
        *_worth(result, metrics),
        *_at_bounds(result),
        *_active_limits(result),
    ]


def _infeasible(result: Mapping[str, Any]) -> Iterator[Note]:
    if result["is_feasible"]:
        return
    broken = result["broken"]
    told = "; ".join(
        f"{each['of']} is {_n(each['value'])}, {_n(each['by'])} beyond {_n(each['bound'])}" for each in broken
    )
    yield _note(
        "limits.broken",
        f"No point was found that keeps all limits; this one breaks them least: {told}.",
        limits=[each["of"] for each in broken],
    )


def _distance(nearest: Mapping[str, Any]) -> Iterator[Note]:
    distance, spacing = nearest["distance"], nearest["typical_spacing"] or 0.0
    told = f"{_n(distance)} sd from the nearest measured row; neighbors are typically {_n(spacing)} sd apart"
    details = {"distance": distance, "typical_spacing": spacing}
    if nearest["unseen"]:
        listed = ", ".join(nearest["unseen"])
        message = f"{listed} never had in the data the value that the answer gives: nobody knows what it does."
        yield _note("answer.unseen", message, tags=nearest["unseen"])
    if distance > FAR * spacing:
        yield _note(
            "answer.extrapolates",
            f"The answer lies {told}. Nothing like it was ever measured: the model extrapolates here.",
            **details,
        )
    else:
        yield _note("answer.near_data", f"The answer lies {told}: the model knows this region.", **details)


def _filled(tags: Sequence[str]) -> Iterator[Note]:
    if tags:
        listed = ", ".join(map(repr, tags))
        yield _note(
            "rows.filled",
            "Hardly any row has a value in every input. Trust, the nearest rows and what was measured so far are of"
            f" rows in which {listed} hold what the model takes for a missing value, where they lack one: nobody has"
            " seen these inputs together. Measure all of them for a while, and train again.",
            tags=tags,
        )


def _beyond_the_data(result: Mapping[str, Any], ranges: Mapping[str, Sequence[float]]) -> Iterator[Note]:
    for variable in result["variables"]:
        tag, (low, high) = variable["tag"], ranges[variable["tag"]]
        if variable["lower"] < low or variable["upper"] > high:
            is_beyond = not low <= variable["value"] <= high
            yield _note(
                "bounds.beyond_data",
                f"{tag} was searched from {_n(variable['lower'])} to {_n(variable['upper'])}, but measured only from "
                f"{_n(low)} to {_n(high)}; the answer, {_n(variable['value'])}, lies "
                f"{'beyond' if is_beyond else 'within'} that range.",
                tag=tag,
                is_beyond=is_beyond,
            )
    for tag in result["repeat"]["problem"]["fixed"]:
        value, (low, high) = result["inputs"][tag], ranges[tag]
        if not low <= value <= high:
            yield _note(
                "fixed.beyond_data",
                f"{tag} is fixed at {_n(value)}, but was measured only from {_n(low)} to {_n(high)}.",
                tag=tag,
            )


def _worth(result: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[Note]:
    """Hold the gain of every term that is one of the model's outputs against the model's error there."""
    held_out = _held_out(metrics["validation"])
    for term, saved in zip(result["terms"], result["saving"]["terms"], strict=True):
        score, gain = metrics["scores"].get(_tag_of(term["of"])), saved["gain"]
        if score is None or gain is None:
            continue
        details = {"of": term["of"], "gain": gain, "rmse": score["rmse"]}
        if gain <= 0:
            message = f"In {term['of']} the answer is no better than the median of the comparable rows."
            yield _note("gain.none", message, **details)
        elif gain < score["rmse"]:
            yield _note(
                "gain.within_error",
                f"The gain in {term['of']}, {_n(gain)}, is smaller than the model's error on {held_out}, "
                f"{_n(score['rmse'])} (RMSE): it may not be there.",
                **details,
            )
        else:
            times = f"{gain / score['rmse']:.1f} times" if score["rmse"] else "far above"
            yield _note(
                "gain.above_error",
                f"The gain in {term['of']}, {_n(gain)}, is {times} the model's error on {held_out}, "
                f"{_n(score['rmse'])} (RMSE).",
                **details,
            )


def _at_bounds(result: Mapping[str, Any]) -> Iterator[Note]:
    at = {variable["tag"]: variable["at"] for variable in result["variables"] if variable["at"] in {"lower", "upper"}}
    if at:
        listed = ", ".join(f"{tag} ({bound})" for tag, bound in at.items())
        yield _note("inputs.at_bounds", f"At a bound of what was searched: {listed}.", tags=at)


def _active_limits(result: Mapping[str, Any]) -> Iterator[Note]:
    active = [limit["of"] for limit in result["limits"] if limit["is_active"] and limit["is_kept"]]
    if active:
        yield _note("limits.active", f"These limits shape the answer: {'; '.join(active)}.", limits=active)


def _held_out(validation: Mapping[str, Any]) -> str:
    if validation["scheme"] == "group":
        return f"rows held out by {validation['group']}"
    if validation["scheme"] == "none":
        return "rows that it may have been made from"
    return "blocks of time held out" if validation["scheme"] == "time" else "rows held out at random"


def _tag_of(expression: str) -> str | None:
    """Return the tag that an expression is, None if it computes something."""
    text = expression.strip()
    tags = Expression.parse(text).tags
    return tags[0] if len(tags) == 1 and text in {tags[0], f"`{tags[0]}`"} else None


def _note(code: str, message: str, **details: Any) -> Note:
    return {"code": code, "message": message, "details": details}


def _n(value: float) -> str:
    """Write a number for people: three digits that matter, and powers of ten only for what is very small."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"

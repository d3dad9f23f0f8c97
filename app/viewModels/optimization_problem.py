"""From what a user asked to a complete problem: bounds, scales and fixed inputs filled in, everything checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.models import Model
from app.viewModels import categories, model_history
from engine.evaluator import spread
from engine.expressions import Expression
from engine.problem import Limit, Problem, Term, Variable
from engine.process_model import ProcessModel

Part = TypeVar("Part", Term, Limit)


def complete(
    model: Model,
    *,
    terms: Sequence[Mapping[str, Any]],
    limits: Sequence[Mapping[str, Any]],
    bounds: Mapping[str, Sequence[float]],
    types: Mapping[str, Mapping[str, Any]],
    fixed: Mapping[str, float | str],
) -> Problem:
    """Return the problem with nothing left open.

    An input that holds categories is categorical, whatever they are; it is fixed at one of them, or free among all.

    Bounds that are not given are the range of the rows that the model was trained on. A scale that is not given is the
    standard deviation of its expression over those rows; but a single term keeps its own unit, since there is nothing
    to compare it with.

    Raises:
        AppError: MODEL_NOT_TRAINED, INVALID_INPUT (a disturbance without a value, a tag that is no input, ...).
        EngineError: the problem contradicts itself or does not fit the model.
    """
    if model.metrics is None:
        raise AppError(ErrorCode.MODEL_NOT_TRAINED, f"It is {model.state}.", state=model.state)
    roles = {entry["tag"]: entry["role"] for entry in model.inputs}
    _check_inputs(roles, bounds=bounds, types=types, fixed=fixed)
    known = categories.of(model)
    _check_categorical(known, bounds=bounds, types=types)
    fixed = categories.placed("fixed", fixed, known)
    inputs = list(roles)
    problem = Problem(
        variables=_variables(
            inputs, bounds=bounds, ranges=model.ranges, types={**declared_types(model), **types}, fixed=fixed
        ),
        fixed={tag: fixed[tag] for tag in inputs if tag in fixed},
        terms=tuple(Term(**term) for term in terms),
        limits=tuple(Limit(**limit) for limit in limits),
    )
    problem.check(inputs, model.outputs)
    _check_arithmetic(problem, known)
    return _scaled(problem, model)


def of_process(
    process: ProcessModel,
    *,
    terms: Sequence[Mapping[str, Any]],
    limits: Sequence[Mapping[str, Any]],
    bounds: Mapping[str, Sequence[float]],
    types: Mapping[str, Mapping[str, Any]],
    fixed: Mapping[str, float | str],
    closes_cuts: bool,
    declared: Mapping[str, Mapping[str, Any]],
    known: categories.Known,
) -> Problem:
    """Return the problem of a process, over the inputs that come from outside.

    Args:
        declared: the types of inputs that nothing is said of in ``types``.
        known: the categories of those that are categorical.

    Bounds that are not given are what all models that take an input have seen. Scales that are not given are filled in
    by the worker, which has the models.

    Raises:
        AppError: INVALID_INPUT (a disturbance or an assumed stream without a value, a tag that is no input, ...).
        EngineError: the problem contradicts itself or does not fit the process.
    """
    roles = {tag: "control" if role == "cut" and closes_cuts else role for tag, role in process.roles.items()}
    _check_inputs(roles, bounds=bounds, types=types, fixed=fixed)
    _check_categorical(known, bounds=bounds, types=types)
    fixed = categories.placed("fixed", fixed, known)
    problem = Problem(
        variables=_variables(roles, bounds=bounds, ranges=process.ranges(), types={**declared, **types}, fixed=fixed),
        fixed={tag: fixed[tag] for tag in roles if tag in fixed},
        terms=tuple(Term(**term) for term in terms),
        limits=tuple(Limit(**limit) for limit in limits),
    )
    problem.check(process.inputs, process.outputs)
    _check_arithmetic(problem, known)
    return problem


def _variables(
    tags: Iterable[str],
    *,
    bounds: Mapping[str, Sequence[float]],
    ranges: Mapping[str, Sequence[float]],
    types: Mapping[str, Mapping[str, Any]],
    fixed: Mapping[str, float],
) -> tuple[Variable, ...]:
    free = [tag for tag in tags if tag not in fixed]
    return tuple(Variable(tag, *bounds.get(tag, ranges[tag]), **types.get(tag, {})) for tag in free)


def declared_types(*models: Model) -> dict[str, dict[str, Any]]:
    """Return the types of inputs that are known: declared when a model was imported, or categories that it learned."""
    declared = {tag: type_ for model in models for tag, type_ in model.options.get("types", {}).items()}
    learned = {tag: names for model in models for tag, names in categories.of(model).items()}
    return declared | {tag: {"type": "categorical", "choices": names} for tag, names in learned.items()}


def in_words(problem: Problem, known: categories.Known) -> str:
    """Return a name for the problem: what is wanted, and at what.

    Args:
        known: the categories of the inputs that are categorical.
    """
    wanted = ", ".join(f"{term.goal} {term.of}" for term in problem.terms)
    fixed = {tag: known[tag][int(value)] if tag in known else f"{value:g}" for tag, value in problem.fixed.items()}
    given = ", ".join(f"{tag} = {value}" for tag, value in fixed.items())
    words = f"{wanted} at {given}" if given else wanted
    return words if len(words) <= 200 else words[:197] + "..."


def _check_inputs(
    roles: Mapping[str, str],
    *,
    bounds: Mapping[str, Sequence[float]],
    types: Mapping[str, Mapping[str, Any]],
    fixed: Mapping[str, Any],
) -> None:
    """Refuse what cannot be said of these inputs. The details hold the field as ``path``, as the engine's do."""
    for path, given in (("bounds", bounds), ("inputs", types), ("fixed", fixed)):
        if unknown := [tag for tag in given if tag not in roles]:
            _refuse(path, f"the model has no input {_listed(unknown)}; it has {_listed(roles)}", unknown)
    if missing := [tag for tag, role in roles.items() if role == "disturbance" and tag not in fixed]:
        _refuse("fixed", f"give a value for {_listed(missing)}: a disturbance cannot be chosen", missing)
    if missing := [tag for tag, role in roles.items() if role == "cut" and tag not in fixed]:
        _refuse("fixed", f"assume a value for {_listed(missing)}, or let the cuts be closed", missing)
    if both := [tag for tag in bounds if tag in fixed]:
        _refuse("bounds", f"{_listed(both)} is fixed, so it has no bounds", both)
    if turned := [tag for tag, (lower, upper) in bounds.items() if lower > upper]:
        _refuse("bounds", f"the lower bound of {_listed(turned)} is above its upper bound", turned)
    if len(fixed) == len(roles):
        _refuse("fixed", "every input is fixed, so there is nothing to search for", list(fixed))


def _check_categorical(
    known: categories.Known, *, bounds: Mapping[str, Any], types: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse bounds and types of inputs that hold categories."""
    for path, given in (("bounds", bounds), ("inputs", types)):
        if categorical := [tag for tag in given if tag in known]:
            _refuse(path, f"{_listed(categorical)} holds categories: leave it free, or fix it at one", categorical)


def _check_arithmetic(problem: Problem, known: categories.Known) -> None:
    """Refuse to count with categories: their places in a list are no amounts."""
    for name, parts in (("terms", problem.terms), ("limits", problem.limits)):
        for i, part in enumerate(parts):
            if categorical := [tag for tag in Expression.parse(part.of).tags if tag in known]:
                reason = f"{_listed(categorical)} holds categories, with which nothing can be computed"
                _refuse(f"{name}[{i}].of", reason, categorical)


def _scaled(problem: Problem, model: Model) -> Problem:
    """Return the problem with the scales that are open filled in. Only for them the model's rows are read."""
    terms = problem.terms
    if len(terms) == 1 and terms[0].scale is None:
        terms = (replace(terms[0], scale=1.0),)
    if all(part.scale is not None for part in (*terms, *problem.limits)):
        return replace(problem, terms=terms)
    columns = model_history.of(model, model.dataset_version).columns

    def filled(part: Part) -> Part:
        return (
            part if part.scale is not None else replace(part, scale=spread(Expression.parse(part.of).evaluate(columns)))
        )

    return replace(problem, terms=tuple(map(filled, terms)), limits=tuple(map(filled, problem.limits)))


def _refuse(path: str, reason: str, tags: Sequence[str]) -> NoReturn:
    raise AppError(ErrorCode.INVALID_INPUT, f"{path}: {reason}.", path=path, tags=list(tags))


def _listed(tags: Iterable[str]) -> str:
    return ", ".join(repr(tag) for tag in tags)

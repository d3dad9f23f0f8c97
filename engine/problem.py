"""What is to be optimized, declared as data: which inputs are free, what is wanted, and within which limits.

    cost of a term      minimize:  value / scale        maximize: -value / scale        target: |value - wanted| / scale
    objective           sum of weight * cost over the terms of one name; minimized inside, told in the user's direction
    violation           of a limit: max(0, lower - value, value - upper) / scale
                        of an equality: max(0, |value - equal| - tolerance) / scale

Terms of different objectives are not added up: what is found then is a set of points of which none is better than
another in all of them. Where the objectives are asked for one number, it is their sum.

A problem speaks of tags and knows no model: ``check`` holds it against the inputs and outputs of one, and
``engine.evaluator`` computes it. Expressions may use inputs, outputs, or both (``engine.expressions``).

A wrong field is refused with its path, such as ``terms[1].scale``, in the message and in ``details["path"]``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Real
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from engine.errors import ExpressionError, ProblemError
from engine.expressions import Expression

GOALS = ("minimize", "maximize", "target")
TYPES = ("real", "integer", "stepped", "categorical")

TOLERANCE = 1e-4
"""How far from its value an equality may be, as a share of its scale, if it does not say so itself."""

MOST_CHOICES = 10_000


@dataclass(frozen=True)
class Variable:
    """A free input: the solver may set ``tag`` from ``lower`` to ``upper``, in the tag's unit.

    Attributes:
        tag: the input.
        lower, upper: its bounds. A categorical one has none: its values are codes 0, 1, ... of its choices.
        type: "real"; "integer": whole numbers; "stepped": lower, lower + step, ... up to upper; or "categorical".
        step: for the type "stepped" and only then, > 0.
        choices: for the type "categorical" and only then: the texts that its codes stand for, in their order.
    """

    tag: str
    lower: float = math.nan
    upper: float = math.nan
    type: str = "real"
    step: float | None = None
    choices: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.type == "categorical" and isinstance(self.choices, list | tuple):
            object.__setattr__(self, "choices", tuple(self.choices))
            object.__setattr__(self, "lower", 0.0)
            object.__setattr__(self, "upper", float(len(self.choices) - 1))
        elif self.type == "integer" and _is_number(self.lower) and _is_number(self.upper):
            object.__setattr__(self, "lower", float(math.ceil(self.lower)))
            object.__setattr__(self, "upper", float(math.floor(self.upper)))

    @property
    def spacing(self) -> float:
        """Distance of the values that it may take; 0 if it is real."""
        return {"integer": 1.0, "categorical": 1.0, "stepped": self.step or 0.0}.get(self.type, 0.0)


@dataclass(frozen=True)
class Term:
    """Something that is wanted.

    Attributes:
        goal: "minimize", "maximize" or "target".
        of: an expression over inputs and outputs.
        weight: its importance among the terms, > 0.
        scale: how much of it counts as one, > 0, in its own unit. Terms are comparable only on one scale, so None
            does not mean 1: see ``engine.evaluator`` for what is filled in.
        value: what to hit; for the goal "target" only, in the unit of the expression.
        objective: name of the objective that it belongs to; terms of one name are added up, None is a name too.
    """

    goal: str
    of: str
    weight: float = 1.0
    scale: float | None = None
    value: float | None = None
    objective: str | None = None


@dataclass(frozen=True)
class Limit:
    """Something that must hold: lower <= value of the expression <= upper, where one side may be missing; or = equal.

    Attributes:
        of: an expression over inputs and outputs.
        lower, upper: in the unit of the expression; None means no limit on this side.
        equal: what the value must be, within the tolerance; without lower and upper.
        tolerance: of an equality, > 0, in the unit of the expression; None: TOLERANCE times the scale.
        scale: how much of a violation counts as one, > 0, in the unit of the expression; None as in a Term.
    """

    of: str
    lower: float | None = None
    upper: float | None = None
    scale: float | None = None
    equal: float | None = None
    tolerance: float | None = None

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Lower and upper bound of the value; those of an equality lie its tolerance away, once its scale is known."""
        if self.equal is None:
            return self.lower, self.upper
        around = self.tolerance if self.tolerance is not None else TOLERANCE * (self.scale or 1.0)
        return self.equal - around, self.equal + around


@dataclass(frozen=True)
class Problem:
    """Minimize the terms over the variables, with the other inputs fixed, under the limits.

    Raises:
        ProblemError: a field is wrong in itself or contradicts another; the path says which.
    """

    variables: tuple[Variable, ...]
    fixed: Mapping[str, float] = field(default_factory=dict)
    terms: tuple[Term, ...] = ()
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("variables", Variable), ("terms", Term), ("limits", Limit)):
            object.__setattr__(self, name, _all_of(kind, name, getattr(self, name)))
        if not isinstance(self.fixed, Mapping):
            _refuse("fixed", f"must give a value for each tag, not {_kind(self.fixed)}")
        object.__setattr__(self, "fixed", MappingProxyType(dict(self.fixed)))
        if not self.variables:
            _refuse("variables", "is empty: at least one input must be free")
        if not self.terms:
            _refuse("terms", "is empty: say at least one thing that is wanted")
        self._check_variables()
        for i, term in enumerate(self.terms):
            _check_term(f"terms[{i}]", term)
        for i, limit in enumerate(self.limits):
            _check_limit(f"limits[{i}]", limit)

    @property
    def objectives(self) -> tuple[str | None, ...]:
        """Names of the objectives, in the order of their first terms."""
        return tuple(dict.fromkeys(term.objective for term in self.terms))

    def check(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Hold the problem against the tags of a model.

        Raises:
            ProblemError: a variable, a fixed tag or a tag of an expression is none of the model's; an input is
                neither free nor fixed; or a tag is input and output at once, so that it says two things.
        """
        ambiguous = [tag for tag in outputs if tag in inputs]
        if ambiguous:
            _refuse("model", f"has {_listed(ambiguous)} both as input and as output", tags=ambiguous)
        for i, variable in enumerate(self.variables):
            _check_known(f"variables[{i}].tag", [variable.tag], inputs, "input")
        _check_known("fixed", list(self.fixed), inputs, "input")
        is_given = {variable.tag for variable in self.variables} | self.fixed.keys()
        missing = [tag for tag in inputs if tag not in is_given]
        if missing:
            _refuse(
                "fixed", f"needs a value for {_listed(missing)}: the model's inputs are free or fixed", tags=missing
            )
        for path, part in self._parts():
            _check_known(f"{path}.of", Expression.parse(part.of).tags, (*inputs, *outputs), "input or output")

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON values; ``from_json`` reads them again."""
        return {
            "variables": [_plain(variable) for variable in self.variables],
            "fixed": {tag: float(value) for tag, value in self.fixed.items()},
            "terms": [_plain(term) for term in self.terms],
            "limits": [_plain(limit) for limit in self.limits],
        }

    @classmethod
    def from_json(cls, data: Any) -> "Problem":
        """Return the problem that JSON values declare.

        Raises:
            ProblemError: a field is missing, unknown, of the wrong type, or refused by Problem itself.
        """
        whole = _object("", data, ["variables", "fixed", "terms", "limits"], ["variables", "terms"])
        return cls(
            variables=_parts_of(Variable, "variables", whole["variables"]),
            fixed=_object("fixed", whole.get("fixed", {})),
            terms=_parts_of(Term, "terms", whole["terms"]),
            limits=_parts_of(Limit, "limits", whole.get("limits", [])),
        )

    def _check_variables(self) -> None:
        seen: set[str] = set()
        for i, variable in enumerate(self.variables):
            path = f"variables[{i}]"
            _check_tag(f"{path}.tag", variable.tag)
            _check_values(path, variable)
            if variable.tag in seen:
                _refuse(f"{path}.tag", f"is {variable.tag!r}, which is free already", tag=variable.tag)
            if variable.tag in self.fixed:
                _refuse(f"{path}.tag", f"is {variable.tag!r}, which is fixed: it is one or the other", tag=variable.tag)
            seen.add(variable.tag)
        for tag, value in self.fixed.items():
            _check_tag("fixed", tag)
            _number(f"fixed[{tag!r}]", value)

    def _parts(self) -> list[tuple[str, Term | Limit]]:
        terms = [(f"terms[{i}]", term) for i, term in enumerate(self.terms)]
        limits = [(f"limits[{i}]", limit) for i, limit in enumerate(self.limits)]
        return [*terms, *limits]


# Checks of one part


def _all_of(kind: type, path: str, parts: Any) -> tuple[Any, ...]:
    if not isinstance(parts, Iterable):
        _refuse(path, f"must be a list, not {_kind(parts)}")
    found = tuple(parts)
    for i, part in enumerate(found):
        if not isinstance(part, kind):
            _refuse(f"{path}[{i}]", f"must be a {kind.__name__}, not {_kind(part)}")
    return found


def _check_term(path: str, term: Term) -> None:
    if term.goal not in GOALS:
        _refuse(f"{path}.goal", f"must be {_listed(GOALS)}, not {term.goal!r}", allowed=list(GOALS))
    _check_expression(f"{path}.of", term.of)
    _check_positive(f"{path}.weight", term.weight)
    if term.scale is not None:
        _check_positive(f"{path}.scale", term.scale)
    if term.goal == "target" and term.value is None:
        _refuse(f"{path}.value", "is missing: a target needs the value to hit")
    if term.goal != "target" and term.value is not None:
        _refuse(f"{path}.value", f"belongs to the goal 'target', but the goal is {term.goal!r}")
    if term.value is not None:
        _number(f"{path}.value", term.value)
    if term.objective is not None and (not isinstance(term.objective, str) or not term.objective):
        _refuse(f"{path}.objective", f"must be a name, not {term.objective!r:.40}")


def _check_limit(path: str, limit: Limit) -> None:
    _check_expression(f"{path}.of", limit.of)
    if limit.equal is not None:
        _check_equality(path, limit)
        return
    if limit.tolerance is not None:
        _refuse(f"{path}.tolerance", "belongs to an equality: it is given with equal")
    if limit.lower is None and limit.upper is None:
        _refuse(path, "limits nothing: it needs lower, upper or both, or equal")
    lower = -math.inf if limit.lower is None else _number(f"{path}.lower", limit.lower)
    upper = math.inf if limit.upper is None else _number(f"{path}.upper", limit.upper)
    if lower > upper:
        _refuse(path, f"can never hold: lower {lower:g} is above upper {upper:g}")
    if limit.scale is not None:
        _check_positive(f"{path}.scale", limit.scale)


def _check_equality(path: str, limit: Limit) -> None:
    _number(f"{path}.equal", limit.equal)
    if limit.lower is not None or limit.upper is not None:
        _refuse(f"{path}.equal", "says all: leave out lower and upper")
    for name in ("tolerance", "scale"):
        if getattr(limit, name) is not None:
            _check_positive(f"{path}.{name}", getattr(limit, name))


def _check_values(path: str, variable: Variable) -> None:
    """See that a variable has values to take, of its type."""
    if variable.type not in TYPES:
        _refuse(f"{path}.type", f"must be {_listed(TYPES)}, not {variable.type!r}", allowed=list(TYPES))
    for name, belongs_to in (("step", "stepped"), ("choices", "categorical")):
        is_given = getattr(variable, name) is not None
        if is_given != (variable.type == belongs_to):
            wanted = "is missing" if not is_given else f"belongs to the type {belongs_to!r}, not {variable.type!r}"
            _refuse(f"{path}.{name}", wanted, tag=variable.tag)
    if variable.type == "stepped":
        _check_positive(f"{path}.step", variable.step)
    if variable.type == "categorical":
        _check_choices(path, variable)
    lower, upper = _number(f"{path}.lower", variable.lower), _number(f"{path}.upper", variable.upper)
    if lower > upper:
        what = "holds no whole number" if variable.type == "integer" else "is empty"
        _refuse(path, f"has its lower bound {lower:g} above its upper bound {upper:g}: it {what}", tag=variable.tag)


def _check_choices(path: str, variable: Variable) -> None:
    choices = variable.choices
    is_texts = isinstance(choices, tuple) and all(isinstance(each, str) for each in choices)
    if not is_texts or not 1 <= len(choices or ()) <= MOST_CHOICES or len(set(choices or ())) < len(choices or ()):
        _refuse(f"{path}.choices", f"must be a list of different texts, not {choices!r:.60}", tag=variable.tag)


def _check_expression(path: str, text: Any) -> None:
    try:
        expression = Expression.parse(text)
    except ExpressionError as error:
        raise ProblemError(f"{path}: {error}", path=path, **error.details) from error
    if not expression.tags:
        _refuse(path, f"is {text!r}, which speaks of no tag and is always the same")


def _check_tag(path: str, tag: Any) -> None:
    if not isinstance(tag, str) or not tag:
        _refuse(path, f"must be the name of a tag, not {tag!r}")


def _check_positive(path: str, value: Any) -> None:
    if _number(path, value) <= 0:
        _refuse(path, f"must be above 0, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(path: str, value: Any) -> float:
    """Return a finite number as a float; a bool is none, and neither is an integer that no float can hold."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        _refuse(path, f"must be a finite number, not {value!r:.40}")
    return number


def _check_known(path: str, tags: Sequence[str], known: Sequence[str], what: str) -> None:
    unknown = [tag for tag in tags if tag not in known]
    if unknown:
        _refuse(path, f"speaks of {_listed(unknown)}, which is no {what} of the model", tags=unknown, known=list(known))


# JSON

_Part = TypeVar("_Part", Variable, Term, Limit)

_RARE = {"type", "step", "choices", "objective", "equal", "tolerance"}


def _plain(part: Variable | Term | Limit) -> dict[str, Any]:
    """Return the fields of a part, every number as a float: 1 and 1.0 declare the same problem.

    Fields that are not used are left out but for the first ones, so that a problem without them reads as it always did.
    """
    used = {
        f.name: getattr(part, f.name) for f in fields(part) if f.name not in _RARE or f.default != getattr(part, f.name)
    }
    return {name: _plain_value(value) for name, value in used.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return float(value) if isinstance(value, Real) else value


def _parts_of(kind: type[_Part], path: str, data: Any) -> tuple[_Part, ...]:
    if not isinstance(data, list | tuple):
        _refuse(path, f"must be a list, not {_kind(data)}")
    known = [each.name for each in fields(kind)]
    return tuple(kind(**_object(f"{path}[{i}]", item, known, _required(kind, item))) for i, item in enumerate(data))


def _required(kind: type[_Part], item: Any) -> list[str]:
    """Return the fields that must be given; the bounds of a categorical variable follow from its choices."""
    required: list[str] = [each.name for each in fields(kind) if each.default is MISSING]
    has_bounds: bool = kind is Variable and not (isinstance(item, Mapping) and item.get("type") == "categorical")
    return [*required, *(("lower", "upper") if has_bounds else ())]


def _object(
    path: str, data: Any, known: Sequence[str] | None = None, required: Sequence[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        _refuse(path or "problem", f"must be an object with named fields, not {_kind(data)}")
    prefix = f"{path}." if path else ""
    for name in data:
        if known is not None and name not in known:
            _refuse(f"{prefix}{name}", f"is not a field; there are {_listed(known)}", allowed=list(known))
    for name in required:
        if name not in data:
            _refuse(f"{prefix}{name}", "is missing")
    return data


# Words


def _kind(value: Any) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r:.40}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _refuse(path: str, reason: str, **details: Any) -> NoReturn:
    raise ProblemError(f"{path} {reason}", path=path, **details)

"""How the parts of a problem fall to the modules of a process, and what each module is asked when it stands alone.

A term or a limit belongs to the module that makes the outputs it speaks of; where it also speaks of what that module
takes from another one, such as the yield of a mill on the coal that a feeder gives it, to the module that has both. One
that speaks of inputs only belongs to the uppermost module that has them all. One that speaks of outputs of two modules
of which neither takes the other's belongs to none of them: only the whole process (mode "joint") can serve it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.errors import ProblemError
from engine.expressions import Expression, as_reference
from engine.problem import Limit, Problem, Term, Variable
from engine.process_model import Part, ProcessModel, common_range


@dataclass(frozen=True)
class Target:
    """What an output is asked to be.

    Attributes:
        tag: the output.
        value: what it shall be, in its unit.
        sd: what counts as one in a miss, same unit.
        asked_by: the module whose input it is.
    """

    tag: str
    value: float
    sd: float
    asked_by: str

    @property
    def miss(self) -> str:
        """The expression of the miss, in sd."""
        return f"abs({as_reference(self.tag)} - {_number(self.value)}) / {self.sd!r}"


@dataclass(frozen=True)
class Share:
    """What one module is to do: its part of the problem.

    Attributes:
        part: the module, with its model.
        terms, limits: those that belong to it, over tags of the process.
    """

    part: Part
    terms: tuple[Term, ...]
    limits: tuple[Limit, ...]


def shares(process: ProcessModel, problem: Problem) -> dict[str, Share]:
    """Return what falls to each module, the uppermost first.

    Raises:
        ProblemError: a term or limit speaks of outputs or inputs that no module has together.
    """
    found = {part.name: Share(part, (), ()) for part in reversed(process.parts)}
    for i, term in enumerate(problem.terms):
        share = found[_owner(process, f"terms[{i}]", term.of)]
        found[share.part.name] = replace(share, terms=(*share.terms, term))
    for i, limit in enumerate(problem.limits):
        share = found[_owner(process, f"limits[{i}]", limit.of)]
        found[share.part.name] = replace(share, limits=(*share.limits, limit))
    return found


def check_layers(process: ProcessModel, problem: Problem) -> None:
    """See that a problem can be served layer by layer.

    Raises:
        ProblemError: it has several objectives, or as ``shares``.
    """
    if len(problem.objectives) > 1:
        raise ProblemError("several objectives are for the mode 'joint': a target is one value, not a front")
    shares(process, problem)


def problem_of(
    share: Share,
    *,
    variables: Mapping[str, Variable],
    decided: Mapping[str, float],
    terms: Sequence[Term],
    limits: Sequence[Limit] = (),
) -> Problem:
    """Return the problem of a module alone, over the tags of the process.

    Args:
        share: the module.
        variables: tag -> the variable that it is, for every input of a module that is free somewhere.
        decided: tag -> value, of inputs that are given or were set before.
        terms: what is wanted of it.
        limits: beside its own.

    Raises:
        ProblemError: an input is neither free nor decided, or nothing is free.
    """
    sources = share.part.sources
    return Problem(
        variables=tuple(variables[tag] for tag in sources if tag not in decided and tag in variables),
        fixed={tag: decided[tag] for tag in sources if tag in decided},
        terms=tuple(terms),
        limits=(*share.limits, *limits),
    )


def link_variables(process: ProcessModel) -> dict[str, Variable]:
    """Return for each tag that a link carries the range in which the modules that take it have seen it.

    Raises:
        ProblemError: no model tells that range.
    """
    ranges: dict[str, list[tuple[float, float]]] = {}
    for link in process.graph.links:
        model = process.part(link.module).model
        known = getattr(model, "input_ranges", None)
        if known is None:
            raise ProblemError(f"the model of {link.module!r} tells no range of {link.tag!r}, which a search needs")
        low, high = map(float, known[list(model.inputs).index(link.tag)])
        ranges.setdefault(link.source_tag, []).append((low, high))
    return {tag: Variable(tag, *common_range(seen)) for tag, seen in ranges.items()}


def _owner(process: ProcessModel, path: str, of: str) -> str:
    tags = Expression.parse(of).tags
    makers = {part.name for part in process.parts for tag in tags if tag in part.model.outputs}
    fits = [
        part.name
        for part in reversed(process.parts)
        if (not makers or part.name in makers) and all(tag in part.sources or tag in part.model.outputs for tag in tags)
    ]
    if not fits and len(makers) > 1:
        raise ProblemError(
            f"{path} speaks of outputs of {', '.join(map(repr, sorted(makers)))}: no module alone can serve it; use the"
            f" mode 'joint'",
            path=path,
            modules=sorted(makers),
        )
    if not fits:
        raise ProblemError(
            f"{path} speaks of {', '.join(map(repr, tags))}, which no module has together; use the mode 'joint'",
            path=path,
            tags=list(tags),
        )
    return fits[0]


def _number(value: float) -> str:
    return f"({value!r})" if value < 0 else repr(value)

"""The models of a process as one model: predictions flow up through the links, for a whole population at once.

Notation
    inputs    every tag that some module takes from outside: controls and disturbances. One tag is one thing: where
              several modules take it, they all get the same value.
    outputs   every tag that some module makes.
    cut       an input from outside that another module makes as well: a stream that closes a loop in the plant. The
              value that is taken in is an assumption; it goes by the name "<tag> (assumed)", and the tag itself is what
              the models imply. ``mismatch`` says how far apart they are.

The modules are asked once each, lower ones first, whatever the number of rows: the work grows with their number alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import floats
from engine.errors import ProcessGraphError, ShapeError
from engine.evaluator import Model
from engine.expressions import as_reference
from engine.process import ProcessGraph
from engine.trust import Envelope, JointEnvelope

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A module in a composed process.

    Attributes:
        name: the module.
        model: what predicts it.
        sources: for each input of the model, the tag of the process that it is given: an input or an output.
    """

    name: str
    model: Model
    sources: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs of the model by their tags in the process: a part is a model itself."""
        return self.sources

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the model."""
        return tuple(self.model.outputs)

    def predict(self, X: Any, /) -> Any:
        """Return what the model predicts."""
        return self.model.predict(X)


class ProcessModel:
    """A graph of modules with a model for each, itself a model.

    Args:
        graph: the modules and their links.
        models: module -> its model, for every module; its inputs and outputs are the module's, in any order.

    Raises:
        ProcessGraphError: a module has no model, or one with other tags.

    Attributes:
        graph: as given.
        parts: the modules, each after all that feed it.
        inputs, outputs: see the notation.
        roles: input -> "control", "disturbance" or "cut". What is a control of one module is a control.
        cuts: assumed input -> the tag that is implied.
    """

    def __init__(self, graph: ProcessGraph, models: Mapping[str, Model]) -> None:
        self.graph = graph
        makers = {tag: module.name for module in graph.modules for tag in module.outputs}
        self.roles: dict[str, str] = {}
        self.cuts: dict[str, str] = {}
        sources: dict[str, dict[str, str]] = {}
        for name in graph.order:
            sources[name] = {}
            for each in graph.module(name).inputs:
                if each.role == "link":
                    sources[name][each.tag] = each.source_tag or each.tag
                    continue
                tag = assumed(each.tag) if each.tag in makers else each.tag
                sources[name][each.tag] = tag
                if each.tag in makers:
                    self.cuts[tag] = each.tag
                    self.roles[tag] = "cut"
                elif self.roles.get(tag) != "control":
                    self.roles[tag] = each.role
        self.parts = tuple(_part(graph, name, models, sources[name]) for name in graph.order)
        self.inputs = tuple(self.roles)
        self.outputs = tuple(tag for part in self.parts for tag in part.model.outputs)

    def predict(self, X: Any, /) -> Floats:
        """Return all outputs, (n, number of outputs), for all inputs X, (n, number of inputs).

        Raises:
            ShapeError: X does not have a column for each input.
        """
        X = floats("X", X)
        if X.ndim != 2 or X.shape[1] != len(self.inputs):
            raise ShapeError(f"X has shape {X.shape}, but the process has {len(self.inputs)} inputs")
        columns: dict[str, Floats] = dict(zip(self.inputs, X.T, strict=True))
        for part in self.parts:
            Y = floats("what a model returned", part.model.predict(np.column_stack([columns[s] for s in part.sources])))
            columns.update(zip(part.model.outputs, Y.T, strict=True))
        return np.column_stack([columns[tag] for tag in self.outputs])

    def part(self, name: str) -> Part:
        """Return the part of this module.

        Raises:
            ProcessGraphError: there is none.
        """
        self.graph.module(name)
        return next(part for part in self.parts if part.name == name)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the range of each input in the data of all models that take it: what every one of them has seen.

        Where two of them have seen nothing in common, the range of both together. Models that tell no ranges are
        passed over, and inputs that only they take are missing.
        """
        seen: dict[str, list[tuple[float, float]]] = {}
        for part in self.parts:
            known = getattr(part.model, "input_ranges", None)
            if known is not None:
                for tag, (low, high) in zip(part.sources, known, strict=True):
                    seen.setdefault(tag, []).append((float(low), float(high)))
        return {tag: common_range(seen[tag]) for tag in self.inputs if tag in seen}

    def sd_of(self, tag: str) -> float:
        """Return the standard deviation of an output in its model's data; 1 where that is 0 or not told."""
        for part in self.parts:
            if tag in part.model.outputs:
                known = getattr(part.model, "output_sd", None)
                sd = 0.0 if known is None else float(known[list(part.model.outputs).index(tag)])
                return sd or 1.0
        raise ProcessGraphError(f"no module makes {tag!r}", tag=tag)

    def mismatch(self, values: Mapping[str, float]) -> list[dict[str, Any]]:
        """Return for each cut what was assumed and what the models imply, with the difference in units and in sd."""
        return [
            {
                "tag": tag,
                "assumed": values[name],
                "implied": values[tag],
                "mismatch": values[tag] - values[name],
                "mismatch_sd": (values[tag] - values[name]) / self.sd_of(tag),
            }
            for name, tag in self.cuts.items()
        ]

    def closing(self, name: str) -> str:
        """Return the expression that is 0 where a cut is closed, in standard deviations of its tag."""
        tag = self.cuts[name]
        return f"({as_reference(tag)} - {as_reference(name)}) / {self.sd_of(tag)!r}"

    def envelope(self, envelopes: Mapping[str, Envelope]) -> JointEnvelope | None:
        """Return the envelopes of modules, each over the module's own inputs, as one over the tags of the process.

        Raises:
            ProcessGraphError: a name is no module, or an envelope speaks of what is no input of its module.
        """
        parts: dict[str, Envelope] = {}
        for name, envelope in envelopes.items():
            part = self.part(name)
            named = dict(zip(part.model.inputs, part.sources, strict=True))
            if unknown := [tag for tag in envelope.tags if tag not in named]:
                raise ProcessGraphError(
                    f"the envelope of {name!r} speaks of {unknown[0]!r}, which is no input of it", module=name
                )
            renamed: Any = replace(envelope, tags=tuple(named[tag] for tag in envelope.tags))  # type: ignore[type-var]
            parts[name] = renamed
        return JointEnvelope(parts) if parts else None


def assumed(tag: str) -> str:
    """Return the name of the value that is assumed for a cut stream."""
    return f"{tag} (assumed)"


def _part(graph: ProcessGraph, name: str, models: Mapping[str, Model], sources: Mapping[str, str]) -> Part:
    if name not in models:
        raise ProcessGraphError(f"module {name!r} has no model; every module needs one", module=name)
    module, model = graph.module(name), models[name]
    _check_same(name, "inputs", [each.tag for each in module.inputs], model.inputs)
    _check_same(name, "outputs", module.outputs, model.outputs)
    return Part(name, model, tuple(sources[tag] for tag in model.inputs))


def _check_same(name: str, what: str, wanted: Sequence[str], given: Sequence[str]) -> None:
    if set(wanted) != set(given):
        differ = sorted(set(wanted) ^ set(given))
        raise ProcessGraphError(
            f"the model of module {name!r} has other {what} than the module: {', '.join(map(repr, differ[:8]))}",
            module=name,
            tags=differ,
        )


def common_range(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return what all ranges have in common; where there is nothing, the range of all of them together."""
    low, high = max(low for low, _ in ranges), min(high for _, high in ranges)
    if low <= high:
        return low, high
    return min(low for low, _ in ranges), max(high for _, high in ranges)

"""A process: modules in layers, where outputs of lower (upstream) modules are inputs of upper ones.

A graph is checked when it is made and never changes. ``order`` and ``layers`` begin upstream: layer 0 holds the
modules that take nothing from another one, layer i + 1 those that take something from layer i and nothing from above.

    boiler (upper)          layer 1        its best inputs ...
      ^ O2 Out APH
    air preheater (lower)   layer 0        ... are targets for this one
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.errors import ProcessGraphError

ROLES = ("control", "disturbance", "link")


@dataclass(frozen=True)
class ModuleInput:
    """An input of a module.

    Attributes:
        tag: the tag, as the module's own data has it.
        role: "control" (we may set it), "disturbance" (measured, given for a run) or "link" (made by another module).
        source: for a link, the module that makes it.
        source_tag: for a link, its tag among the outputs of that module; None means the same tag.
    """

    tag: str
    role: str = "control"
    source: str | None = None
    source_tag: str | None = None


@dataclass(frozen=True)
class Module:
    """A part of the plant that is learned: inputs to outputs."""

    name: str
    inputs: tuple[ModuleInput, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """Input ``tag`` of ``module`` is output ``source_tag`` of ``source``."""

    module: str
    tag: str
    source: str
    source_tag: str

    def to_json(self) -> dict[str, str]:
        """Return the link as JSON values."""
        return {"module": self.module, "tag": self.tag, "source": self.source, "source_tag": self.source_tag}


@dataclass(frozen=True)
class ProcessGraph:
    """Modules and the links between them.

    Args:
        modules: the modules; the graph of none is empty.

    Raises:
        ProcessGraphError: something is not of its declared type; a name is there twice; a module has no input or no
            output; a tag is twice among its inputs, or is input and output at once; an output is made by two modules;
            a role is unknown; a link has no source, names a module or a tag that is not there, or an input that is
            no link names one; or modules need each other in a circle, which the message spells out. ``details`` hold
            module and tag.

    Attributes:
        links: every link, in the order of the modules and their inputs.
        layers: names of the modules, from upstream (0) up; within a layer as they were given.
        order: the same names in one row, every module after all that it needs.
    """

    modules: tuple[Module, ...]
    links: tuple[Link, ...] = field(init=False)
    layers: tuple[tuple[str, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "modules", tuple(self.modules))
        _check_types(self.modules)
        _check_modules(self.modules)
        object.__setattr__(self, "links", _links(self.modules))
        object.__setattr__(self, "layers", _layers([module.name for module in self.modules], self.links))

    @classmethod
    def from_json(cls, data: Any) -> "ProcessGraph":
        """Return the graph of modules given as JSON values.

        Args:
            data: a list of {"name", "inputs": [{"tag", "role", "source", "source_tag"}, ...], "outputs": [tag, ...]};
                an input's source and source_tag may be missing or null.

        Raises:
            ProcessGraphError: the values are not of this form, or as for the graph itself.
        """
        return cls(tuple(_read_module(f"module {i}", each) for i, each in enumerate(_list("the modules", data))))

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the modules, every one after all that it needs."""
        return tuple(name for layer in self.layers for name in layer)

    def module(self, name: str) -> Module:
        """Return the module of this name.

        Raises:
            ProcessGraphError: there is none.
        """
        for module in self.modules:
            if module.name == name:
                return module
        raise ProcessGraphError(f"the process has no module {name!r}", module=name)

    def targets_of(self, upper: str) -> Mapping[str, tuple[Link, ...]]:
        """Return for each lower module that feeds ``upper`` the links that it feeds: what it can be asked to hit.

        Raises:
            ProcessGraphError: there is no such module.
        """
        self.module(upper)
        fed: dict[str, tuple[Link, ...]] = {}
        for link in self.links:
            if link.module == upper:
                fed[link.source] = (*fed.get(link.source, ()), link)
        return fed

    def to_json(self) -> dict[str, Any]:
        """Return links, layers and order as JSON values, for those who draw the graph."""
        return {
            "links": [link.to_json() for link in self.links],
            "layers": [list(layer) for layer in self.layers],
            "order": list(self.order),
        }


# JSON


def _read_module(what: str, data: Any) -> Module:
    fields = _object(what, data, ("name", "inputs", "outputs"))
    name = _text(f"the name of {what}", fields.get("name"))
    inputs = _list(f"the inputs of {name!r}", fields.get("inputs"))
    outputs = _list(f"the outputs of {name!r}", fields.get("outputs"))
    return Module(
        name=name,
        inputs=tuple(_read_input(f"input {i} of {name!r}", each) for i, each in enumerate(inputs)),
        outputs=tuple(_text(f"output {i} of {name!r}", each) for i, each in enumerate(outputs)),
    )


def _read_input(what: str, data: Any) -> ModuleInput:
    fields = _object(what, data, ("tag", "role", "source", "source_tag"))
    source, source_tag = fields.get("source"), fields.get("source_tag")
    return ModuleInput(
        tag=_text(f"the tag of {what}", fields.get("tag")),
        role=_text(f"the role of {what}", fields.get("role")),
        source=None if source is None else _text(f"the source of {what}", source),
        source_tag=None if source_tag is None else _text(f"the source_tag of {what}", source_tag),
    )


def _object(what: str, data: Any, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ProcessGraphError(f"{what} must be an object with named fields, not {data!r:.40}")
    if unknown := [name for name in data if name not in known]:
        raise ProcessGraphError(f"{what} has a field {unknown[0]!r}; there are {', '.join(known)}")
    return data


def _list(what: str, data: Any) -> list[Any]:
    if not isinstance(data, list | tuple):
        raise ProcessGraphError(f"{what} must be a list, not {data!r:.40}")
    return list(data)


def _text(what: str, data: Any) -> str:
    if not isinstance(data, str):
        raise ProcessGraphError(f"{what} must be text, not {data!r:.40}")
    return data


# Checks


def _check_types(modules: Sequence[Any]) -> None:
    """See that the declarations hold what their annotations say, so that what follows need not ask."""
    for i, module in enumerate(modules):
        if not isinstance(module, Module):
            raise ProcessGraphError(f"module {i} must be a Module, not {module!r:.40}")
        name = _text(f"the name of module {i}", module.name)
        for each in _list(f"the inputs of {name!r}", module.inputs):
            if not isinstance(each, ModuleInput):
                raise ProcessGraphError(f"the inputs of {name!r} must be ModuleInputs, not {each!r:.40}", module=name)
            _text(f"the tag of an input of {name!r}", each.tag)
        for tag in _list(f"the outputs of {name!r}", module.outputs):
            _text(f"an output of {name!r}", tag)


def _check_modules(modules: Sequence[Module]) -> None:
    maker: dict[str, str] = {}
    names: set[str] = set()
    for module in modules:
        if not module.name:
            raise ProcessGraphError("a module needs a name, but one has none")
        if module.name in names:
            raise ProcessGraphError(f"two modules are called {module.name!r}", module=module.name)
        names.add(module.name)
        _check_tags(module)
        for tag in module.outputs:
            if tag in maker:
                raise ProcessGraphError(
                    f"{tag!r} is an output of both {maker[tag]!r} and {module.name!r}: only one module can make it",
                    module=module.name,
                    tag=tag,
                )
            maker[tag] = module.name


def _check_tags(module: Module) -> None:
    inputs = [each.tag for each in module.inputs]
    for what, tags in (("input", inputs), ("output", list(module.outputs))):
        if not tags:
            raise ProcessGraphError(f"module {module.name!r} has no {what}; at least one is needed", module=module.name)
        if twice := _first_twice(tags):
            raise ProcessGraphError(
                f"module {module.name!r} has {twice!r} twice among its {what}s", module=module.name, tag=twice
            )
    for tag in module.outputs:
        if tag in inputs:
            raise ProcessGraphError(
                f"module {module.name!r} has {tag!r} both as input and as output", module=module.name, tag=tag
            )


def _links(modules: Sequence[Module]) -> tuple[Link, ...]:
    outputs = {module.name: module.outputs for module in modules}
    links = []
    for module in modules:
        for each in module.inputs:
            where = f"input {each.tag!r} of module {module.name!r}"
            place = {"module": module.name, "tag": each.tag}
            if each.role not in ROLES:
                raise ProcessGraphError(f"{where} has role {each.role!r}; there are {', '.join(ROLES)}", **place)
            if each.role != "link":
                if each.source is not None or each.source_tag is not None:
                    raise ProcessGraphError(f"{where} has role {each.role!r} but names a source: links do", **place)
                continue
            if each.source is None:
                raise ProcessGraphError(f"{where} is a link but does not say which module makes it", **place)
            source_tag = each.tag if each.source_tag is None else each.source_tag
            if each.source not in outputs:
                raise ProcessGraphError(f"{where} comes from {each.source!r}, which is no module", **place)
            if source_tag not in outputs[each.source]:
                raise ProcessGraphError(
                    f"{where} comes from {source_tag!r} of module {each.source!r}, which makes"
                    f" {', '.join(map(repr, outputs[each.source]))}",
                    **place,
                )
            links.append(Link(module.name, each.tag, each.source, source_tag))
    return tuple(links)


def _layers(names: Sequence[str], links: Iterable[Link]) -> tuple[tuple[str, ...], ...]:
    """Return the names by layer: each one step above the highest module that it needs (Kahn's algorithm by waves)."""
    needs: dict[str, list[Link]] = {name: [] for name in names}
    for link in links:
        needs[link.module].append(link)
    layers: list[tuple[str, ...]] = []
    left = list(names)
    while left:
        waiting = set(left)
        wave = tuple(name for name in left if not any(link.source in waiting for link in needs[name]))
        if not wave:
            raise _circle(left, needs)
        layers.append(wave)
        left = [name for name in left if name not in set(wave)]
    return tuple(layers)


def _circle(left: Sequence[str], needs: Mapping[str, Sequence[Link]]) -> ProcessGraphError:
    """Return the refusal of modules that all wait for each other, with one circle spelled out."""
    waiting = set(left)
    path: list[Link] = []
    seen: dict[str, int] = {}
    name = left[0]
    while name not in seen:  # every module here waits for another one, so that walking upstream must come round
        seen[name] = len(path)
        path.append(next(link for link in needs[name] if link.source in waiting))
        name = path[-1].source
    circle = path[seen[name] :][::-1]  # downstream again
    steps = "".join(f" -> ({link.source_tag}) {link.module}" for link in circle)
    return ProcessGraphError(
        f"modules need each other in a circle: {circle[0].source}{steps}",
        module=circle[0].module,
        tag=circle[0].tag,
        circle=[link.to_json() for link in circle],
    )


def _first_twice(tags: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for tag in tags:
        if tag in seen:
            return tag
        seen.add(tag)
    return None

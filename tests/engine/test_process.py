"""A process as a graph: what is refused, and in which order it is computed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ProcessGraphError
from engine.process import Link, Module, ModuleInput, ProcessGraph

UNIT = [
    {
        "name": "boiler",
        "inputs": [
            {"tag": "load", "role": "disturbance"},
            {"tag": "O2 Out APH", "role": "link", "source": "preheater", "source_tag": "O2"},
            {"tag": "T feedwater", "role": "link", "source": "feedwater"},
            {"tag": "coal", "role": "control"},
            {"tag": "flue gas", "role": "link", "source": "preheater"},
        ],
        "outputs": ["efficiency", "NOx"],
    },
    {"name": "preheater", "inputs": [{"tag": "damper", "role": "control"}], "outputs": ["O2", "flue gas"]},
    {
        "name": "feedwater",
        "inputs": [
            {"tag": "extraction", "role": "control"},
            {"tag": "flue gas", "role": "link", "source": "preheater"},
        ],
        "outputs": ["T feedwater"],
    },
]


def changed(**changes):
    """Return the unit with fields of its boiler changed."""
    return [UNIT[0] | changes, *UNIT[1:]]


def test_layers_begin_upstream_and_the_order_follows_them():
    graph = ProcessGraph.from_json(UNIT)

    assert graph.layers == (("preheater",), ("feedwater",), ("boiler",))
    assert graph.order == ("preheater", "feedwater", "boiler")


def test_links_are_told_with_the_tag_on_both_sides():
    graph = ProcessGraph.from_json(UNIT)

    assert graph.links[0] == Link("boiler", "O2 Out APH", "preheater", "O2")
    assert json.loads(json.dumps(graph.to_json()["links"]))[1] == {
        "module": "boiler",
        "tag": "T feedwater",
        "source": "feedwater",
        "source_tag": "T feedwater",
    }


def test_the_targets_of_a_module_are_grouped_by_who_can_be_asked_for_them():
    graph = ProcessGraph.from_json(UNIT)

    targets = graph.targets_of("boiler")

    assert {name: [link.source_tag for link in links] for name, links in targets.items()} == {
        "preheater": ["O2", "flue gas"],
        "feedwater": ["T feedwater"],
    }
    assert graph.targets_of("preheater") == {}


def test_a_module_that_is_not_there_has_no_targets():
    with pytest.raises(ProcessGraphError, match="the process has no module 'mill'"):
        ProcessGraph.from_json(UNIT).targets_of("mill")


def test_modules_made_in_code_are_the_same_graph():
    graph = ProcessGraph(
        (
            Module("lower", (ModuleInput("a"),), ("b",)),
            Module("upper", (ModuleInput("b", "link", "lower"), ModuleInput("c", "disturbance")), ("d",)),
        )
    )

    assert graph == ProcessGraph.from_json(
        [
            {"name": "lower", "inputs": [{"tag": "a", "role": "control"}], "outputs": ["b"]},
            {
                "name": "upper",
                "inputs": [{"tag": "b", "role": "link", "source": "lower"}, {"tag": "c", "role": "disturbance"}],
                "outputs": ["d"],
            },
        ]
    )
    assert graph.module("upper").outputs == ("d",)


def test_a_process_without_modules_is_an_empty_graph():
    graph = ProcessGraph(())

    assert (graph.links, graph.layers, graph.order) == ((), (), ())


def test_one_control_may_feed_two_modules():
    shared = {"tag": "damper", "role": "control"}

    graph = ProcessGraph.from_json(changed(inputs=[*UNIT[0]["inputs"], shared]))

    assert graph.order[-1] == "boiler"


INPUT = {"tag": "coal", "role": "control"}


@pytest.mark.parametrize(
    ("modules", "words", "details"),
    [
        ([*UNIT, UNIT[1]], "two modules are called 'preheater'", {"module": "preheater"}),
        (changed(name=""), "a module needs a name", {}),
        (changed(inputs=[]), "'boiler' has no input", {"module": "boiler"}),
        (changed(outputs=[]), "'boiler' has no output", {"module": "boiler"}),
        (changed(inputs=[INPUT, INPUT]), "'coal' twice among its inputs", {"module": "boiler", "tag": "coal"}),
        (changed(outputs=["NOx", "NOx"]), "'NOx' twice among its outputs", {"module": "boiler", "tag": "NOx"}),
        (changed(outputs=["coal"]), "'coal' both as input and as output", {"module": "boiler", "tag": "coal"}),
        (
            changed(outputs=["NOx", "O2"]),
            "'O2' is an output of both 'boiler' and 'preheater'",
            {"module": "preheater", "tag": "O2"},
        ),
        (
            changed(inputs=[{"tag": "coal", "role": "set"}]),
            "input 'coal' of module 'boiler' has role 'set'; there are control, disturbance, link",
            {"module": "boiler", "tag": "coal"},
        ),
        (
            changed(inputs=[INPUT | {"source": "preheater"}]),
            "has role 'control' but names a source",
            {"module": "boiler", "tag": "coal"},
        ),
        (
            changed(inputs=[{"tag": "O2", "role": "link"}]),
            "input 'O2' of module 'boiler' is a link but does not say which module makes it",
            {"module": "boiler", "tag": "O2"},
        ),
        (
            changed(inputs=[{"tag": "O2", "role": "link", "source": "mill"}]),
            "comes from 'mill', which is no module",
            {"module": "boiler", "tag": "O2"},
        ),
        (
            changed(inputs=[{"tag": "CO", "role": "link", "source": "preheater"}]),
            "comes from 'CO' of module 'preheater', which makes 'O2', 'flue gas'",
            {"module": "boiler", "tag": "CO"},
        ),
        (
            changed(inputs=[{"tag": "coal", "role": "link", "source": "boiler", "source_tag": "NOx"}]),
            "in a circle: boiler -> (NOx) boiler",
            {"module": "boiler", "tag": "coal"},
        ),
    ],
)
def test_what_is_no_graph_is_refused_with_module_and_tag(modules, words, details):
    with pytest.raises(ProcessGraphError) as refusal:
        ProcessGraph.from_json(modules)

    assert words in str(refusal.value)
    assert details.items() <= refusal.value.details.items()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "the modules must be a list, not None"),
        (["boiler"], "module 0 must be an object with named fields, not 'boiler'"),
        ([{"inputs": []}], "the name of module 0 must be text, not None"),
        (changed(kind="x"), "module 0 has a field 'kind'; there are name, inputs, outputs"),
        (changed(inputs="coal"), "the inputs of 'boiler' must be a list, not 'coal'"),
        (changed(inputs=["coal"]), "input 0 of 'boiler' must be an object"),
        (changed(inputs=[{"tag": "coal"}]), "the role of input 0 of 'boiler' must be text, not None"),
        (changed(inputs=[INPUT | {"tag": ["a"]}]), "the tag of input 0 of 'boiler' must be text"),
        (changed(outputs=[3]), "output 0 of 'boiler' must be text, not 3"),
    ],
)
def test_values_of_another_form_are_refused(data, words):
    with pytest.raises(ProcessGraphError) as refusal:
        ProcessGraph.from_json(data)

    assert words in str(refusal.value)


def test_a_circle_is_spelled_out_downstream_with_the_tags_that_close_it():
    def module(name, source):
        return Module(name, (ModuleInput(f"in {name}", "link", source, f"out {source}"),), (f"out {name}",))

    ahead = Module("ahead", (ModuleInput("in ahead"),), ("out ahead",))
    behind = module("behind", "b")

    with pytest.raises(ProcessGraphError) as refusal:
        ProcessGraph((ahead, behind, module("a", "c"), module("b", "a"), module("c", "b")))

    assert str(refusal.value).endswith("b -> (out b) c -> (out c) a -> (out a) b")
    assert [link["module"] for link in refusal.value.details["circle"]] == ["c", "a", "b"]


@st.composite
def acyclic(draw):
    """Return modules in any order whose links all go from earlier to later in a hidden order, and that order."""
    n = draw(st.integers(1, 8))
    hidden = draw(st.permutations(range(n)))
    modules = []
    for place, number in enumerate(hidden):
        sources = draw(st.lists(st.sampled_from(hidden[:place]), unique=True)) if place else []
        links = [ModuleInput(f"from {source}", "link", f"m{source}", f"y{source}") for source in sources]
        modules.append(Module(f"m{number}", (ModuleInput("u"), *links), (f"y{number}",)))
    return draw(st.permutations(modules)), [f"m{number}" for number in hidden]


@settings(deadline=None)
@given(acyclic())
def test_every_module_comes_after_all_that_it_needs_and_on_the_lowest_layer_that_allows_it(drawn):
    modules, _ = drawn

    graph = ProcessGraph(tuple(modules))

    layer = {name: i for i, names in enumerate(graph.layers) for name in names}
    assert sorted(graph.order) == sorted(module.name for module in modules)
    for module in modules:
        needed = [layer[link.source] for link in graph.links if link.module == module.name]
        assert layer[module.name] == 1 + max(needed, default=-1)
        assert all(
            graph.order.index(each.source) < graph.order.index(module.name) for each in module.inputs if each.source
        )


@settings(deadline=None)
@given(acyclic(), st.data())
def test_a_link_back_upstream_is_always_found_and_the_circle_is_a_real_one(drawn, data):
    modules, hidden = drawn
    later = data.draw(st.sampled_from(hidden))
    reachable = {later}
    for name in reversed(hidden):
        by_name = {module.name: module for module in modules}
        if name in reachable:
            reachable |= {each.source for each in by_name[name].inputs if each.source}
    earlier = data.draw(st.sampled_from(sorted(reachable)))
    back = ModuleInput("back", "link", later, f"y{later[1:]}")
    closed = [
        Module(each.name, (*each.inputs, back), each.outputs) if each.name == earlier else each for each in modules
    ]

    with pytest.raises(ProcessGraphError, match="in a circle") as refusal:
        ProcessGraph(tuple(closed))

    circle = refusal.value.details["circle"]
    links = {
        (module.name, each.tag, each.source, each.source_tag)
        for module in closed
        for each in module.inputs
        if each.role == "link"
    }
    assert all((link["module"], link["tag"], link["source"], link["source_tag"]) in links for link in circle)
    assert [link["source"] for link in circle] == [circle[-1]["module"], *(link["module"] for link in circle[:-1])]

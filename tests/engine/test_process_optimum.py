"""Layers, solved in three ways, on chains whose joint optimum is known."""

import numpy as np
import pytest

from engine import surrogates
from engine.errors import ParameterError, ProblemError, ProcessGraphError, ShapeError
from engine.optimize import minimize
from engine.problem import Limit, Problem, Term, Variable
from engine.process import Module, ModuleInput, ProcessGraph
from engine.process_model import ProcessModel
from engine.process_optimum import MODES, optimize_process
from engine.solvers import SolverStateError, from_bytes, to_bytes
from engine.trust import DistanceEnvelope


class Formula:
    """A model given by a function of its columns, with the ranges and spreads that a trained one would tell."""

    def __init__(self, inputs, outputs, function, ranges, sd):
        self.inputs, self.outputs, self._function = tuple(inputs), tuple(outputs), function
        self.input_ranges, self.output_sd = np.array(ranges, dtype=float), np.array(sd, dtype=float)

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        return np.column_stack([np.broadcast_to(y, len(X)) for y in self._function(*X.T)])


def link(tag, source, source_tag=None):
    return ModuleInput(tag, "link", source, source_tag)


GRAPH = ProcessGraph(
    (
        Module("top", (link("p", "split"), link("rest", "split", "q")), ("cost",)),
        Module("split", (ModuleInput("u"),), ("p", "q")),
    )
)
TOP = Formula(["p", "rest"], ["cost"], lambda p, q: [(p - 0.9) ** 2 + 4 * (q - 0.9) ** 2], [[0, 1], [0, 1]], [1])
SPLIT = Formula(["u"], ["p", "q"], lambda u: [u, 1 - u], [[0, 1]], [0.3, 0.6])
CHAIN = ProcessModel(GRAPH, {"top": TOP, "split": SPLIT})
PROBLEM = Problem((Variable("u", 0, 1),), terms=(Term("minimize", "cost"),))
"""What is fed up is shared out, p + q = 1, but the top wants 0.9 of both. Joint optimum: u = 0.26, cost 0.512. Top-down
the lower module weighs misses by their sd, hits p = 0.9 and pays 2.56."""


def solved(mode, **asked):
    return optimize_process(CHAIN, PROBLEM, **({"mode": mode, "solver": "de", "budget": 4000} | asked))


def test_the_whole_graph_is_predicted_in_one_pass_as_module_by_module():
    u = np.linspace(0, 1, 7)

    Y = CHAIN.predict(u[:, None])

    assert CHAIN.inputs == ("u",)
    assert CHAIN.outputs == ("p", "q", "cost")
    split = SPLIT.predict(u[:, None])
    np.testing.assert_array_equal(Y, np.column_stack([split, TOP.predict(split)]))


def test_greedy_top_down_misses_the_joint_optimum():
    found = solved("cascade")

    assert found.promised == pytest.approx(0, abs=1e-4)
    assert found.objective == pytest.approx(4 * 0.8**2, rel=0.02)
    q = next(each for each in found.links if each.source_tag == "q")
    assert (q.module, q.tag, q.source) == ("top", "rest", "split")
    assert q.target == pytest.approx(0.9, abs=0.01)
    assert q.miss == pytest.approx(q.reached - q.target)
    assert q.miss_sd == pytest.approx(q.miss / 0.6)
    assert q.promised == pytest.approx(q.reached)


@pytest.mark.parametrize("mode", ["joint", "negotiated"])
def test_joint_and_negotiated_reach_it(mode):
    found = solved(mode, budget=12_000)

    assert found.objective == pytest.approx(0.512, rel=0.01)
    assert found.inputs["u"] == pytest.approx(0.26, abs=0.02)


def test_the_talks_close_the_gap_round_by_round():
    found = solved("negotiated", budget=12_000)

    assert found.rounds[0].worst_miss_sd > 0.5
    assert min(each.worst_miss_sd for each in found.rounds) < 0.05
    assert found.promised == pytest.approx(found.objective, rel=0.1)


def test_modules_that_share_an_input_talk_of_it():
    # the same chain, but p and q are made by two modules that share u: whoever sets it first must hear of the other
    graph = ProcessGraph(
        (
            Module("top", (link("p", "left"), link("q", "right")), ("cost",)),
            Module("left", (ModuleInput("u"),), ("p",)),
            Module("right", (ModuleInput("u"),), ("q",)),
        )
    )
    models = {
        "top": Formula(["p", "q"], ["cost"], lambda p, q: [(p - 0.9) ** 2 + 4 * (q - 0.9) ** 2], [[0, 1], [0, 1]], [1]),
        "left": Formula(["u"], ["p"], lambda u: [u], [[0, 1]], [0.3]),
        "right": Formula(["u"], ["q"], lambda u: [1 - u], [[0, 1]], [0.3]),
    }

    found = optimize_process(ProcessModel(graph, models), PROBLEM, mode="negotiated", solver="de", budget=12_000)

    assert found.objective == pytest.approx(0.512, rel=0.01)
    assert found.inputs["u"] == pytest.approx(0.26, abs=0.02)


def test_talks_that_end_without_agreement_say_so_and_promise_nothing():
    found = solved("negotiated", budget=160)

    assert len(found.rounds) == 2
    assert any("after 2 rounds without agreement" in note and "larger budget" in note for note in found.notes)


def test_nothing_is_wanted_of_links_in_the_joint_mode():
    found = solved("joint")

    assert all(each.target is None and each.miss is None for each in found.links)
    assert {each.source_tag: each.reached for each in found.links} == pytest.approx(
        {"p": found.inputs["u"], "q": 1 - found.inputs["u"]}
    )
    assert found.promised == found.objective


def test_limits_hold_at_every_layer():
    limited = Problem(PROBLEM.variables, terms=PROBLEM.terms, limits=(Limit("q", upper=0.5),))

    for mode in MODES:
        found = optimize_process(CHAIN, limited, mode=mode, solver="de", budget=6000)

        assert found.is_feasible, mode
        assert found.outputs["q"] <= 0.5 + 1e-9


@pytest.mark.parametrize("mode", MODES)
def test_a_run_resumed_from_any_step_ends_as_it_would_have(mode):
    states = []
    whole = solved(mode, budget=1200, on_step=lambda step: states.append(to_bytes(step.state())))

    for state in states[:: max(1, len(states) // 5)]:
        assert solved(mode, budget=1200, resume=from_bytes(state)) == whole


def test_steps_tell_the_stage_and_never_go_beyond_the_budget():
    told = []

    solved("cascade", on_step=told.append)

    assert {step.stage for step in told} == {"top", "split, targets"}
    assert [step.evaluations for step in told] == sorted(step.evaluations for step in told)
    assert told[-1].evaluations <= 4000


@pytest.mark.parametrize("mode", MODES)
def test_steps_can_report_on_the_best_point_of_their_stage(mode):
    told = []

    solved(mode, budget=600, on_step=told.append)

    assert all(step.best().objective == pytest.approx(step.objective, rel=1e-9) for step in told)


@pytest.mark.parametrize("mode", ["cascade", "negotiated"])
def test_a_budget_too_little_for_every_module_is_said_and_what_is_given_instead_is_counted_on(mode):
    told = []

    found = solved(mode, budget=1, on_step=told.append)

    assert all(step.evaluations <= step.budget == 80 for step in told)
    assert found.evaluations == 80
    assert any("A budget of 1 is too little for 2 searches" in note for note in found.notes)
    assert not any("too little" in note for note in solved(mode, budget=80).notes)


def test_a_module_with_a_target_and_an_objective_of_its_own_hits_the_target_first():
    graph = ProcessGraph(
        (
            Module("top", (link("x", "lower"),), ("y",)),
            Module("lower", (ModuleInput("a"), ModuleInput("b")), ("x", "effort")),
        )
    )
    models = {
        "top": Formula(["x"], ["y"], lambda x: [(x - 1) ** 2], [[0, 2]], [1]),
        "lower": Formula(["a", "b"], ["x", "effort"], lambda a, b: [a + b, 3 * a + b], [[0, 1], [0, 1]], [0.5, 1]),
    }
    problem = Problem(
        (Variable("a", 0, 1), Variable("b", 0, 1)), terms=(Term("minimize", "y"), Term("minimize", "effort"))
    )

    found = optimize_process(ProcessModel(graph, models), problem, mode="cascade", solver="de", budget=6000)

    assert found.outputs["x"] == pytest.approx(1, abs=0.02)
    assert found.outputs["effort"] == pytest.approx(1, abs=0.05)  # b alone: 1, where a alone would cost 3


def test_a_control_of_two_modules_is_one_and_the_upper_module_decides_it():
    graph = ProcessGraph(
        (
            Module("top", (link("x", "lower"), ModuleInput("s")), ("y",)),
            Module("lower", (ModuleInput("s"), ModuleInput("u")), ("x",)),
        )
    )
    models = {
        "top": Formula(["x", "s"], ["y"], lambda x, s: [(x - 1) ** 2 + (s - 0.5) ** 2], [[0, 2], [0, 1]], [1]),
        "lower": Formula(["s", "u"], ["x"], lambda s, u: [s + u], [[0.2, 1], [0, 1]], [0.5]),
    }
    process = ProcessModel(graph, models)
    problem = Problem((Variable("s", 0, 1), Variable("u", 0, 1)), terms=(Term("minimize", "y"),))

    found = optimize_process(process, problem, mode="cascade", solver="de", budget=6000)

    assert process.inputs == ("s", "u")
    assert process.ranges() == {"s": (0.2, 1.0), "u": (0.0, 1.0)}
    assert found.inputs == pytest.approx({"s": 0.5, "u": 0.5}, abs=0.02)
    assert found.modules[0].inputs["s"] == found.modules[1].inputs["s"]


def loop():
    """Return a process whose lower module takes what the upper one makes: gas temperature, as in an air preheater."""
    graph = ProcessGraph(
        (
            Module("boiler", (link("air", "preheater"), ModuleInput("fuel")), ("gas",)),
            Module("preheater", (ModuleInput("gas", "disturbance"),), ("air",)),
        )
    )
    models = {
        "boiler": Formula(["air", "fuel"], ["gas"], lambda air, fuel: [air + fuel], [[0, 9], [0, 5]], [2.0]),
        "preheater": Formula(["gas"], ["air"], lambda gas: [gas / 2], [[0, 9]], [1.0]),
    }
    return ProcessModel(graph, models)


def test_a_stream_that_closes_a_loop_is_named_as_a_cut_and_its_mismatch_told():
    process = loop()
    problem = Problem((Variable("fuel", 0, 5),), {"gas (assumed)": 4.0}, (Term("target", "gas", value=5.0),))

    found = optimize_process(process, problem, solver="de", budget=500)

    assert process.roles == {"gas (assumed)": "cut", "fuel": "control"}
    assert found.outputs["gas"] == pytest.approx(5, abs=1e-3)
    assert found.cuts[0]["assumed"] == 4.0
    assert found.cuts[0]["mismatch"] == pytest.approx(1, abs=1e-3)
    assert found.cuts[0]["mismatch_sd"] == pytest.approx(0.5, abs=1e-3)


def test_a_cut_can_be_closed():
    variables = (Variable("fuel", 0, 5), Variable("gas (assumed)", 0, 9))
    problem = Problem(variables, terms=(Term("target", "gas", value=5.0),))

    found = optimize_process(loop(), problem, solver="de", budget=4000, closes_cuts=True)

    assert found.is_feasible
    assert abs(found.cuts[0]["mismatch_sd"]) <= 0.0101
    assert found.inputs["fuel"] == pytest.approx(2.5, abs=0.05)  # gas = gas / 2 + fuel


@pytest.mark.parametrize("mode", ["cascade", "negotiated"])
def test_a_cut_is_closed_in_the_joint_mode_only(mode):
    variables = (Variable("fuel", 0, 5), Variable("gas (assumed)", 0, 9))
    problem = Problem(variables, terms=(Term("target", "gas", value=5.0),))

    with pytest.raises(ParameterError, match="cuts are closed in the mode 'joint'") as refused:
        optimize_process(loop(), problem, mode=mode, budget=500, closes_cuts=True)

    assert refused.value.details["parameter"] == "closes_cuts"


def test_a_control_of_modules_that_have_seen_nothing_in_common_may_go_where_any_of_them_has():
    graph = ProcessGraph((Module("one", (ModuleInput("s"),), ("x",)), Module("other", (ModuleInput("s"),), ("y",))))
    models = {
        "one": Formula(["s"], ["x"], lambda s: [s], [[0, 1]], [1]),
        "other": Formula(["s"], ["y"], lambda s: [s], [[5, 6]], [1]),
    }

    assert ProcessModel(graph, models).ranges() == {"s": (0.0, 6.0)}


def test_every_module_is_held_to_its_own_envelope():
    history = np.linspace(0, 0.2, 50)[:, None]

    found = solved("joint", envelopes={"split": DistanceEnvelope.fit(history, ["u"])})

    assert found.is_feasible
    assert found.inputs["u"] == pytest.approx(0.2, abs=0.03)
    assert found.trust["modules"]["split"]["is_inside"]


def test_the_answer_is_held_against_the_operating_point_of_now():
    found = solved("joint", current={"u": 0.9})

    assert found.comparison.gain == pytest.approx(2.56 - 0.512, rel=0.01)
    assert found.comparison.changes[0].tag == "u"


@pytest.mark.parametrize("mode", MODES)
def test_an_operating_point_that_lacks_a_variable_is_refused_before_the_work(mode):
    steps = []

    with pytest.raises(ProblemError, match="current has no value for 'u'"):
        solved(mode, current={"v": 0.9}, on_step=steps.append)

    assert steps == []


def test_a_linear_chain_has_the_optimum_of_its_closed_form():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(200, 2))
    low = surrogates.fit("linear", X, X @ [[1.0], [2.0]] + 0.5, inputs=["a", "b"], outputs=["m"])
    Z = np.column_stack([X @ [1.0, 2.0] + 0.5, rng.uniform(-1, 1, 200)])
    top = surrogates.fit("linear", Z, Z @ [[3.0], [-1.0]], inputs=["m", "c"], outputs=["z"])
    graph = ProcessGraph(
        (
            Module("top", (link("m", "low"), ModuleInput("c")), ("z",)),
            Module("low", (ModuleInput("a"), ModuleInput("b")), ("m",)),
        )
    )
    problem = Problem(
        tuple(Variable(tag, -1, 1) for tag in "abc"),
        terms=(Term("maximize", "z"),),
        limits=(Limit("a + b", upper=0.5),),
    )

    found = optimize_process(ProcessModel(graph, {"top": top, "low": low}), problem, solver="de", budget=6000)

    # a + 2 b with a + b <= 0.5 is largest at b = 1, a = -0.5; z = 3 (0.5 + 1.5) - c, c = -1
    assert found.inputs == pytest.approx({"a": -0.5, "b": 1.0, "c": -1.0}, abs=1e-2)
    assert found.outputs["z"] == pytest.approx(7, abs=0.02)


def test_several_objectives_are_for_the_whole_process():
    problem = Problem(
        PROBLEM.variables, terms=(Term("minimize", "p", objective="a"), Term("minimize", "q", objective="b"))
    )

    found = optimize_process(CHAIN, problem, budget=600, n_recipes=5)

    assert len(found.front.recipes) == 5
    with pytest.raises(ProblemError, match="mode 'joint'"):
        optimize_process(CHAIN, problem, mode="cascade", budget=600)


def test_what_no_module_alone_can_serve_is_refused_layer_by_layer():
    modules = (*GRAPH.modules, Module("aside", (ModuleInput("w"),), ("waste",)))
    aside = Formula(["w"], ["waste"], lambda w: [w], [[0, 1]], [1])
    process = ProcessModel(ProcessGraph(modules), {"top": TOP, "split": SPLIT, "aside": aside})
    variables = (*PROBLEM.variables, Variable("w", 0, 1))

    for of, refusal in (("cost + waste", "outputs of 'aside', 'top'"), ("cost + u", "which no module has together")):
        across = Problem(variables, terms=(Term("minimize", of),))
        assert optimize_process(process, across, solver="de", budget=300).is_feasible
        with pytest.raises(ProblemError, match=refusal):
            optimize_process(process, across, mode="cascade", budget=300)


def test_a_yield_on_what_another_module_makes_belongs_to_the_module_that_takes_it():
    graph = ProcessGraph(
        (
            Module("mill", (link("feed", "feeder"), ModuleInput("air")), ("powder",)),
            Module("feeder", (ModuleInput("speed"),), ("feed",)),
        )
    )
    models = {
        "mill": Formula(["feed", "air"], ["powder"], lambda f, a: [f * (1 - (a - f) ** 2)], [[0.2, 1], [0, 1]], [1]),
        "feeder": Formula(["speed"], ["feed"], lambda s: [s / 2], [[0, 2]], [0.2]),
    }
    problem = Problem(
        (Variable("air", 0, 0.4), Variable("speed", 0.4, 2)),
        terms=(Term("maximize", "powder / feed"), Term("maximize", "powder", weight=0.1)),
    )

    for mode in MODES:
        found = optimize_process(ProcessModel(graph, models), problem, mode=mode, solver="de", budget=6000)

        # the air is scarce: a = 0.4, and f between the best yield, f = 0.4, and the most powder
        f = np.linspace(0.2, 1, 100_001)
        cost = np.array([term.weight / term.scale for term in found.terms]) @ [
            1 - (0.4 - f) ** 2,
            f * (1 - (0.4 - f) ** 2),
        ]
        assert found.outputs["feed"] == pytest.approx(f[cost.argmax()], abs=0.01), mode


def test_an_answer_goes_to_json():
    plain = solved("negotiated", budget=500).to_json()

    assert plain["links"][0]["source"] == "split"
    assert plain["rounds"][0]["number"] == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ProcessGraphError, match="'split' has no model"):
        ProcessModel(GRAPH, {"top": TOP})
    with pytest.raises(ProcessGraphError, match="other inputs than the module: 'p', 'rest', 'u'"):
        ProcessModel(GRAPH, {"top": SPLIT, "split": SPLIT})
    with pytest.raises(ProcessGraphError, match="no input of it"):
        solved("joint", envelopes={"split": DistanceEnvelope.fit([[0.0], [1.0]], ["v"])})
    with pytest.raises(ParameterError, match="mode must be one of joint"):
        solved("sideways")
    with pytest.raises(SolverStateError, match="not the state of a run over a process"):
        solved("cascade", resume={"version": 2})
    with pytest.raises(ShapeError, match="1 inputs"):
        CHAIN.predict(np.zeros((2, 3)))
    with pytest.raises(ProblemError, match="needs a value for"):
        minimize(Problem((Variable("fuel", 0, 5),), terms=(Term("minimize", "gas"),)), loop(), budget=10)

"""Certificates by second ways to the optimum: brute force over cells, linear programs, dense grids."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from engine import surrogates
from engine.errors import ParameterError
from engine.exact import NotEligible, certify, eligible
from engine.exact import certificate as certificates
from engine.exact import program as programs
from engine.expressions import Expression
from engine.optimize import minimize
from engine.problem import Limit, Problem, Term, Variable
from engine.process import Module, ModuleInput, ProcessGraph
from engine.process_model import ProcessModel
from engine.trust import DistanceEnvelope, PolyhedralEnvelope

TAGS = ("a", "b", "c")
BOX = tuple(Variable(tag, -1.0, 1.0) for tag in TAGS)


def trained(kind, seed=0, n=120, **params):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3))
    Y = np.column_stack([np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2], X.sum(axis=1)])
    return surrogates.fit(kind, X, Y, inputs=TAGS, outputs=("y", "z"), params=params, seed=seed)


def cells(model):
    """Return a point inside of every cell that the trees cut the box into, on the open side of its thresholds."""
    trees = model.form
    axes = []
    for j in range(3):
        cuts = np.unique(trees.threshold[trees.feature == j])
        edges = np.concatenate([[-1.0], cuts[(cuts > -1) & (cuts < 1)], [1.0]])
        axes.append((edges[:-1] + edges[1:]) / 2)
    return np.array(list(itertools.product(*axes)))


SMALL = [
    ("random_forest", {"n_trees": 4, "max_depth": 3}),
    ("extra_trees", {"n_trees": 3, "max_depth": 3}),
    ("hist_gradient_boosting", {"n_iterations": 4, "max_leaves": 5}),
]


@pytest.mark.parametrize(("kind", "params"), SMALL)
@pytest.mark.parametrize("seed", [0, 1])
def test_trees_are_proved_to_the_optimum_of_all_cells(kind, params, seed):
    model = trained(kind, seed, **params)
    best = model.predict(cells(model))[:, 0].min()

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),)), model)

    assert found.is_proven
    assert found.value == pytest.approx(best, abs=1e-9)
    assert found.bound == pytest.approx(best, abs=1e-5)
    assert found.outputs["y"] == found.value


def test_limits_weights_and_fixed_inputs_are_in_the_proof():
    model = trained("random_forest", n_trees=4, max_depth=3)
    points = cells(model)
    points = points[np.isin(points[:, 2], points[np.abs(points[:, 2] - 0.3).argmin(), 2])]
    points[:, 2] = 0.3
    Y = model.predict(points)
    allowed = Y[:, 1] >= 0.2
    problem = Problem(
        BOX[:2], {"c": 0.3}, (Term("maximize", "2 * y - z", scale=1.0),), (Limit("z", lower=0.2, scale=1.0),)
    )

    found = certify(problem, model)

    assert found.is_proven
    assert found.value == pytest.approx((-2 * Y[:, 0] + Y[:, 1])[allowed].min(), abs=1e-6)


def test_a_linear_model_is_proved_to_the_optimum_of_a_linear_program():
    model = trained("linear")
    base, slopes = model.predict(np.zeros((1, 3)))[0], model.predict(np.eye(3)) - model.predict(np.zeros((1, 3)))
    wanted = linprog(slopes[:, 0], A_ub=[slopes[:, 1]], b_ub=[0.5 - base[1]], bounds=[(-1, 1)] * 3)

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),), limits=(Limit("z", upper=0.5, scale=1.0),)), model)

    assert found.is_proven
    assert found.value == pytest.approx(wanted.fun + base[0], abs=1e-6)


def test_a_network_is_proved_to_what_a_dense_grid_comes_near():
    model = trained("neural_network", n_units=6, n_members=1, n_epochs=20)
    axis = np.linspace(-1, 1, 41)
    best = model.predict(np.array(list(itertools.product(axis, axis, axis))))[:, 0].min()

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),)), model)

    assert found.is_proven
    assert best - 0.1 < found.value <= best + 1e-6


def test_a_target_is_an_absolute_distance():
    model = trained("random_forest", n_trees=3, max_depth=3)
    best = np.abs(model.predict(cells(model))[:, 0] - 0.4).min()

    found = certify(Problem(BOX, terms=(Term("target", "y", value=0.4),)), model)

    assert found.value == pytest.approx(best, abs=1e-6)
    assert found.is_proven


def test_whole_numbers_are_kept():
    model = trained("linear")
    variables = (Variable("a", -1, 1, type="integer"), Variable("b", -1, 1, type="stepped", step=0.75), BOX[2])

    found = certify(Problem(variables, terms=(Term("target", "y", value=0.1),)), model)

    assert found.inputs["a"] in {-1, 0, 1}
    assert found.inputs["b"] in {-1, -0.25, 0.5}


def test_the_proof_speaks_of_the_envelope_that_the_solver_kept():
    model = trained("random_forest", n_trees=3, max_depth=3)
    history = np.random.default_rng(0).normal(0, 0.3, size=(300, 3)).clip(-1, 1)
    envelope = PolyhedralEnvelope.fit(history, TAGS, level=0.9)
    problem = Problem(BOX, terms=(Term("minimize", "y"),))
    searched = minimize(problem, model, solver="de", budget=4000, envelope=envelope)

    found = certify(problem, model, envelope=envelope, start={tag: searched.inputs[tag] for tag in TAGS})

    assert found.is_proven
    assert found.value <= searched.objective + 1e-9
    assert found.value == pytest.approx(searched.objective, abs=0.1)
    assert envelope.violation(np.array([[found.inputs[tag] for tag in TAGS]]))[0] == 0
    assert found.value >= certify(problem, model).value - 1e-9


def chain(kind="random_forest", **params):
    rng = np.random.default_rng(4)
    X = rng.uniform(-1, 1, size=(150, 2))
    m = np.sin(2 * X[:, [0]]) + X[:, [1]]
    low = surrogates.fit(kind, X, m, inputs=("a", "b"), outputs=("m",), params=params, seed=1)
    Z = np.column_stack([m, rng.uniform(-1, 1, 150)])
    top = surrogates.fit(
        kind, Z, np.cos(2 * Z[:, [0]]) + Z[:, [0]] * Z[:, [1]], inputs=("m", "c"), outputs=("w",), params=params, seed=2
    )
    graph = ProcessGraph(
        (
            Module("top", (ModuleInput("m", "link", "low"), ModuleInput("c")), ("w",)),
            Module("low", (ModuleInput("a"), ModuleInput("b")), ("m",)),
        )
    )
    return ProcessModel(graph, {"top": top, "low": low})


def test_a_whole_process_is_proved_in_one_program():
    process = chain(n_trees=3, max_depth=3)
    axis = np.linspace(-1, 1, 201)
    a, b = np.meshgrid(axis, axis)
    low = process.part("low").predict(np.column_stack([a.ravel(), b.ravel()]))
    reachable = np.unique(low)
    best = min(
        process.part("top").predict(np.column_stack([reachable, np.full(len(reachable), c)])).min()
        for c in np.linspace(-1, 1, 401)
    )

    found = certify(Problem(BOX, terms=(Term("minimize", "w"),), limits=(Limit("m", lower=-1.0, scale=1.0),)), process)

    assert found.is_proven
    assert found.value == pytest.approx(best, abs=1e-6)
    assert found.value == pytest.approx(process.predict([[found.inputs[tag] for tag in process.inputs]])[0, 1])


def test_what_cannot_be_feasible_is_proved_to_be_so():
    model = trained("linear")

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),), limits=(Limit("z", lower=99.0),)), model)

    assert found.is_infeasible
    assert (found.value, found.bound, found.is_proven) == (None, None, False)


def test_a_known_optimum_is_confirmed():
    model = trained("random_forest", n_trees=4, max_depth=3)
    problem = Problem(BOX, terms=(Term("minimize", "y"),))
    best = certify(problem, model)

    again = certify(problem, model, start={tag: best.inputs[tag] for tag in TAGS})

    assert again.is_proven
    assert again.value == pytest.approx(best.value, abs=1e-9)


def test_an_answer_that_the_models_do_not_confirm_certifies_nothing(monkeypatch):
    model = trained("linear")
    answered = certificates.answered

    def wrong(*asked):
        answer = answered(*asked)
        return answer | {"value": answer["value"] - 0.5, "bound": answer["bound"] - 0.5}

    monkeypatch.setattr(certificates, "answered", wrong)

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),)), model)

    assert (found.status, found.bound, found.is_proven) == ("mismatch", None, False)
    assert "the models give" in found.reason


@pytest.mark.parametrize("off", [-0.5, 0.5])
def test_trees_that_are_not_those_of_the_model_certify_nothing(monkeypatch, off):
    model = trained("random_forest", n_trees=4, max_depth=3)
    read = programs.read_leaves

    def wrong(*asked):
        leaves = read(*asked)
        return leaves._replace(values=leaves.values + off)

    monkeypatch.setattr(programs, "read_leaves", wrong)

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),)), model, start=dict.fromkeys(TAGS, 0.0))

    assert (found.status, found.bound, found.is_proven) == ("mismatch", None, False)


def test_trees_that_no_point_can_please_are_proved_infeasible():
    model = trained("random_forest", n_trees=4, max_depth=3)

    found = certify(Problem(BOX, terms=(Term("minimize", "y"),), limits=(Limit("z", lower=99.0, scale=1.0),)), model)

    assert found.is_infeasible
    assert (found.status, found.value, found.bound) == ("infeasible", None, None)


def test_a_proof_that_takes_too_long_is_ended_and_says_so():
    model = trained("extra_trees", n=400, n_trees=40, min_rows_leaf=1)
    problem = Problem(BOX, terms=(Term("minimize", "y"),))

    found = certify(problem, model, start=dict.fromkeys(TAGS, 0.0), time_limit=0.5)

    assert found.status in {"time limit", "failed"}
    assert not found.is_proven
    assert found.value is not None
    assert found.seconds < 20


def test_whoever_waits_can_end_it():
    class StopError(Exception):
        pass

    def stop(_seconds):
        raise StopError

    model = trained("extra_trees", n=400, n_trees=40, min_rows_leaf=1)

    with pytest.raises(StopError):
        certify(Problem(BOX, terms=(Term("minimize", "y"),)), model, on_wait=stop)


def test_what_cannot_be_proved_is_refused_with_every_reason():
    model = trained("gaussian_process")
    problem = Problem(BOX, terms=(Term("minimize", "y * z"),), limits=(Limit("abs(a)", upper=0.5),))
    envelope = DistanceEnvelope.fit(np.zeros((3, 3)), TAGS)

    reasons = eligible(problem, model, envelope)

    assert len(reasons) == 4
    with pytest.raises(NotEligible, match="gaussian_process"):
        certify(problem, model, envelope=envelope)
    with pytest.raises(ParameterError, match="time limit"):
        certify(Problem(BOX, terms=(Term("minimize", "y"),)), trained("linear"), time_limit=0)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2 * a - b / 4 + 3", (3.0, {"a": 2.0, "b": -0.25})),
        ("-(a - 2 * (b + 1)) * 3", (6.0, {"a": -3.0, "b": 6.0})),
        ("`T 1` * sqrt(4) + 2 ** 3", (8.0, {"T 1": 2.0})),
        ("a * b", None),
        ("1 / a", None),
        ("a ** 2", None),
        ("abs(a)", None),
        ("a / 0", None),
    ],
)
def test_an_expression_knows_whether_it_is_affine(text, wanted):
    assert Expression.parse(text).affine() == wanted

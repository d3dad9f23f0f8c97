"""All ways to a prediction give the same bits; which one is taken was measured, and is stored."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from engine.errors import ModelFileError
from engine.surrogates import fit, measure_routes, router
from engine.surrogates import routes as routes_module
from engine.surrogates.model_file import from_bytes, to_bytes
from engine.surrogates.router import WAYS
from engine.surrogates.routes import BATCHES, Routes, Step, routes_from_json, routes_to_json, with_routes

TREES = {
    "random_forest": {"n_trees": 8},
    "extra_trees": {"n_trees": 8},
    "hist_gradient_boosting": {"n_iterations": 8},
}
PARAMS = TREES | {"auto": {"budget": 3}, "neural_network": {"n_units": 8, "n_members": 1, "n_epochs": 1}}


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch):
    monkeypatch.setattr(routes_module, "LONG_ENOUGH", 0.01)
    for way in ("onnxruntime", "scikit-learn"):
        monkeypatch.setitem(router.IMPORT_PRICE, way, 0)
        monkeypatch.setitem(router.NODE_PRICE, way, 0)


def trained(kind="random_forest", **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    Y = np.stack([X[:, 0] * X[:, 1], np.abs(X[:, 2])], axis=1)
    return fit(kind, X, Y, inputs=list("abc"), outputs=["y", "z"], params=PARAMS.get(kind, {}), **options)


def always(way):
    return Routes((Step(1, way, {}),))


def at_thresholds(trees, n):
    """Return n rows of which one number is a threshold or the next float64 on a side of it."""
    X = np.random.default_rng(1).normal(size=(n, 3))
    splits = np.flatnonzero(trees.feature >= 0)
    for i, split in enumerate(np.random.default_rng(2).choice(splits, n)):
        at = trees.threshold[split]
        X[i, trees.feature[split]] = [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf)][i % 3]
    return X


def ways_taken(form, X):
    """Return the ways that found the leaves of X."""
    seen = []
    own, numpy = router.make, type(form).leaves
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(router, "make", lambda way, *given: seen.append(way) or own(way, *given))
        patch.setattr(type(form), "leaves", lambda self, X: seen.append("numpy") or numpy(self, X))
        replace(form).predict(X)
    return seen


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.parametrize("n", [0, 1, 30, 1000])
def test_all_ways_give_the_same_bits(kind, n):
    form = trained(kind).form
    X = at_thresholds(form, n)

    leaves = {way: router.make(way, form, 3)(X) for way in WAYS}
    predictions = {way: with_routes(form, [always(way)]).predict(X) for way in WAYS}

    for way in WAYS:
        np.testing.assert_array_equal(leaves[way], form.leaves(X))
        np.testing.assert_array_equal(predictions[way], form.predict(X))


@pytest.mark.parametrize("way", WAYS)
def test_a_tree_that_is_a_single_leaf_and_an_input_without_a_split_are_walked_too(way):
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[:, 1] = 5.0
    Y = np.where(X[:, [0]] > 0, 3.0, 1.0)
    form = fit("random_forest", X, Y, inputs=list("abc"), outputs=["y"], params={"n_trees": 4, "max_depth": 1}).form
    lonely = fit("random_forest", X, 0 * Y + 2.5, inputs=list("abc"), outputs=["y"], params={"n_trees": 3}).form

    np.testing.assert_array_equal(router.make(way, form, 3)(X), form.leaves(X))
    np.testing.assert_array_equal(router.make(way, lonely, 3)(X), lonely.leaves(X))


@pytest.mark.parametrize("kind", ["random_forest", "linear", "neural_network"])
def test_a_measured_model_predicts_as_before_and_keeps_its_routes_in_the_file(kind):
    model = trained(kind)
    X = np.random.default_rng(1).normal(size=(40, 3))

    measured = measure_routes(model)
    again = from_bytes(to_bytes(measured))

    np.testing.assert_array_equal(measured.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert routes_to_json(again.form) == routes_to_json(measured.form)
    assert (routes_to_json(again.form) is not None) == (kind == "random_forest")
    assert to_bytes(again) == to_bytes(measured)


def test_every_way_is_measured_for_every_number_of_rows():
    shares = []

    (steps,) = routes_to_json(measure_routes(trained(), on_step=shares.append).form)

    assert [step["n_rows"] for step in steps] == list(BATCHES)
    assert all(step["seconds"].keys() == set(WAYS) for step in steps)
    assert all(step["seconds"][step["way"]] <= step["seconds"]["numpy"] for step in steps)
    assert shares == [1.0]


def test_members_of_a_blend_are_measured_each_for_itself():
    blend = trained("auto", folds=None)
    forest, linear = trained("random_forest").form, trained("linear").form
    members = tuple(
        replace(blend.form.members[0], kind=k, form=f) for k, f in (("random_forest", forest), ("linear", linear))
    )
    model = replace(blend, form=replace(blend.form, members=members, weights=np.full((2, 2), 0.5)))

    again = from_bytes(to_bytes(measure_routes(model)))

    assert again.form.members[0].form.routes is not None
    assert routes_to_json(again.form)[1] is None


def test_ways_are_timed_on_rows_that_lie_where_trees_split():
    form = trained().form

    rows = routes_module._rows(form, np.random.default_rng(0))

    assert rows.shape == (max(BATCHES), 3)
    for j in range(3):
        assert np.isin(rows[:, j], form.threshold[form.feature == j]).all()
    assert len(np.unique(form.leaves(rows)[:, 0])) > (form.feature < 0).sum() / 8 / 2  # half of a tree's leaves


def test_the_way_of_the_nearest_number_of_rows_is_taken():
    steps = (Step(1, "onnxruntime", {}), Step(30, "numpy", {}), Step(1000, "scikit-learn", {}))
    form = with_routes(trained().form, [Routes(steps)])
    X = np.random.default_rng(1).normal(size=(1000, 3))

    taken = {n: ways_taken(form, X[:n]) for n in (1, 5, 6, 170, 180, 1000)}

    assert taken == {
        1: ["onnxruntime"],
        5: ["onnxruntime"],
        6: ["numpy"],
        170: ["numpy"],
        180: ["scikit-learn"],
        1000: ["scikit-learn"],
    }


@pytest.mark.parametrize(
    ("way", "module"), [("onnxruntime", "engine.surrogates.compiled"), ("scikit-learn", "engine.surrogates.walked")]
)
def test_without_its_library_a_model_predicts_the_same_by_numpy(monkeypatch, way, module):
    model = trained()
    X = np.random.default_rng(1).normal(size=(30, 3))
    content = to_bytes(replace(model, form=with_routes(model.form, [always(way)])))
    monkeypatch.setitem(sys.modules, module, None)

    loaded = from_bytes(content)
    steps = routes_to_json(measure_routes(loaded).form)[0]

    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert all(way not in step["seconds"] for step in steps)


@pytest.mark.parametrize(("seconds", "way"), [([1.0, 0.95, 2.0], "numpy"), ([1.0, 0.8, 0.7], "scikit-learn")])
def test_another_way_than_numpy_must_be_worth_it(seconds, way):
    ticks = iter(np.cumsum(np.stack([np.zeros(15), np.tile(seconds, 5)], axis=1)))
    ways = dict.fromkeys(WAYS, lambda _rows: None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes_module, "LONG_ENOUGH", 60)
        step = routes_module._step(ways, np.zeros((7, 1)), lambda: float(next(ticks)))

    assert (step.n_rows, step.way) == (7, way)
    assert list(step.seconds.values()) == pytest.approx(seconds)


def test_a_busy_moment_does_not_decide():
    ticks = iter(np.cumsum([0, 1, 0, 1, 0, 50, 0, 1, 0, 3, 0, 1]))
    times = {"first": 0, "second": 0}

    def way(name):
        def run(_rows):
            times[name] += 1

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes_module, "LONG_ENOUGH", 60)
        patch.setattr(routes_module, "TIMES", 3)
        found = routes_module._seconds((way("first"), way("second")), np.zeros((1, 1)), lambda: float(next(ticks)))

    assert found == [1.0, 1.0]
    assert times == {"first": 4, "second": 4}  # once each before they are timed


STEP = {"n_rows": 30, "way": "numpy", "seconds": {"numpy": 0.5, "onnxruntime": 1}}


@pytest.mark.parametrize(
    "told",
    [
        {},
        [],
        [[STEP], [STEP]],
        ["numpy"],
        [[]],
        [[{}]],
        [STEP],
        [[STEP | {"more": 1}]],
        [[STEP | {"n_rows": 0}]],
        [[STEP | {"n_rows": True}]],
        [[STEP | {"n_rows": 1.0}]],
        [[STEP | {"way": "magic"}]],
        [[STEP | {"way": ["numpy"]}]],
        [[STEP | {"seconds": 1.0}]],
        [[STEP | {"seconds": {"magic": 1.0}}]],
        [[STEP | {"seconds": {"numpy": -2.0}}]],
        [[STEP | {"seconds": {"numpy": "2"}}]],
        [[STEP | {"seconds": {"numpy": True}}]],
        [[STEP, STEP]],
    ],
)
def test_stored_routes_that_are_none_are_refused(told):
    with pytest.raises(ModelFileError, match="route"):
        routes_from_json(told, trained().form)


def test_routes_of_what_has_none_are_refused():
    with pytest.raises(ModelFileError, match="not of trees"):
        routes_from_json([[STEP]], trained("linear").form)
    assert routes_from_json([[STEP]], trained().form).routes.way(1000) == "numpy"

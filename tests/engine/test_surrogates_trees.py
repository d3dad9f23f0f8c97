"""Trees: ours predict what scikit-learn's predict, and both routers find the same leaves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)

from engine.surrogates import fit
from engine.surrogates import router as router_module
from engine.surrogates.boosting import from_boosters
from engine.surrogates.compiled import compile_trees
from engine.surrogates.forests import from_forest
from engine.surrogates.params import MAX_DEPTH
from engine.surrogates.scaling import Scaling, last_true
from engine.surrogates.trees import LEAF, TreeEnsemble

FORESTS = {"random_forest": RandomForestRegressor, "extra_trees": ExtraTreesRegressor}
UNIT = Scaling(center=np.zeros(4), scale=np.ones(4))


def rows(n=400, m=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1.0, 30.0, 1e-3, 1e5] + [0.0, 200.0, 0.0, 1e6]
    Y = np.stack([X[:, 0] * X[:, 1], np.abs(X[:, 3])], axis=1)[:, :m] + rng.normal(size=(n, m))
    return X, Y


def in_and_around(thresholds):
    """Return each threshold with its neighbors in float64 and float32: where "goes left" may turn."""
    f32 = thresholds.astype(np.float32)
    neighbors = [np.nextafter(f32, np.float32(end)).astype(np.float64) for end in (-np.inf, np.inf)]
    halfway = [(f32 + neighbor) / 2 for neighbor in neighbors]
    points = [thresholds, f32.astype(np.float64), *neighbors, *halfway]
    return np.concatenate([np.nextafter(p, end) for p in points for end in (-np.inf, p, np.inf)])


def on_the_edges(trees, d=4):
    """Return rows, shape (k, d), whose every cell lies on or beside some threshold of its column."""
    rng = np.random.default_rng(1)
    split = trees.feature != LEAF
    thresholds = [trees.threshold[split & (trees.feature == j)] for j in range(d)]
    columns = [in_and_around(t if len(t) else np.zeros(1)) for t in thresholds]
    return np.stack([rng.choice(column, 3000) for column in columns], axis=1)


# The same predictions as scikit-learn's


@pytest.mark.parametrize("kind", sorted(FORESTS))
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_forest_predicts_what_scikit_learn_predicts_on_standardized_rows(kind, n_outputs):
    X, Y = rows(m=n_outputs)
    x_scaling, y_scaling = Scaling.of(X), Scaling.of(Y)
    targets = y_scaling.apply(Y)
    theirs = FORESTS[kind](20, min_samples_leaf=2, max_depth=MAX_DEPTH, random_state=3)
    theirs.fit(x_scaling.apply(X), targets if n_outputs > 1 else targets[:, 0])

    ours = fit(kind, X, Y, inputs=list("abcd"), outputs=list("yz")[:n_outputs],
               params={"n_trees": 20}, seed=3)  # fmt: skip

    queries = np.concatenate([X, rows(seed=9)[0], on_the_edges(ours.form)])
    expected = theirs.predict(x_scaling.apply(queries)).reshape(-1, n_outputs)
    np.testing.assert_allclose(
        (ours.predict(queries) - y_scaling.center) / y_scaling.scale, expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("kind", sorted(FORESTS))
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_forest_is_the_one_of_scikit_learn_to_the_last_bit(kind, n_jobs):
    X, Y = rows()
    x_scaling, y_scaling = Scaling.of(X), Scaling.of(Y)
    theirs = FORESTS[kind](20, min_samples_leaf=2, max_depth=MAX_DEPTH, random_state=3)
    theirs.fit(x_scaling.apply(X), y_scaling.apply(Y))
    expected = from_forest([tree.tree_ for tree in theirs.estimators_], x_scaling, y_scaling)

    ours = fit(kind, X, Y, inputs=list("abcd"), outputs=list("yz"), params={"n_trees": 20}, seed=3, n_jobs=n_jobs)

    assert {name: array.tobytes() for name, array in ours.form.arrays().items()} == {
        name: array.tobytes() for name, array in expected.arrays().items()
    }


@pytest.mark.parametrize("kind", sorted(FORESTS))
def test_rows_on_a_threshold_of_float32_go_where_scikit_learn_sends_them(kind):
    rng = np.random.default_rng(2)
    X = rng.integers(0, 60, size=(500, 4)) / 7.0
    theirs = FORESTS[kind](10, random_state=0).fit(X, X[:, 0] + rng.normal(size=500))
    raw = np.concatenate([tree.tree_.threshold for tree in theirs.estimators_])
    edges = in_and_around(raw[raw != -2])
    queries = np.stack([rng.permutation(edges) for _ in range(4)], axis=1)

    ours = from_forest([tree.tree_ for tree in theirs.estimators_], UNIT, Scaling(np.zeros(1), np.ones(1)))

    start = ours.root.astype(int)
    np.testing.assert_array_equal(ours.leaves(queries) - start, theirs.apply(queries))
    np.testing.assert_array_equal(compile_trees(ours)(queries) - start, theirs.apply(queries))


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_boosters_predict_what_scikit_learn_predicts(n_outputs):
    X, Y = rows(m=n_outputs)
    y_scaling = Scaling.of(Y)
    options = {"max_iter": 15, "min_samples_leaf": 10, "early_stopping": False, "max_depth": MAX_DEPTH}
    theirs = [HistGradientBoostingRegressor(**options).fit(X, column) for column in y_scaling.apply(Y).T]

    ours = fit("hist_gradient_boosting", X, Y, inputs=list("abcd"), outputs=list("yz")[:n_outputs],
               params={"n_iterations": 15})  # fmt: skip

    queries = np.concatenate([X, rows(seed=9)[0], on_the_edges(ours.form)])
    expected = np.stack([booster.predict(queries) for booster in theirs], axis=1)
    np.testing.assert_allclose(
        (ours.predict(queries) - y_scaling.center) / y_scaling.scale, expected, rtol=1e-12, atol=1e-12
    )
    converted = from_boosters(theirs, y_scaling)
    np.testing.assert_array_equal(converted.predict(queries), ours.predict(queries))


# The same leaves from both routers


@pytest.mark.parametrize("kind", [*sorted(FORESTS), "hist_gradient_boosting"])
@pytest.mark.parametrize("n", [0, 1, 30, 300])
def test_numpy_and_onnxruntime_find_the_same_leaves(kind, n):
    X, Y = rows()
    trees = fit(kind, X, Y, inputs=list("abcd"), outputs=["y", "z"]).form
    queries = on_the_edges(trees)[:n]

    by_numpy = trees.leaves(queries)
    by_onnxruntime = compile_trees(trees)(queries)

    np.testing.assert_array_equal(by_onnxruntime, by_numpy)
    assert by_onnxruntime.shape == (n, len(trees.root))
    assert (trees.feature[by_numpy] == LEAF).all()


def test_leaves_are_those_found_by_walking_node_by_node():
    X, Y = rows(80)
    trees = fit("random_forest", X, Y, inputs=list("abcd"), outputs=["y", "z"], params={"n_trees": 5}).form
    queries = on_the_edges(trees)[:40]

    def walk(x, node):
        while trees.feature[node] != LEAF:
            goes_left = x[trees.feature[node]] <= trees.threshold[node]
            node = trees.left[node] if goes_left else trees.right[node]
        return node

    by_hand = np.array([[walk(x, start) for start in trees.root] for x in queries])
    np.testing.assert_array_equal(trees.leaves(queries), by_hand)
    total = trees.base + trees.value[by_hand].sum(axis=1)
    np.testing.assert_allclose(trees.predict(queries), total, rtol=1e-13)


def test_trees_that_are_a_single_leaf_are_compiled_too():
    stump, split = [LEAF], [0, LEAF, LEAF]
    trees = TreeEnsemble(
        root=np.array([0, 1, 4], np.int32),
        feature=np.array(stump + split + stump, np.int32),
        threshold=np.array([0.0, 2.5, 0.0, 0.0, 0.0]),
        left=np.array([LEAF, 2, LEAF, LEAF, LEAF], np.int32),
        right=np.array([LEAF, 3, LEAF, LEAF, LEAF], np.int32),
        value=np.array([[1.0], [0.0], [10.0], [20.0], [300.0]]),
        base=np.array([5000.0]),
    )
    X = np.array([[2.5], [2.6], [-1.0]])

    np.testing.assert_array_equal(trees.leaves(X), [[0, 2, 4], [0, 3, 4], [0, 2, 4]])
    np.testing.assert_array_equal(compile_trees(trees)(X), trees.leaves(X))
    np.testing.assert_array_equal(trees.predict(X), [[5311.0], [5321.0], [5311.0]])


def test_compiling_waits_until_it_pays_and_changes_no_bit(monkeypatch):
    X, Y = rows(100)
    trees = fit("extra_trees", X, Y, inputs=list("abcd"), outputs=["y", "z"], params={"n_trees": 10}).form
    price = 1000.5 / len(trees.feature)  # in all 1000 walks: 100 rows through 10 trees
    monkeypatch.setitem(router_module.IMPORT_PRICE, "onnxruntime", 0)
    monkeypatch.setitem(router_module.NODE_PRICE, "onnxruntime", price)
    compiled = []
    monkeypatch.setattr("engine.surrogates.compiled.compile_trees", lambda t: compiled.append(t) or compile_trees(t))

    before = [trees.predict(X[i : i + 10]) for i in range(0, 100, 10)]
    assert compiled == []
    after = [trees.predict(X[i : i + 10]) for i in range(0, 100, 10)]

    assert compiled == [trees]
    np.testing.assert_array_equal(np.concatenate(after), np.concatenate(before))


def test_trees_too_many_for_the_memory_are_not_compiled(monkeypatch):
    X, Y = rows(50)
    trees = fit("extra_trees", X, Y, inputs=list("abcd"), outputs=["y", "z"], params={"n_trees": 3}).form
    monkeypatch.setitem(router_module.IMPORT_PRICE, "onnxruntime", 0)
    monkeypatch.setitem(router_module.NODE_PRICE, "onnxruntime", 0)
    monkeypatch.setattr(router_module, "MOST_NODES", 10)
    monkeypatch.setattr("engine.surrogates.compiled.compile_trees", None)

    assert trees.predict(X).shape == (50, 2)


def test_predictions_do_not_depend_on_how_rows_are_cut_into_chunks(monkeypatch):
    X, Y = rows(100)
    trees = fit("random_forest", X, Y, inputs=list("abcd"), outputs=["y", "z"], params={"n_trees": 10}).form
    whole = trees.predict(X)

    monkeypatch.setattr("engine.surrogates.trees._CHUNK", 70)

    np.testing.assert_array_equal(trees.predict(X), whole)


# Depth


@pytest.mark.parametrize("depth", [0, 1, 3, 4, 5, MAX_DEPTH])
def test_depth_counts_the_splits_of_a_chain(depth):
    here = np.arange(2 * depth + 1)
    inner = (here % 2 == 0) & (here < 2 * depth)
    trees = TreeEnsemble(
        root=np.array([0], np.int32),
        feature=np.where(inner, 0, LEAF).astype(np.int32),
        threshold=np.where(inner, here, 0.0),
        left=np.where(inner, here + 1, LEAF).astype(np.int32),
        right=np.where(inner, here + 2, LEAF).astype(np.int32),
        value=np.where(inner, 0.0, here)[:, None],
        base=np.zeros(1),
    )
    X = np.arange(-1.0, 2 * depth + 2)[:, None]

    assert trees.depth() == depth
    np.testing.assert_array_equal(compile_trees(trees)(X), trees.leaves(X))
    TreeEnsemble.from_arrays(trees.arrays(), 1, 1)


def test_trees_grow_no_deeper_than_what_can_be_loaded():
    x = np.arange(2000.0)[:, None]

    deep = fit("random_forest", x, x**9, inputs=["x"], outputs=["y"], params={"n_trees": 3, "min_rows_leaf": 1})
    flat = fit("random_forest", x, x**9, inputs=["x"], outputs=["y"], params={"n_trees": 3, "max_depth": 2})

    assert flat.form.depth() == 2
    assert 2 < deep.form.depth() <= MAX_DEPTH


# Thresholds: float32 and scaling undone


@given(
    threshold=st.floats(-1e4, 1e4),
    center=st.floats(-1e6, 1e6),
    scale=st.floats(1e-6, 1e6),
    data=st.data(),
)
@settings(max_examples=300, deadline=None)
def test_a_threshold_in_tag_units_splits_as_float32_of_the_standardized_value_does(threshold, center, scale, data):
    scaling = Scaling(np.array([center]), np.array([scale]))

    (in_tag_units,) = scaling.thresholds_of_float32(np.array([0]), np.array([threshold]))

    ulps = data.draw(st.integers(-3, 3))
    near = in_tag_units + ulps * np.spacing(in_tag_units)
    anywhere = data.draw(st.floats(-1e11, 1e11))
    for x in (in_tag_units, np.nextafter(in_tag_units, np.inf), near, anywhere):
        goes_left = float(np.float32((x - center) / scale)) <= threshold  # compared in float64
        assert (x <= in_tag_units) == goes_left


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=300)
def test_bisection_over_floats_finds_any_float(edge):
    if abs(edge) == np.finfo(float).max:
        return

    assert last_true(lambda x: x <= edge, 3).tolist() == [edge] * 3


def test_a_column_that_varies_by_rounding_only_counts_as_constant():
    X = np.array([[0.1 + 0.2, 1.0], [0.3, 2.0], [0.3, 3.0]])

    scaling = Scaling.of(X)

    assert scaling.scale.tolist() == [1.0, pytest.approx(np.sqrt(2 / 3))]

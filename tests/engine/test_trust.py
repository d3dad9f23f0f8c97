import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError, ProblemError, ShapeError, TrainingError
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable
from engine.trust import DistanceEnvelope, JointEnvelope, PolyhedralEnvelope

FORMS = [DistanceEnvelope, PolyhedralEnvelope]


def ridge(n=800, seed=0):
    """Return history along a line: two tags that move together, in units of very different size."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(-1, 1, size=n)
    return np.column_stack([1000 + 300 * along, 0.01 * along + 0.001 * rng.normal(size=n), rng.normal(size=n)])


TAGS = ["flow", "ratio", "noise"]


@pytest.fixture(params=FORMS, ids=["distance", "polyhedral"])
def form(request):
    return request.param


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99, 1.0])
def test_new_rows_of_the_same_plant_lie_inside_about_as_often_as_the_dial_says(form, level):
    envelope = form.fit(ridge(), TAGS, level=level)

    share = (envelope.violation(ridge(4000, seed=1)) == 0).mean()

    assert share == pytest.approx(level, abs=0.04)


def test_at_least_the_level_of_the_history_itself_is_inside(form):
    X = ridge()

    envelope = form.fit(X, TAGS, level=0.9)

    assert (envelope.violation(X) == 0).mean() >= 0.9


def test_a_combination_that_never_occurred_is_outside_though_each_value_did(form):
    X = ridge()
    corner = np.array([[X[:, 0].max(), X[:, 1].min(), 0.0]])

    assert form.fit(X, TAGS).violation(corner)[0] > 0.5


def test_the_envelope_does_not_depend_on_the_units_of_the_tags(form):
    X, unit = ridge(), np.array([1e-3, 1e6, 60.0])
    points = ridge(50, seed=2) + np.array([200, 0.01, 1.0])

    in_units = form.fit(X * unit + 5, TAGS).violation(points * unit + 5)

    np.testing.assert_allclose(in_units, form.fit(X, TAGS).violation(points), atol=1e-6)


@given(st.floats(0.5, 0.98), st.floats(0.001, 0.02))
def test_a_higher_dial_never_shrinks_the_envelope(level, more):
    X, points = ridge(200), ridge(100, seed=3) * 1.1
    for form in FORMS:
        narrow = form.fit(X, TAGS, level=level).violation(points)
        wide = form.fit(X, TAGS, level=level + more).violation(points)

        assert (wide <= narrow + 1e-9).all()


def test_a_point_gets_the_same_bits_alone_as_in_company(form):
    envelope, points = form.fit(ridge(), TAGS), ridge(40, seed=4) * 1.2

    together = DistanceEnvelope.violation(envelope, points) if form is DistanceEnvelope else envelope.violation(points)

    alone = np.concatenate([envelope.violation(points[[i]]) for i in range(len(points))])
    np.testing.assert_allclose(alone, together, rtol=0 if form is DistanceEnvelope else 1e-9, atol=1e-9)


def test_the_distance_is_the_mean_to_the_five_nearest_rows():
    X, x = ridge(300), ridge(1, seed=9)
    envelope = DistanceEnvelope.fit(X, TAGS)

    by_hand = np.sort(np.linalg.norm((X - x) / X.std(axis=0), axis=1))[:5]

    assert envelope.distance(x)[0] == pytest.approx(by_hand.mean())
    report = envelope.report(x[0])
    assert [each["distance"] for each in report["nearest"]] == pytest.approx(by_hand.tolist())
    assert report["n_within_limit"] == (np.linalg.norm((X - x) / X.std(axis=0), axis=1) <= envelope.limit).sum()


def test_a_long_history_is_judged_by_some_of_its_rows_and_still_keeps_its_level():
    envelope = DistanceEnvelope.fit(ridge(20_000), TAGS, level=0.95)

    assert len(envelope.rows) == 2000
    assert (envelope.violation(ridge(3000, seed=5)) == 0).mean() == pytest.approx(0.95, abs=0.03)


def test_a_category_that_differs_is_a_whole_step_away():
    X = np.column_stack([np.linspace(0, 1, 100), np.repeat([0.0, 7.0], 50)])
    envelope = DistanceEnvelope.fit(X, ["t", "fuel"], categories=["fuel"])

    assert envelope.violation(np.array([[0.2, 0.0]]))[0] == 0
    assert envelope.violation(np.array([[0.05, 7.0]]))[0] > 5
    assert envelope.violation(np.array([[0.05, 7.0]]))[0] == envelope.violation(np.array([[0.05, 3.0]]))[0]


def test_a_tag_that_never_changed_keeps_its_value(form):
    X = np.column_stack([ridge()[:, 0], np.full(800, 50.0)])
    envelope = form.fit(X, ["flow", "constant"])

    assert envelope.violation(np.array([[1000.0, 50.0]]))[0] == 0
    assert envelope.violation(np.array([[1000.0, 55.0]]))[0] > 0


def test_the_faces_are_what_the_violation_says():
    envelope = PolyhedralEnvelope.fit(ridge(), TAGS)
    points = ridge(30, seed=6) * 1.3

    by_hand = np.maximum((points @ envelope.A.T - envelope.b).max(axis=1), 0)

    np.testing.assert_allclose(envelope.violation(points), by_hand, atol=1e-5)


def test_a_search_stays_within_the_envelope(form):
    class Straight:
        inputs, outputs = TAGS, ["y"]

        def predict(self, X):
            return (X[:, [0]] - 1000) / 300 - 100 * X[:, [1]]

    X = ridge()
    bounds = tuple(Variable(tag, *sorted(X[:, j][[X[:, j].argmin(), X[:, j].argmax()]])) for j, tag in enumerate(TAGS))
    problem = Problem(bounds, terms=(Term("maximize", "y"),))

    free = minimize(problem, Straight(), solver="de", budget=3000)
    kept = minimize(problem, Straight(), solver="de", budget=3000, envelope=form.fit(X, TAGS))

    assert free.outputs["y"] > 1.9
    assert kept.is_feasible
    assert kept.trust["is_inside"]
    assert kept.outputs["y"] < 0.8  # what the plant has shown is y = -0.1 n, n a standard normal number
    assert free.trust is None


def test_envelopes_of_modules_join_to_one():
    X = ridge()
    first, second = DistanceEnvelope.fit(X[:, :2], TAGS[:2]), PolyhedralEnvelope.fit(X[:, 1:], TAGS[1:])
    joint = JointEnvelope({"mill": first, "boiler": second})
    points = ridge(20, seed=7) * 1.3

    np.testing.assert_allclose(
        joint.violation(points), first.violation(points[:, :2]) + second.violation(points[:, 1:])
    )
    report = joint.report(points[0])
    assert report["modules"]["mill"] == first.report(points[0, :2])
    assert report["is_inside"] == (joint.violation(points[:1])[0] == 0)


def test_histories_and_dials_that_make_no_sense_are_refused(form):
    with pytest.raises(ParameterError, match=r"trust level must be above 0 and at most 1, not 1\.5"):
        form.fit(ridge(), TAGS, level=1.5)
    with pytest.raises(TrainingError, match="at least 2 rows"):
        form.fit(ridge(1), TAGS)
    with pytest.raises(ShapeError, match="2 tags"):
        form.fit(ridge(), TAGS[:2])
    with pytest.raises(ShapeError, match="finite"):
        form.fit(ridge() * np.nan, TAGS)


def test_an_envelope_of_other_tags_than_the_model_has_is_refused():
    class Model:
        inputs, outputs = ["a"], ["y"]

        def predict(self, X):
            return X

    with pytest.raises(ProblemError, match="speaks of 'flow'"):
        minimize(
            Problem((Variable("a", 0, 1),), terms=(Term("minimize", "y"),)),
            Model(),
            envelope=DistanceEnvelope.fit(ridge(), TAGS),
        )

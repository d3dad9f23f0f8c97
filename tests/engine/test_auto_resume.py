"""A search that is broken off and taken up again: no fit is done twice, and the result is the same to the last bit."""

import numpy as np
import pytest
from safetensors.numpy import load

from engine.folds import Validation, folds
from engine.solvers.state import from_bytes, to_bytes
from engine.surrogates import fit, search
from engine.surrogates.fits import FitsDone
from engine.surrogates.model_file import from_bytes as from_file
from engine.surrogates.model_file import to_bytes as to_file
from engine.surrogates.search import Candidate, Table
from engine.validation import cross_validate

FIRSTS = [
    Candidate("linear", {}, is_reference=True),
    Candidate("linear", {"alpha": 1e12}, is_reference=True),  # the mean
    Candidate("extra_trees", {"n_trees": -1}),  # which fails
    Candidate("extra_trees", {"n_trees": 5}),
    Candidate("hist_gradient_boosting", {"n_iterations": 20}),
]
OTHERS = [Candidate("extra_trees", {"n_trees": 5, "min_rows_leaf": 4}), Candidate("random_forest", {"n_trees": 5})]
TAGS = {"inputs": list("abc"), "outputs": list("yz")}


class BrokenOffError(Exception):
    pass


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (FIRSTS, OTHERS))


@pytest.fixture
def fitted(monkeypatch):
    """The candidates that were fitted to compare them, in order."""
    found, run = [], Table.run

    def noting(self, task, on_step):
        found.append(task.to_json())
        return run(self, task, on_step)

    monkeypatch.setattr(Table, "run", noting)
    return found


def rows(n=150):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(n, 3))
    Y = np.stack([np.sign(X[:, 0]) * X[:, 1], X[:, 0] - X[:, 2]], axis=1)
    return X, Y + 0.2 * rng.normal(size=Y.shape)


def auto(state=None, *, budget=100, time_limit=None, stop_after=None):
    """Return the model file of a search, and its state; it is broken off after so many fits that it did itself."""
    told, n = {}, 0

    def on_fit(found):
        nonlocal n
        told.update(found)
        n += 1

    def on_step(share):
        if n == stop_after:
            raise BrokenOffError

    known = None if state is None else from_bytes(to_bytes(state))
    surrogate = None
    try:
        params = {"budget": budget, "time_limit": time_limit}
        surrogate = fit("auto", *rows(), **TAGS, params=params, fits=FitsDone(known, on_fit), on_step=on_step)
    except BrokenOffError:
        pass
    return surrogate and to_file(surrogate), (state or {}) | told


@pytest.mark.parametrize("n_done", [1, 3, 6, 11])
def test_a_search_that_was_broken_off_gives_the_same_bits_and_does_no_fit_again(fitted, n_done):
    whole, _ = auto()
    all_fits = list(fitted)
    fitted.clear()

    nothing, state = auto(stop_after=n_done)
    before = fitted[:n_done]
    fitted.clear()
    resumed, _ = auto(state)

    assert nothing is None
    assert before + fitted == all_fits
    assert resumed == whole


def test_a_search_that_is_broken_off_after_every_fit_comes_to_its_end_all_the_same(fitted):
    whole, _ = auto()
    n_fits = len(fitted)

    surrogate, state, n_runs = None, {}, 0
    while surrogate is None:
        surrogate, state = auto(state, stop_after=1)
        n_runs += 1

    assert surrogate == whole
    assert n_runs >= n_fits


def test_a_finished_search_is_only_looked_up(fitted, monkeypatch):
    whole, state = auto()
    fitted.clear()
    monkeypatch.setattr(Table, "fit", None)

    again, _ = auto(state)

    assert fitted == []
    assert again == whole


SMALL = {
    "linear": {},
    "ridge": {},
    "random_forest": {"n_trees": 5},
    "extra_trees": {"n_trees": 5},
    "hist_gradient_boosting": {"n_iterations": 20},
    "gaussian_process": {},
    "neural_network": {"n_epochs": 10},
}


@pytest.mark.parametrize("kind", SMALL)
def test_what_has_learned_from_all_rows_is_not_fitted_again_whatever_its_kind(kind, monkeypatch):
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: ([Candidate(kind, SMALL[kind])], []))
    whole, state = auto()
    monkeypatch.setattr(Table, "fit", None)

    again, _ = auto(state)

    assert [member["kind"] for member in from_file(again).choice["members"]] == [kind]
    assert again == whole


def test_of_two_members_that_learn_from_all_rows_only_the_one_that_is_missing_is_fitted(monkeypatch):
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (FIRSTS[3:], []))
    whole, state = auto()
    lacking = {name: each for name, each in state.items() if not name.startswith("member.1")}
    found, fit_one = [], Table.fit
    monkeypatch.setattr(
        Table, "fit", lambda self, candidate, *args: found.append(candidate) or fit_one(self, candidate, *args)
    )

    again, _ = auto(lacking)

    assert "member.1" in state
    assert [candidate.to_json() for candidate in found] == [state["member.1"]["of"]]
    assert again == whole


def test_a_form_that_is_not_sound_is_fitted_again():
    whole, state = auto()
    damaged = next(name for name in state if name.startswith("member.0."))

    again, _ = auto(state | {damaged: np.zeros(1)})

    assert again == whole


def test_failures_are_known_too(fitted):
    _, state = auto()
    fitted.clear()
    told = [about for name, about in state.items() if name.isdecimal() and about["failure"]]

    again, _ = auto(state)

    assert ["n_trees of extra_trees must be" in about["failure"] for about in told] == [True]
    assert fitted == []
    assert again == auto()[0]


def test_a_budget_counts_the_fits_of_the_earlier_run(fitted):
    whole, _ = auto(budget=8)
    fitted.clear()

    _, state = auto(budget=8, stop_after=5)
    fitted.clear()
    resumed, _ = auto(state, budget=8)

    assert len(fitted) == 3
    assert resumed == whole


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by one second whenever it is looked at."""
    ticks = iter(np.arange(0.0, 1e6))
    monkeypatch.setattr("engine.surrogates.auto.monotonic", lambda: float(next(ticks)))


def test_of_a_time_limit_only_the_rest_is_left(clock, fitted):
    _, state = auto(time_limit=100.0)
    n_whole = state["cut"]

    _, state = auto(time_limit=100.0, stop_after=n_whole // 2)
    fitted.clear()
    auto(state, time_limit=100.0)

    assert n_whole >= 8
    assert abs(n_whole // 2 + len(fitted) - 1 - n_whole) <= 1  # the last was cut


def test_where_time_has_cut_stays_however_much_time_there_is(clock, fitted):
    whole, state = auto(time_limit=60.0)
    n_fits = state["cut"]
    lacking = {name: each for name, each in state.items() if name != "3"}
    fitted.clear()

    with_more, _ = auto(state, time_limit=1e6)
    with_less, _ = auto(lacking, time_limit=1e-9)

    assert n_fits >= 5
    assert fitted == [state["3"]["of"]]
    for again in (with_more, with_less):
        assert from_file(again).choice == from_file(whole).choice
        assert load(again).keys() == load(whole).keys()
        assert all(array.tobytes() == load(whole)[name].tobytes() for name, array in load(again).items())


def test_a_search_on_samples_of_a_large_table_goes_on_too(fitted, monkeypatch):
    monkeypatch.setattr(search, "SAMPLE", 40)
    whole, _ = auto()
    n_whole = len(fitted)
    fitted.clear()

    _, state = auto(stop_after=n_whole - 2)
    resumed, _ = auto(state)

    assert {of[3] for of in fitted} == {"sample", "full"}
    assert len(fitted) == n_whole
    assert resumed == whole


def test_a_member_that_has_learned_logarithms_is_read_back_as_one(monkeypatch):
    logarithm = Candidate("linear", {}, is_log=True)
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (FIRSTS[:1], [logarithm]))
    X = rows()[0]
    Y = np.exp(5 * X + X[:, ::-1])[:, :2]
    told = {}

    whole = fit("auto", X, Y, **TAGS, fits=FitsDone(on_fit=told.update))
    monkeypatch.setattr(Table, "fit", None)
    again = fit("auto", X, Y, **TAGS, fits=FitsDone(from_bytes(to_bytes(told))))

    assert [member["is_log"] for member in again.choice["members"]] == [True]
    assert to_file(again) == to_file(whole)


@pytest.mark.parametrize("change", ["another candidate", "another shape", "only half"])
def test_what_is_of_another_search_is_fitted_again(fitted, change):
    whole, state = auto()
    fitted.clear()
    if change == "another candidate":
        state["4"] = state["4"] | {"of": ["ridge", {}, False, "full", 0]}
    elif change == "another shape":
        state["4.predictions"] = state["4.predictions"][:3]
    else:
        del state["4.predictions"]

    again, _ = auto(state)

    assert len(fitted) == 1
    assert again == whole


def test_a_validation_keeps_the_fits_of_each_fold_apart(fitted):
    X, Y = rows(90)
    parts = folds(Validation("random", 3), len(X))
    told = [{}, {}, {}]

    def validate(fits=None, on_step=None):
        return cross_validate("auto", X, Y, parts, **TAGS, params={"budget": 7}, fits=fits, on_step=on_step)

    def break_off(share):
        if share > 0.5:
            raise BrokenOffError

    whole = validate()
    n_whole = len(fitted)
    fitted.clear()
    with pytest.raises(BrokenOffError):
        validate(lambda i: FitsDone(on_fit=told[i].update), break_off)
    n_told = sum(name.isdecimal() for each in told for name in each)
    fitted.clear()
    resumed = validate(lambda i: FitsDone(told[i]))

    assert (n_told, n_whole) == (10, 21)
    assert len(fitted) == n_whole - n_told
    assert resumed.predictions.tobytes() == whole.predictions.tobytes()


def test_a_kind_that_does_not_choose_takes_no_notice():
    told = []

    fit("linear", *rows(), **TAGS, fits=FitsDone({"0": "of another"}, told.append))

    assert told == []

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import ShapeError, TrainingError
from engine.folds import Validation, folds
from engine.surrogates import calibrate, fit
from engine.surrogates import search as search_module
from engine.surrogates.auto import fit_auto
from engine.surrogates.search import Candidate, Search, Table
from engine.validation import of_choice, score

QUICK = [
    Candidate("linear", {}, is_reference=True),
    Candidate("linear", {"alpha": 1e12}, is_reference=True),  # the mean
    Candidate("extra_trees", {"n_trees": 5}),
    Candidate("extra_trees", {"n_trees": 5, "min_rows_leaf": 8}),
    Candidate("hist_gradient_boosting", {"n_iterations": 20}),
    Candidate("random_forest", {"n_trees": 5}),
]


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (QUICK[:5], QUICK[5:]))


def rows(n=120, seed=0, noise=0.3):
    """The first output bends, the second is linear."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 3))
    Y = np.stack([np.sign(X[:, 0]) * X[:, 1], X[:, 0] - X[:, 2]], axis=1)
    return X, Y + noise * rng.normal(size=Y.shape)


def auto(X, Y, *, budget=1000, time_limit=None, seed=0, on_step=lambda share: None, folds=None):
    return fit_auto(X, Y, {"budget": budget, "time_limit": time_limit}, seed, 1, on_step, folds)


def searched(X, Y, candidates=QUICK, others=(), n_folds=5):
    parts = folds(Validation("random", n_folds), len(X))
    search = Search(Table(X, Y, parts, seed=0, n_jobs=1), candidates, others)
    done = []
    for task in search.tasks():
        search.table.run(task, lambda share: None)
        done.append(task)
    return search, done


def same(one, other):
    arrays = one.arrays(), other.arrays()
    return arrays[0].keys() == arrays[1].keys() and all(np.array_equal(arrays[0][k], arrays[1][k]) for k in arrays[0])


# The rounds


def test_every_candidate_gets_one_fold_and_only_the_good_ones_get_all():
    search, done = searched(*rows())

    assert [task.trial for task in done[: len(QUICK)]] == search.trials
    assert {task.fold for task in done[: len(QUICK)]} == {0}
    n_fits = [len(trial.squares) for trial in search.trials]
    assert n_fits[:2] == [5, 5]  # the references
    assert min(n_fits) < 5 == max(n_fits[2:])
    assert len(done) == sum(n_fits) == len({(id(t.trial), t.stage, t.fold) for t in done})


def test_only_kinds_that_do_well_are_tried_with_other_hyperparameters():
    X, Y = rows(noise=0.01)
    more = [Candidate("linear", {"alpha": 1.0}), Candidate("extra_trees", {"n_trees": 6})]
    first = [Candidate("linear", {}), Candidate("extra_trees", {"n_trees": 3})]

    straight, _ = searched(X, Y[:, 1:], first, more)
    bent, _ = searched(X, Y[:, :1], first, more)

    assert [trial.candidate for trial in straight.trials] == [*first, more[0]]
    assert more[1] in [trial.candidate for trial in bent.trials]


def test_errors_are_those_of_the_rows_held_out():
    X, Y = rows()
    search, _ = searched(X, Y)
    ranked, runs = search.best()

    assert runs == [("full", fold) for fold in range(5)]
    for trial in ranked:
        predicted = np.empty_like(Y)
        for fold, (_train, test) in enumerate(search.table.folds):
            predicted[test] = trial.predictions[fold]
        by_hand = (np.sqrt(((predicted - Y) ** 2).mean(axis=0)) / Y.std(axis=0)).mean()
        assert trial.error(runs, search.table.sd) == pytest.approx(by_hand, rel=1e-12)
    errors = [trial.error(runs, search.table.sd) for trial in ranked]
    assert errors == sorted(errors)


def test_the_mean_has_error_one():
    X, Y = rows(400)
    search, _ = searched(X, Y, [Candidate("linear", {"alpha": 1e12})])

    assert search.best()[0][0].error(search.best()[1], search.table.sd) == pytest.approx(1, abs=0.02)


def test_large_tables_are_screened_on_a_sample_and_decided_in_full(monkeypatch):
    monkeypatch.setattr(search_module, "SAMPLE", 40)
    X, Y = rows(300)
    search, done = searched(X, Y)

    for task in done:
        train, test = search.table.rows(task.stage, task.fold)
        if task.stage == "sample":
            assert (len(train), len(test)) == (40, 40)
        assert np.isin(train, search.table.folds[task.fold][0]).all()
        assert np.isin(test, search.table.folds[task.fold][1]).all()
    assert {task.stage for task in done[: len(QUICK)]} == {"sample"}
    assert {stage for stage, _ in search.best()[1]} == {"full"}


def test_what_a_kind_refuses_is_its_failure_and_not_the_end():
    search, _ = searched(*rows(), [*QUICK, Candidate("extra_trees", {"n_trees": -1})])

    assert "n_trees of extra_trees must be" in search.trials[6].failure
    assert search.best()[0]


# The choice


def test_a_linear_plant_gets_a_linear_model_and_a_bent_one_does_not():
    X, Y = rows(noise=0.05)

    bent, straight = auto(X, Y[:, :1]), auto(X, Y[:, 1:])

    assert "linear" not in [member.kind for member in bent.members]
    assert [member.kind for member in straight.members] == ["linear"]


def test_outputs_of_one_model_may_be_told_by_different_kinds():
    form = auto(*rows(400, noise=0.05))

    weight_of_linear = sum(
        weight for member, weight in zip(form.members, form.weights, strict=True) if member.kind == "linear"
    )
    assert weight_of_linear[1] > 0.9 > 0.1 > weight_of_linear[0]


def test_the_choice_errs_no_more_than_any_candidate_on_the_rows_held_out():
    form = auto(*rows())

    errors = [tried["error"] for tried in form.choice["tried"] if tried["state"] in ("compared", "chosen")]
    assert form.choice["error"] <= min(errors)
    assert {"chosen", "dropped"} <= {tried["state"] for tried in form.choice["tried"]}


def test_a_kind_that_is_worse_than_the_simple_ones_is_noticed_and_not_kept():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4))
    Y = (X @ [1.0, -2.0, 0.5, 3.0])[:, None] + 0.1 * rng.normal(size=(50, 1))

    form = auto(X, Y)

    assert [member.kind for member in form.members] == ["linear"]
    assert any(
        note.startswith("hist_gradient_boosting errs more on held-out rows than a linear model")
        for note in form.choice["notes"]
    )


def test_a_kind_that_errs_as_much_as_the_simple_ones_is_not_called_worse(monkeypatch):
    nearly = [Candidate("linear", {}, is_reference=True), Candidate("ridge", {"alpha": 1e-3})]
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (nearly, []))
    rng = np.random.default_rng(8)
    X = rng.uniform(0, 10, (120, 4))
    Y = (2 * X[:, 0] - X[:, 1])[:, None] + 0.1 * rng.normal(size=(120, 1))

    choice = auto(X, Y).choice

    linear, ridge = (tried["error"] for tried in choice["tried"])
    assert ridge == pytest.approx(linear, rel=1e-4)
    assert ridge > linear
    assert choice["notes"] == []


def test_noise_gets_the_mean():
    rng = np.random.default_rng(3)

    form = auto(rng.normal(size=(300, 8)), rng.normal(size=(300, 1)))

    assert form.choice["error"] <= 1.05
    assert np.ptp(form.predict(rng.normal(size=(50, 8)))) < 1.0


def test_a_logarithm_is_learned_where_it_clearly_wins(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(150, 2))
    Y = np.exp(5 * X[:, :1] + 2 * X[:, 1:]) * np.exp(0.05 * rng.normal(size=(150, 1)))
    logarithms = [replace(QUICK[0], is_log=True, is_reference=False), replace(QUICK[2], is_log=True)]
    monkeypatch.setattr("engine.surrogates.auto.ladder", lambda n, d, m: (QUICK, logarithms))

    form, around_zero = auto(X, Y), auto(X, Y - 1)

    (chosen,) = [member for member in form.choice["members"] if member["weights"][0] > 0.9]
    assert (chosen["kind"], chosen["is_log"]) == ("linear", True)
    assert not any(tried["is_log"] for tried in around_zero.choice["tried"])


def test_groups_decide_what_is_chosen():
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(20), 12)
    level = rng.normal(size=(20, 3))
    X = level[day] + 0.01 * rng.normal(size=(240, 3))
    Y = X[:, :1] + 1.5 * rng.normal(size=20)[day, None]  # each day has an offset that only its own hours tell
    by_day = folds(Validation("group", group="day"), 240, groups=day)

    careless, honest = auto(X, Y), auto(X, Y, folds=by_day)

    assert "linear" not in [member.kind for member in careless.members]
    assert {member.kind for member in honest.members} == {"linear"}
    assert (careless.choice["folds"], honest.choice["folds"]) == ("random", "given")


def test_rows_held_out_while_choosing_are_predicted_without_them():
    X, Y = rows(300)

    form = auto(X, Y)

    assert np.isfinite(form.held_out).all()
    error = (np.sqrt(((form.held_out - Y) ** 2).mean(axis=0)) / Y.std(axis=0)).mean()
    assert error == pytest.approx(form.choice["error"], rel=1e-9)
    assert ((form.predict(X) - Y) ** 2).mean() < ((form.held_out - Y) ** 2).mean()


def test_the_held_out_rows_of_the_choice_are_a_validation_that_costs_nothing():
    X, Y = rows(300)
    tags = {"inputs": list("abc"), "outputs": list("yz")}
    surrogate = fit("auto", X, Y, **tags)

    told = of_choice(surrogate, X, Y)

    assert told.n_rows == 300
    assert told.scores == score(Y, surrogate.form.held_out, "yz")
    assert sum(fold["n_test"] for fold in told.per_fold) == 300
    assert calibrate(surrogate, told).intervals.n_rows == 300
    with pytest.raises(TrainingError, match="this linear model keeps no predictions"):
        of_choice(fit("linear", X, Y, **tags), X, Y)
    with pytest.raises(ShapeError, match="fitted on 300 rows"):
        of_choice(surrogate, X[:9], Y[:9])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_a_handful_of_rows_is_enough(n):
    X, Y = rows(n)

    form = auto(X, Y)

    assert np.isfinite(form.predict(X)).all()


# Budget, time and progress


@pytest.mark.parametrize("budget", [1, 3, 6, 9, 14])
def test_a_budget_is_kept_and_a_smaller_search_is_the_beginning_of_a_larger_one(budget):
    X, Y = rows()

    form, whole = auto(X, Y, budget=budget), auto(X, Y)

    assert (form.choice["n_fits"], form.choice["cut"]) == (budget, "budget")
    n_done = [tried["n_fits"] for tried in form.choice["tried"]]
    assert sum(n_done) == budget
    assert all(few <= many["n_fits"] for few, many in zip(n_done, whole.choice["tried"], strict=False))
    assert whole.choice["cut"] is None


def test_where_time_cuts_is_told_and_a_budget_of_as_many_fits_repeats_it(monkeypatch):
    X, Y = rows()
    ticks = iter(np.arange(0, 1e6))
    monkeypatch.setattr("engine.surrogates.auto.monotonic", lambda: next(ticks))

    cut = auto(X, Y, time_limit=20.0)
    again = auto(X, Y, budget=cut.choice["n_fits"])

    assert cut.choice["cut"] == "time"
    assert 1 < cut.choice["n_fits"] < auto(X, Y).choice["n_fits"]
    assert same(cut, again)


def test_without_time_one_model_is_fitted_all_the_same():
    form = auto(*rows(), time_limit=1e-9)

    assert form.choice["n_fits"] == 1
    assert [member.kind for member in form.members] == ["linear"]


def test_the_seed_decides_and_nothing_else():
    X, Y = rows()

    first, second, other = auto(X, Y), auto(X, Y), auto(X, Y, seed=1)

    assert same(first, second)
    assert first.choice == second.choice
    assert not same(first, other)


def test_progress_goes_up_to_one():
    told = []

    auto(*rows(), on_step=told.append)

    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


def test_what_progress_raises_ends_the_search():
    class CancelledError(Exception):
        pass

    def cancel(share):
        if share > 0.3:
            raise CancelledError

    with pytest.raises(CancelledError):
        auto(*rows(), on_step=cancel)

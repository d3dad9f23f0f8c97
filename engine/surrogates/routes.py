"""Which of the ways to a prediction is the fastest one: measured when a model is made, and stored with it.

Trees have three ways to the leaf of a row (``router``): NumPy, onnxruntime and scikit-learn's walk. All give the same
leaves, and the sums over them are taken in one place, so that what is measured here changes the time of a prediction
and no bit of it: the tolerance is zero. Which one wins depends on the trees and on how many rows are asked for at once.

The other kinds have one way, in NumPy. For networks onnxruntime was tried and left out. Its matrix products round
differently for another number of rows, while here a row gets the same bits in any company; made to keep that promise,
by blocks of rows of one size, it is no faster.

Notation:
    B: rows that are asked for at once, BATCHES. For other numbers of rows the nearest one speaks, by its logarithm.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from time import thread_time
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import ModelFileError
from engine.surrogates.arrays import Floats
from engine.surrogates.blend import BlendForm
from engine.surrogates.router import MOST_NODES, NUMPY, WAYS, Leaves, make
from engine.surrogates.trees import TreeEnsemble

if TYPE_CHECKING:
    from engine.surrogates.kinds import Form
    from engine.surrogates.surrogate import Surrogate

BATCHES = (1, 30, 300, 3000)

TIMES, LONG_ENOUGH = 3, 0.1
"""Each way is timed so often in turns, or until it has taken so many seconds; the shortest time counts."""

A_TURN, MOST_IN_TURN = 0.003, 25
"""Seconds of a turn, and calls in it: a way that is called again finds its trees in the cache, as it does in use."""

WORTH_IT = 0.9
"""Another way than NumPy must take no more than this share of its time."""


@dataclass(frozen=True)
class Step:
    """What was measured for one number of rows.

    Attributes:
        n_rows: so many at once.
        way: the one that is taken, of ``router.WAYS``.
        seconds: what each way took.
    """

    n_rows: int
    way: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Routes:
    """The way for each number of rows, in steps of ascending numbers."""

    steps: tuple[Step, ...]

    def way(self, n: int) -> str:
        """Return the way for n rows at once."""
        return min(self.steps, key=lambda step: abs(math.log(max(n, 1) / step.n_rows))).way

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps as values that go to JSON."""
        return [{"n_rows": step.n_rows, "way": step.way, "seconds": dict(step.seconds)} for step in self.steps]


def measure_routes(
    surrogate: "Surrogate",
    *,
    seed: int = 0,
    clock: Callable[[], float] = thread_time,
    on_step: Callable[[float], None] | None = None,
) -> "Surrogate":
    """Return the surrogate with the fastest way for each number of rows; it predicts the same bits as before.

    It takes some tenths of a second for each form of trees, and is for a model that will be kept: ``fit`` does not do
    it, so that the same training gives the same file.

    Args:
        surrogate: of any kind; one without trees comes back as it is.
        seed: of the rows that are predicted.
        clock: tells seconds. By default only those in which this thread computes count: all ways have one thread, and
            what else the machine does says nothing about them.
        on_step: called with the share of the work that is done. What it raises ends the measuring.
    """
    forms, found = _forms(surrogate.form), []
    for i, form in enumerate(forms):
        found.append(_measured(form, np.random.default_rng(seed), clock))
        if on_step:
            on_step((i + 1) / len(forms))
    return replace(surrogate, form=with_routes(surrogate.form, found))


def routed(surrogate: "Surrogate", told: Any) -> "Surrogate":
    """Return the surrogate with the routes that ``routes_to_json`` told.

    Raises:
        ModelFileError: they are not what it gives for such a surrogate.
    """
    return replace(surrogate, form=routes_from_json(told, surrogate.form))


def with_routes(form: "Form", found: Sequence[Routes | None]) -> "Form":
    """Return the form with these routes: of a blend one for each member, else one."""
    if isinstance(form, BlendForm):
        members = [
            replace(member, form=replace(member.form, routes=routes))
            if isinstance(member.form, TreeEnsemble)
            else member
            for member, routes in zip(form.members, found, strict=True)
        ]
        return replace(form, members=tuple(members))
    return replace(form, routes=found[0]) if isinstance(form, TreeEnsemble) else form


def routes_to_json(form: "Form") -> list[list[dict[str, Any]] | None] | None:
    """Return the routes of a form as values that go to JSON; None where nothing was measured."""
    told = [each.routes.to_json() if isinstance(each, TreeEnsemble) and each.routes else None for each in _forms(form)]
    return told if any(told) else None


def routes_from_json(told: Any, form: "Form") -> "Form":
    """Return the form with the routes that ``routes_to_json`` told.

    Raises:
        ModelFileError: they are not what it gives for such a form.
    """
    if told is None:
        return form
    forms = _forms(form)
    if not isinstance(told, list) or len(told) != len(forms):
        raise ModelFileError(f"the routes of the model are not a list of {len(forms)}")
    for each, entry in zip(forms, told, strict=True):
        if entry is not None and not (isinstance(each, TreeEnsemble) and _is_sound(entry)):
            raise ModelFileError("a route of the model is not of trees, or not the ways by numbers of rows")
    return with_routes(form, [entry and Routes(tuple(Step(**step) for step in entry)) for entry in told])


def _forms(form: "Form") -> list["Form"]:
    return [member.form for member in form.members] if isinstance(form, BlendForm) else [form]


def _measured(form: "Form", rng: np.random.Generator, clock: Callable[[], float]) -> Routes | None:
    if not isinstance(form, TreeEnsemble) or len(form.feature) > MOST_NODES:
        return None
    rows = _rows(form, rng)
    ways = {}
    for way in WAYS:
        try:
            ways[way] = make(way, form, rows.shape[1])
        except ImportError:  # not here: then it is not taken here
            continue
    return Routes(tuple(_step(ways, rows[:batch], clock) for batch in BATCHES))


def _rows(trees: TreeEnsemble, rng: np.random.Generator) -> Floats:
    """Return rows for the largest batch, each number drawn from the thresholds of its input.

    There the training rows lie close. Rows drawn evenly from the ranges would end in the few leaves of their corners,
    soon and side by side, and tell another story.
    """
    columns = []
    for j in range(int(trees.feature.max(initial=0)) + 1):
        thresholds = trees.threshold[trees.feature == j]
        columns.append(rng.choice(thresholds if len(thresholds) else np.zeros(1), max(BATCHES)))
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _step(ways: Mapping[str, Leaves], rows: Floats, clock: Callable[[], float]) -> Step:
    seconds = dict(zip(ways, _seconds(list(ways.values()), rows, clock), strict=True))
    fastest = min(seconds, key=lambda way: seconds[way])
    return Step(len(rows), fastest if seconds[fastest] < WORTH_IT * seconds[NUMPY] else NUMPY, seconds)


def _seconds(ways: Sequence[Callable[[Floats], Any]], rows: Floats, clock: Callable[[], float]) -> list[float]:
    """Return the shortest time of each way; they take turns, so that a busy moment meets all."""
    times: list[list[float]] = [[] for _ in ways]
    for way in ways:
        way(rows)  # the first time pays for what later ones find done
    while max(map(sum, times)) < LONG_ENOUGH and len(times[0]) < TIMES:
        for way, own in zip(ways, times, strict=True):
            own.append(_turn(way, rows, clock))
    return [min(own) for own in times]


def _turn(way: Callable[[Floats], Any], rows: Floats, clock: Callable[[], float]) -> float:
    """Return the shortest time of some calls, one after the other."""
    times: list[float] = []
    while not times or (sum(times) < A_TURN and len(times) < MOST_IN_TURN):
        began = clock()
        way(rows)
        times.append(clock() - began)
    return min(times)


def _is_sound(entry: Any) -> bool:
    if not isinstance(entry, list) or not entry or not all(_is_step(step) for step in entry):
        return False
    return all(one["n_rows"] < other["n_rows"] for one, other in pairwise(entry))


def _is_step(step: Any) -> bool:
    return (
        isinstance(step, dict)
        and step.keys() == {"n_rows", "way", "seconds"}
        and type(step["n_rows"]) is int
        and 1 <= step["n_rows"] < 1e9
        and step["way"] in list(WAYS)
        and isinstance(step["seconds"], dict)
        and step["seconds"].keys() <= set(WAYS)
        and all(type(value) in (int, float) and 0 <= value < 1e9 for value in step["seconds"].values())
    )

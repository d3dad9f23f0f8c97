"""The fits that a search has done, outside the process: one that was broken off goes on and does none of them again.

A search is decided by what its fits come to and by nothing else. So what they came to is all of its state, together
with the forms that it has learned from all rows in the end: plain arrays and values that go to JSON, in one flat
dictionary, as ``engine.solvers.state`` writes them.

Notation:
    n: rows that a fit held out.    m: outputs.    i: number of a fit, counted from 0 in the order of the search.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.surrogates.arrays import Floats

_CUT = "cut"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one fit came to.

    Attributes:
        predictions: of the rows held out, (n, m), row after row in memory; None if it could not be fitted.
        n_bytes: what the form takes to store.
        failure: why it could not be fitted, if so.
    """

    predictions: Floats | None
    n_bytes: int = 0
    failure: str | None = None


class FitsDone:
    """The fits of one search: those that are known from an earlier run of the same, and those that it does now.

    What is known and is not what the search asks for, because another version of this program has made it, counts as
    unknown: the fit is done.

    Args:
        state: what ``on_fit`` was called with in the earlier run, all in one dictionary.
        on_fit: called after each fit that was done now, with its part of the state; what it raises ends the search.
    """

    def __init__(
        self, state: Mapping[str, Any] | None = None, on_fit: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self._state = dict(state or {})
        self._on_fit = on_fit or (lambda _told: None)

    @property
    def cut(self) -> int | None:
        """After how many fits time cut the earlier run; None if it did not come to that."""
        found = self._state.get(_CUT)
        return found if isinstance(found, int) else None

    def seconds(self, i: int) -> float:
        """Return how long the search had taken when fit ``i``, which is known, was done."""
        return float(self._state[str(i)]["seconds"])

    def known(self, i: int, of: list[Any], shape: tuple[int, int]) -> Outcome | None:
        """Return what fit ``i`` came to; None if that is not known.

        Args:
            of: what is fitted on which rows, as values that go to JSON.
            shape: of its predictions, (n, m).
        """
        about, predictions = self._state.get(str(i)), self._state.get(f"{i}.predictions")
        if not isinstance(about, dict) or about.get("of") != of:
            return None
        if about["failure"] is not None:
            return Outcome(None, failure=about["failure"])
        if predictions is None or predictions.shape != shape:
            return None
        return Outcome(predictions, about["n_bytes"])

    def tell(self, i: int, of: list[Any], outcome: Outcome, *, seconds: float) -> None:
        """Tell what fit ``i`` came to, and how long the search has taken by now."""
        about = {"of": of, "n_bytes": outcome.n_bytes, "failure": outcome.failure, "seconds": seconds}
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        if outcome.predictions is not None:
            arrays = {f"{i}.predictions": outcome.predictions}
        self._on_fit({str(i): about, **arrays})

    def tell_cut(self, n_fits: int) -> None:
        """Tell that time has cut the search after so many fits."""
        self._on_fit({_CUT: n_fits})

    def known_member(self, k: int, of: list[Any]) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the arrays of the ``k``-th form that was learned from all rows; None if they are not known.

        Args:
            of: what was fitted, as values that go to JSON.
        """
        prefix = f"member.{k}."
        if self._state.get(f"member.{k}") != {"of": of}:
            return None
        return {name.removeprefix(prefix): each for name, each in self._state.items() if name.startswith(prefix)}

    def tell_member(self, k: int, of: list[Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Tell the arrays of the ``k``-th form that was learned from all rows."""
        named = {f"member.{k}.{name}": array for name, array in arrays.items()}
        self._on_fit({f"member.{k}": {"of": of}, **named})

"""Blends: several forms side by side, whose predictions are added up with weights of their own for each output.

Notation:
    X: inputs, shape (n, d).    P: predictions of the members, shape (M, n, m).    M: members.
    W: weights, shape (M, m), >= 0; those of one output sum to 1.
    y(x) = sum over the members of W * P, shape (m,), in the units of the outputs.

A member may have learned the logarithm of an output; its predictions are carried back before they are weighed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelFileError
from engine.surrogates.arrays import Bools, Floats
from engine.surrogates.stored import ArraySpec, take

if TYPE_CHECKING:
    from engine.surrogates.kinds import Form

MOST_MEMBERS = 16

LARGEST_LOG = 230.0
"""e**230 is 1e100: beyond every measurement, and still far from overflow."""


@dataclass(frozen=True, eq=False)
class Member:
    """One form of a blend.

    Attributes:
        kind: a key of KINDS, but for "auto".
        form: what it computes with.
        is_log: which outputs it gives as logarithms, shape (m,).
    """

    kind: str
    form: "Form"
    is_log: Bools

    def predict(self, X: Floats) -> Floats:
        """Return predictions (n, m) in the units of the outputs."""
        return from_log(self.form.predict(X), self.is_log)


@dataclass(frozen=True, eq=False)
class BlendForm:
    """A weighted sum of forms.

    Attributes:
        members: the forms, 1 to MOST_MEMBERS.
        weights: shape (M, m), >= 0.
        choice: how they were chosen, as values that go to JSON; None after loading, where the model file has it.
        held_out: predictions of rows held out while choosing, (n, m), NaN where a row was not; None after loading.
        fold: the fold that held each row out, shape (n,), -1 where none did; None after loading.
    """

    members: tuple[Member, ...]
    weights: Floats
    choice: dict[str, Any] | None = field(default=None, repr=False)
    held_out: Floats | None = field(default=None, repr=False)
    fold: NDArray[np.intp] | None = field(default=None, repr=False)

    def predict(self, X: Floats) -> Floats:
        """Return predictions, shape (n, m), for finite X, shape (n, d); the members are added in their order."""
        Y = np.zeros((len(X), self.weights.shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):  # far outside the data the answer may be inf or NaN
            for member, weight in zip(self.members, self.weights, strict=True):
                Y += np.where(weight > 0, weight * member.predict(X), 0.0)
        return Y

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is stored: "0.linear.center" is the array "center" of the first member, which is linear."""
        is_log = np.stack([member.is_log for member in self.members]).astype(np.int32)
        is_log.flags.writeable = False  # it is made anew: who writes to it must not believe to have changed the blend
        stored: dict[str, np.ndarray[Any, Any]] = {"weights": self.weights, "is_log": is_log}
        for i, member in enumerate(self.members):
            stored |= {f"{i}.{member.kind}.{name}": array for name, array in member.form.arrays().items()}
        return stored

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "BlendForm":
        """Return the blend of stored arrays.

        Raises:
            ModelFileError: a member is of no kind or unsound, or weights and members do not fit.
        """
        of_members = _by_member({name: array for name, array in arrays.items() if "." in name})
        own = {name: array for name, array in arrays.items() if "." not in name}
        shape = (len(of_members), n_outputs)
        found = take(own, {"weights": ArraySpec(np.float64, shape), "is_log": ArraySpec(np.int32, shape)})
        weights, is_log = found["weights"], found["is_log"]
        if (weights < 0).any() or not np.isin(is_log, (0, 1)).all():
            raise ModelFileError("the weights of a blend must be at least 0, and is_log 0 or 1")
        members = tuple(
            Member(kind, _form(kind, parts, n_inputs, n_outputs), is_log[i] == 1)
            for i, (kind, parts) in enumerate(of_members)
        )
        return cls(members, weights)


def to_log(Y: Floats, is_log: Bools) -> Floats:
    """Return Y (n, m) with the logarithm of those outputs."""
    return np.where(is_log, np.log(np.where(is_log, Y, 1.0)), Y)


def from_log(Y: Floats, is_log: Bools) -> Floats:
    """Return what ``to_log`` was given; finite where Y is."""
    return np.where(is_log, np.exp(np.where(is_log, np.clip(Y, -LARGEST_LOG, LARGEST_LOG), 0.0)), Y)


def blend_weights(P: Floats, y: Floats) -> Floats:
    """Return the weights that minimize |y - sum of w P|^2, w >= 0 with sum 1, shape (M,).

    Args:
        P: predictions of one output by each member of rows that it has not seen, shape (M, n).
        y: measured, shape (n,).

    Source:
        Stacked regressions: Breiman (1996), Machine Learning 24, 49-64. The sum is held at 1 by a heavy row: Haskell
        and Hanson (1981), Mathematical Programming 21, 98-118. Solved by Lawson and Hanson's active sets.
    """
    from scipy.optimize import nnls

    scale = max(float(np.abs(P - y).max()), np.finfo(np.float64).tiny)
    # errors instead of predictions: for w of sum 1 it is the same sum of squares, without the size of y in it
    rows = np.concatenate([(P - y).T / scale, np.full((1, len(P)), 1e4 * np.sqrt(len(y)))])
    target = np.append(np.zeros(len(y)), 1e4 * np.sqrt(len(y)))
    weights, _norm = nnls(rows, target)
    total = float(weights.sum())
    best: Floats = weights / total if total > 0 else np.full(len(P), 1 / len(P))
    return best


def _by_member(arrays: Mapping[str, np.ndarray[Any, Any]]) -> list[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    """Return kind and arrays of each member, in order."""
    found: dict[tuple[str, str], dict[str, np.ndarray[Any, Any]]] = {}
    for name, array in arrays.items():
        place, _, rest = name.partition(".")
        kind, _, own = rest.partition(".")
        found.setdefault((place, kind), {})[own] = array
    n = len(found)
    places = [place for place, _ in found]
    if not 1 <= n <= MOST_MEMBERS or sorted(places) != sorted(str(i) for i in range(n)):
        raise ModelFileError(f"a blend has 1 to {MOST_MEMBERS} members, numbered from 0, each of one kind")
    return [(kind, parts) for (_, kind), parts in sorted(found.items(), key=lambda item: int(item[0][0]))]


def _form(kind: str, arrays: Mapping[str, np.ndarray[Any, Any]], n_inputs: int, n_outputs: int) -> "Form":
    from engine.surrogates.kinds import KINDS  # which has the blend in its table

    if kind not in KINDS or KINDS[kind].chooses:
        raise ModelFileError(f"a member of the blend is of kind {kind!r:.40}, which there is not")
    return KINDS[kind].form.from_arrays(arrays, n_inputs, n_outputs)

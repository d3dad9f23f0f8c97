"""What a score hides, in words: how much of it comes from neighbors, and whether it lasts.

A score of rows held out at random is shown only beside an honest one: on whole groups or blocks of time that the model
has not seen, or on the time after everything it learned from. ``compare`` takes both and says what the gap
means; ``score_after`` trains on the past and asks about the future.

Notation:
    R2: share of the variance that is explained, 1 at best; 0 is no better than the mean; see ``validation.score``.
    RMSE: root mean squared error, in the unit of the output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.errors import ShapeError
from engine.folds import Validation, folds, honest_scheme, split_at
from engine.surrogates.kinds import find_kind
from engine.surrogates.params import OnStep
from engine.validation import CrossValidation, cross_validate

NOTABLE_R2 = 0.05
"""A smaller drop of R2 than this is not worth words, and less R2 than this is no skill."""

NOTABLE_RMSE = 1.05
"""Nor is a drop during which the RMSE grows by less than this factor: near R2 = 0 all is noise."""


@dataclass(frozen=True)
class Note:
    """Something to know about a score.

    Attributes:
        code: what it is, for programs: "validation.holds", "validation.random_flatters", "validation.neighbors_only",
            "validation.no_skill" or "validation.drift".
        message: the same for people, in one to three sentences.
        details: its figures, as values that go to JSON.
    """

    code: str
    message: str
    details: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the note as values that go to JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Lasting:
    """What a model of the past is worth in the future.

    Attributes:
        before: cross-validation at random among the rows before the cut: what it promised.
        after: the rows after the cut, predicted by a model of all rows before it: what it kept.
        notes: one for each output; see ``score_after``.
    """

    before: CrossValidation
    after: CrossValidation
    notes: list[Note]


def compare(random: CrossValidation, honest: CrossValidation, by: Validation) -> list[Note]:
    """Return a note for each output on what its score on rows held out at random is worth.

    Outputs whose R2 does not exist (they never change) have none.

    Args:
        random, honest: the same kind on the same rows, held out at random and by ``by``.
        by: how the rows of ``honest`` were held out: by "group" or by "time".

    Returns:
        Codes: "validation.neighbors_only" (skill at random, none honestly), "validation.random_flatters" (a notable
        part of the skill is gone), "validation.no_skill" (neither has any), "validation.holds".

    Raises:
        ShapeError: the two are not of the same rows and outputs.
    """
    if random.measured.shape != honest.measured.shape or list(random.scores) != list(honest.scores):
        raise ShapeError(
            f"the two validations must be of the same rows and outputs, not of shapes {random.measured.shape}"
            f" and {honest.measured.shape}"
        )
    where = "blocks of time" if by.scheme == "time" else f"whole groups of {by.group!r}"
    worse = _worse_folds(random, honest)
    notes = []
    for j, (output, promised) in enumerate(random.scores.items()):
        kept = honest.scores[output]
        details: dict[str, Any] = {
            "output": output,
            "scheme": by.scheme,
            "group": by.group,
            "random": promised,
            "honest": kept,
        }
        details |= {"n_folds_worse": int(worse[j]), "n_folds": len(honest.per_fold)}
        if promised["r2"] is not None and kept["r2"] is not None:
            code = _verdict(promised, kept)
            figures = _figures(output, promised["r2"], kept["r2"], where)
            notes.append(Note(code, figures[code] + _MEANINGS[code].format(where=where), details))
    return notes


def score_after(
    kind: str,
    X: Any,
    Y: Any,
    times: Any,
    cut: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    n_folds: int = 5,
    n_jobs: int = 1,
    on_step: OnStep | None = None,
) -> Lasting:
    """Train on the rows before ``cut``, test on those after it, and say whether what was learned still holds.

    Args:
        kind, X, Y, inputs, outputs, params, seed, n_jobs: as ``surrogates.fit`` takes them.
        times: the time of each row, shape (n,): numbers or datetime64, none missing.
        cut: a time of the same kind; the rows of this very time are tested.
        n_folds: folds of the cross-validation before the cut, and blocks of time in which a kind that chooses does so.
        on_step: is told the share of the work that is done; what it raises ends the work.

    Returns:
        Both validations, and a note for each output whose R2 exists: "validation.drift" (the skill is gone or notably
        less), "validation.no_skill" or "validation.holds". Their ``offset`` is the mean error, and ``offset_share`` its
        part of the mean squared error.

    Raises:
        ShapeError, NotFinite, ParameterError, TrainingError: as ``cross_validate`` and ``split_at``.
    """
    past, future = split_at(times, cut)
    X, Y = np.asarray(X), np.asarray(Y)
    share = n_folds / (n_folds + 1)
    common: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "params": params, "seed": seed, "n_jobs": n_jobs}
    before = cross_validate(
        kind,
        X[past],
        Y[past],
        folds(Validation("random", n_folds), len(past), seed=seed),
        on_step=on_step and (lambda done: on_step(share * done)),
        **common,
    )
    known = np.asarray(times)[past]
    blocks = (
        folds(honest_scheme(times=known, n_folds=n_folds), len(past), times=known) if find_kind(kind).chooses else []
    )
    after = cross_validate(
        kind,
        X,
        Y,
        [(past, future)],
        inner=[blocks],
        on_step=on_step and (lambda done: on_step(share + (1 - share) * done)),
        **common,
    )
    return Lasting(before, after, _lasting(before, after, cut))


_MEANINGS = {
    "validation.neighbors_only": (
        ". On {where} that it has not seen, the model does no better than the mean of what was measured: it knows"
        " neighbors, not the future"
    ),
    "validation.random_flatters": (
        ". Part of the random score comes from rows beside those held out, which resemble them. Expect the lower figure"
        " on hours that are new"
    ),
    "validation.no_skill": ". The model does no better than the mean: these inputs do not tell this output",
    "validation.holds": ". What it learned holds on {where} that it has not seen",
}


def _verdict(promised: Mapping[str, float | None], kept: Mapping[str, float | None]) -> str:
    drop = (promised["r2"] or 0.0) - (kept["r2"] or 0.0)
    growth = (kept["rmse"] or 0.0) / (promised["rmse"] or 1.0)
    if (promised["r2"] or 0.0) < NOTABLE_R2 and (kept["r2"] or 0.0) < NOTABLE_R2:
        return "validation.no_skill"
    if drop < NOTABLE_R2 or growth < NOTABLE_RMSE:
        return "validation.holds"
    return "validation.neighbors_only" if (kept["r2"] or 0.0) < NOTABLE_R2 else "validation.random_flatters"


def _figures(output: str, promised: float, kept: float, where: str) -> dict[str, str]:
    """Return for each code how the two figures are put side by side."""
    both = f"R2 of {output} is {promised:.2f} on rows held out at random"
    but, also = f"{both}, but {kept:.2f} on {where}", f"{both} and {kept:.2f} on {where}"
    gap = ("validation.neighbors_only", "validation.random_flatters")
    return {code: but if code in gap else also for code in _MEANINGS}


def _worse_folds(random: CrossValidation, honest: CrossValidation) -> Any:
    """Return in how many of the honest folds each output is predicted worse than at random, shape (m,)."""
    at_random = (random.predictions - random.measured) ** 2
    honestly = (honest.predictions - honest.measured) ** 2
    paired = [np.nansum((honestly - at_random)[honest.fold == i], axis=0) for i in range(len(honest.per_fold))]
    return np.sum(np.array(paired) > 0, axis=0)


def _lasting(before: CrossValidation, after: CrossValidation, cut: Any) -> list[Note]:
    tested = after.fold >= 0
    errors = (after.predictions - after.measured)[tested]
    notes = []
    for j, (output, promised) in enumerate(before.scores.items()):
        kept, offset = after.scores[output], float(errors[:, j].mean())
        if promised["r2"] is None or kept["r2"] is None:
            continue
        mean_square = float((errors[:, j] ** 2).mean())
        offset_share = offset**2 / mean_square if mean_square > 0 else 0.0
        code = _verdict(promised, kept)
        code = "validation.drift" if code in ("validation.neighbors_only", "validation.random_flatters") else code
        joint = "but" if code == "validation.drift" else "and"
        message = (
            f"R2 of {output} is {promised['r2']:.2f} on rows held out at random from the time before {cut},"
            f" {joint} {kept['r2']:.2f} on the time from then on. " + _lasting_meaning(code, kept, offset, offset_share)
        )
        details = {
            "output": output,
            "cut": str(cut),
            "before": promised,
            "after": kept,
            "offset": offset,
            "offset_share": offset_share,
        }
        notes.append(Note(code, message, details))
    return notes


def _lasting_meaning(code: str, kept: Mapping[str, float | None], offset: float, offset_share: float) -> str:
    if code == "validation.no_skill":
        return "The model does no better than the mean: these inputs do not tell this output"
    if code == "validation.holds":
        return "What was learned still holds"
    lost = "does no better than the mean of that time" if (kept["r2"] or 0.0) < NOTABLE_R2 else "has lost skill"
    side = "high" if offset > 0 else "low"
    constant = f", and its predictions are on average {abs(offset):.3g} too {side}" if offset_share > 0.1 else ""
    return (
        f"What the model learned does not last: later it {lost} (RMSE {kept['rmse'] or 0.0:.3g}){constant}."
        " Train it again on recent rows before it sets anything"
    )

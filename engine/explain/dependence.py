"""Partial dependence and individual conditional expectation: the prediction along one tag or two.

Notation:
    X: rows of the history, shape (n, d).    g: a value of the tag, or of the two tags, on a grid of k.
    curve of row i: f(x_i with the tag set to g), for every g: what the model expects if that row had it otherwise.
    mean: of the curves over the rows: the partial dependence.

Where the curves of the rows have different shapes, the tag works differently under different conditions, and their
mean hides it: ``spread`` tells how much.

A curve asks the model about rows that were never measured. Two things tell where that stops being fair: ``n_near``,
how many measured rows lie at a grid point; and ``outside``, the share of the rows that, moved to it, leave what was
measured, because other tags never went together with that value.

Sources:
    Friedman (2001), Annals of Statistics 29, 1189-1232.
    Goldstein, Kapelner, Bleich and Pitkin (2015), J. Computational and Graphical Statistics 24, 44-65.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.checks import LARGEST_SEED, whole_number
from engine.errors import ParameterError, ShapeError
from engine.evaluator import Model
from engine.explain.asking import CHUNK, predicted, sampled
from engine.progress import part
from engine.surrogates.arrays import Bools, Floats, Ints, matrix
from engine.surrogates.params import OnStep
from engine.trust import DistanceEnvelope, Envelope

THIN = 0.1
"""A grid point with fewer rows than this share of an even spread is thin."""

MOSTLY = 0.5
"""So is one where more than this share of the moved rows lie outside of what was measured."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """The prediction along one tag, or over two.

    Attributes:
        tags: the one or two tags.
        outputs: the m outputs.
        grid: for each tag its values, ascending, within the range of the data, shape (k,).
        mean: partial dependence, shape (k, m), or (k1, k2, m) for two tags, in the units of the outputs.
        curves: of single rows, shape (rows, k, m), or (rows, k1, k2, m).
        rows: which rows of X they belong to, shape (rows,).
        n_near: how many rows of X are nearest to each grid point, shape (k,) or (k1, k2).
        outside: share of the rows that lie outside of what was measured when they are moved there, same shape.
        is_thin: where data are thin: too few rows are near, or most of those moved there lie outside.
    """

    tags: tuple[str, ...]
    outputs: tuple[str, ...]
    grid: tuple[Floats, ...]
    mean: Floats
    curves: Floats = field(repr=False)
    rows: Ints = field(repr=False)
    n_near: Ints = field(repr=False)
    outside: Floats = field(repr=False)
    is_thin: Bools = field(repr=False)

    @property
    def spread(self) -> Floats:
        """How differently the tags work for different rows: standard deviation of the curves, each from its mean.

        Of the shape of ``mean``; 0 where the tags add the same for every row, whatever the others are.
        """
        axes = tuple(range(1, self.curves.ndim - 1))
        return np.asarray((self.curves - self.curves.mean(axis=axes, keepdims=True)).std(axis=0))

    def to_json(self, *, with_curves: bool = True) -> dict[str, Any]:
        """Return everything as values that go to JSON; the curves are the largest part."""
        answer = {
            "tags": list(self.tags),
            "outputs": list(self.outputs),
            "grid": [values.tolist() for values in self.grid],
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
            "n_near": self.n_near.tolist(),
            "outside": self.outside.tolist(),
            "is_thin": self.is_thin.tolist(),
        }
        return answer | ({"rows": self.rows.tolist(), "curves": self.curves.tolist()} if with_curves else {})


def partial_dependence(
    model: Model,
    X: Any,
    tags: Sequence[str],
    *,
    n_points: int = 20,
    n_rows: int = 200,
    envelope: Envelope | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Dependence:
    """Return how the prediction goes along one tag, or over two.

    Args:
        model: predicts outputs from inputs.
        X: rows of the history, shape (n, d), n >= 2, finite, in the model's inputs.
        tags: one or two of the inputs.
        n_points: grid points along each tag, evenly over its range. A tag with no more different values than that
            (whole numbers, categories) has just those.
        n_rows: rows that are followed, drawn from X; all if there are fewer.
        envelope: what counts as measured, over inputs of the model; default: as near to rows of X as those lie to
            each other.
        seed: of the draw.
        on_step: called with the share of the work that is done; what it raises ends the work.

    Raises:
        ParameterError: the tags are not one or two inputs, or a number is out of its range.
        ShapeError, NotFinite: X is not a matrix of finite numbers with a column for each input.
    """
    X = matrix("X", X, model.inputs)
    if len(X) < 2:
        raise ShapeError(f"X has shape {X.shape}: at least 2 rows are needed")
    columns = _columns(model, tags)
    n_points, n_rows = whole_number("n_points", n_points, 2, 1000), whole_number("n_rows", n_rows, 1)
    rows = sampled(len(X), n_rows, whole_number("seed", seed, 0, LARGEST_SEED))
    grid = tuple(_grid(X[:, j], n_points) for j in columns)
    shape = tuple(len(values) for values in grid)

    points = np.stack([axis.ravel() for axis in np.meshgrid(*grid, indexing="ij")], axis=1)  # (K, tags)
    moved = np.repeat(X[rows], len(points), axis=0)
    moved[:, columns] = np.tile(points, (len(rows), 1))
    curves = predicted(model, moved, part(on_step, 0, 2)).reshape(len(rows), *shape, len(model.outputs))

    n_near = _n_near(X[:, columns], grid)
    outside = _outside(model, X, envelope, moved, len(rows), part(on_step, 1, 2)).reshape(shape)
    is_thin = (n_near < max(1.0, THIN * len(X) / n_near.size)) | (outside > MOSTLY)
    mean = curves.mean(axis=0)
    return Dependence(tuple(tags), tuple(model.outputs), grid, mean, curves, rows, n_near, outside, np.asarray(is_thin))


def _columns(model: Model, tags: Sequence[str]) -> list[int]:
    inputs = list(model.inputs)
    if isinstance(tags, str) or not 1 <= len(tags) <= 2 or len(set(tags)) < len(tags):
        raise ParameterError(f"tags must be a list of one or two different inputs, not {tags!r}", parameter="tags")
    for tag in tags:
        if tag not in inputs:
            raise ParameterError(f"the model has no input {tag!r}; it has {', '.join(inputs)}", parameter="tags")
    return [inputs.index(tag) for tag in tags]


def _grid(x: Floats, n_points: int) -> Floats:
    different = np.unique(x)
    return different if len(different) <= n_points else np.linspace(different[0], different[-1], n_points)


def _n_near(values: Floats, grid: tuple[Floats, ...]) -> Ints:
    """Return how many rows lie nearer to each grid point than to the others, along every tag."""
    cells = tuple(np.searchsorted((g[:-1] + g[1:]) / 2, x) for x, g in zip(values.T, grid, strict=True))
    n_near = np.zeros(tuple(len(g) for g in grid), dtype=np.int64)
    np.add.at(n_near, cells, 1)
    return n_near


def _outside(model: Model, X: Floats, envelope: Envelope | None, moved: Floats, n_rows: int, on_step: OnStep) -> Floats:
    """Return for each grid point the share of the moved rows that lie outside, shape (K,)."""
    categories = tuple(getattr(model, "categories", None) or ())  # codes without order: no distance between them
    trusted = envelope or DistanceEnvelope.fit(X, model.inputs, categories=categories)
    place = {tag: j for j, tag in enumerate(model.inputs)}
    columns, parts = [place[tag] for tag in trusted.tags], []
    for start in range(0, len(moved), CHUNK):
        parts.append(trusted.violation(moved[start : start + CHUNK, columns]) > 0)
        on_step(min(1.0, (start + CHUNK) / len(moved)))
    return np.asarray(np.concatenate(parts).reshape(n_rows, -1).mean(axis=0))

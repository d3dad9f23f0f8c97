"""What a training needs from the database and the store, and what it leaves there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from app.extensions import db
from app.models import Model
from app.utils.object_store import ObjectInfo
from app.viewModels import categories, module_tags, training_rows
from app.viewModels.training_rows import Rows
from engine.honest import compare
from engine.lookback import Lookback
from engine.surrogates import Intervals, Surrogate
from engine.surrogates.kinds import find_kind
from engine.validation import CrossValidation, Fold, Validation


@dataclass(frozen=True)
class Order:
    """A training as it was asked for.

    Attributes:
        inputs: what the model takes: the module's inputs, or what is seen of their past.
        compares: whether the score at random is found too, to stand beside the honest one.
        missing: what is done with rows that lack an input: drop or impute.
        categories: of each input that holds text.
    """

    model_id: UUID
    kind: str
    params: dict[str, Any]
    validation: Validation
    seed: int
    inputs: list[str]
    outputs: list[str]
    compares: bool
    missing: str = "drop"
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def learn(self) -> dict[str, Any]:
        """What every fit of this training takes beside its rows."""
        plain = {"inputs": self.inputs, "outputs": self.outputs, "params": self.params, "seed": self.seed}
        if not self.categories and self.missing == "drop":
            return plain
        return {**plain, "categories": self.categories, "missing": "impute" if self.missing == "impute" else "refuse"}


def load(model_id: UUID) -> tuple[Order, Rows]:
    """Return what a model is to be trained as, and on. Its transaction has ended when it returns.

    Raises:
        TrainingError: no row has a value in every tag.
        ParameterError: the model was not trained here, but imported.
    """
    model = db.session.get_one(Model, model_id)
    find_kind(model.kind)
    version, validation = model.dataset_version, Validation.from_json(model.validation)
    lookback = module_tags.lookback_of(model)
    order = Order(
        model_id=model.id,
        kind=model.kind,
        params=model.params,
        validation=validation,
        seed=model.seed,
        inputs=list(lookback.names),
        outputs=list(model.outputs),
        compares=model.options.get("compares", False) and validation.scheme != "random" and lookback.is_plain,
        missing=model.missing,
    )
    db.session.commit()  # reading the table may take long
    rows = training_rows.read(version, lookback, order.outputs, validation, missing=order.missing)
    return replace(order, categories=rows.categories), rows


def folds(order: Order, rows: Rows) -> dict[str, list[Fold]]:
    """Return the folds of each validation of a training: the one that was asked for, and the one to compare it with."""
    found = {"validate": rows.folds(order.validation, seed=order.seed)}
    if order.compares:
        found["validate_at_random"] = rows.at_random(order.validation, seed=order.seed)
    return found


def metrics(
    order: Order, rows: Rows, validated: CrossValidation, at_random: CrossValidation | None, intervals: Intervals | None
) -> dict[str, Any]:
    """Return what is told of a model's worth. How rows were held out stands beside every score."""
    notes = [] if at_random is None else compare(at_random, validated, order.validation)
    return {
        "validation": order.validation.to_json(),
        "scores": validated.scores,
        "per_fold": validated.per_fold,
        "random": None if at_random is None else at_random.scores,
        "notes": [note.to_json() for note in notes],
        "intervals": None if intervals is None else intervals.to_json(),
        "n_rows": len(rows.X),
        "n_rows_validated": validated.n_rows,
        "n_rows_dropped": rows.n_dropped,
        "n_cells_imputed": rows.n_missing,
    }


def finish(
    order: Order,
    surrogate: Surrogate,
    stored: ObjectInfo,
    *,
    metrics: dict[str, Any],
    routes: list[Any] | None,
    seconds: float,
) -> dict[str, Any]:
    """Write what training made into the model's row, in the caller's transaction. Returns the task's result.

    The routes were measured on this machine at this time. So they stand beside the file and not in it: the same
    training gives the same file.
    """
    model = db.session.get_one(Model, order.model_id, populate_existing=True)
    choice = None if surrogate.choice is None else dict(surrogate.choice)
    model.options = {**model.options, "encoding": _rule(surrogate), "routes": routes, "choice": choice}
    model.metrics = metrics
    model.ranges = _ranges(module_tags.lookback_of(model), surrogate)
    model.n_rows = surrogate.n_rows
    model.seconds = round(seconds, 3)
    model.artifact_key = stored.key
    model.artifact_sha256 = stored.sha256
    db.session.flush()
    names = ("validation", "scores", "random", "notes", "n_rows", "n_rows_dropped")
    return {"model_id": str(model.id), **{name: metrics[name] for name in names}, "seconds": model.seconds}


def _rule(surrogate: Surrogate) -> dict[str, Any] | None:
    """Return how a surrogate turns categories and missing cells into numbers; None where it takes neither."""
    encoding = surrogate.encoding
    if encoding is None:
        return None
    told = encoding.to_json()
    fill = dict(zip(encoding.inputs, encoding.fill.tolist(), strict=True)) if encoding.imputes else {}
    return {
        **told,
        "fill": categories.worded(fill, told["categories"]),
        "flagged": [tag for tag, is_so in zip(encoding.inputs, encoding.is_flagged, strict=True) if is_so],
    }


def _ranges(lookback: Lookback, surrogate: Surrogate) -> dict[str, list[float]]:
    """Return the lowest and highest value of every tag in the rows that were learned from."""
    inputs = zip(lookback.tags, lookback.input_ranges(surrogate.input_ranges), strict=True)
    outputs = zip(surrogate.outputs, surrogate.output_ranges, strict=True)
    return {tag: [float(lower), float(upper)] for tag, (lower, upper) in (*inputs, *outputs)}

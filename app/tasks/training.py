"""Training surrogates."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np

from app.extensions import object_store
from app.libs.enums import EventType
from app.tasks.claim import Claim
from app.utils.object_store import ObjectInfo
from app.viewModels import model_objects, training
from app.viewModels.training_rows import Rows
from engine.surrogates import Surrogate, calibrate, fit, measure_routes, save
from engine.surrogates.routes import routes_to_json
from engine.validation import CrossValidation, Fold, cross_validate


def train_model(claim: Claim) -> None:
    """Train the next queued model: validate it on rows held out, then learn from all rows and store the result."""
    started = time.perf_counter()
    order, rows = training.load(UUID(claim.payload["model_id"]))
    claim.tell((EventType.LOG, _about(rows)))
    stages, kept = _Stages(claim, order), _KeptFolds(claim)

    def validated_on(folds: list[Fold], stage: str) -> CrossValidation:
        tell = stages.of(stage)
        return cross_validate(
            order.kind,
            rows.X,
            rows.Y,
            folds,
            **order.learn,
            on_fold=lambda n_done, n_all: tell(n_done / n_all),
            on_step=tell,
            known=kept.of(stage),
            on_predicted=lambda i, predictions: kept.add(stage, i, predictions),
        )

    validated = validated_on(rows.folds(order.validation, seed=order.seed), "validate")
    at_random = None
    if order.compares:
        at_random = validated_on(rows.at_random(order.validation, seed=order.seed), "validate_at_random")
    surrogate = fit(order.kind, rows.X, rows.Y, **order.learn, on_step=stages.of("learn"))
    if validated.n_rows > 1:
        surrogate = calibrate(surrogate, validated, seed=order.seed, on_step=stages.of("calibrate"))
    routes = routes_to_json(measure_routes(surrogate, on_step=stages.of("measure")).form)
    metrics = training.metrics(order, rows, validated, at_random, surrogate.intervals)
    scores = ((EventType.METRIC, _score_of(output, metrics)) for output in order.outputs)
    claim.tell(*scores, *((EventType.LOG, note) for note in metrics["notes"]))

    with stored(surrogate, order.model_id, claim.lease.fence) as artifact, claim.success() as result:
        seconds = time.perf_counter() - started
        result.update(training.finish(order, surrogate, artifact, metrics=metrics, routes=routes, seconds=seconds))


class _KeptFolds:
    """The folds that are finished, in the checkpoint: a worker that takes over does not fit them again."""

    def __init__(self, claim: Claim) -> None:
        self.checkpoints = claim.checkpoints
        self.state = self.checkpoints.load() or {}

    def of(self, stage: str) -> dict[int, np.ndarray]:
        """Return the held-out predictions of the finished folds of a stage."""
        named = {name.rpartition(".")[2]: each for name, each in self.state.items() if name.startswith(f"{stage}.")}
        return {int(i): predictions for i, predictions in named.items()}

    def add(self, stage: str, i: int, predictions: np.ndarray) -> None:
        """Keep the predictions of one more fold."""
        self.state[f"{stage}.{i}"] = predictions
        self.checkpoints.save(lambda: self.state)


class _Stages:
    """How far a training is: each validation counts as many fits as it has folds, learning one, the rest a part."""

    def __init__(self, claim: Claim, order: training.Order) -> None:
        self.claim, self.n_folds = claim, order.validation.n_folds
        n_random = self.n_folds if order.compares else 0
        self.weights = {"validate": self.n_folds, "validate_at_random": n_random, "learn": 1.0, "calibrate": 0.25}
        self.weights["measure"] = 0.05

    def of(self, stage: str) -> Callable[[float], None]:
        """Return what is told the share of this stage that is done."""
        names, total = list(self.weights), sum(self.weights.values())
        before = sum(self.weights[name] for name in names[: names.index(stage)])

        def step(share: float) -> None:
            folds = {}
            if stage.startswith("validate"):
                folds = {"folds_done": int(round(share * self.n_folds, 6)), "n_folds": self.n_folds}
            self.claim.step((before + share * self.weights[stage]) / total, stage=stage, **folds)

        return step


@contextmanager
def stored(surrogate: Surrogate, model_id: UUID, fence: int) -> Iterator[ObjectInfo]:
    """Put the model file into the object store; should the block fail, it is deleted again.

    The fence in the key keeps two workers apart, of which one has lost its lease without knowing it.
    """
    key = model_objects.key(model_id, fence)
    with tempfile.TemporaryDirectory(prefix="setpoint-") as folder:
        path = Path(folder) / "model.safetensors"
        save(surrogate, path)
        with path.open("rb") as stream:
            artifact = object_store.put(key, stream)
    try:
        yield artifact
    except BaseException:
        model_objects.discard_unowned(model_id, key)
        raise


def _about(rows: Rows) -> dict:
    message = f"Learning from {len(rows.X)} complete rows; {rows.n_dropped} rows that lack a value are left out."
    if rows.n_missing:
        message = (
            f"Learning from {len(rows.X)} rows, in which {rows.n_missing} missing cells are filled by a rule that is"
        )
        message += f" stored with the model; {rows.n_dropped} rows that lack an output or all inputs are left out."
    about = {"message": message, "n_rows": len(rows.X), "n_rows_dropped": rows.n_dropped}
    return {**about, "n_cells_imputed": rows.n_missing}


def _score_of(output: str, metrics: dict) -> dict:
    return {"output": output, **metrics["scores"][output], "validation": metrics["validation"]}

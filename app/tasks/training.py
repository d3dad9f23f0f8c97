"""Training surrogates."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from app.extensions import object_store
from app.libs.enums import EventType
from app.tasks.claim import Claim
from app.utils.object_store import ObjectInfo
from app.viewModels import model_objects, training
from engine.surrogates import Surrogate, fit, save
from engine.validation import cross_validate


def train_model(claim: Claim) -> None:
    """Train the next queued model: validate it on rows held out, then learn from all rows and store the result."""
    started = time.perf_counter()
    order, rows = training.load(UUID(claim.payload["model_id"]))
    claim.tell((EventType.LOG, _about(rows)))
    n_folds = order.validation.n_folds
    learn = {"inputs": order.inputs, "outputs": order.outputs, "params": order.params, "seed": order.seed}

    def validating(share: float) -> None:
        n_done = int(round(share * n_folds, 6))
        claim.step(share * n_folds / (n_folds + 1), stage="validate", folds_done=n_done, n_folds=n_folds)

    def learning(share: float) -> None:
        claim.step((n_folds + share) / (n_folds + 1), stage="learn")

    validated = cross_validate(
        order.kind,
        rows.X,
        rows.Y,
        rows.folds(order.validation, seed=order.seed),
        **learn,
        on_fold=lambda n_done, n_all: validating(n_done / n_all),
        on_step=validating,
    )
    metrics = training.metrics(order, rows, validated)
    claim.tell(*((EventType.METRIC, _score_of(output, metrics)) for output in order.outputs))
    surrogate = fit(order.kind, rows.X, rows.Y, **learn, on_step=learning)

    with stored(surrogate, order.model_id, claim.lease.fence) as artifact, claim.success() as result:
        seconds = time.perf_counter() - started
        result.update(training.finish(order, surrogate, artifact, metrics=metrics, seconds=seconds))


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


def _about(rows: training.Rows) -> dict:
    message = f"Learning from {len(rows.X)} complete rows; {rows.n_dropped} rows that lack a value are left out."
    return {"message": message, "n_rows": len(rows.X), "n_rows_dropped": rows.n_dropped}


def _score_of(output: str, metrics: dict) -> dict:
    return {"output": output, **metrics["scores"][output], "validation": metrics["validation"]}

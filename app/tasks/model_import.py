"""Taking in models that were made elsewhere."""

import time

from app.libs.enums import EventType
from app.tasks.claim import Claim
from app.tasks.training import stored
from app.viewModels import model_objects, onnx_models
from engine.surrogates import import_onnx


def import_model(claim: Claim) -> None:
    """Look at an ONNX file, hold it against measured rows, and store it as a model."""
    started = time.perf_counter()
    order = onnx_models.load(claim.payload)
    claim.tell((EventType.LOG, _about(order)))
    claim.step(0.2, stage="check")
    content = onnx_models.content(order)
    surrogate = import_onnx(content, inputs=order.inputs, outputs=order.outputs, X=order.X, Y=order.Y)
    try:
        claim.step(0.6, stage="score")
        metrics = onnx_models.metrics(order, surrogate)
    finally:
        surrogate.form.close()
    claim.tell(*((EventType.METRIC, _score_of(output, metrics)) for output in order.outputs))

    with stored(surrogate, order.model_id, claim.lease.fence) as artifact, claim.success() as result:
        seconds = time.perf_counter() - started
        result.update(onnx_models.finish(order, surrogate, artifact, metrics=metrics, seconds=seconds))
    model_objects.discard(order.source_key)


def _about(order: onnx_models.Order) -> dict:
    message = (
        f"Holding the file against {len(order.X)} complete rows within the declared bounds; {order.n_dropped} rows are "
        "left out."
    )
    return {"message": message, "n_rows": len(order.X), "n_rows_dropped": order.n_dropped}


def _score_of(output: str, metrics: dict) -> dict:
    return {"output": output, **metrics["scores"][output], "validation": metrics["validation"]}

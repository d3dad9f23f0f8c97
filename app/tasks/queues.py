"""The Celery tasks that workers are woken with, one a queue. What is done is decided by the row that is claimed."""

from celery import shared_task

from app.libs.enums import Queue, TaskKind
from app.tasks import analysis, imports, model_import, optimization, pipelines, training
from app.tasks.claim import Claim


def make_model(claim: Claim) -> None:
    """Train a model, or take one in that was made elsewhere."""
    (model_import.import_model if "source_key" in claim.payload else training.train_model)(claim)


WORK = {
    TaskKind.IMPORT: imports.import_upload,
    TaskKind.TRAIN: make_model,
    TaskKind.TRAIN_FOLD: training.train_fold,
    TaskKind.OPTIMIZE: optimization.optimize,
    TaskKind.SEARCH: optimization.search_part,
    TaskKind.ANALYZE: analysis.analyze,
    TaskKind.PIPELINE: pipelines.run_pipeline,
}


@shared_task(name="default.run", claims=Queue.DEFAULT)
def run_default(claim: Claim) -> None:
    """Carry the next task of the default queue to its end."""
    WORK[claim.lease.kind](claim)


@shared_task(name="training.run", claims=Queue.TRAINING)
def run_training(claim: Claim) -> None:
    """Carry the next task of the training queue to its end."""
    WORK[claim.lease.kind](claim)


@shared_task(name="optimization.run", claims=Queue.OPTIMIZATION)
def run_optimization(claim: Claim) -> None:
    """Carry the next task of the optimization queue to its end."""
    WORK[claim.lease.kind](claim)

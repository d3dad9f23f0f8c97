"""What beat runs: nothing that was accepted stays lying, and nothing half-written stays at all."""

from datetime import timedelta

from celery import shared_task
from flask import current_app

from app.extensions import object_store
from app.viewModels import dataset_objects, model_objects, task_queue


@shared_task(name="maintenance.sweep")
def sweep() -> None:
    """Queue again what lost its worker, and send the wake-ups that are still owed."""
    task_queue.requeue_lost(max_attempts=current_app.config["SETTINGS"].task_max_attempts)
    task_queue.send_owed_wake_ups()


@shared_task(name="maintenance.sweep_objects")
def sweep_objects() -> None:
    """Remove what uploads, imports and trainings that broke off long ago have left in the object store."""
    object_store.sweep_temporary(timedelta(days=1))
    dataset_objects.sweep(older_than=timedelta(hours=1))
    model_objects.sweep(older_than=timedelta(hours=1))

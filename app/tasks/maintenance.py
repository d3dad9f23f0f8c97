"""What beat runs: nothing that was accepted stays lying, and nothing half-written stays at all."""

from datetime import timedelta

import structlog
from celery import shared_task
from flask import current_app

from app.extensions import celery_ext, db, object_store
from app.libs.enums import Queue
from app.settings import Settings
from app.utils import sqlite
from app.viewModels import (
    checkpoint_objects,
    dataset_objects,
    model_objects,
    schedule_runs,
    task_limits,
    task_needs,
    task_parts,
    task_queue,
    task_retention,
    wake_ups,
)

log = structlog.get_logger(__name__)

MOST_WAKE_UPS = 10
"""Of one queue in one sweep: while all workers are busy, messages pile up that nobody takes."""


def sweep() -> None:
    """Queue again what lost its worker, stop what runs too long, send the wake-ups that are owed or may be lost."""
    settings: Settings = current_app.config["SETTINGS"]
    with sqlite.writing():
        task_queue.requeue_lost(max_attempts=settings.task_max_attempts)
        task_limits.stop_overdue()
        task_needs.close_stopped()
        db.session.commit()
    task_limits.kill_stubborn(grace_s=settings.task_stop_grace)
    wake_ups.send_owed()
    _wake_for_what_waits(expires_s=settings.task_sweep_seconds)


def _wake_for_what_waits(*, expires_s: int) -> None:
    """Wake workers once more for tasks that wait: the first message may have gone with the Redis that held it.

    A message too many finds nothing to do. They expire before the next sweep sends others.
    """
    with sqlite.reading():
        depths = {queue: task_queue.depth(queue) for queue in Queue}
        db.session.commit()
    for queue, (n_waiting, _at_work) in depths.items():
        for _ in range(min(n_waiting, MOST_WAKE_UPS)):
            celery_ext.celery.send_task(f"{queue}.run", queue=queue.value, retry=False, expires=expires_s)


@shared_task(name="maintenance.sweep_objects")
def sweep_objects() -> None:
    """Remove what uploads, imports and trainings that broke off long ago have left in the object store."""
    object_store.sweep_temporary(timedelta(days=1))
    dataset_objects.sweep(older_than=timedelta(hours=1))
    model_objects.sweep(older_than=timedelta(hours=1))
    checkpoint_objects.sweep(older_than=timedelta(hours=1))
    task_parts.sweep(older_than=timedelta(hours=1))


@shared_task(name="maintenance.remove_old_tasks")
def remove_old_tasks() -> None:
    """Remove the tasks that ended longer ago than they are kept, and runs of schedules. What they made stays."""
    schedule_runs.forget_old()
    if n_removed := task_retention.remove_old():
        log.info("tasks_removed", n=n_removed)

"""What beat runs every few seconds: nothing that was accepted stays lying."""

from celery import shared_task
from flask import current_app

from app.viewModels import task_queue


@shared_task(name="maintenance.sweep")
def sweep() -> None:
    """Queue again what lost its worker, and send the wake-ups that are still owed."""
    task_queue.requeue_lost(max_attempts=current_app.config["SETTINGS"].task_max_attempts)
    task_queue.send_owed_wake_ups()

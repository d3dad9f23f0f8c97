"""The queue of everything that has none of its own."""

from celery import shared_task

from app.libs.enums import Queue
from app.tasks.claim import Claim


@shared_task(name="default.run", claims=Queue.DEFAULT)
def run_default(claim: Claim) -> None:
    """Carry the next task of the default queue to its end."""
    raise NotImplementedError

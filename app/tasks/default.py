"""The queue of everything that has none of its own."""

from celery import shared_task

from app.libs.enums import Queue, TaskKind
from app.tasks import imports
from app.tasks.claim import Claim

WORK = {TaskKind.IMPORT: imports.import_upload}


@shared_task(name="default.run", claims=Queue.DEFAULT)
def run_default(claim: Claim) -> None:
    """Carry the next task of the default queue to its end."""
    WORK[claim.lease.kind](claim)

"""The messages that wake workers, and the outbox that keeps those which could not be sent yet.

A wake-up is owed in the transaction that makes a task runnable, and sent after its commit. It names a queue, no task.
"""

from collections import deque
from uuid import UUID

import structlog
from flask import current_app
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from sqlalchemy import bindparam, event, select
from sqlalchemy.orm import Session

from app.extensions import celery_ext, db
from app.libs.ids import new_id
from app.models import OutboxMessage
from app.utils.clock import now_ms

log = structlog.get_logger(__name__)

_OUTBOX = OutboxMessage.__table__
_CROSS_OFF = _OUTBOX.delete().where(_OUTBOX.c.id == bindparam("sent_id"))


def owe(task_id: UUID, queue: str) -> None:
    """Add a wake-up to the caller's transaction; it is sent after the commit."""
    _cross_off_sent()
    message = {"id": new_id(), "task_id": task_id, "queue": queue, "created_at": now_ms()}
    db.session.connection().execute(_OUTBOX.insert(), message)
    db.session.info.setdefault("wake_ups", []).append((message["id"], queue))


def send_owed() -> int:
    """Send the wake-ups that are still in the outbox and cross them off. Returns how many were sent.

    One that was sent but not crossed off yet is sent again: a wake-up for nothing does no harm.
    """
    owed = db.session.execute(select(OutboxMessage.id, OutboxMessage.queue)).all()
    db.session.commit()
    sent = _send([(row.id, row.queue) for row in owed])
    _cross_off_sent()
    db.session.commit()
    return sent


@event.listens_for(Session, "after_commit", insert=True)  # first the worker, then whoever watches
def _wake(session: Session) -> None:
    """Send what the committed transaction owes. It cannot fail the caller: the outbox keeps what was not sent."""
    _send(session.info.pop("wake_ups", []))


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("wake_ups", None)


def _send(messages: list[tuple[UUID, str]]) -> int:
    for n_sent, (message_id, queue) in enumerate(messages):
        try:
            celery_ext.celery.send_task(f"{queue}.run", queue=queue, retry=False)
        except (BrokerError, RedisError) as error:
            log.warning("wake_up_not_sent", queue=queue, error=str(error))
            return n_sent
        _sent().append(message_id)
    return len(messages)


def _sent() -> deque[UUID]:
    """What this process has sent and not yet crossed off in the outbox.

    Crossing off at once would take a transaction more, for which the worker that was just woken would have to wait.
    """
    return current_app.extensions.setdefault("sent_wake_ups", deque())


def _cross_off_sent() -> None:
    """Delete sent wake-ups from the outbox, in the caller's transaction. If that fails, the sweep sends them again."""
    sent = _sent()
    ids = [{"sent_id": sent.popleft()} for _ in range(len(sent))]
    if ids:
        db.session.connection().execute(_CROSS_OFF, ids)

"""Telling addresses of the ends of tasks: once the task has ended, and again until somebody says that it was heard.

Nothing has to be written when a task ends: that it has ended, and that somebody waits for that, both stand in the
database, and whoever looks finds it. A try is claimed by moving the time of the next one, so that two who look at once
make one try; one that was broken off is made again when that time has come. So an end is told at least once.
"""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update

from app.extensions import db
from app.libs.enums import CallbackState, TaskState
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Callback, Task
from app.utils import outward, sqlite
from app.utils.clock import now_ms
from app.utils.outward import AddressRefused, NoAnswer
from app.viewModels import callbacks, users
from app.viewModels.access import visible

log = structlog.get_logger(__name__)

AT_ONCE = 8
TRY_MS = 120_000
"""So long a try may take before it counts as broken off."""

FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 10_000, 4 * 3_600_000
GIVE_UP_MS = 86_400_000
MOST_IN_LOG = 50
LARGEST_BODY = 256 * 1024

_TOLD = (
    *("id", "kind", "state", "queue", "project_id", "subject_id", "created_at", "created_by", "started_at", "ended_at"),
    *("attempt", "priority", "waits_for", "position", "forecast", "progress", "last_event", "result", "error"),
)


@dataclass(frozen=True)
class Letter:
    """One try: what is sent where. ``refused`` says why it is not sent at all."""

    id: UUID
    claimed_until: int
    url: str
    body: bytes
    headers: dict[str, str]
    refused: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a try. ``is_final``: another try could not end otherwise."""

    at: int
    status: int | None
    error: str | None
    ms: int
    is_final: bool = False

    @property
    def is_heard(self) -> bool:
        """Whether the other side has said that it got the letter."""
        return self.status is not None and 200 <= self.status < 300


def deliver_due() -> int:
    """Tell everybody who is to be told now. Returns how many tries were made."""
    _find_ended()
    n_tried = 0
    while letters := [letter for row in _due() if (letter := _claimed(*row))]:
        send = partial(_send, allows_private=callbacks.allows_private())
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for letter, outcome in zip(letters, threads.map(send, letters), strict=True):
                _note(letter, outcome)
        n_tried += len(letters)
    return n_tried


def pause_ms(n_tried: int) -> int:
    """Return how long to wait after so many tries in vain."""
    return min(FIRST_PAUSE_MS * 2 ** (n_tried - 1), LONGEST_PAUSE_MS)


def _find_ended() -> None:
    """Let the callbacks of tasks that have ended be due."""
    waiting = select(Callback.id).join(Task).where(Callback.state == CallbackState.WAITING, Task.ended_at.is_not(None))
    with sqlite.reading():
        found = db.session.scalars(waiting.limit(1000)).all()
        db.session.commit()
    if found:
        with sqlite.writing():
            now = now_ms()
            still = (
                Callback.state == CallbackState.WAITING,
                Callback.task_id.in_(select(Task.id).where(Task.ended_at.is_not(None))),  # it may be tried again by now
            )
            due = {"state": CallbackState.DUE, "n_tried": 0, "next_at": now, "give_up_at": now + GIVE_UP_MS}
            db.session.execute(update(Callback).where(Callback.id.in_(found), *still).values(due))
            db.session.commit()


def _due() -> Sequence[Any]:
    statement = select(Callback.id, Callback.next_at).where(
        Callback.state == CallbackState.DUE, Callback.next_at <= now_ms()
    )
    with sqlite.reading():
        found = db.session.execute(statement.order_by(Callback.next_at).limit(AT_ONCE)).all()
        db.session.commit()
    return found


def _claimed(callback_id: UUID, seen: int) -> Letter | None:
    """Take a try, unless somebody else has, and return what is to be sent."""
    until = now_ms() + TRY_MS
    of_mine = (Callback.id == callback_id, Callback.state == CallbackState.DUE, Callback.next_at == seen)
    with sqlite.writing():
        claimed = db.session.execute(update(Callback).where(*of_mine).values(next_at=until)).rowcount
        callback = db.session.get(Callback, callback_id, populate_existing=True) if claimed else None
        letter = _letter(callback, until) if callback else None
        db.session.commit()
    return letter


def _letter(callback: Callback, until: int) -> Letter | None:
    task = db.session.get(Task, callback.task_id, populate_existing=True)
    if not TaskState(task.state).has_ended:  # it is tried again at this very moment
        return None
    delivery_id = f"{callback.id}.{task.last_event}"  # the same for every try to tell of this end, and of no other
    body, timestamp = _body(delivery_id, task), now_ms() // 1000
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Setpoint",
        "Setpoint-Delivery": delivery_id,
        "Setpoint-Timestamp": str(timestamp),
        "Setpoint-Signature": callbacks.signature(task.project_id, timestamp, body),
    }
    return Letter(callback.id, until, callback.url, body, headers, _refusal(task))


def _refusal(task: Task) -> str | None:
    """Return why whoever asked for the callback must not hear of the task any more, if so."""
    actor = users.acting(task.created_by)
    if actor is None:
        return "Who asked for it was deactivated."
    try:
        visible(Task, task.id, to=actor, needs=Scope.TASK_READ)
    except AppError:
        return "Who asked for it may not see the task any more."
    return None


def _body(delivery_id: str, task: Task) -> bytes:
    told = {name: _plain(getattr(task, name)) for name in _TOLD}
    body = json.dumps({"id": delivery_id, "task": told}).encode()
    if len(body) > LARGEST_BODY:
        body = json.dumps({"id": delivery_id, "task": told | {"result": None}}).encode()
    return body


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _send(letter: Letter, *, allows_private: bool) -> Outcome:
    """Make a try. It runs in a thread without a database."""
    began, at = time.monotonic(), now_ms()
    status, error, is_final = None, letter.refused, letter.refused is not None
    if not error:
        try:
            status = outward.post(letter.url, letter.body, letter.headers, allows_private=allows_private)
        except (AddressRefused, NoAnswer) as failure:
            error = str(failure)
    return Outcome(at, status, error, int((time.monotonic() - began) * 1000), is_final)


def _note(letter: Letter, outcome: Outcome) -> None:
    """Write down what came of a try, unless it was taken for broken off meanwhile, or the task was tried again."""
    entry = {"at": outcome.at, "status": outcome.status, "error": outcome.error, "ms": outcome.ms}
    mine = (Callback.state == CallbackState.DUE, Callback.next_at == letter.claimed_until)
    with sqlite.writing():
        callback = db.session.scalar(select(Callback).where(Callback.id == letter.id, *mine).with_for_update())
        if callback is not None:
            callback.n_tried += 1
            callback.attempts = [*callback.attempts, entry][-MOST_IN_LOG:]
            callback.state, callback.next_at = _after(callback, outcome)
        db.session.commit()
    log.info("callback_tried", callback_id=str(letter.id), status=outcome.status, error=outcome.error)


def _after(callback: Callback, outcome: Outcome) -> tuple[CallbackState, int | None]:
    if outcome.is_heard:
        return CallbackState.DELIVERED, None
    next_at = outcome.at + outcome.ms + pause_ms(callback.n_tried)
    if outcome.is_final or next_at > callback.give_up_at:
        return CallbackState.FAILED, None
    return CallbackState.DUE, next_at

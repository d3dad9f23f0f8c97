"""A task's events as one list that grows: from a number on, live, until the task ends or somebody may not follow it."""

import time
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from app.libs.actor import Actor
from app.libs.enums import EndReason
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.utils import sqlite
from app.utils.clock import now_ms
from app.utils.places import Places
from app.viewModels import accounts, task_log, tasks
from app.viewModels.task_feed import Feed, Feeds, Told

BATCH = 200  # events handed over at once
HEARTBEAT_S = 15.0  # after so long without an event, a reader is told that nothing happened
RIGHTS_LAST_S = 1.0  # after this, whether the reader may still follow is asked again
SLOW_S = 10.0  # who takes longer to take what is handed over is let go of
FULL_FOR_S = 5  # whoever finds no place may ask again after so long

log = structlog.get_logger(__name__)


class End(NamedTuple):
    """Why nothing more comes, and the number of the last event that came."""

    reason: EndReason
    after: int


class Stream:
    """What a reader is handed: events, some at a time, or none as a sign of life; and an ``End`` at last.

    Args:
        after: number of the last event that the reader has.
        fetch: gives the next events of the log after a number, and none at its end.
        reason_to_end: tells why the reader may not go on, or None.
        on_close: called once, when the reader is gone.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        after: int,
        fetch: Callable[[int], list[Told]],
        reason_to_end: Callable[[], EndReason | None],
        on_close: Callable[[], None],
    ) -> None:
        self.after = after
        self._feed = feed
        self._fetch = fetch
        self._reason_to_end = reason_to_end
        self._on_close = on_close
        self._is_open = True
        self._is_slow = False
        self._asked_at = self._told_at = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the task has ended and the reader has everything."""
        return self._feed.has_ended and not self._feed.is_behind and self.after >= self._feed.last

    def __iter__(self) -> Iterator[list[Told] | End]:
        while (reason := self._why_end()) is None:
            try:
                events = self._next()
            except SQLAlchemyError:
                log.warning("stream_broken", task_id=self._feed.task_id, exc_info=True)
                reason = EndReason.UNAVAILABLE
                break
            if events or time.monotonic() - self._told_at > HEARTBEAT_S:
                self._told_at = time.monotonic()
                yield events
                self._is_slow = time.monotonic() - self._told_at > SLOW_S
                self.after = events[-1]["number"] if events else self.after
            elif not self.is_over:
                self._feed.wait(self.after, RIGHTS_LAST_S)
        yield End(reason, self.after)

    def close(self) -> None:
        """Let go of the task."""
        if self._is_open:
            self._is_open = False
            self._on_close()

    def _next(self) -> list[Told]:
        if self._feed.is_behind:
            self._feed.catch_up()
        events = self._feed.after(self.after, limit=BATCH)
        if events is None and not (events := self._fetch(self.after)):
            self.after = self._feed.first - 1  # what came before has been cleaned away
        return events or []

    def _why_end(self) -> EndReason | None:
        now = time.monotonic()
        if self._is_slow:
            return EndReason.TOO_SLOW
        if now - self._asked_at > RIGHTS_LAST_S:
            self._asked_at = now
            if reason := self._reason_to_end():
                return reason
        return EndReason.TASK_ENDED if self.is_over else None


def follow(task_id: UUID, *, after: int, actor: Actor) -> Stream:
    """Return the task's events after a number, for somebody who may follow it. Whoever takes it closes it.

    Raises:
        AppError: TASK_NOT_FOUND, STREAMS_FULL.
    """
    tasks.get(task_id, actor=actor)
    app, actor = current_app._get_current_object(), copy(actor)  # what they stand for: the request will be over
    places: Places = app.extensions["places"]
    if not places.take():
        raise AppError(ErrorCode.STREAMS_FULL, retry_after_s=FULL_FOR_S)
    try:
        return _stream(app, task_id, after, why_end=lambda: reason_to_end(task_id, actor), on_close=places.give_back)
    except BaseException:
        places.give_back()
        raise


def follow_as_owner_of_the_server(task_id: UUID, *, after: int = 0) -> Stream:
    """Return the task's events after a number, for whoever has the server's own shell.

    Raises:
        AppError: TASK_NOT_FOUND.
    """
    app = current_app._get_current_object()
    if task_id not in in_context(app, task_log.heads, [task_id]):
        raise AppError(ErrorCode.TASK_NOT_FOUND, id=str(task_id))
    return _stream(app, task_id, after, why_end=lambda: None, on_close=lambda: None)


def reason_to_end(task_id: UUID, actor: Actor) -> EndReason | None:
    """Return why somebody who could follow a task can no more. Tokens expire, sessions end, members leave."""
    if actor.expires_at is not None and actor.expires_at <= now_ms():
        return EndReason.TOKEN_EXPIRED
    now = accounts.actor_of(actor.id, actor.session_id)
    if now is None:
        return EndReason.SESSION_ENDED
    try:
        tasks.get(task_id, actor=now)
    except AppError:
        return EndReason.NOT_FOUND
    return None


def feeds() -> Feeds:
    """Return the feeds of this process."""
    return current_app.extensions["task_feeds"]


def _stream(
    app: Flask,
    task_id: UUID,
    after: int,
    *,
    why_end: Callable[[], EndReason | None],
    on_close: Callable[[], None],
) -> Stream:
    feed = feeds().follow(task_id)

    def close() -> None:
        app.extensions["task_feeds"].let_go(feed)
        on_close()

    def fetch(number: int) -> list[Told]:
        return in_context(app, task_log.after, task_id, number, limit=BATCH)

    return Stream(feed, after=after, fetch=fetch, reason_to_end=lambda: in_context(app, why_end), on_close=close)


def in_context(app: Flask, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a function reads in a context of its own, so that no connection is held between two reads."""
    with app.app_context(), sqlite.reading():
        return read(*args, **kwargs)

"""The newest events of the tasks that are followed in this process: read from the log once, however many follow.

The log in the database is the truth. What Redis tells of it may come out of order, doubled or, while Redis restarts,
not at all. A feed takes the next number as it comes, reads from the log what is missing, and is told every few seconds
how long the log really is. So whoever reads a feed, or the log before it, by number gets every event once, in order.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

import structlog

from app.libs.enums import EventType, TaskState
from app.viewModels.task_log import Head

KEPT = 2000
"""Events that a feed keeps. Who needs older ones reads the log."""
PATROL_S = 2.0
"""How often the length of the logs is asked for, should Redis have told nothing."""
BEGIN_S = 10.0  # for so long a second follower waits for the first one's look at the log

Told = dict[str, Any]
log = structlog.get_logger(__name__)


class Feed:
    """The newest events of one task.

    Args:
        read: gives the next events of the log after a number, some at a time, and none at its end.
    """

    def __init__(self, task_id: str, read: Callable[[int], list[Told]]) -> None:
        self.task_id = task_id
        self.last = self._known = 0
        self.has_ended = False
        self.n_followers = 0
        self.has_begun = threading.Event()
        self._read = read
        self._events: deque[Told] = deque(maxlen=KEPT)
        self._changed = threading.Condition()
        self._reading = threading.Lock()

    def begin(self, head: Head) -> None:
        """Leave the past to the log: begin at its end."""
        with self._changed:
            if head.last_event > self.last:
                self._events.clear()
                self.last, self.has_ended = head.last_event, head.state.has_ended
                self._known = max(self._known, self.last)

    @property
    def first(self) -> int:
        """The number of the oldest event that is here; of the next one, while there is none."""
        return self.last - len(self._events) + 1

    @property
    def is_behind(self) -> bool:
        """Whether the log is known to be longer."""
        return self._known > self.last

    def offer(self, event: Told) -> None:
        """Take an event that somebody tells of, if it is the next one. Never blocks on anything but memory."""
        with self._changed:
            self._known = max(self._known, event["number"])
            if event["number"] == self.last + 1:
                self._take(event)
            self._changed.notify_all()

    def note(self, last_event: int) -> None:
        """Learn how long the log is."""
        with self._changed:
            self._known = max(self._known, last_event)
            if self.is_behind:
                self._changed.notify_all()

    def catch_up(self) -> None:
        """Read from the log what was not told."""
        with self._reading:
            while self.is_behind:
                events = self._read(self.last)
                with self._changed:
                    for event in events:
                        if event["number"] == self.last + 1:
                            self._take(event)
                    if not events:
                        self._known = self.last  # the log has been cleaned away
                    self._changed.notify_all()

    def after(self, number: int, *, limit: int = KEPT) -> list[Told] | None:
        """Return the events after a number that are here. None: some of them have left, the log still has them."""
        with self._changed:
            begin = number + 1 - self.first
            return list(islice(self._events, begin, begin + limit)) if begin >= 0 else None

    def wait(self, number: int, timeout_s: float) -> bool:
        """Wait until there is something after a number. Returns whether there is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._known > number, timeout_s)

    def _take(self, event: Told) -> None:
        self._events.append(event)
        self.last = event["number"]
        if event["type"] == EventType.STATE:
            self.has_ended = TaskState(event["data"]["state"]).has_ended


class Feeds:
    """The feeds of this process. A thread watches over them for as long as there are any.

    Args:
        read: gives the next events of a task's log after a number.
        heads: tells of several tasks how long their logs are.
        listen: begins to hear of events. Called whenever a task is followed; the second time it has nothing to do.
    """

    def __init__(
        self,
        *,
        read: Callable[[UUID, int], list[Told]],
        heads: Callable[[list[UUID]], Mapping[UUID, Head]],
        listen: Callable[[], None],
    ) -> None:
        self._read = read
        self._heads = heads
        self._listen = listen
        self._feeds: dict[str, Feed] = {}
        self._lock = threading.Lock()
        self._is_watched = False
        self.on_news: Callable[[Feed], None] = lambda _feed: None

    def follow(self, task_id: UUID) -> Feed:
        """Return the task's feed, which lives until everybody who asked for it has let go of it."""
        self._listen()
        with self._lock:
            is_new = str(task_id) not in self._feeds
            feed = self._feeds.setdefault(str(task_id), Feed(str(task_id), partial(self._read, task_id)))
            feed.n_followers += 1
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name="task-feeds", daemon=True).start()
        if is_new:  # asked only now that events are offered to it: between the two, none can slip by
            self._begin(task_id, feed)
        else:
            feed.has_begun.wait(BEGIN_S)
        return feed

    def let_go(self, feed: Feed) -> None:
        """Take back one ``follow``."""
        with self._lock:
            feed.n_followers -= 1
            if not feed.n_followers:
                self._feeds.pop(feed.task_id, None)

    def offer(self, event: Told) -> None:
        """Hand an event to the feed of its task, if anybody follows it."""
        if feed := self._feeds.get(event["task_id"]):
            feed.offer(event)
            self.on_news(feed)

    def patrol(self) -> None:
        """Ask how long the logs of all followed tasks are."""
        followed = dict(self._feeds)
        heads = self._heads([UUID(task_id) for task_id in followed])
        for task_id, head in heads.items():
            feed = followed[str(task_id)]
            feed.note(head.last_event)
            if feed.is_behind:
                self.on_news(feed)

    def _begin(self, task_id: UUID, feed: Feed) -> None:
        try:
            feed.begin(self._heads([task_id])[task_id])
        except Exception:
            self.let_go(feed)
            raise
        finally:
            feed.has_begun.set()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(PATROL_S)
            with self._lock:
                self._is_watched = bool(self._feeds)
                if not self._is_watched:
                    return
            try:
                self.patrol()
            except Exception:
                log.warning("patrol_failed", exc_info=True)  # the database is away; it will be back

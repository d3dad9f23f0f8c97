"""Brings the events of followed tasks to Socket.IO clients: each once and in order, and nobody waits for another.

What is old is replayed from the log in a thread of its own. What is live comes from the task's feed, in the one thread
of the courier, which only ever puts packets into the queues of the clients and never waits: for no client and, but for
a gap in a feed, for no database. A client whose queue stays full, or that is further behind than a feed reaches, is
let go of with a reason; should it not even take that, it is cut.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

import structlog

from app.libs.enums import EndReason
from app.viewModels.task_feed import Feed, Feeds, Told

EVENT, END_EVENT = "task_event", "unsubscribed"
MOST_UNSENT = 500  # packets that wait in a client's queue
MOST_REPLAYS = 8  # that read from the database at once
PATIENCE_S = 10.0  # for so long a queue may stay full
PAUSE_S = 0.05  # between two looks at a full queue

log = structlog.get_logger(__name__)


class Outlet(Protocol):
    """The way to the clients of this process."""

    def pack(self, event: str, data: dict[str, Any]) -> Any:
        """Return the message as it goes over the wire."""

    def put(self, sid: str, packed: Any) -> None:
        """Put a packed message into the client's queue. A client that is gone changes nothing."""

    def n_unsent(self, sid: str) -> int | None:
        """Return how many messages wait in the client's queue; None if it is gone."""

    def cut(self, sid: str) -> None:
        """Close the client's connection, whether or not it takes anything."""


class Subscription:
    """One client following one task; ``after`` is the number of the event that it was told last."""

    def __init__(self, sid: str, feed: Feed, after: int) -> None:
        self.sid = sid
        self.feed = feed
        self.after = after
        self.is_live = False  # nothing is left to replay
        self.is_over = False
        self.full_since: float | None = None
        self.lock = threading.Lock()  # held while events are told


class Courier:
    """Serves the subscriptions of one process.

    Args:
        fetch: gives the next events of a task's log after a number, and none at its end.
    """

    def __init__(self, feeds: Feeds, outlet: Outlet, fetch: Callable[[UUID, int], list[Told]]) -> None:
        self._feeds = feeds
        self._outlet = outlet
        self._fetch = fetch
        self._subscriptions: dict[str, dict[str, Subscription]] = {}  # by task, by client
        self._lock = threading.Lock()
        self._news: set[Feed] = set()
        self._waiting: set[Feed] = set()  # some client's queue is full
        self._leaving: dict[str, tuple[float, int]] = {}  # let go of: when to look again, and how much it had not taken
        self._replays = threading.BoundedSemaphore(MOST_REPLAYS)
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        feeds.on_news = self.wake

    def follow(self, sid: str, task_id: UUID, after: int) -> None:
        """Tell a client the task's events after a number. Following a task anew replaces what was before."""
        self.unfollow(sid, task_id)
        subscription = Subscription(sid, self._feeds.follow(task_id), after)
        with self._lock:
            followers = self._subscriptions.setdefault(str(task_id), {})
            before, followers[sid] = followers.get(sid), subscription
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="task-courier", daemon=True)
                self._thread.start()
        if before:  # the client has asked twice at one moment
            with before.lock:
                self._end(before, None)
        if subscription.feed.after(after) is None:
            threading.Thread(target=self._replay, args=[subscription], name="task-replay", daemon=True).start()
        else:
            self._go_live(subscription)

    def unfollow(self, sid: str, task_id: UUID, reason: EndReason | None = None) -> None:
        """End a subscription and tell the client why, unless it asked for it. After this nothing more is told."""
        subscription = self._subscriptions.get(str(task_id), {}).get(sid)
        if subscription:
            with subscription.lock:
                self._end(subscription, reason)

    def followed_by(self, sid: str) -> list[UUID]:
        """Return the tasks that a client follows."""
        with self._lock:
            return [UUID(task_id) for task_id, followers in self._subscriptions.items() if sid in followers]

    def sids(self) -> set[str]:
        """Return the clients that follow something."""
        with self._lock:
            return set().union(*self._subscriptions.values())

    def wake(self, feed: Feed) -> None:
        """Have a feed's followers served, soon and by another thread."""
        if feed.task_id in self._subscriptions:
            self._news.add(feed)
            self._bell.set()

    def _run(self) -> None:
        while True:
            self._bell.wait(PAUSE_S if self._waiting or self._leaving else None)
            self._bell.clear()
            served, self._waiting = self._waiting, set()
            while self._news:
                served.add(self._news.pop())
            for feed in served:
                try:
                    self._serve(feed)
                except Exception:
                    log.warning("delivery_failed", task_id=feed.task_id, exc_info=True)  # a patrol wakes us again
            self._cut_the_stuck()

    def _serve(self, feed: Feed) -> None:
        if feed.is_behind:
            feed.catch_up()
        with self._lock:
            followers = list(self._subscriptions.get(feed.task_id, {}).values())
        packed: dict[int, Any] = {}  # the followers of a task are told the same: it is packed once
        for subscription in followers:
            with subscription.lock:
                if subscription.is_live and not subscription.is_over:
                    self._tell_news(subscription, packed)

    def _tell_news(self, subscription: Subscription, packed: dict[int, Any]) -> None:
        events = subscription.feed.after(subscription.after)
        room = MOST_UNSENT if events == [] else self._room(subscription)
        if events is None:
            self._fall_back(subscription, has_room=room > 0)
            return
        for event in events[:room]:
            self._tell(subscription, event, packed)
        if len(events) > room:
            self._waiting.add(subscription.feed)
        elif subscription.feed.has_ended and subscription.after >= subscription.feed.last:
            self._end(subscription, EndReason.TASK_ENDED)

    def _fall_back(self, subscription: Subscription, *, has_room: bool) -> None:
        """What comes next has left the feed: more than it keeps came at once, or the client has taken too little."""
        if has_room:
            subscription.is_live = False
            threading.Thread(target=self._replay, args=[subscription], name="task-replay", daemon=True).start()
        else:
            self._end(subscription, EndReason.TOO_SLOW)

    def _replay(self, subscription: Subscription) -> None:
        feed = subscription.feed
        try:
            while not subscription.is_over and feed.after(subscription.after) is None:
                with subscription.lock:
                    room = self._room(subscription)
                    self._tell_old(subscription, room)
                if not room:
                    time.sleep(PAUSE_S)
            self._go_live(subscription)
        except Exception:
            log.warning("replay_failed", task_id=feed.task_id, exc_info=True)
            with subscription.lock:
                self._end(subscription, EndReason.UNAVAILABLE)

    def _tell_old(self, subscription: Subscription, room: int) -> None:
        if subscription.is_over or not room:
            return
        with self._replays:
            events = self._fetch(UUID(subscription.feed.task_id), subscription.after)
        for event in events[:room]:
            self._tell(subscription, event, {})
        if not events:  # what came before has been cleaned away
            subscription.after = max(subscription.after, subscription.feed.first - 1)

    def _go_live(self, subscription: Subscription) -> None:
        subscription.is_live = True
        self.wake(subscription.feed)

    def _tell(self, subscription: Subscription, event: Told, packed: dict[int, Any]) -> None:
        number = event["number"]
        if number not in packed:
            packed[number] = self._outlet.pack(EVENT, event)
        self._outlet.put(subscription.sid, packed[number])
        subscription.after = number

    def _room(self, subscription: Subscription) -> int:
        """Return how many packets the client's queue takes. One that is gone, or full for too long, is let go of."""
        n_unsent = self._outlet.n_unsent(subscription.sid)
        room = 0 if n_unsent is None else max(MOST_UNSENT - n_unsent, 0)
        now = time.monotonic()
        subscription.full_since = None if room else subscription.full_since or now
        if n_unsent is None:
            self._end(subscription, None)
        elif subscription.full_since and now - subscription.full_since > PATIENCE_S:
            self._leaving[subscription.sid] = (now + PATIENCE_S, n_unsent)
            self._end(subscription, EndReason.TOO_SLOW)
        return room

    def _end(self, subscription: Subscription, reason: EndReason | None) -> None:
        if subscription.is_over:
            return
        subscription.is_over = True
        with self._lock:
            followers = self._subscriptions.get(subscription.feed.task_id, {})
            if followers.get(subscription.sid) is subscription:
                del followers[subscription.sid]
            if not followers:
                self._subscriptions.pop(subscription.feed.task_id, None)
        self._feeds.let_go(subscription.feed)
        if reason:
            told = {"task_id": subscription.feed.task_id, "reason": reason.value, "after": subscription.after}
            self._outlet.put(subscription.sid, self._outlet.pack(END_EVENT, told))
            log.info("unsubscribed", **told)

    def _cut_the_stuck(self) -> None:
        for sid, (when, n_then) in list(self._leaving.items()):
            n_unsent = self._outlet.n_unsent(sid)
            if n_unsent is None or n_unsent < n_then:
                del self._leaving[sid]
            elif time.monotonic() > when:
                del self._leaving[sid]
                self._outlet.cut(sid)
                log.info("client_cut", sid=sid, unsent=n_unsent)

"""The line in which tasks of a queue wait: who is next, where one stands, and when its turn will probably be.

Higher priorities go first. Within one, users take turns: whoever has ten tasks waiting and whoever has one get a worker
alike. Each task gets the number of its round when it is submitted (``turn``: the user's next one, but no earlier than
the round that is being served), and rows are claimed by round, then in the order of submission. So the order in the
table is the order of starts, as long as nobody submits more.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Row, bindparam, case, func, select

from app.extensions import db
from app.libs.enums import Priority, TaskState
from app.models import Task
from app.utils.clock import now_ms
from app.viewModels import task_log

_TASKS = Task.__table__.c
ORDER = (_TASKS.priority.desc(), _TASKS.turn, _TASKS.id)
"""In which waiting tasks of a queue start."""

RUNNABLE = (_TASKS.state == TaskState.QUEUED, _TASKS.waits_for == 0)
"""What a task must be to start: one that waits for others has no place yet."""

_PLACE = (
    select(_TASKS.id, func.row_number().over(order_by=ORDER).label("place"))
    .where(_TASKS.queue == bindparam("of_queue"), *RUNNABLE)
    .subquery()
)
_PLACES = select(_PLACE.c.id, _PLACE.c.place).where(_PLACE.c.id.in_(bindparam("wanted", expanding=True)))

_TURNS = select(
    func.min(
        case((_TASKS.waits_for == 0, _TASKS.turn))
    ),  # one that waits for others keeps its round, and holds up none
    func.max(case((_TASKS.created_by == bindparam("user_id"), _TASKS.turn))),
).where(
    _TASKS.queue == bindparam("of_queue"),
    _TASKS.state == TaskState.QUEUED,
    _TASKS.priority == bindparam("of_priority"),
)
"""The round that is being served, and the last one in which a user has a task."""

AT_WORK = (TaskState.RUNNING, TaskState.STOPPING)
N_PAST = 30
"""Past runs of a kind by which the next one is foretold."""

_AT_WORK = select(_TASKS.id, _TASKS.kind, _TASKS.fence, _TASKS.started_at, _TASKS.progress).where(
    _TASKS.state.in_(AT_WORK)
)
_AT_WORK_IN = _AT_WORK.where(_TASKS.queue == bindparam("of_queue"))
_AHEAD = (
    select(_TASKS.kind)
    .where(_TASKS.queue == bindparam("of_queue"), *RUNNABLE)
    .order_by(*ORDER)
    .limit(bindparam("n_ahead", type_=Integer()))
)
_PAST = (
    select(_TASKS.id, _TASKS.fence, _TASKS.started_at, _TASKS.ended_at)
    .where(_TASKS.kind == bindparam("of_kind"), _TASKS.state == TaskState.SUCCEEDED)
    .order_by(_TASKS.id.desc())
    .limit(N_PAST)
)

USUAL_SECONDS = 60


@dataclass(frozen=True)
class Forecast:
    """When a task will probably begin and end (Unix ms), by past runs of its kind.

    Attributes:
        error: by how much such forecasts of a run's length were off, the median over past runs: 0.2 is 20 %. None
            before there are enough of them.
        n_past: how many runs it is based on.
    """

    starts_at: int | None
    ends_at: int | None
    error: float | None
    n_past: int

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as values that go to JSON."""
        return asdict(self)


def next_turn(queue: str, priority: Priority, user_id: UUID) -> int:
    """Return the round in which a user's next task of a queue has its turn."""
    asked = {"of_queue": queue, "of_priority": priority, "user_id": user_id}
    served, last = db.session.connection().execute(_TURNS, asked).one()
    if served is None:
        return 0
    return served if last is None else max(served, last + 1)


def positions(tasks: Iterable[Task]) -> dict[UUID, int]:
    """Return the place in the line of those tasks that are in it; 1 is next."""
    found: dict[UUID, int] = {}
    waiting = [task for task in tasks if task.state == TaskState.QUEUED and not task.waits_for]
    for queue in sorted({task.queue for task in waiting}):
        wanted = [task.id for task in waiting if task.queue == queue]
        rows = db.session.connection().execute(_PLACES, {"of_queue": queue, "wanted": wanted})
        found.update((row.id, row.place) for row in rows)
    return found


def forecast(task: Task, position: int | None) -> Forecast | None:
    """Return when a task will probably begin and end; None when it has ended."""
    past = _Past()
    if task.state in AT_WORK or (task.state == TaskState.QUEUED and task.waits_for and task.started_at):
        return _of_running(task, past)  # or its parts are at work
    if task.state != TaskState.QUEUED:
        return None
    lengths = past[task.kind]
    starts_at = None if position is None else now_ms() + _wait(task.queue, position, past)
    ends_at = starts_at + int(_usual(lengths)) if starts_at is not None and lengths else None
    return Forecast(starts_at, ends_at, _error(lengths), len(lengths))


def seconds_until_next_end() -> int:
    """Return in how many seconds a task that is at work will probably end, at least 1."""
    past = _Past()
    running = db.session.connection().execute(_AT_WORK.limit(20)).all()
    ends = [told.ends_at for task in running if (told := _of_running(task, past)).ends_at is not None]
    return max(1, (min(ends) - now_ms()) // 1000) if ends else USUAL_SECONDS


class _Past(dict[str, list[int]]):
    """The lengths of the last runs of each kind in ms, the newest first; looked up when they are first asked for."""

    def __missing__(self, kind: str) -> list[int]:
        rows = db.session.connection().execute(_PAST, {"of_kind": kind}).all()
        began = _began(rows)
        self[kind] = [row.ended_at - began[row.id] for row in rows if began[row.id] and row.ended_at]
        return self[kind]


def _began(tasks: Sequence[Task | Row]) -> dict[UUID, int | None]:
    """Return when the work on tasks began. Each claim sets ``started_at`` anew, so where there were several, the log
    has it."""
    again = [task.id for task in tasks if task.fence > 1]
    return {task.id: task.started_at for task in tasks} | (task_log.begins(again) if again else {})


def _of_running(task: Task | Row, past: _Past) -> Forecast:
    lengths, started_at = past[task.kind], _began([task])[task.id] or now_ms()
    elapsed = now_ms() - started_at
    total = elapsed / task.progress if task.progress > 0.05 else _usual(lengths)
    ends_at = started_at + int(max(total, elapsed)) if lengths or task.progress > 0.05 else None
    return Forecast(started_at, ends_at, _error(lengths), len(lengths))


def _wait(queue: str, position: int, past: _Past) -> int:
    """Return how many ms pass until the task at this place begins, with as many workers as are at work now."""
    running = db.session.connection().execute(_AT_WORK_IN, {"of_queue": queue}).all()
    ahead: Sequence[str] = ()
    if position > 1:
        ahead = db.session.connection().scalars(_AHEAD, {"of_queue": queue, "n_ahead": position - 1}).all()
    left = sum(n * _usual(past[kind]) for kind, n in Counter(ahead).items())
    left += sum(max(0, (_of_running(task, past).ends_at or now_ms()) - now_ms()) for task in running)
    return int(left / max(1, len(running)))


def _usual(past: Sequence[int]) -> float:
    return median(past) if past else USUAL_SECONDS * 1000


def _error(past: Sequence[int]) -> float | None:
    """Return by how much the median of the runs before was off, for each past run that had some before it."""
    errors = [abs(median(past[i + 1 :]) - past[i]) / max(past[i], 1) for i in range(len(past) - 3)]
    return round(median(errors), 3) if errors else None

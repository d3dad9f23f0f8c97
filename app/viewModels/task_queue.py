"""How work gets from whoever asks for it to one worker, and stays with it.

The ``tasks`` table is the truth. Submitting writes the task and an outbox row in the caller's transaction; after the
commit a message wakes a worker of the queue. The message names no task: the worker claims the next row with one
conditional update. So a message may be lost (the sweep sends another) or doubled (the second finds nothing to do).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import EventType, Priority, Queue, TaskKind, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import problem
from app.libs.ids import new_id
from app.models import Task
from app.utils.clock import now_ms
from app.viewModels import callbacks, submissions, task_limits, task_line, task_log, task_needs, wake_ups

log = structlog.get_logger(__name__)


LONGEST_LEASE_MS = 600_000
"""No worker asks for a longer lease; see ``Settings``."""

_TABLE = Task.__table__
_TASKS = _TABLE.c
_MOST_URGENT = (
    select(_TASKS.priority)
    .where(_TASKS.queue == bindparam("queue"), *task_line.RUNNABLE)
    .order_by(_TASKS.priority.desc())
    .limit(1)
    .correlate(None)
    .scalar_subquery()
)
_NEXT = (
    select(
        _TASKS.id,
        _TASKS.kind,
        _TASKS.payload,
        _TASKS.fence,
        _TASKS.attempt,
        _TASKS.last_event,
        _TASKS.checkpoint_key,
        _TASKS.project_id,
        _TASKS.created_by,
        _TASKS.parent_id,
        _TASKS.priority,
        _TASKS.progress,
    )
    .where(_TASKS.queue == bindparam("queue"), *task_line.RUNNABLE)
    .where(_TASKS.priority == _MOST_URGENT)  # the rest of the order is the index's: nothing is sorted
    .order_by(*task_line.ORDER)
    .limit(1)
    # no row lock: MariaDB would lock every row that it sorts, and hide them all from the next worker
)


_CLAIM = (
    _TABLE.update()
    .where(_TASKS.id == bindparam("task_id"), _TASKS.state == TaskState.QUEUED)
    .where(_TASKS.fence == bindparam("seen_fence"), _TASKS.last_event == bindparam("seen_event"))
    .values(
        state=TaskState.RUNNING,
        fence=_TASKS.fence + 1,
        attempt=_TASKS.attempt + 1,
        idle_attempts=_TASKS.idle_attempts + 1,
        last_event=_TASKS.last_event + 1,
        worker=bindparam("by"),
        message_id=bindparam("message"),
        stopping_since=None,
        lease_until=bindparam("until"),
        started_at=bindparam("now"),
    )
)

_AT_WORK = or_(_TASKS.state == TaskState.RUNNING, _TASKS.state == TaskState.STOPPING)  # half the price of IN
_SAME_FENCE = _TASKS.fence == bindparam("held_fence")
_HELD = (_SAME_FENCE, _AT_WORK)
_HELD_RUNNING = (_SAME_FENCE, _TASKS.state == TaskState.RUNNING)
_ROW = _TASKS.id == bindparam("of_task")
_EXTEND = _TABLE.update().where(_ROW, *_HELD).values(lease_until=bindparam("until"))
_KEEP = _TABLE.update().where(_ROW, *_HELD).values(checkpoint_key=bindparam("key"), idle_attempts=0)
_EXCUSE = _TABLE.update().where(_ROW, _TASKS.idle_attempts > 0).values(idle_attempts=_TASKS.idle_attempts - 1)
_LOST = or_(_TASKS.lease_until < bindparam("lost_at"), _TASKS.lease_until > bindparam("longest_until"))


@dataclass(frozen=True)
class Lease:
    """The right to work on a task: good while the row's fence is still this one."""

    task_id: UUID
    kind: TaskKind
    payload: dict[str, Any]
    fence: int
    attempt: int
    project_id: UUID
    created_by: UUID
    checkpoint_key: str | None = None
    parent_id: UUID | None = None
    priority: int = Priority.NORMAL.value
    progress: float = 0.0


class LeaseLostError(Exception):
    """Somebody else has the task now; nothing that this worker still does may count."""


def submit(
    kind: TaskKind,
    *,
    project_id: UUID,
    subject_id: UUID,
    payload: dict[str, Any],
    actor: Actor,
    needs: Sequence[UUID] = (),
) -> Task:
    """Add a task and the wake-up it is owed to the caller's transaction. The caller commits; then a worker is woken.

    Args:
        needs: tasks that must succeed first. Should one fail or be cancelled, so does this one.

    Raises:
        AppError: SCOPE_MISSING, TASK_LIMIT, TASK_NOT_FOUND, TASK_NEED_FAILED (what is to be waited for).
        DuplicateSubmissionError: the request's key was used at this moment; the transaction is rolled back.
    """
    asked = submissions.present()
    submissions.admit(asked, project_id=project_id, actor=actor)
    waits_for = task_needs.unfinished({*needs, *asked.needs}, project_id=project_id)
    return _add(kind, project_id, subject_id, payload, actor.id, asked, waits_for)


def submit_part(lease: Lease, kind: TaskKind, *, subject_id: UUID, payload: dict[str, Any]) -> Task:
    """Add a part of a claimed task to the caller's transaction: as urgent as that, and in the name of its owner."""
    asked = submissions.Submission(priority=Priority(lease.priority), parent_id=lease.task_id)
    return _add(kind, lease.project_id, subject_id, payload, lease.created_by, asked, ())


def _add(
    kind: TaskKind,
    project_id: UUID,
    subject_id: UUID,
    payload: dict[str, Any],
    user_id: UUID,
    asked: submissions.Submission,
    waits_for: Sequence[UUID],
) -> Task:
    task = Task(
        id=new_id(),
        kind=kind,
        queue=kind.queue,
        state=TaskState.QUEUED,
        priority=asked.priority.value,
        turn=task_line.next_turn(kind.queue, asked.priority, user_id),
        waits_for=len(waits_for),
        parent_id=asked.parent_id,
        payload=payload,
        subject_id=subject_id,
        project_id=project_id,
        created_by=user_id,
        idempotency_key=asked.key,
        request_sha256=asked.sha256,
    )
    _begin(task)
    task_needs.record(task.id, waits_for)
    if asked.callback_url:
        callbacks.record(task.id, asked.callback_url)
    if not waits_for:
        wake_ups.owe(task.id, task.queue)
    return task


def _begin(task: Task) -> None:
    try:
        task_log.begin(task, [_state(TaskState.QUEUED)])
    except IntegrityError as error:
        if task.idempotency_key is None:
            raise
        db.session.rollback()
        raise submissions.DuplicateSubmissionError(task.idempotency_key) from error


def claim(queue: Queue, *, worker: str, lease_ms: int, message_id: str | None = None) -> Lease | None:
    """Take the next runnable task of a queue: highest priority first, then by turns, then in order of submission.

    Args:
        worker: who takes it, for people.
        message_id: of the message that woke the worker; by it, the worker's process can be killed.
    """
    while True:
        task = db.session.connection().execute(_NEXT, {"queue": queue}).one_or_none()
        if task is None:
            db.session.rollback()
            return None
        now = now_ms()
        seen = {"task_id": task.id, "seen_fence": task.fence, "seen_event": task.last_event}
        given = {"by": worker, "message": message_id, "now": now, "until": now + lease_ms}
        claimed = db.session.connection().execute(_CLAIM, seen | given).rowcount
        if claimed:
            fact = _state(TaskState.RUNNING, attempt=task.attempt + 1, worker=worker)
            task_log.add(task.id, [fact], last=task.last_event + 1)
        db.session.commit()
        if claimed:
            return Lease(
                task.id,
                TaskKind(task.kind),
                task.payload,
                task.fence + 1,
                task.attempt + 1,
                task.project_id,
                task.created_by,
                task.checkpoint_key,
                task.parent_id,
                task.priority,
                task.progress,
            )


def extend(lease: Lease, *, lease_ms: int) -> TaskState:
    """Keep the lease for longer. Returns the task's state, by which the worker learns that it shall stop.

    Raises:
        LeaseLostError: the task is somebody else's, or has ended.
    """
    kept = {"of_task": lease.task_id, "held_fence": lease.fence, "until": now_ms() + lease_ms}
    extended = db.session.connection().execute(_EXTEND, kept)
    state = db.session.scalar(select(Task.state).where(Task.id == lease.task_id))
    db.session.commit()
    if not extended.rowcount:
        raise LeaseLostError(lease.task_id)
    return TaskState(state)


def write(lease: Lease, facts: list[task_log.Fact], **changes: Any) -> None:
    """Add facts to the task's log under the lease, in the caller's transaction.

    Raises:
        LeaseLostError: nothing was written; the caller's transaction is rolled back.
    """
    if not task_log.append(lease.task_id, facts, *_HELD, given={"held_fence": lease.fence}, **changes):
        db.session.rollback()
        raise LeaseLostError(lease.task_id)


def excuse(lease: Lease, message: str) -> None:
    """Note in the caller's transaction that this attempt ends for a reason that is not the task's, and does not count.

    The lease is left to run out: that is the pause before the next attempt.

    Raises:
        LeaseLostError: the task was taken away; the caller's transaction is rolled back.
    """
    write(lease, [(EventType.LOG, {"message": message})])
    db.session.connection().execute(_EXCUSE, {"of_task": lease.task_id})


def hand_back(lease: Lease, needs: Sequence[UUID]) -> None:
    """Put a task back into the line until others have succeeded, in the caller's transaction; its worker is free.

    The attempt goes on when the task is claimed again: it does not count as another one.

    Raises:
        LeaseLostError: the task was taken away, or told to stop; the caller's transaction is rolled back.
        AppError: TASK_NEED_FAILED.
    """
    waits_for = task_needs.unfinished(needs, project_id=lease.project_id)
    task_needs.replace(lease.task_id, waits_for)
    if not task_log.append(
        lease.task_id,
        [_state(TaskState.QUEUED, waits_for=len(waits_for))],
        *_HELD_RUNNING,
        given={"held_fence": lease.fence},
        state=TaskState.QUEUED,
        waits_for=len(waits_for),
        lease_until=None,
        message_id=None,
        attempt=lease.attempt - 1,
        idle_attempts=0,
    ):
        db.session.rollback()
        raise LeaseLostError(lease.task_id)
    if not waits_for:
        wake_ups.owe(lease.task_id, lease.kind.queue)


def keep_checkpoint(lease: Lease, key: str) -> None:
    """Make an object the one from which the next attempt goes on, in the caller's transaction.

    Raises:
        LeaseLostError: the task was taken away; the caller's transaction is rolled back.
    """
    kept = {"of_task": lease.task_id, "held_fence": lease.fence, "key": key}
    if not db.session.connection().execute(_KEEP, kept).rowcount:
        db.session.rollback()
        raise LeaseLostError(lease.task_id)


def end(
    lease: Lease,
    state: TaskState,
    *,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    """End the task under the lease, in the caller's transaction, so that what the work made appears with its end.

    Raises:
        LeaseLostError: the task was taken away; the caller's transaction is rolled back.
    """
    told = {name: value for name, value in (("result", result), ("error", error)) if value is not None}
    facts = [(EventType.RESULT, result)] if result is not None else []
    changes = {"progress": 1.0, "checkpoint_key": None, "error": None} if state is TaskState.SUCCEEDED else {}
    write(
        lease,
        [*facts, _state(state, **({"error": error} if error else {}))],
        state=state,
        lease_until=None,
        ended_at=now_ms(),
        **changes | told,
    )
    # only now that the row is held: who submits something that waits for this task either was seen, or sees the end
    for freed in task_needs.settle(lease.task_id, state):
        wake_ups.owe(freed.id, freed.queue)


def end_stopped(lease: Lease, *, result: dict[str, Any] | None = None) -> TaskState:
    """End a task that was told to stop, in the caller's transaction: as failed if that was for a limit, else cancelled.

    Args:
        result: what it has come to.

    Raises:
        LeaseLostError: the task was taken away; the caller's transaction is rolled back.
    """
    error = db.session.scalar(select(Task.error).where(Task.id == lease.task_id))
    state = TaskState.FAILED if error else TaskState.CANCELLED
    end(lease, state, result=result, error=error)
    return state


def requeue_lost(*, max_attempts: int, longest_lease_ms: int = LONGEST_LEASE_MS) -> int:
    """Queue again every task whose worker fell silent; fail those that were begun too often. Returns how many.

    A lease further ahead than any that is given was written by a clock that has since been set back: it is lost too, or
    nobody would notice for as long as the clock was wrong.
    """
    now = now_ms()
    limits = {"lost_at": now, "longest_until": now + longest_lease_ms}
    lost = db.session.execute(
        select(
            Task.id,
            Task.fence,
            Task.state,
            Task.attempt,
            Task.idle_attempts,
            Task.queue,
            Task.worker,
            Task.error,
            Task.message_id,
        )
        .where(Task.state.in_([TaskState.RUNNING, TaskState.STOPPING]), _LOST)
        .with_for_update(skip_locked=True),
        limits,
    ).all()
    for task in lost:
        given = {"held_fence": task.fence, **limits}
        state, changes, told = _after_loss(task, max_attempts, now)
        # the fence grows, so that the silent worker, should it come back, can write nothing
        fact = _state(state, **told)
        changes |= {"fence": task.fence + 1, "lease_until": None, "state": state}
        if task_log.append(task.id, [fact], _SAME_FENCE, _LOST, given=given, **changes):
            log.warning("lease_lost", task_id=str(task.id), worker=task.worker, now=state.value)
            if state is TaskState.QUEUED:
                wake_ups.owe(task.id, task.queue)
            else:
                task_needs.settle(task.id, state)
    db.session.commit()
    for task in lost:
        if task.message_id:
            task_limits.kill(task.message_id)  # it may still compute, in native code that lets no heartbeat through
    return len(lost)


def _after_loss(task: Any, max_attempts: int, now: int) -> tuple[TaskState, dict[str, Any], dict[str, Any]]:
    """Return what becomes of a task that lost its worker: its state, what changes in its row, and what is told.

    Attempts count as long as none of them leaves a checkpoint: work that comes forward is never given up.
    """
    if task.state == TaskState.STOPPING:
        state = TaskState.FAILED if task.error else TaskState.CANCELLED  # whatever told it to stop said why
        return state, {"ended_at": now}, {"error": task.error} if task.error else {}
    if task.idle_attempts >= max_attempts:
        error = _attempts_exhausted(task)
        return TaskState.FAILED, {"ended_at": now, "error": error}, {"error": error}
    return TaskState.QUEUED, {}, {"lost_worker": task.worker}


def depth(queue: Queue) -> tuple[int, int]:
    """Return how many tasks of a queue wait and how many are at work."""
    counts = dict(
        db.session.execute(
            select(Task.state, func.count())
            .where(Task.queue == queue, Task.state.in_([TaskState.QUEUED, TaskState.RUNNING, TaskState.STOPPING]))
            .group_by(Task.state)
        ).all()
    )
    waiting = counts.pop(TaskState.QUEUED, 0)
    return waiting, sum(counts.values())


def _state(state: TaskState, **more: Any) -> task_log.Fact:
    return EventType.STATE, {"state": state.value, **more}


def _attempts_exhausted(task: Any) -> dict[str, Any]:
    error = ErrorCode.TASK_ATTEMPTS_EXHAUSTED
    return problem(
        code=error.code,
        title=error.title,
        status=error.status,
        detail=f"It was begun {task.attempt} times; the last worker, {task.worker}, fell silent too. Since its last"
        f" checkpoint it was begun {task.idle_attempts} times.",
        details={"attempts": task.attempt, "worker": task.worker, "history": task_log.attempts(task.id)},
    )

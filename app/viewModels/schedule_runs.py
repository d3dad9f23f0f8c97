"""Submitting what schedules are due for: each time once, in the name of the schedule's owner.

The submit goes under an idempotency key that is made of the schedule and the time. So two who look at once submit one
task, and one who was killed between the submit and writing it down finds the task when it looks again.

A time that nobody looked at is made up for if it is not too late; of several, only the last one. The others are skipped
and told, as is a time at which the task of the one before is still at work.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from flask import current_app
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Priority, RunOutcome, ScheduleAction, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError, problem
from app.models import Schedule, ScheduleRun, Task
from app.utils import cron, sqlite
from app.utils.clock import now_ms
from app.utils.cron import Cron, CronError
from app.viewModels import models, process_optimizations, submissions, task_retention, tasks, users
from app.viewModels.submissions import DuplicateSubmissionError, Submission
from engine.errors import EngineError

log = structlog.get_logger(__name__)

AT_ONCE = 100
_PAUSING = {
    ErrorCode.SCHEDULE_OWNER_INACTIVE,
    ErrorCode.SCOPE_MISSING,
    ErrorCode.PROJECT_NOT_FOUND,
    ErrorCode.PROJECT_ARCHIVED,
    ErrorCode.MODULE_NOT_FOUND,
    ErrorCode.PROCESS_NOT_FOUND,
    ErrorCode.INVALID_INPUT,
}
"""Refusals that will be the same at the next time, unless somebody does something."""


@dataclass(frozen=True)
class Outcome:
    """What came of a time."""

    what: RunOutcome
    task_id: UUID | None = None
    error: dict[str, Any] | None = None


def run_due() -> int:
    """Submit what is due now. Returns how many schedules were looked after.

    What cannot be submitted at the moment, because a part of the server is away or too much is unfinished, stays due.
    """
    n_done = 0
    for schedule in _due():
        try:
            n_done += _run(schedule)
        except Exception:
            log.warning("schedule_not_run", schedule_id=str(schedule.id), exc_info=True)
            db.session.rollback()
    return n_done


def forget_old() -> None:
    """Remove the runs that are as old as the tasks that are removed."""
    with sqlite.writing():
        db.session.execute(delete(ScheduleRun).where(ScheduleRun.due_at < task_retention.oldest_kept()))
        db.session.commit()


def _due() -> list[Schedule]:
    statement = select(Schedule).where(Schedule.next_run_at <= now_ms()).order_by(Schedule.next_run_at).limit(AT_ONCE)
    with sqlite.reading():
        found = list(db.session.scalars(statement, execution_options={"populate_existing": True}))
        db.session.commit()
    for schedule in found:  # they shall stay as they were found
        db.session.expunge(schedule)
    return found


def _run(schedule: Schedule) -> bool:
    """Do what is to be done for a schedule that is due. Whether it is done; if not, it stays due."""
    now, first = now_ms(), schedule.next_run_at
    assert first is not None  # noqa: S101 (it is due)
    try:
        times: Cron | None = cron.parse(schedule.cron, schedule.time_zone)
        due_at = times.last(first, now) or first
        outcome = _outcome(schedule, due_at, now)
    except CronError as error:  # the zone is not known any more
        times, due_at = None, first
        outcome = _refused(AppError(ErrorCode.INVALID_INPUT, str(error), path="time_zone"))
    if outcome is None:
        return False
    next_at = times.after(now) if times else None
    _write(schedule, _runs(schedule, times, due_at, outcome), outcome, next_at)
    log.info("schedule_run", schedule_id=str(schedule.id), due_at=due_at, outcome=outcome.what.value)
    return True


def _outcome(schedule: Schedule, due_at: int, now: int) -> Outcome | None:
    """Submit, unless there is a reason not to. None if it can only be done later."""
    late_ms = current_app.config["SETTINGS"].schedule_late_minutes * 60_000
    try:
        actor = users.acting(schedule.owner_id)
        db.session.commit()
        if actor is None:
            raise AppError(ErrorCode.SCHEDULE_OWNER_INACTIVE)
        if now - due_at > late_ms:
            return _skipped(ErrorCode.SCHEDULE_MISSED, "Nobody looked, or it could not be submitted, in time.")
        if task_id := _still_running(schedule.id, due_at):
            return _skipped(ErrorCode.SCHEDULE_STILL_RUNNING, f"Task {task_id} has not ended.", task_id=str(task_id))
        return Outcome(RunOutcome.SUBMITTED, _submit(schedule, due_at, actor).id)
    except AppError as refusal:
        db.session.rollback()
        return None if refusal.error is ErrorCode.TASK_LIMIT else _refused(refusal)
    except EngineError as refusal:
        db.session.rollback()
        told = problem(code=refusal.code, title=refusal.title, status=422, detail=str(refusal), details=refusal.details)
        return Outcome(RunOutcome.REFUSED, error=told)


def _submit(schedule: Schedule, due_at: int, actor: Actor) -> Task:
    submission = Submission(
        priority=Priority(schedule.priority),
        key=f"schedule:{schedule.id}:{due_at}",
        callback_url=schedule.callback_url,
    )
    if known := tasks.submitted(submission, actor=actor):
        return known
    try:
        with submissions.asked(submission):
            return _start(schedule, actor)
    except DuplicateSubmissionError:  # another beat, at this very moment
        known = tasks.submitted(submission, actor=actor)
        assert known is not None  # noqa: S101
        return known


def _start(schedule: Schedule, actor: Actor) -> Task:
    if schedule.action == ScheduleAction.TRAIN:
        return models.train(schedule.module_id, actor=actor, **schedule.request)
    chosen = {name: UUID(model_id) for name, model_id in schedule.request.get("models", {}).items()}
    return process_optimizations.start(schedule.process_id, actor=actor, **schedule.request | {"models": chosen})


def _still_running(schedule_id: UUID, due_at: int) -> UUID | None:
    """Return the task of an earlier time that has not ended."""
    statement = (
        select(Task.id)
        .join(ScheduleRun, ScheduleRun.task_id == Task.id)
        .where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.due_at < due_at)
        .where(Task.state.in_([state for state in TaskState if not state.has_ended]))
    )
    with sqlite.reading():
        found = db.session.scalar(statement.limit(1))
        db.session.commit()
    return found


def _runs(schedule: Schedule, times: Cron | None, due_at: int, outcome: Outcome) -> list[ScheduleRun]:
    """Return what is to be written down: what came of the time, and of those that were missed before it."""
    first = schedule.next_run_at
    found = [
        ScheduleRun(
            schedule_id=schedule.id, due_at=due_at, outcome=outcome.what, task_id=outcome.task_id, error=outcome.error
        )
    ]
    if due_at != first and times is not None:
        missed = _skipped(ErrorCode.SCHEDULE_MISSED, "A later time was due before anybody looked.")
        found.append(
            ScheduleRun(
                schedule_id=schedule.id,
                due_at=first,
                until=times.last(first, due_at - 1),
                outcome=missed.what,
                error=missed.error,
            )
        )
    return found


def _write(schedule: Schedule, runs: list[ScheduleRun], outcome: Outcome, next_at: int | None) -> None:
    """Write down what came of a time, and when the next one is. Another beat may have done so: then nothing changes."""
    changes: dict[str, Any] = {"next_run_at": next_at}
    if outcome.what is RunOutcome.PAUSED:
        changes = {"next_run_at": None, "paused_at": now_ms(), "paused_because": outcome.error}
    mine = (Schedule.id == schedule.id, Schedule.next_run_at == schedule.next_run_at)
    with sqlite.writing():
        try:
            moved = db.session.execute(update(Schedule).where(*mine).values(**changes)).rowcount
            for run in runs:
                if (moved or run.task_id) and not db.session.get(ScheduleRun, (run.schedule_id, run.due_at)):
                    db.session.add(run)
            db.session.commit()
        except IntegrityError:  # it was written, or the schedule deleted, at this very moment
            db.session.rollback()


def _skipped(code: ErrorCode, detail: str, **details: Any) -> Outcome:
    return Outcome(RunOutcome.SKIPPED, error=_problem(code, detail, details))


def _refused(refusal: AppError) -> Outcome:
    what = RunOutcome.PAUSED if refusal.error in _PAUSING else RunOutcome.REFUSED
    return Outcome(what, error=_problem(refusal.error, refusal.detail, refusal.details))


def _problem(code: ErrorCode, detail: str, details: dict[str, Any]) -> dict[str, Any]:
    return problem(code=code.code, title=code.title, status=code.status, detail=detail, details=details)

"""Schedules: work that is submitted by the clock. Made, looked at, changed, paused, deleted."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Priority, ScheduleAction
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Module, Process, Project, Schedule, ScheduleRun
from app.models.schedule import LONGEST_CRON, LONGEST_ZONE
from app.utils import cron
from app.utils.clock import now_ms
from app.utils.cron import Cron, CronError, ZoneError
from app.utils.paging import Page, ordering, page_of
from app.viewModels import callbacks
from app.viewModels.access import visible
from engine.surrogates import check_params

__all__ = ["LONGEST_CRON", "LONGEST_ZONE", "MOST", "change", "create", "delete", "get", "page", "runs"]

MOST = 200
"""Of one project."""

SORT_FIELDS = {"name": Schedule.name, "created_at": Schedule.created_at, "next_run_at": Schedule.next_run_at}


def create(
    project_id: UUID,
    *,
    name: str,
    cron: str,
    time_zone: str,
    train: Mapping[str, Any] | None = None,
    optimize: Mapping[str, Any] | None = None,
    priority: str = "normal",
    callback_url: str | None = None,
    actor: Actor,
) -> Schedule:
    """Make a schedule of a training or of an optimization. It submits with the rights that the actor will have then.

    Args:
        train: ``module_id``, and what ``models.train`` takes.
        optimize: ``process_id``, and what ``process_optimizations.start`` takes.

    Raises:
        AppError: PROJECT_NOT_FOUND, MODULE_NOT_FOUND, PROCESS_NOT_FOUND, SCOPE_MISSING, PROJECT_ARCHIVED, INVALID_INPUT
            (the times), CALLBACK_REFUSED, SCHEDULE_LIMIT.
        ParameterError: the kind of model or a hyperparameter is not one that is allowed.
    """
    times = _times(cron, time_zone)
    if callback_url:
        callbacks.check(callback_url)
    visible(Project, project_id, to=actor, needs=Scope.TASK_WRITE)
    n = db.session.scalar(select(func.count()).select_from(Schedule).where(Schedule.project_id == project_id))
    if n >= MOST:
        raise AppError(ErrorCode.SCHEDULE_LIMIT, f"It has {n}, of at most {MOST}.", most=MOST)
    schedule = Schedule(
        project_id=project_id,
        owner_id=actor.id,
        created_by=actor.id,
        name=name,
        cron=cron,
        time_zone=time_zone,
        priority=Priority[priority.upper()].value,
        callback_url=callback_url,
        next_run_at=times.after(now_ms()),
        **_what(train, optimize),
    )
    _check_rights(schedule, actor)
    db.session.add(schedule)
    db.session.commit()
    return schedule


def page(project_id: UUID, *, actor: Actor, page: int, per_page: int, sort: str = "name") -> Page:
    """Return one page of a project's schedules.

    Raises:
        AppError: PROJECT_NOT_FOUND.
    """
    visible(Project, project_id, to=actor, needs=Scope.TASK_READ)
    statement = select(Schedule).where(Schedule.project_id == project_id)
    return page_of(
        db.session, statement.order_by(ordering(sort, SORT_FIELDS), Schedule.id), page=page, per_page=per_page
    )


def get(schedule_id: UUID, *, actor: Actor) -> Schedule:
    """Return a schedule.

    Raises:
        AppError: SCHEDULE_NOT_FOUND.
    """
    return visible(Schedule, schedule_id, to=actor, needs=Scope.TASK_READ)


def change(
    schedule_id: UUID,
    *,
    train: Mapping[str, Any] | None = None,
    optimize: Mapping[str, Any] | None = None,
    priority: str | None = None,
    is_paused: bool | None = None,
    actor: Actor,
    **changes: Any,
) -> Schedule:
    """Change what a schedule submits or when, pause it or let it go on.

    Whoever changes it owns it from then on, so that nobody submits with the rights of others; to pause it changes
    nothing in this. A schedule that goes on makes up for nothing.

    Args:
        changes: ``name``, ``cron``, ``time_zone``, ``callback_url``.

    Raises:
        AppError: SCHEDULE_NOT_FOUND, and as ``create``.
        ParameterError: as ``create``.
    """
    if changes.get("callback_url"):
        callbacks.check(changes["callback_url"])
    schedule = visible(Schedule, schedule_id, to=actor, needs=Scope.TASK_WRITE)
    was = (schedule.cron, schedule.time_zone, schedule.paused_at is not None)
    if train or optimize:
        changes |= _what(train, optimize)
    if priority is not None:
        changes["priority"] = Priority[priority.upper()].value
    for name, value in changes.items():
        setattr(schedule, name, value)
    if changes or is_paused is False:
        schedule.owner_id = actor.id
        _check_rights(schedule, actor)
    if is_paused is not None:
        _pause(schedule, is_paused)
    is_now = (schedule.cron, schedule.time_zone, schedule.paused_at is not None)
    if is_now != was:
        times = _times(schedule.cron, schedule.time_zone)
        schedule.next_run_at = None if schedule.paused_at else times.after(now_ms())
    db.session.commit()
    return schedule


def delete(schedule_id: UUID, *, actor: Actor) -> None:
    """Delete a schedule. What it has submitted goes on.

    Raises:
        AppError: SCHEDULE_NOT_FOUND, SCOPE_MISSING.
    """
    schedule = visible(Schedule, schedule_id, to=actor, needs=Scope.TASK_WRITE)
    db.session.delete(schedule)
    db.session.commit()


def runs(schedule_id: UUID, *, actor: Actor, page: int, per_page: int) -> Page:
    """Return one page of what came of the times of a schedule, the newest first.

    Raises:
        AppError: SCHEDULE_NOT_FOUND.
    """
    get(schedule_id, actor=actor)
    statement = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule_id)
    return page_of(db.session, statement.order_by(ScheduleRun.due_at.desc()), page=page, per_page=per_page)


def _pause(schedule: Schedule, is_paused: bool) -> None:
    if not is_paused:
        schedule.paused_at = schedule.paused_because = None
    elif schedule.paused_at is None:
        schedule.paused_at = now_ms()


def _what(train: Mapping[str, Any] | None, optimize: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns that say what is submitted."""
    if train:
        check_params(train["kind"], train.get("params"))
        action, targets = ScheduleAction.TRAIN, {"module_id": train["module_id"], "process_id": None}
    else:
        assert optimize is not None  # noqa: S101 (the schema takes one of both)
        action, targets = ScheduleAction.OPTIMIZE, {"module_id": None, "process_id": optimize["process_id"]}
    asked = {name: _plain(value) for name, value in (train or optimize or {}).items() if name not in targets}
    return {"action": action, "request": asked, **targets}


def _plain(value: Any) -> Any:
    """Return what JSON can write; the ids of models are the only values that it cannot."""
    if isinstance(value, Mapping):
        return {name: _plain(held) for name, held in value.items()}
    return str(value) if isinstance(value, UUID) else value


def _check_rights(schedule: Schedule, actor: Actor) -> None:
    """Refuse what the actor could not submit by hand, and what is not of the schedule's project."""
    with db.session.no_autoflush:
        if schedule.action == ScheduleAction.TRAIN:
            target: Any = visible(Module, schedule.module_id, to=actor, needs=Scope.MODEL_WRITE)
        else:
            target = visible(Process, schedule.process_id, to=actor, needs=Scope.OPTIMIZATION_WRITE)
        if target.project_id != schedule.project_id:
            raise AppError(target.not_found, "It is of another project.", id=str(target.id))
        if schedule.priority == Priority.HIGH.value:
            visible(Project, schedule.project_id, to=actor, needs=Scope.TASK_PRIORITIZE)


def _times(text: str, zone: str) -> Cron:
    try:
        return cron.parse(text, zone)
    except ZoneError as error:
        raise AppError(ErrorCode.INVALID_INPUT, str(error), path="time_zone") from error
    except CronError as error:
        raise AppError(ErrorCode.INVALID_INPUT, str(error), path="cron") from error

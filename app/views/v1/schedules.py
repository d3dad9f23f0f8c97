"""Schedules: work that is submitted by the clock."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import schedules
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.common import PageQuery
from app.views.v1.schemas.schedules import (
    ScheduleChangeIn,
    ScheduleIn,
    ScheduleOut,
    SchedulePage,
    ScheduleQuery,
    ScheduleRunPage,
)

bp = Blueprint("schedules", __name__, description="Work that is submitted by the clock.")


@bp.get("/projects/<uuid:project_id>/schedules")
@requires(Scope.TASK_READ)
@bp.arguments(ScheduleQuery, location="query")
@bp.response(200, SchedulePage)
def list_schedules(query, project_id):
    """List the schedules of a project."""
    return schedules.page(project_id, actor=current_user, **query)


@bp.post("/projects/<uuid:project_id>/schedules")
@requires(Scope.TASK_WRITE)
@bp.arguments(ScheduleIn)
@bp.response(201, ScheduleOut)
def create_schedule(payload, project_id):
    """Make a schedule of a training or of an optimization. It submits with the rights that you have then."""
    return schedules.create(project_id, actor=current_user, **payload)


@bp.get("/schedules/<uuid:schedule_id>")
@requires(Scope.TASK_READ)
@bp.response(200, ScheduleOut)
def get_schedule(schedule_id):
    """Return a schedule: what it submits, when it is due next, and whether and why it is paused."""
    return schedules.get(schedule_id, actor=current_user)


@bp.patch("/schedules/<uuid:schedule_id>")
@requires(Scope.TASK_WRITE)
@bp.arguments(ScheduleChangeIn)
@bp.response(200, ScheduleOut)
def change_schedule(payload, schedule_id):
    """Change a schedule, pause it or let it go on. Whoever does more than pause it owns it from then on."""
    return schedules.change(schedule_id, actor=current_user, **payload)


@bp.delete("/schedules/<uuid:schedule_id>")
@requires(Scope.TASK_WRITE)
@bp.response(204)
def delete_schedule(schedule_id):
    """Delete a schedule. What it has submitted goes on."""
    schedules.delete(schedule_id, actor=current_user)


@bp.get("/schedules/<uuid:schedule_id>/runs")
@requires(Scope.TASK_READ)
@bp.arguments(PageQuery, location="query")
@bp.response(200, ScheduleRunPage)
def list_runs(query, schedule_id):
    """List what came of the times at which a schedule was due, the newest first."""
    return schedules.runs(schedule_id, actor=current_user, **query)

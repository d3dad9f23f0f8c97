"""Processes: graphs of modules."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import processes
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.processes import (
    ProcessChangeIn,
    ProcessGraphOut,
    ProcessIn,
    ProcessPage,
    ProcessQuery,
)

bp = Blueprint("processes", __name__, description="Plants as graphs of modules: the layers.")


@bp.get("/projects/<uuid:project_id>/processes")
@requires(Scope.PROCESS_READ)
@bp.arguments(ProcessQuery, location="query")
@bp.response(200, ProcessPage)
def list_processes(query, project_id):
    """List the processes of a project, without their modules."""
    return processes.page(project_id, actor=current_user, **query)


@bp.post("/projects/<uuid:project_id>/processes")
@requires(Scope.PROCESS_WRITE)
@bp.arguments(ProcessIn)
@bp.response(201, ProcessGraphOut)
def create_process(payload, project_id):
    """Make a process, with its modules if they are given: all of them, or nothing."""
    return processes.create(project_id, actor=current_user, **payload)


@bp.get("/processes/<uuid:process_id>")
@requires(Scope.PROCESS_READ)
@bp.response(200, ProcessGraphOut)
def get_process(process_id):
    """Return a process with everything in it: modules, links and layers."""
    return processes.get(process_id, actor=current_user)


@bp.patch("/processes/<uuid:process_id>")
@requires(Scope.PROCESS_WRITE)
@bp.arguments(ProcessChangeIn)
@bp.response(200, ProcessGraphOut)
def change_process(payload, process_id):
    """Rename or describe a process."""
    return processes.change(process_id, actor=current_user, **payload)


@bp.delete("/processes/<uuid:process_id>")
@requires(Scope.PROCESS_WRITE)
@bp.response(204)
def delete_process(process_id):
    """Delete a process and its modules, as long as none of them has models."""
    processes.delete(process_id, actor=current_user)

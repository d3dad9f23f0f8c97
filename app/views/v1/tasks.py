"""Long work and its events."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import tasks
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.tasks import EventList, EventQuery, TaskOut, TaskPage, TaskQuery

bp = Blueprint("tasks", __name__, description="Long work: train, optimize, import.")


@bp.get("/tasks")
@requires(Scope.TASK_READ)
@bp.arguments(TaskQuery, location="query")
@bp.response(200, TaskPage)
def list_tasks(query):
    """List the tasks of your projects, newest first."""
    return tasks.page(actor=current_user, **query)


@bp.get("/tasks/<uuid:task_id>")
@requires(Scope.TASK_READ)
@bp.response(200, TaskOut)
def get_task(task_id):
    """Return a task: its state, how far it is, and its result or its error."""
    return tasks.get(task_id, actor=current_user)


@bp.post("/tasks/<uuid:task_id>/cancel")
@requires(Scope.TASK_WRITE)
@bp.response(200, TaskOut)
def cancel_task(task_id):
    """Cancel a task. One at work is 'stopping' until its worker has let go of it."""
    return tasks.cancel(task_id, actor=current_user)


@bp.post("/tasks/<uuid:task_id>/retry")
@requires(Scope.TASK_WRITE)
@bp.response(202, TaskOut)
def retry_task(task_id):
    """Queue a failed or cancelled task again. It goes on from its last checkpoint, if it left one."""
    return tasks.retry(task_id, actor=current_user)


@bp.get("/tasks/<uuid:task_id>/events")
@requires(Scope.TASK_READ)
@bp.arguments(EventQuery, location="query")
@bp.response(200, EventList)
def list_events(query, task_id):
    """List a task's events after a number, at most 1000 at once. The same events come live over Socket.IO."""
    return {"items": tasks.events(task_id, actor=current_user, **query)}

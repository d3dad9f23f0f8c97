"""Long work and its events."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import task_stream, tasks
from app.views import streams
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.tasks import EventList, EventQuery, LastEventHeader, TaskOut, TaskPage, TaskQuery

TEXT = {"type": "string"}
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
@bp.arguments(LastEventHeader, location="headers")
@bp.response(200, EventList)
@bp.alt_response(200, schema=TEXT, content_type=streams.SSE, success=True)
@bp.alt_response(200, schema=TEXT, content_type=streams.NDJSON, success=True)
@bp.alt_response(204, description="The task has ended, and there is nothing after Last-Event-ID.", success=True)
def list_events(query, header, task_id):
    """List a task's events after a number, at most 1000 at once, or follow them live as a stream.

    Which one it is says `Accept`: `text/event-stream` for server-sent events, `application/x-ndjson` for one JSON
    document a line. A stream goes on until the task has ended, and says at its end why it ends. A client that was cut
    off names the last number that it has seen: by `after`, or by `Last-Event-ID`, which goes first.
    """
    after = header.get("last_event", query["after"])
    if form := streams.wanted():
        return streams.send(task_stream.follow(task_id, after=after, actor=current_user), form)
    return {"items": tasks.events(task_id, after=after, actor=current_user)}

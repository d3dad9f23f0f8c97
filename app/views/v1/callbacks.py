"""Callbacks: what came of telling addresses of the ends of tasks, and the key to believe them by."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import callbacks
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.callbacks import CallbackKeyOut, DeliveryList

bp = Blueprint("callbacks", __name__, description="Addresses that are told of the ends of tasks.")


@bp.get("/tasks/<uuid:task_id>/deliveries")
@requires(Scope.TASK_READ)
@bp.response(200, DeliveryList)
def list_deliveries(task_id):
    """List whom a task's end is told, with every try to do so."""
    return {"items": callbacks.log_of(task_id, actor=current_user)}


@bp.get("/projects/<uuid:project_id>/callback_key")
@requires(Scope.TASK_WRITE)
@bp.response(200, CallbackKeyOut)
def get_callback_key(project_id):
    """Return the key with which the callbacks of this project's tasks are signed."""
    return {"key": callbacks.key(project_id, actor=current_user)}

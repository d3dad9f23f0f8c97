"""Modules: the parts of a process."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import modules
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.modules import (
    ModuleChangedOut,
    ModuleChangeIn,
    ModuleIn,
    ModuleOut,
    ModulePage,
    ModuleQuery,
)

bp = Blueprint("modules", __name__, description="The parts of a process: input tags -> output tags.")


@bp.get("/processes/<uuid:process_id>/modules")
@requires(Scope.PROCESS_READ)
@bp.arguments(ModuleQuery, location="query")
@bp.response(200, ModulePage)
def list_modules(query, process_id):
    """List the modules of a process."""
    return modules.page(process_id, actor=current_user, **query)


@bp.post("/processes/<uuid:process_id>/modules")
@requires(Scope.PROCESS_WRITE)
@bp.arguments(ModuleIn)
@bp.response(201, ModuleOut)
def create_module(payload, process_id):
    """Add a module to a process. It is refused if the modules would no longer form a graph."""
    return modules.create(process_id, actor=current_user, **payload)


@bp.get("/modules/<uuid:module_id>")
@requires(Scope.PROCESS_READ)
@bp.response(200, ModuleOut)
def get_module(module_id):
    """Return a module."""
    return modules.get(module_id, actor=current_user)


@bp.patch("/modules/<uuid:module_id>")
@requires(Scope.PROCESS_WRITE)
@bp.arguments(ModuleChangeIn)
@bp.response(200, ModuleChangedOut)
def change_module(payload, module_id):
    """Change a module. A model in production that no longer fits is taken out of it, and the answer says so."""
    return modules.change(module_id, actor=current_user, **payload)


@bp.delete("/modules/<uuid:module_id>")
@requires(Scope.PROCESS_WRITE)
@bp.response(204)
def delete_module(module_id):
    """Delete a module that has no models and that no other module is linked to."""
    modules.delete(module_id, actor=current_user)

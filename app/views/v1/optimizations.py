"""Optimizations: the best inputs of a model, under limits."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import optimizations, process_optimizations
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.submits import submits
from app.views.v1.schemas.optimizations import (
    OptimizationChangeIn,
    OptimizationDetailOut,
    OptimizationIn,
    OptimizationPage,
    OptimizationQuery,
    ProcessOptimizationIn,
)
from app.views.v1.schemas.tasks import TaskOut

bp = Blueprint("optimizations", __name__, description="Searches for the best inputs of a model, under limits.")


@bp.post("/models/<uuid:model_id>/optimizations")
@requires(Scope.OPTIMIZATION_WRITE)
@bp.arguments(OptimizationIn)
@bp.response(202, TaskOut)
@submits(bp)
def start_optimization(payload, model_id):
    """Queue an optimization over this model. Follow the task in the answer until it has ended."""
    return optimizations.start(model_id, actor=current_user, **payload)


@bp.post("/modules/<uuid:module_id>/optimizations")
@requires(Scope.OPTIMIZATION_WRITE)
@bp.arguments(OptimizationIn)
@bp.response(202, TaskOut)
@submits(bp)
def start_module_optimization(payload, module_id):
    """Queue an optimization over the model that this module has in production."""
    return optimizations.start_for_module(module_id, actor=current_user, **payload)


@bp.post("/processes/<uuid:process_id>/optimizations")
@requires(Scope.OPTIMIZATION_WRITE)
@bp.arguments(ProcessOptimizationIn)
@bp.response(202, TaskOut)
@submits(bp)
def start_process_optimization(payload, process_id):
    """Queue an optimization of this process: layer by layer, all layers at once, or in talks between them."""
    return process_optimizations.start(process_id, actor=current_user, **payload)


@bp.get("/optimizations")
@requires(Scope.OPTIMIZATION_READ)
@bp.arguments(OptimizationQuery, location="query")
@bp.response(200, OptimizationPage)
def list_optimizations(query):
    """List the optimizations of your projects, newest first, without their results."""
    return optimizations.page(actor=current_user, **query)


@bp.get("/optimizations/<uuid:optimization_id>")
@requires(Scope.OPTIMIZATION_READ)
@bp.response(200, OptimizationDetailOut)
def get_optimization(optimization_id):
    """Return an optimization: what was asked and, once it has ended, the best inputs found."""
    return optimizations.get(optimization_id, actor=current_user)


@bp.patch("/optimizations/<uuid:optimization_id>")
@requires(Scope.OPTIMIZATION_WRITE)
@bp.arguments(OptimizationChangeIn)
@bp.response(200, OptimizationDetailOut)
def rename_optimization(payload, optimization_id):
    """Rename an optimization."""
    return optimizations.rename(optimization_id, actor=current_user, **payload)


@bp.delete("/optimizations/<uuid:optimization_id>")
@requires(Scope.OPTIMIZATION_WRITE)
@bp.response(204)
def delete_optimization(optimization_id):
    """Delete an optimization that is not at work. Cancel its task first if it is."""
    optimizations.delete(optimization_id, actor=current_user)

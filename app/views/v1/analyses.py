"""Analyses: what a model goes by, and why it says what it says."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import analyses
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.submits import submits
from app.views.v1.schemas.analyses import (
    AnalysisChangeIn,
    AnalysisDetailOut,
    AnalysisIn,
    AnalysisPage,
    AnalysisQuery,
)
from app.views.v1.schemas.tasks import TaskOut

bp = Blueprint("analyses", __name__, description="What a model goes by, and why it says what it says.")


@bp.post("/models/<uuid:model_id>/analyses")
@requires(Scope.MODEL_WRITE)
@bp.arguments(AnalysisIn)
@bp.response(202, TaskOut)
@submits(bp)
def start_analysis(payload, model_id):
    """Queue an analysis of this model. Follow the task in the answer until it has ended."""
    return analyses.start(model_id, actor=current_user, **payload)


@bp.get("/analyses")
@requires(Scope.MODEL_READ)
@bp.arguments(AnalysisQuery, location="query")
@bp.response(200, AnalysisPage)
def list_analyses(query):
    """List the analyses of your projects, newest first, without their results."""
    return analyses.page(actor=current_user, **query)


@bp.get("/analyses/<uuid:analysis_id>")
@requires(Scope.MODEL_READ)
@bp.response(200, AnalysisDetailOut)
def get_analysis(analysis_id):
    """Return an analysis: what was asked and, once it has ended, what was found."""
    return analyses.get(analysis_id, actor=current_user)


@bp.patch("/analyses/<uuid:analysis_id>")
@requires(Scope.MODEL_WRITE)
@bp.arguments(AnalysisChangeIn)
@bp.response(200, AnalysisDetailOut)
def rename_analysis(payload, analysis_id):
    """Rename an analysis."""
    return analyses.rename(analysis_id, actor=current_user, **payload)


@bp.delete("/analyses/<uuid:analysis_id>")
@requires(Scope.MODEL_WRITE)
@bp.response(204)
def delete_analysis(analysis_id):
    """Delete an analysis that is not at work. Cancel its task first if it is."""
    analyses.delete(analysis_id, actor=current_user)

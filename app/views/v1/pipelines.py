"""Pipelines: train the modules of a process and optimize it, in one submit."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import pipelines
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.submits import submits
from app.views.v1.schemas.pipelines import PipelineIn
from app.views.v1.schemas.tasks import TaskOut

bp = Blueprint("pipelines", __name__, description="Train the modules of a process and optimize it, in one submit.")


@bp.post("/processes/<uuid:process_id>/pipeline")
@requires(Scope.MODEL_WRITE)
@bp.arguments(PipelineIn)
@bp.response(202, TaskOut)
@submits(bp)
def start_pipeline(payload, process_id):
    """Queue the training of this process's modules and, over what they become, its optimization.

    The models are put into production as soon as all of them are trained. The task in the answer is made of the others,
    which are its children; cancel it, and they are cancelled.
    """
    return pipelines.start(process_id, actor=current_user, **payload)

"""The model registry."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import models, predictions
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.files import send
from app.views.submits import submits
from app.views.v1.schemas.models import (
    AnyModelQuery,
    ModelChangeIn,
    ModelIn,
    ModelOut,
    ModelPage,
    ModelQuery,
    PredictIn,
    PredictionsOut,
)
from app.views.v1.schemas.tasks import TaskOut

bp = Blueprint("models", __name__, description="The model registry: trained surrogates of a process's modules.")


@bp.post("/modules/<uuid:module_id>/models")
@requires(Scope.MODEL_WRITE)
@bp.arguments(ModelIn)
@bp.response(202, TaskOut)
@submits(bp)
def train_model(payload, module_id):
    """Queue the training of a new model of this module. Its id is the subject of the task in the answer."""
    return models.train(module_id, actor=current_user, **payload)


@bp.get("/modules/<uuid:module_id>/models")
@requires(Scope.MODEL_READ)
@bp.arguments(ModelQuery, location="query")
@bp.response(200, ModelPage)
def list_models_of_module(query, module_id):
    """List the models of a module, newest first."""
    return models.page_of_module(module_id, actor=current_user, **query)


@bp.get("/models")
@requires(Scope.MODEL_READ)
@bp.arguments(AnyModelQuery, location="query")
@bp.response(200, ModelPage)
def list_models(query):
    """List the models of your projects, newest first."""
    return models.page(actor=current_user, **query)


@bp.get("/models/<uuid:model_id>")
@requires(Scope.MODEL_READ)
@bp.response(200, ModelOut)
def get_model(model_id):
    """Return a model: how it was trained and what its predictions are worth."""
    return models.get(model_id, actor=current_user)


@bp.patch("/models/<uuid:model_id>")
@requires(Scope.MODEL_WRITE)
@bp.arguments(ModelChangeIn)
@bp.response(200, ModelOut)
def rename_model(payload, model_id):
    """Rename a model."""
    return models.rename(model_id, actor=current_user, **payload)


@bp.delete("/models/<uuid:model_id>")
@requires(Scope.MODEL_WRITE)
@bp.response(204)
def delete_model(model_id):
    """Delete a model that is not in production, not used by an optimization or an analysis and not being trained."""
    models.delete(model_id, actor=current_user)


@bp.get("/models/<uuid:model_id>/file")
@requires(Scope.MODEL_READ)
@bp.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
def download_model(model_id):
    """Download a model's file: safetensors, arrays and a description."""
    return send(models.file(model_id, actor=current_user))


@bp.post("/models/<uuid:model_id>/promote")
@requires(Scope.MODEL_WRITE)
@bp.response(200, ModelOut)
def promote_model(model_id):
    """Make this model the one that its module uses, in place of the one before."""
    return models.promote(model_id, actor=current_user)


@bp.delete("/models/<uuid:model_id>/promote")
@requires(Scope.MODEL_WRITE)
@bp.response(200, ModelOut)
def demote_model(model_id):
    """Take a model out of production. Its module then has none."""
    return models.demote(model_id, actor=current_user)


@bp.post("/models/<uuid:model_id>/predict")
@requires(Scope.MODEL_READ)
@bp.arguments(PredictIn)
@bp.response(200, PredictionsOut)
def predict(payload, model_id):
    """Predict the outputs of some rows, and mark what lies outside of the data that the model was trained on."""
    return predictions.predict(model_id, actor=current_user, **payload)

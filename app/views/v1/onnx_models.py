"""Models as ONNX files, in and out."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import onnx_models
from app.views.auth import requires
from app.views.files import send
from app.views.multipart import UploadBlueprint, before_body
from app.views.submits import submits
from app.views.v1.schemas.onnx_models import OnnxModelIn
from app.views.v1.schemas.tasks import TaskOut

bp = UploadBlueprint("onnx models", __name__, description="Models as ONNX files: for use elsewhere, or made elsewhere.")


@bp.get("/models/<uuid:model_id>/onnx")
@requires(Scope.MODEL_READ)
@bp.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
def export_model(model_id):
    """Download a model as an ONNX file, which predicts what the model predicts."""
    return send(onnx_models.export(model_id, actor=current_user))


@bp.post("/modules/<uuid:module_id>/models/import")
@requires(Scope.MODEL_WRITE)
@before_body(onnx_models.admit)
@bp.arguments(OnnxModelIn, location="multipart")
@bp.response(202, TaskOut)
@submits(bp)
def import_model(payload, module_id):
    """Queue the import of an ONNX file as a model of this module. Its id is the subject of the task in the answer."""
    return onnx_models.add(module_id, actor=current_user, **payload)

"""Files by signed link: the link itself is the right."""

from app.viewModels import downloads
from app.views.auth import open_to_all
from app.views.bodies import Blueprint
from app.views.files import send

bp = Blueprint("objects", __name__, description="Files by signed link.")


@bp.get("/objects/<token>")
@open_to_all
@bp.doc(security=[])
@bp.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
def download_object(token):
    """Download the file that a signed link stands for."""
    return send(downloads.of_link(token))

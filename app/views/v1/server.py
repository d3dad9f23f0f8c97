"""What this server is."""

import platform

from marshmallow import Schema, fields

from app.version import VERSION
from app.views.auth import open_to_all
from app.views.bodies import Blueprint

bp = Blueprint("server", __name__, description="What this server is.")


class VersionOut(Schema):
    name = fields.String(required=True)
    version = fields.String(required=True)
    api = fields.String(required=True)
    python = fields.String(required=True)


@bp.get("/version")
@open_to_all
@bp.doc(security=[])
@bp.response(200, VersionOut)
def get_version():
    """Tell the version of this server."""
    return {"name": "Setpoint", "version": VERSION, "api": "v1", "python": platform.python_version()}

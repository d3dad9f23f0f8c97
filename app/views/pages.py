"""Pages for people."""

from flask import Blueprint, render_template

from app import version
from app.views.auth import open_to_all

bp = Blueprint("pages", __name__)


@bp.get("/")
@open_to_all
def get_home():
    """Say what this is and where to go."""
    return render_template("home.html", version=version.VERSION)

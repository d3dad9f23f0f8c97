"""Projects and their members."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import projects
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.common import PageQuery
from app.views.v1.schemas.projects import (
    MemberIn,
    MemberOut,
    MemberPage,
    ProjectChangeIn,
    ProjectIn,
    ProjectOut,
    ProjectPage,
    ProjectQuery,
)

bp = Blueprint("projects", __name__, description="What people share: everything belongs to a project.")


@bp.get("/projects")
@requires(Scope.PROJECT_READ)
@bp.arguments(ProjectQuery, location="query")
@bp.response(200, ProjectPage)
def list_projects(query):
    """List the projects that you may see."""
    return projects.page(actor=current_user, **query)


@bp.post("/projects")
@requires(Scope.PROJECT_CREATE)
@bp.arguments(ProjectIn)
@bp.response(201, ProjectOut)
def create_project(payload):
    """Make a project. You own it."""
    return projects.create(actor=current_user, **payload)


@bp.get("/projects/<uuid:project_id>")
@requires(Scope.PROJECT_READ)
@bp.response(200, ProjectOut)
def get_project(project_id):
    """Return a project."""
    return projects.get(project_id, actor=current_user)


@bp.patch("/projects/<uuid:project_id>")
@requires(Scope.PROJECT_ADMIN)
@bp.arguments(ProjectChangeIn)
@bp.response(200, ProjectOut)
def change_project(payload, project_id):
    """Rename, describe, archive or unarchive a project."""
    return projects.change(project_id, actor=current_user, **payload)


@bp.delete("/projects/<uuid:project_id>")
@requires(Scope.PROJECT_ADMIN)
@bp.response(204)
def delete_project(project_id):
    """Delete a project that holds nothing any more."""
    projects.delete(project_id, actor=current_user)


@bp.get("/projects/<uuid:project_id>/members")
@requires(Scope.PROJECT_READ)
@bp.arguments(PageQuery, location="query")
@bp.response(200, MemberPage)
def list_members(query, project_id):
    """List who is in a project."""
    return projects.members(project_id, actor=current_user, **query)


@bp.put("/projects/<uuid:project_id>/members")
@requires(Scope.PROJECT_ADMIN)
@bp.arguments(MemberIn)
@bp.response(200, MemberOut)
def set_member(payload, project_id):
    """Take somebody into a project, or give a member another role."""
    return projects.set_member(project_id, actor=current_user, **payload)


@bp.delete("/projects/<uuid:project_id>/members/<uuid:user_id>")
@requires(Scope.PROJECT_ADMIN)
@bp.response(204)
def remove_member(project_id, user_id):
    """Take somebody out of a project. Their access ends at once."""
    projects.remove_member(project_id, user_id, actor=current_user)

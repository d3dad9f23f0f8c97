"""Projects and their members."""

from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy import delete as delete_rows

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import MemberRole
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Dataset, Membership, Process, Project, Task, User
from app.utils.clock import now_ms
from app.utils.paging import Page, ordering, page_of
from app.viewModels import users
from app.viewModels.access import require, seen_by, visible
from app.viewModels.locks import lock

SORT_FIELDS = {"name": Project.name, "created_at": Project.created_at}


def create(*, name: str, description: str = "", actor: Actor) -> Project:
    """Make a project. Whoever makes it owns it.

    Raises:
        AppError: SCOPE_MISSING.
    """
    require(Scope.PROJECT_CREATE, of=actor)
    project = Project(name=name, description=description, created_by=actor.id)
    project.memberships.append(Membership(user_id=actor.id, role=MemberRole.OWNER))
    db.session.add(project)
    db.session.commit()
    return project


def page(*, actor: Actor, page: int, per_page: int, sort: str = "name", is_archived: bool = False) -> Page:
    """Return one page of the projects that the actor may see."""
    statement = seen_by(select(Project), Project, actor).order_by(ordering(sort, SORT_FIELDS), Project.id)
    is_archived_now = Project.archived_at.is_not(None)
    return page_of(db.session, statement.where(is_archived_now == is_archived), page=page, per_page=per_page)


def get(project_id: UUID, *, actor: Actor) -> Project:
    """Return a project.

    Raises:
        AppError: PROJECT_NOT_FOUND.
    """
    return visible(Project, project_id, to=actor, needs=Scope.PROJECT_READ)


def change(
    project_id: UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    is_archived: bool | None = None,
    actor: Actor,
) -> Project:
    """Rename, describe, archive or unarchive a project.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING.
    """
    project = visible(Project, project_id, to=actor, needs=Scope.PROJECT_ADMIN)
    if name is not None:
        project.name = name
    if description is not None:
        project.description = description
    if is_archived is not None:
        project.archived_at = (project.archived_at or now_ms()) if is_archived else None
    db.session.commit()
    return project


def delete(project_id: UUID, *, actor: Actor) -> None:
    """Delete a project that holds nothing any more. One with contents is archived instead.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, PROJECT_NOT_EMPTY (with what it holds).
    """
    project = visible(Project, project_id, to=actor, needs=Scope.PROJECT_ADMIN)
    lock(project)  # nothing comes into it between the count and the end
    contents = {
        "datasets": _count(Dataset, project),
        "processes": _count(Process, project),
        "unfinished_tasks": _count(Task, project, Task.ended_at.is_(None)),
    }
    held = {name: count for name, count in contents.items() if count}
    if held:
        raise AppError(ErrorCode.PROJECT_NOT_EMPTY, "Archive it, or delete what it holds first.", **held)
    db.session.execute(delete_rows(Task).where(Task.project_id == project.id))
    db.session.delete(project)
    db.session.commit()


def members(project_id: UUID, *, actor: Actor, page: int, per_page: int) -> Page:
    """Return one page of who is in a project, by name.

    Raises:
        AppError: PROJECT_NOT_FOUND.
    """
    project = get(project_id, actor=actor)
    statement = select(Membership).join(User).where(Membership.project_id == project.id).order_by(User.username)
    return page_of(db.session, statement, page=page, per_page=per_page)


def set_member(project_id: UUID, *, username: str, role: MemberRole, actor: Actor) -> Membership:
    """Take a user into a project, or give a member another role.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, USER_NOT_FOUND, MEMBER_LAST_OWNER.
    """
    project = visible(Project, project_id, to=actor, needs=Scope.PROJECT_ADMIN)
    lock(project, keeps_key=True)  # one change of its members at a time: see _commit_with_an_owner
    user = users.find(username)
    membership = db.session.get(Membership, (project_id, user.id))
    if membership is None:
        membership = Membership(project_id=project.id, user=user)
        db.session.add(membership)
    membership.role = role
    _commit_with_an_owner(project)
    return membership


def remove_member(project_id: UUID, user_id: UUID, *, actor: Actor) -> None:
    """Take somebody out of a project. Their access ends at once.

    Raises:
        AppError: PROJECT_NOT_FOUND, SCOPE_MISSING, MEMBER_NOT_FOUND, MEMBER_LAST_OWNER.
    """
    project = visible(Project, project_id, to=actor, needs=Scope.PROJECT_ADMIN)
    lock(project, keeps_key=True)
    membership = db.session.get(Membership, (project_id, user_id))
    if membership is None:
        raise AppError(ErrorCode.MEMBER_NOT_FOUND, user_id=str(user_id))
    db.session.delete(membership)
    _commit_with_an_owner(project)


def _commit_with_an_owner(project: Project) -> None:
    """Commit a change of members, unless it leaves no owner. The project is locked, or two could leave none."""
    db.session.flush()
    owners = select(func.count()).where(Membership.project_id == project.id, Membership.role == MemberRole.OWNER)
    if not db.session.scalar(owners):
        db.session.rollback()
        raise AppError(ErrorCode.MEMBER_LAST_OWNER)
    db.session.commit()


def _count(model: type, project: Project, *conditions: ColumnElement) -> int:
    return db.session.scalar(select(func.count()).where(model.project_id == project.id, *conditions))

"""Who may see and do what in a project. Every function on a project's things starts here."""

from functools import cache
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, bindparam, select, true
from sqlalchemy.orm import aliased

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import MemberRole, Role
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Membership, Project

Row = TypeVar("Row")
_ALSO_WHEN_ARCHIVED = {Scope.PROJECT_ADMIN, Scope.TASK_WRITE}  # take it back from there, and stop what still runs


def visible(model: type[Row], row_id: UUID, *, to: Actor, needs: Scope) -> Row:
    """Return the row with this id, for somebody who may do ``needs`` in its project.

    Raises:
        AppError: the model's NOT_FOUND (no such row, or the actor may not see its project), SCOPE_MISSING (may see
            it, may not do this), PROJECT_ARCHIVED (it can only be read).
    """
    found = db.session.execute(_row_and_rights(model), {"row_id": row_id, "actor_id": to.id}).one_or_none()
    if found is None:
        raise AppError(model.not_found, id=str(row_id))
    row, archived, member = found
    _check(model, row_id, archived_at=archived, member=member, actor=to, needs=needs)
    return row


def seen_by(statement: Select, model: type, actor: Actor) -> Select:
    """Narrow a SELECT of ``model`` to the projects that the actor may see."""
    return statement.where(_is_member(_project_id(model), actor))


def require(scope: Scope, *, of: Actor) -> None:
    """Refuse an actor whose role does not have ``scope``.

    Raises:
        AppError: SCOPE_MISSING.
    """
    if not of.may(scope):
        raise AppError(ErrorCode.SCOPE_MISSING, f"The role {of.role} does not have {scope}.", scope=scope)


@cache
def _row_and_rights(model: type) -> Select:
    """The row, when its project was archived, the actor's role there. Built once: building costs more than running."""
    project_id = _project_id(model)
    of_project = aliased(Project)  # the row itself may be a project
    archived_at = select(of_project.archived_at).where(of_project.id == project_id)
    role = select(Membership.role).where(
        Membership.project_id == project_id, Membership.user_id == bindparam("actor_id", type_=Uuid())
    )
    return select(model, archived_at.correlate(model).scalar_subquery(), role.correlate(model).scalar_subquery()).where(
        model.id == bindparam("row_id", type_=Uuid())
    )


def _check(
    model: type, row_id: UUID, *, archived_at: int | None, member: str | None, actor: Actor, needs: Scope
) -> None:
    membership = MemberRole(member) if member else None
    if membership is None and actor.role is not Role.ADMIN:
        raise AppError(model.not_found, id=str(row_id))
    if not actor.may_as(membership, needs):
        raise AppError(ErrorCode.SCOPE_MISSING, f"You do not have {needs} in this project.", scope=needs)
    if archived_at is not None and not needs.is_read and needs not in _ALSO_WHEN_ARCHIVED:
        raise AppError(ErrorCode.PROJECT_ARCHIVED)


def _project_id(model: type) -> ColumnElement:
    return Project.id if model is Project else model.project_id


def _is_member(project_id: ColumnElement, actor: Actor) -> ColumnElement:
    if actor.role is Role.ADMIN:
        return true()
    return project_id.in_(select(Membership.project_id).where(Membership.user_id == actor.id))

"""Data sets: what one can do with them once they are there."""

from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from app.extensions import db
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Dataset, DatasetVersion, Model, Module, Project
from app.utils.paging import Page, ordering, page_of
from app.viewModels import dataset_objects
from app.viewModels.access import visible

SORT_FIELDS = {"name": Dataset.name, "created_at": Dataset.created_at}
_WITH_VERSIONS = selectinload(Dataset.versions).defer(DatasetVersion.tags).defer(DatasetVersion.notes)


def newest_version(dataset: Dataset) -> DatasetVersion:
    """Return the version with the highest number. A data set always has one."""
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    return db.session.scalars(statement.order_by(DatasetVersion.number.desc()).limit(1)).one()


def page(
    project_id: UUID, *, actor: Actor, page: int, per_page: int, sort: str = "name", name: str | None = None
) -> Page:
    """Return one page of a project's data sets, perhaps only those whose name contains ``name``.

    Raises:
        AppError: PROJECT_NOT_FOUND.
    """
    visible(Project, project_id, to=actor, needs=Scope.DATASET_READ)
    statement = select(Dataset).where(Dataset.project_id == project_id).options(_WITH_VERSIONS)
    if name:
        statement = statement.where(Dataset.name.icontains(name, autoescape=True))
    return page_of(
        db.session, statement.order_by(ordering(sort, SORT_FIELDS), Dataset.id), page=page, per_page=per_page
    )


def get(dataset_id: UUID, *, actor: Actor) -> Dataset:
    """Return a data set with its versions.

    Raises:
        AppError: DATASET_NOT_FOUND.
    """
    return with_versions(visible(Dataset, dataset_id, to=actor, needs=Scope.DATASET_READ))


def with_versions(dataset: Dataset) -> Dataset:
    """Load the versions of a data set without what is large in them."""
    statement = select(Dataset).where(Dataset.id == dataset.id).options(_WITH_VERSIONS)
    return db.session.scalars(statement, execution_options={"populate_existing": True}).one()


def change(dataset_id: UUID, *, name: str | None = None, description: str | None = None, actor: Actor) -> Dataset:
    """Rename or describe a data set.

    Raises:
        AppError: DATASET_NOT_FOUND, SCOPE_MISSING, DATASET_NAME_TAKEN.
    """
    dataset = visible(Dataset, dataset_id, to=actor, needs=Scope.DATASET_WRITE)
    if name is not None:
        dataset.name = name
    if description is not None:
        dataset.description = description
    try:
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        raise AppError(ErrorCode.DATASET_NAME_TAKEN, name=name) from error
    return with_versions(dataset)


def delete(dataset_id: UUID, *, actor: Actor) -> None:
    """Delete a data set with all its versions and their files.

    Raises:
        AppError: DATASET_NOT_FOUND, SCOPE_MISSING, DATASET_IN_USE (with the modules and models that use it).
    """
    visible(Dataset, dataset_id, to=actor, needs=Scope.DATASET_WRITE)
    versions = select(DatasetVersion.id).where(DatasetVersion.dataset_id == dataset_id)
    refuse_if_used(
        modules=(Module, Module.dataset_id == dataset_id), models=(Model, Model.dataset_version_id.in_(versions))
    )
    keys = db.session.execute(
        select(DatasetVersion.source_key, DatasetVersion.parquet_key).where(DatasetVersion.dataset_id == dataset_id)
    ).all()
    try:
        db.session.execute(delete_rows(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id))
        db.session.execute(delete_rows(Dataset).where(Dataset.id == dataset_id))
        db.session.commit()
    except IntegrityError as error:  # a module or model was made in the meantime
        db.session.rollback()
        raise AppError(ErrorCode.DATASET_IN_USE) from error
    dataset_objects.discard(*(key for row in keys for key in row))


def refuse_if_used(**users: tuple[type[Module | Model], ColumnElement[bool]]) -> None:
    """Refuse what would take the ground from under modules or models.

    Args:
        users: by kind, such as ``modules``: the table and the condition by which a row of it is a user.

    Raises:
        AppError: DATASET_IN_USE; details list the users by kind, each with id and name.
    """
    found = {
        kind: [
            {"id": str(row.id), "name": row.name}
            for row in db.session.execute(select(model.id, model.name).where(condition).order_by(model.name))
        ]
        for kind, (model, condition) in users.items()
    }
    if any(found.values()):
        counted = " and ".join(f"{len(rows)} {kind}" for kind, rows in found.items() if rows)
        raise AppError(ErrorCode.DATASET_IN_USE, f"It is used by {counted}.", **found)

"""The versions of a data set: immutable tables, each with the file that it was read from."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer

from app.extensions import db
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Dataset, DatasetVersion, Model
from app.utils.paging import LARGEST_NUMBER, Page, ordering, page_of
from app.viewModels import dataset_objects, dataset_rows, datasets, downloads
from app.viewModels.access import visible

SORT_FIELDS = {"number": DatasetVersion.number, "created_at": DatasetVersion.created_at}
MOST_CELLS = 200_000  # in one page of rows


def page(dataset_id: UUID, *, actor: Actor, page: int, per_page: int, sort: str = "-number") -> Page:
    """Return one page of a data set's versions, newest first unless sorted otherwise.

    Raises:
        AppError: DATASET_NOT_FOUND.
    """
    datasets.get(dataset_id, actor=actor)
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id)
    light = statement.options(defer(DatasetVersion.tags), defer(DatasetVersion.notes))
    return page_of(db.session, light.order_by(ordering(sort, SORT_FIELDS)), page=page, per_page=per_page)


def get(dataset_id: UUID, number: int, *, actor: Actor, needs: Scope = Scope.DATASET_READ) -> DatasetVersion:
    """Return a version.

    Raises:
        AppError: DATASET_NOT_FOUND, SCOPE_MISSING, DATASET_VERSION_NOT_FOUND.
    """
    visible(Dataset, dataset_id, to=actor, needs=needs)
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id, DatasetVersion.number == number)
    version = db.session.scalars(statement).one_or_none() if number <= LARGEST_NUMBER else None
    if version is None:
        raise AppError(ErrorCode.DATASET_VERSION_NOT_FOUND, dataset_id=str(dataset_id), number=number)
    return version


def rows(
    dataset_id: UUID, number: int, *, offset: int, limit: int, tags: Sequence[str] | None = None, actor: Actor
) -> dict[str, Any]:
    """Return some rows of a version, fewer than ``limit`` if they would hold more than MOST_CELLS values.

    Raises:
        AppError: DATASET_NOT_FOUND, DATASET_VERSION_NOT_FOUND.
        UnknownTag: the version does not have a tag.
    """
    version = get(dataset_id, number, actor=actor)
    db.session.commit()
    tags = list(dict.fromkeys(tags)) if tags else None
    limit = min(limit, max(1, MOST_CELLS // len(tags or version.tags)))
    items = dataset_rows.page(version, offset=offset, limit=limit, tags=tags)
    return {"items": items, "total": version.n_rows, "offset": offset, "limit": limit}


def file(
    dataset_id: UUID, number: int, *, form: Literal["source", "parquet"] = "source", actor: Actor
) -> downloads.Download:
    """Return a version's file: as it was uploaded, or its table as Parquet.

    Raises:
        AppError: DATASET_NOT_FOUND, DATASET_VERSION_NOT_FOUND, OBJECT_NOT_FOUND.
    """
    version = get(dataset_id, number, actor=actor)
    db.session.commit()  # a download may take long
    if form == "source":
        return downloads.of_object(version.source_key, version.file_name)
    return downloads.of_object(version.parquet_key, f"{PurePath(version.file_name).stem}.parquet")


def delete(dataset_id: UUID, number: int, *, actor: Actor) -> None:
    """Delete a version with its files. Its number is not given again.

    Raises:
        AppError: DATASET_NOT_FOUND, SCOPE_MISSING, DATASET_VERSION_NOT_FOUND, DATASET_IN_USE (with the models that
            were trained on it), DATASET_LAST_VERSION.
    """
    version = get(dataset_id, number, actor=actor, needs=Scope.DATASET_WRITE)
    datasets.refuse_if_used(models=(Model, Model.dataset_version_id == version.id))
    of_dataset = select(DatasetVersion.id).where(DatasetVersion.dataset_id == dataset_id)
    if len(db.session.scalars(of_dataset.with_for_update()).all()) == 1:  # locked, or two could delete the last two
        raise AppError(ErrorCode.DATASET_LAST_VERSION, "Delete the data set instead.")
    db.session.delete(version)
    try:
        db.session.commit()
    except IntegrityError as error:  # a model was made in the meantime
        db.session.rollback()
        raise AppError(ErrorCode.DATASET_IN_USE) from error
    dataset_objects.discard(version.source_key, version.parquet_key)

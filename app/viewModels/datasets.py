"""Data sets and their versions: what one can do with them once they are there."""

from sqlalchemy import select

from app.extensions import db
from app.models import Dataset, DatasetVersion


def newest_version(dataset: Dataset) -> DatasetVersion:
    """Return the version with the highest number. A data set always has one."""
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    return db.session.scalars(statement.order_by(DatasetVersion.number.desc()).limit(1)).one()

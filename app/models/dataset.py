"""Data sets: named tables of plant history, and their immutable versions."""

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, JsonList, Key, Name, Word


class Dataset(InProject, Created, db.Model):
    """A named table. It has at least one version: a data set whose first import failed was never made."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    not_found = ErrorCode.DATASET_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(String(2000), default="")
    last_number: Mapped[int] = mapped_column(default=0)  # the highest ever given: a number is never used again

    versions: Mapped[list["DatasetVersion"]] = relationship(
        back_populates="dataset", order_by="DatasetVersion.number", cascade="all, delete-orphan"
    )

    @property
    def newest_version(self) -> "DatasetVersion":
        """The version with the highest number."""
        return self.versions[-1]

    @property
    def n_versions(self) -> int:
        """How many versions there are now."""
        return len(self.versions)


class DatasetVersion(Created, db.Model):
    """One table as it was uploaded and as it was read. Never changed after it was made."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("dataset_id", "number"),
        UniqueConstraint("dataset_id", "fingerprint"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    # over the content's sha256, the reading options asked for and the derived tags: the same upload, the same version
    fingerprint: Mapped[str] = mapped_column(String(64))
    file_name: Mapped[Name]
    file_format: Mapped[Word]
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    n_rows: Mapped[int] = mapped_column(BigInteger)
    n_tags: Mapped[int]
    source_key: Mapped[Key]
    parquet_key: Mapped[Key]
    reading_asked: Mapped[Json]  # the options as they were asked for; null in it leaves the choice to the data
    reading: Mapped[Json]  # every guess filled in
    derived: Mapped[JsonList]
    tags: Mapped[JsonList]  # the profile, one entry a tag
    notes: Mapped[JsonList]
    time_tag: Mapped[str | None] = mapped_column(String(500))  # as long as a heading may be

    dataset: Mapped[Dataset] = relationship(back_populates="versions")

"""The model registry: trained surrogates, one row a version."""

from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, ForeignKey, String, UniqueConstraint, case, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.enums import ModelState, TaskState
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, JsonList, Key, Name, Word
from app.models.dataset import DatasetVersion
from app.models.process import Module
from app.models.task import Task


class Model(InProject, Created, db.Model):
    """A surrogate of one module. It is made when its training is asked for and has ``metrics`` once it is trained."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("module_id", "number"),)
    not_found = ErrorCode.MODEL_NOT_FOUND

    id: Mapped[Id]
    module_id: Mapped[UUID] = mapped_column(ForeignKey("modules.id"))
    number: Mapped[int]
    name: Mapped[Name]

    # what was asked for
    kind: Mapped[Word]
    params: Mapped[Json]
    options: Mapped[Json] = mapped_column(default=dict)  # what is done about missing values, ...
    validation: Mapped[Json]
    seed: Mapped[int] = mapped_column(BigInteger)
    dataset_version_id: Mapped[UUID] = mapped_column(ForeignKey("dataset_versions.id"), index=True)
    inputs: Mapped[JsonList]  # the module's, as they were then
    outputs: Mapped[JsonList]
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)

    # what training made
    metrics: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    ranges: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    n_rows: Mapped[int | None]
    seconds: Mapped[float | None]
    artifact_key: Mapped[Key | None]
    artifact_sha256: Mapped[str | None] = mapped_column(String(64))

    module: Mapped[Module] = relationship(foreign_keys=module_id)
    dataset_version: Mapped[DatasetVersion] = relationship()
    task: Mapped[Task | None] = relationship()

    @property
    def missing(self) -> str:
        """What training does with rows in which inputs lack a value: drop or impute."""
        return self.options.get("missing", "drop")

    @property
    def encoding(self) -> dict | None:
        """How it turns categories and missing cells into numbers, once it is trained; None where it need not."""
        return self.options.get("encoding")

    @property
    def routes(self) -> list | None:
        """Which way to a prediction was measured to be the fastest one; None where there is but one."""
        return self.options.get("routes")

    @property
    def choice(self) -> dict | None:
        """What was tried and chosen, of the kind ``auto``; None of every other."""
        return self.options.get("choice")

    @property
    def is_production(self) -> bool:
        """Whether its module uses this model."""
        return self.module.production_model_id == self.id

    @hybrid_property
    def state(self) -> ModelState:
        """What has become of it: trained once there are metrics, otherwise as its training ended."""
        if self.metrics is not None:
            return ModelState.READY
        task_state = self.task.state if self.task else TaskState.FAILED  # ended tasks are cleaned away some day
        return _UNTRAINED.get(task_state, ModelState.TRAINING)

    @state.inplace.expression
    @classmethod
    def _state_in_sql(cls) -> ColumnElement[str]:
        task_state = select(Task.state).where(Task.id == cls.task_id).scalar_subquery()
        return case(
            (cls.metrics.is_not(None), ModelState.READY),
            (cls.task_id.is_(None), ModelState.FAILED),
            *((task_state == ended, state) for ended, state in _UNTRAINED.items()),
            else_=ModelState.TRAINING,
        )


_UNTRAINED = {
    TaskState.FAILED: ModelState.FAILED,
    TaskState.CANCELLED: ModelState.CANCELLED,
    TaskState.SUCCEEDED: ModelState.FAILED,  # cannot be: success and metrics are one transaction
}

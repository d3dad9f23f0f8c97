"""Optimizations: what was asked, and the best inputs found. They outlive their tasks."""

from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, ForeignKey, case, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.libs.enums import OptimizationState, TaskState
from app.libs.error_codes import ErrorCode
from app.models.columns import Created, Id, InProject, Json, Name, Word
from app.models.model import Model
from app.models.task import Task


class Optimization(InProject, Created, db.Model):
    """A search for the best inputs of a model. ``result`` is there once it has ended well."""

    __tablename__ = "optimizations"
    not_found = ErrorCode.OPTIMIZATION_NOT_FOUND

    id: Mapped[Id]
    name: Mapped[Name]
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), index=True)
    problem: Mapped[Json]  # complete: bounds, scales and fixed inputs filled in
    solver: Mapped[Word]
    budget: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    result: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))

    model: Mapped[Model] = relationship()
    task: Mapped[Task | None] = relationship()

    @hybrid_property
    def state(self) -> OptimizationState:
        """What has become of it: done once there is a result, otherwise as its task stands or has ended."""
        if self.result is not None:
            return OptimizationState.DONE
        task_state = self.task.state if self.task else TaskState.FAILED  # ended tasks are cleaned away some day
        return _ENDED.get(task_state, OptimizationState.RUNNING)

    @state.inplace.expression
    @classmethod
    def _state_in_sql(cls) -> ColumnElement[str]:
        task_state = select(Task.state).where(Task.id == cls.task_id).scalar_subquery()
        return case(
            (cls.result.is_not(None), OptimizationState.DONE),
            (cls.task_id.is_(None), OptimizationState.FAILED),
            *((task_state == ended, state) for ended, state in _ENDED.items()),
            else_=OptimizationState.RUNNING,
        )


_ENDED = {
    TaskState.FAILED: OptimizationState.FAILED,
    TaskState.CANCELLED: OptimizationState.CANCELLED,
    TaskState.SUCCEEDED: OptimizationState.FAILED,  # cannot be: success and result are one transaction
}

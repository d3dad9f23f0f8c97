"""What a task finds and leaves: a row that is there from the asking on, with a result once the task has ended well."""

from uuid import UUID

from sqlalchemy import JSON, ColumnElement, ForeignKey, case, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from app.libs.enums import ResultState, TaskState
from app.models.task import Task


class Outcome:
    """A row that outlives its task. ``result`` is there once the task has ended well."""

    result: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))

    @declared_attr
    def task_id(cls) -> Mapped[UUID | None]:  # noqa: N805 (called with the class)
        return mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)

    @declared_attr
    def task(cls) -> Mapped[Task | None]:  # noqa: N805
        return relationship(Task)

    @hybrid_property
    def state(self) -> ResultState:
        """What has become of it: done once there is a result, otherwise as its task stands or has ended."""
        if self.result is not None:
            return ResultState.DONE
        task_state = self.task.state if self.task else TaskState.FAILED  # ended tasks are cleaned away some day
        return _ENDED.get(task_state, ResultState.RUNNING)

    @state.inplace.expression
    @classmethod
    def _state_in_sql(cls) -> ColumnElement[str]:
        task_state = select(Task.state).where(Task.id == cls.task_id).scalar_subquery()
        return case(
            (cls.result.is_not(None), ResultState.DONE),
            (cls.task_id.is_(None), ResultState.FAILED),
            *((task_state == ended, state) for ended, state in _ENDED.items()),
            else_=ResultState.RUNNING,
        )


_ENDED = {
    TaskState.FAILED: ResultState.FAILED,
    TaskState.CANCELLED: ResultState.CANCELLED,
    TaskState.SUCCEEDED: ResultState.FAILED,  # cannot be: success and result are one transaction
}

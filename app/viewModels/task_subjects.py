"""What tasks make: the rows whose state is told by their task."""

from app.extensions import db
from app.libs.enums import TaskKind
from app.models import Analysis, Model, Optimization, Task

_MADE = {TaskKind.TRAIN: Model, TaskKind.OPTIMIZE: Optimization, TaskKind.ANALYZE: Analysis}


def is_there(task: Task) -> bool:
    """Whether the row that a task makes is there still, and is made by this task."""
    made = _MADE.get(TaskKind(task.kind))
    if made is None:
        return True
    row = db.session.get(made, task.subject_id)
    return row is not None and row.task_id == task.id

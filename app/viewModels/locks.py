"""Holding a row still while something is decided by what it says."""

from sqlalchemy.exc import InvalidRequestError

from app.extensions import db
from app.libs.errors import AppError
from app.models import Model, Module, Process, Project, Task


def lock(row: Project | Process | Module | Model | Task, *, keeps_key: bool = False) -> None:
    """Read a row again, and let nobody else change it before this transaction ends.

    Args:
        keeps_key: its key will not change and it will not be deleted, so that rows which refer to it need not wait.

    Raises:
        AppError: the row's NOT_FOUND (it was deleted since it was read).
    """
    row_id = str(row.id)
    try:
        db.session.refresh(row, with_for_update={"key_share": keeps_key})
    except InvalidRequestError as error:
        raise AppError(row.not_found, id=row_id) from error

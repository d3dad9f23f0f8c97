"""How work is asked for, beside what the work is: once only under a key, how urgently, and within what one may ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from flask import current_app
from sqlalchemy import bindparam, case, func, or_, select

from app.extensions import db
from app.libs.actor import Actor
from app.libs.enums import Priority, TaskState
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.models import Project, Task
from app.viewModels import task_line
from app.viewModels.access import visible

UNFINISHED = (TaskState.QUEUED, TaskState.RUNNING, TaskState.STOPPING)

_TASKS = Task.__table__.c
_OF_ACTOR, _OF_PROJECT = _TASKS.created_by == bindparam("actor_id"), _TASKS.project_id == bindparam("project_id")
_UNFINISHED = select(
    *(func.coalesce(func.sum(case((whose, 1), else_=0)), 0) for whose in (_OF_ACTOR, _OF_PROJECT))
).where(_TASKS.state.in_(UNFINISHED), _TASKS.parent_id.is_(None), or_(_OF_ACTOR, _OF_PROJECT))


@dataclass(frozen=True)
class Submission:
    """What a request says of every task that it submits.

    Attributes:
        priority: how urgent they are.
        needs: tasks that must have succeeded before they start.
        key: the client's name for the request; sent again, it gives the task that there is. It is for one task.
        sha256: of everything that was asked under the key.
        callback_url: what is told of the end of each of them; ``callbacks.check`` has let it pass.
        parent_id: the task that they are parts of. What that was allowed, they are.
    """

    priority: Priority = Priority.NORMAL
    needs: tuple[UUID, ...] = ()
    key: str | None = None
    sha256: str | None = None
    callback_url: str | None = None
    parent_id: UUID | None = None


class DuplicateSubmissionError(Exception):
    """The same key was submitted at this very moment; nothing of this transaction was written."""


_NOTHING_SPECIAL = Submission()
_PRESENT: ContextVar[Submission] = ContextVar("submission", default=_NOTHING_SPECIAL)


@contextmanager
def asked(submission: Submission) -> Iterator[None]:
    """Let every submit within the block be under this key and of this priority."""
    token = _PRESENT.set(submission)
    try:
        yield
    finally:
        _PRESENT.reset(token)


def present() -> Submission:
    """Return what is said of the submits of this request; outside of one, nothing special."""
    return _PRESENT.get()


def known(submission: Submission, *, actor: Actor) -> Task | None:
    """Return the task that the actor submitted under this key before.

    Raises:
        AppError: TASK_KEY_REUSED (something else was asked under it).
    """
    statement = select(Task).where(Task.created_by == actor.id, Task.idempotency_key == submission.key)
    task = db.session.scalar(statement)
    if task is not None and task.request_sha256 != submission.sha256:
        detail = f"The key {submission.key!r} is that of another request. Send a new key with a new request."
        raise AppError(ErrorCode.TASK_KEY_REUSED, detail, task_id=str(task.id))
    return task


def admit(submission: Submission, *, project_id: UUID, actor: Actor) -> None:
    """Refuse what the actor may not ask for, or not now. Parts of an accepted task are not counted, nor refused.

    Raises:
        AppError: SCOPE_MISSING (high priority), TASK_LIMIT (too much of theirs or of the project is unfinished).
    """
    if submission.parent_id is not None:
        return
    if submission.priority is Priority.HIGH:
        visible(Project, project_id, to=actor, needs=Scope.TASK_PRIORITIZE)
    check_limits(project_id=project_id, user_id=actor.id, who="You have")


def check_limits(*, project_id: UUID, user_id: UUID, who: str) -> None:
    """Refuse one more unfinished task of this user and this project.

    Raises:
        AppError: TASK_LIMIT; it begins with ``who``.
    """
    settings = current_app.config["SETTINGS"]
    of_user, of_project = _unfinished(project_id, user_id)
    for whose, n, most in (
        (who, of_user, settings.task_most_per_user),
        ("The project has", of_project, settings.task_most_per_project),
    ):
        if n >= most:
            _refuse(f"{whose} {n} unfinished tasks, of at most {most}.", n, most)


def _unfinished(project_id: UUID, user_id: UUID) -> tuple[int, int]:
    """Return how many unfinished tasks the user has, and the project."""
    found = db.session.connection().execute(_UNFINISHED, {"actor_id": user_id, "project_id": project_id}).one()
    return int(found[0]), int(found[1])


def _refuse(detail: str, n: int, most: int) -> NoReturn:
    wait = task_line.seconds_until_next_end()
    raise AppError(
        ErrorCode.TASK_LIMIT,
        f"{detail} Try again in {wait} s, or cancel some.",
        n_unfinished=n,
        most=most,
        retry_after_seconds=wait,
    )

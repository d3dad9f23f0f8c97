"""Routes that submit long work: how urgently, after what else, and once only under a key of the client's."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, request
from flask_login import current_user
from marshmallow import EXCLUDE

from app.libs.enums import Priority
from app.viewModels import callbacks, submissions, tasks
from app.viewModels.submissions import DuplicateSubmissionError, Submission
from app.views.bodies import Blueprint
from app.views.v1.schemas.submits import SubmitHeaders, SubmitQuery
from app.views.v1.schemas.tasks import TaskOut

CHUNK = 1024 * 1024


def submits(bp: Blueprint) -> Callable:
    """Say that a view submits tasks. Place it next to the view: it takes the query and the headers that it reads away.

    A request with an ``Idempotency-Key`` that was sent before gets the task that it made then, with status 200.
    """

    def decorate(view: Callable) -> Callable:
        @bp.arguments(SubmitQuery, location="query")
        @bp.arguments(SubmitHeaders, location="headers", unknown=EXCLUDE)
        @bp.alt_response(200, schema=TaskOut, description="The task that a request with this key made before.")
        @wraps(view)
        def asked(*args: Any, **path: Any) -> Any:
            *body, query, headers = args
            submission = _submission(query, headers.get("key"))
            with submissions.asked(submission):
                return _once(submission, lambda: view(*body, **path))

        return asked

    return decorate


def _once(submission: Submission, submit: Callable[[], Any]) -> Any:
    if submission.key and (known := tasks.submitted(submission, actor=current_user)):
        return _known(known)
    if submission.callback_url:
        callbacks.check(submission.callback_url)
    try:
        return submit()
    except DuplicateSubmissionError:
        return _known(tasks.submitted(submission, actor=current_user))


def _known(task: Any) -> Response:
    return Response(TaskOut().dumps(task), status=200, content_type="application/json")


def _submission(query: dict[str, Any], key: str | None) -> Submission:
    return Submission(
        priority=Priority[query["priority"].upper()],
        needs=tuple(dict.fromkeys(query["after"])),
        key=key,
        sha256=_digest() if key else None,
        callback_url=query["callback_url"],
    )


def _digest() -> str:
    """Return the sha256 of everything that is asked: where, and the whole body. Files are read a second time."""
    digest = hashlib.sha256(f"{request.method} {request.full_path}".encode())
    if request.mimetype != "multipart/form-data":
        digest.update(request.get_data())
        return digest.hexdigest()
    for name, value in sorted(request.form.items(multi=True)):
        digest.update(f"{name}={value}".encode())
    for name, file in sorted(request.files.items(multi=True), key=lambda item: item[0]):
        digest.update(f"{name}:{file.filename}".encode())
        while chunk := file.stream.read(CHUNK):
            digest.update(chunk)
        file.stream.seek(0)
    return digest.hexdigest()

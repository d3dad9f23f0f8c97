"""Uploads: a form with a file in it, read only from people who may send it."""

from collections.abc import Callable
from functools import wraps

from flask import Request
from flask_login import current_user
from marshmallow import Schema
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import CombinedMultiDict

from app.views.bodies import Blueprint, BodyParser


class MultipartParser(BodyParser):
    """Knows one more place where arguments are: ``multipart``, the files and the other fields of a form together."""

    def load_multipart(self, request: Request, schema: Schema) -> MultiDictProxy:
        """Return the form. Werkzeug keeps files of more than 500 kB on the disk, so the memory stays bounded."""
        return MultiDictProxy(CombinedMultiDict([request.files, request.form]), schema)

    __location_map__ = {**BodyParser.__location_map__, "multipart": "load_multipart"}


class UploadBlueprint(Blueprint):
    """A blueprint whose views may take ``@bp.arguments(..., location="multipart")``."""

    ARGUMENTS_PARSER = MultipartParser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING = {
        **Blueprint.DEFAULT_LOCATION_CONTENT_TYPE_MAPPING,
        "multipart": "multipart/form-data",
    }


def before_body(check: Callable[..., None]) -> Callable:
    """Call ``check`` with the URL's values and the actor before the body is read, since it may be gigabytes."""

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def checked(*args, **kwargs):
            check(*kwargs.values(), actor=current_user)
            return view(*args, **kwargs)

        return checked

    return decorate

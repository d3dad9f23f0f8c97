"""JSON bodies, read strictly wherever a view takes arguments."""

from typing import Any

import flask_smorest
from flask import Request
from webargs.core import missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest

from app.utils import strict_json


def read_json(request: Request) -> Any:
    """Return what the body says, or ``missing`` if it is of another content type.

    Raises:
        BadRequest: it is no JSON that can be used.
    """
    if not request.is_json:
        return missing
    try:
        return strict_json.loads(request.get_data())
    except ValueError as error:
        raise BadRequest(f"The body is no JSON that can be used: {error}.") from error


class BodyParser(FlaskParser):
    """Reads arguments as webargs does, and JSON strictly."""

    def _raw_load_json(self, req: Request) -> Any:
        return read_json(req)


class Blueprint(flask_smorest.Blueprint):
    """A blueprint whose views take strict JSON."""

    ARGUMENTS_PARSER = BodyParser()

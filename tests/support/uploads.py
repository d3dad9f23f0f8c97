"""Uploading tables in tests, and looking at what is left of it."""

import io
import json
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.extensions import db, object_store
from app.models import Dataset, DatasetVersion

HOURS = b"time,load,flow\n" + b"".join(
    b"2026-03-01 %02d:00,%d,%.1f\n" % (hour, 100 + hour, 2 * hour) for hour in range(24)
)
"""A day of a plant: 24 rows, a time tag, an integer tag and a real one."""


def form(content: bytes = HOURS, file_name: str = "unit 3.csv", **fields: Any) -> dict[str, Any]:
    """The fields of an upload; what is not text goes as JSON."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return {"file": (io.BytesIO(content), file_name), **texts}


def post_file(client: FlaskClient, url: str, headers: dict[str, str], *args: Any, **fields: Any) -> TestResponse:
    """Post a file to one of the addresses that take one."""
    return client.post(f"/api/v1{url}", data=form(*args, **fields), headers=headers)


def what_is_there(app: Flask) -> dict[str, int]:
    """How many data sets, versions and stored objects there are."""
    with app.app_context():
        return {
            "datasets": db.session.query(Dataset).count(),
            "versions": db.session.query(DatasetVersion).count(),
            "objects": sum(1 for _ in object_store.list()),
        }


NOTHING = {"datasets": 0, "versions": 0, "objects": 0}

"""Uploading small tables in tests."""

import io
import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

HOURS = b"time,load,flow\n" + b"".join(
    b"2026-03-01 %02d:00,%d,%.1f\n" % (hour, 100 + hour, 2 * hour) for hour in range(24)
)
"""A day of a plant: 24 rows, a time tag, an integer tag and a real one."""


def form(content: bytes = HOURS, file_name: str = "unit 3.csv", **fields: Any) -> dict[str, Any]:
    """The fields of an upload; what is not text goes as JSON."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return {"file": (io.BytesIO(content), file_name), **texts}


def upload(client: FlaskClient, url: str, headers: dict[str, str], *args: Any, **fields: Any) -> TestResponse:
    """Post a file to one of the addresses that take one."""
    return client.post(f"/api/v1{url}", data=form(*args, **fields), headers=headers)

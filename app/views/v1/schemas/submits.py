"""What every request that submits long work may say beside its body."""

from marshmallow import fields, validate
from webargs.fields import DelimitedList

from app.libs.enums import Priority
from app.viewModels.callbacks import LONGEST_URL
from app.views.v1.schemas.common import Input

PRIORITIES = [priority.name.lower() for priority in Priority]
MOST_NEEDS = 50


class SubmitQuery(Input):
    priority = fields.String(
        load_default="normal",
        validate=validate.OneOf(PRIORITIES),
        metadata={"description": "How urgent it is. high needs the scope task:prioritize in the project."},
    )
    after = DelimitedList(
        fields.UUID(),
        load_default=[],
        validate=validate.Length(0, MOST_NEEDS),
        metadata={"description": "Tasks of the project, with commas, that must succeed before this one starts."},
    )
    callback_url = fields.String(
        load_default=None,
        validate=validate.Length(1, LONGEST_URL),
        metadata={
            "description": "An address of http or https to which the task is posted as JSON, signed, once it has ended."
        },
    )


class SubmitHeaders(Input):
    key = fields.String(
        data_key="Idempotency-Key",
        validate=validate.Length(1, 200),
        metadata={
            "description": "A name of your own for this request, such as a UUID. Sent again, the request gets the task "
            "that it made before (200); the key with another request is refused (409)."
        },
    )

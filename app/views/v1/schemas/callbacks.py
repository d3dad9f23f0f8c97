"""Callbacks and their delivery log as they go out."""

from marshmallow import Schema, fields, validate

from app.libs.enums import CallbackState
from app.views.v1.schemas.common import Moment


class DeliveryAttemptOut(Schema):
    at = Moment(required=True)
    status = fields.Integer(required=True, allow_none=True, metadata={"description": "Of the answer, if one came."})
    error = fields.String(required=True, allow_none=True, metadata={"description": "Why none came."})
    ms = fields.Integer(required=True, metadata={"description": "How long it took."})


class DeliveryOut(Schema):
    id = fields.UUID(required=True)
    task_id = fields.UUID(required=True)
    origin = fields.String(required=True, metadata={"description": "Scheme, host and port; the rest may be a secret."})
    state = fields.String(required=True, validate=validate.OneOf(list(CallbackState)))
    created_at = Moment(required=True)
    next_at = Moment(required=True, allow_none=True, metadata={"description": "When it will be tried next."})
    attempts = fields.List(fields.Nested(DeliveryAttemptOut), required=True)


class DeliveryList(Schema):
    items = fields.List(fields.Nested(DeliveryOut), required=True)


class CallbackKeyOut(Schema):
    key = fields.String(required=True)

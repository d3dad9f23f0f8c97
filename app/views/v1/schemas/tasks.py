"""Tasks and their events as they come in and go out."""

from marshmallow import Schema, fields, validate

from app.libs.enums import EventType, Queue, TaskKind, TaskState
from app.utils.paging import LARGEST_NUMBER
from app.views.v1.schemas.common import Input, Moment, page_out, page_query


class TaskOut(Schema):
    id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(list(TaskKind)))
    state = fields.String(required=True, validate=validate.OneOf(list(TaskState)))
    queue = fields.String(required=True, validate=validate.OneOf(list(Queue)))
    project_id = fields.UUID(required=True)
    subject_id = fields.UUID(required=True, metadata={"description": "The resource that the task makes."})
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)
    started_at = Moment(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)
    attempt = fields.Integer(required=True)
    progress = fields.Float(required=True, metadata={"description": "0 to 1"})
    last_event = fields.Integer(required=True, metadata={"description": "Number of the newest event."})
    result = fields.Dict(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True, metadata={"description": "A problem document."})


class TaskQuery(page_query("created_at", "ended_at", "state", sort="-created_at")):
    project_id = fields.UUID(load_default=None)
    subject_id = fields.UUID(load_default=None)
    kind = fields.Enum(TaskKind, by_value=True, load_default=None)
    state = fields.Enum(TaskState, by_value=True, load_default=None)


class EventQuery(Input):
    after = fields.Integer(load_default=0, validate=validate.Range(0, LARGEST_NUMBER))


class EventOut(Schema):
    task_id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    type = fields.String(required=True, validate=validate.OneOf(list(EventType)))
    at = Moment(required=True)
    data = fields.Dict(required=True)


class EventList(Schema):
    items = fields.List(fields.Nested(EventOut), required=True)


TaskPage = page_out(TaskOut)

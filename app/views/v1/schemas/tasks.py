"""Tasks and their events as they come in and go out."""

from marshmallow import EXCLUDE, Schema, fields, validate

from app.libs.enums import EventType, Queue, TaskKind, TaskState
from app.utils.paging import LARGEST_NUMBER
from app.views.v1.schemas.common import Input, Moment, page_out, page_query


class ForecastOut(Schema):
    """When a task will probably begin and end, by past runs of its kind."""

    starts_at = Moment(required=True, allow_none=True)
    ends_at = Moment(required=True, allow_none=True)
    error = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "By how much such forecasts of the length were off: the median over past runs."},
    )
    n_past = fields.Integer(required=True, metadata={"description": "Past runs that it is based on."})


class ChildOut(Schema):
    """One of the tasks that a task is made of."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(list(TaskKind)))
    state = fields.String(required=True, validate=validate.OneOf(list(TaskState)))
    subject_id = fields.UUID(required=True)
    progress = fields.Float(required=True)


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
    priority = fields.Integer(required=True, metadata={"description": "1 high, 0 normal, -1 low"})
    waits_for = fields.Integer(required=True, metadata={"description": "How many tasks must succeed before it starts."})
    parent_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The task that this one is a part of."}
    )
    children = fields.List(
        fields.Nested(ChildOut),
        required=True,
        allow_none=True,
        metadata={"description": "The tasks that it is made of, where one task is asked for."},
    )
    position = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Place in the line of its queue; 1 starts next."}
    )
    forecast = fields.Nested(
        ForecastOut, required=True, allow_none=True, metadata={"description": "Where one task is asked for."}
    )
    progress = fields.Float(required=True, metadata={"description": "0 to 1"})
    last_event = fields.Integer(required=True, metadata={"description": "Number of the newest event."})
    result = fields.Dict(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True, metadata={"description": "A problem document."})


class TaskQuery(page_query("created_at", "ended_at", "state", sort="-created_at")):
    project_id = fields.UUID(load_default=None)
    subject_id = fields.UUID(load_default=None)
    parent_id = fields.UUID(load_default=None)
    kind = fields.Enum(TaskKind, by_value=True, load_default=None)
    state = fields.Enum(TaskState, by_value=True, load_default=None)


class EventQuery(Input):
    after = fields.Integer(load_default=0, validate=validate.Range(0, LARGEST_NUMBER))


class LastEventHeader(Schema):
    class Meta:
        unknown = EXCLUDE

    last_event = fields.Integer(data_key="Last-Event-ID", validate=validate.Range(0, LARGEST_NUMBER))


class EventOut(Schema):
    task_id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    type = fields.String(required=True, validate=validate.OneOf(list(EventType)))
    at = Moment(required=True)
    data = fields.Dict(required=True)


class EventList(Schema):
    items = fields.List(fields.Nested(EventOut), required=True)


TaskPage = page_out(TaskOut)

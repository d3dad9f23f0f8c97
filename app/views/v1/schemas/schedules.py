"""Schedules as they come in and go out."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.libs.enums import RunOutcome
from app.viewModels.callbacks import LONGEST_URL
from app.viewModels.schedules import LONGEST_CRON, LONGEST_ZONE
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query
from app.views.v1.schemas.models import ModelIn
from app.views.v1.schemas.optimizations import ProcessOptimizationIn
from app.views.v1.schemas.submits import PRIORITIES

CRON = {"description": "Minute, hour, day of the month, month, day of the week, such as `0 2 * * mon-fri`."}
ZONE = {"description": "On whose clock, such as `Europe/Berlin`."}
TRAIN = {"description": "A training of a module, on the newest version of its data set."}
OPTIMIZE = {"description": "An optimization of a process, with the models that are in production then."}
CALLBACK = {"description": "An address that is told of the end of each task."}


class ScheduledTrainingIn(ModelIn):
    class Meta(Input.Meta):
        exclude = ("dataset_version",)  # it is the newest

    module_id = fields.UUID(required=True)


class ScheduledOptimizationIn(ProcessOptimizationIn):
    process_id = fields.UUID(required=True)


def cron_field(**kwargs) -> fields.String:
    """Return a field for times."""
    return fields.String(validate=validate.Length(1, LONGEST_CRON), metadata=CRON, **kwargs)


def zone_field(**kwargs) -> fields.String:
    """Return a field for a time zone."""
    return fields.String(validate=validate.Length(1, LONGEST_ZONE), metadata=ZONE, **kwargs)


def priority_field(**kwargs) -> fields.String:
    """Return a field for the priority of what is submitted."""
    return fields.String(validate=validate.OneOf(PRIORITIES), **kwargs)


def callback_field(**kwargs) -> fields.String:
    """Return a field for an address to call back."""
    return fields.String(allow_none=True, validate=validate.Length(1, LONGEST_URL), metadata=CALLBACK, **kwargs)


class ScheduleIn(Input):
    name = name_field(required=True)
    cron = cron_field(required=True)
    time_zone = zone_field(load_default="UTC")
    train = fields.Nested(ScheduledTrainingIn, metadata=TRAIN)
    optimize = fields.Nested(ScheduledOptimizationIn, metadata=OPTIMIZE)
    priority = priority_field(load_default="normal")
    callback_url = callback_field(load_default=None)

    @validates_schema
    def submits_one_thing(self, given: dict, **_kwargs) -> None:
        if ("train" in given) == ("optimize" in given):
            raise ValidationError("Give either train or optimize.", "train")


class ScheduleChangeIn(Input):
    name = name_field()
    cron = cron_field()
    time_zone = zone_field()
    train = fields.Nested(ScheduledTrainingIn, metadata=TRAIN)
    optimize = fields.Nested(ScheduledOptimizationIn, metadata=OPTIMIZE)
    priority = priority_field()
    callback_url = callback_field()
    is_paused = fields.Boolean(
        metadata={"description": "Whether it rests. What it would have done then is not made up."}
    )

    @validates_schema
    def submits_at_most_one_thing(self, given: dict, **_kwargs) -> None:
        if "train" in given and "optimize" in given:
            raise ValidationError("Give either train or optimize.", "train")


class ScheduleOut(Schema):
    id = fields.UUID(required=True)
    project_id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True, metadata={"description": "In whose name it submits."})
    name = fields.String(required=True)
    cron = fields.String(required=True, metadata=CRON)
    time_zone = fields.String(required=True, metadata=ZONE)
    train = fields.Dict(required=True, allow_none=True, metadata=TRAIN)
    optimize = fields.Dict(required=True, allow_none=True, metadata=OPTIMIZE)
    priority = fields.Integer(required=True, metadata={"description": "1 high, 0 normal, -1 low"})
    callback_origin = fields.String(
        required=True, allow_none=True, metadata={"description": "Scheme, host and port; the rest may be a secret."}
    )
    next_run_at = Moment(required=True, allow_none=True, metadata={"description": "null while it is paused."})
    paused_at = Moment(required=True, allow_none=True)
    paused_because = fields.Dict(
        required=True, allow_none=True, metadata={"description": "A problem document; null if somebody paused it."}
    )
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)


class ScheduleRunOut(Schema):
    due_at = Moment(required=True)
    until = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "Where several times were missed together: the last of them."},
    )
    at = Moment(required=True, metadata={"description": "When it was looked after."})
    outcome = fields.String(required=True, validate=validate.OneOf(list(RunOutcome)))
    task_id = fields.UUID(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True, metadata={"description": "A problem document."})


ScheduleQuery = page_query("name", "created_at", "next_run_at", sort="name")
SchedulePage = page_out(ScheduleOut)
ScheduleRunPage = page_out(ScheduleRunOut)

"""Optimizations as they come in and go out."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.libs.enums import ResultState
from app.viewModels.optimizations import LARGEST_BUDGET, LARGEST_SEED, SOLVERS
from app.viewModels.predictions import LARGEST
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query

MOST_TERMS = 50


def expression_field(**kwargs) -> fields.String:
    """Return a field for arithmetic over the model's tags."""
    about = {"description": "A tag or arithmetic over tags; one that is no identifier stands in `backticks`."}
    return fields.String(required=True, validate=validate.Length(1, 4000), metadata=about, **kwargs)


def number_field(*, is_positive: bool = False, **kwargs) -> fields.Float:
    """Return a field for a number that could be a measurement, or above zero for a weight or a scale."""
    lower = 0 if is_positive else -LARGEST
    return fields.Float(validate=validate.Range(lower, LARGEST, min_inclusive=not is_positive), **kwargs)


class TermIn(Input):
    goal = fields.String(required=True, validate=validate.OneOf(["minimize", "maximize", "target"]))
    of = expression_field()
    weight = number_field(is_positive=True, load_default=1.0)
    scale = number_field(
        is_positive=True,
        load_default=None,
        allow_none=True,
        metadata={"description": "What counts as one unit of this term. Default: its standard deviation in the data."},
    )
    value = number_field(
        load_default=None, allow_none=True, metadata={"description": "What to hit, with the goal 'target' only."}
    )

    @validates_schema
    def has_a_value_if_a_target(self, term: dict, **_kwargs) -> None:
        if (term["goal"] == "target") != (term["value"] is not None):
            raise ValidationError("A value is given with the goal 'target', and only then.", "value")


class LimitIn(Input):
    of = expression_field()
    lower = number_field(load_default=None, allow_none=True, metadata={"description": "It must be >= this."})
    upper = number_field(load_default=None, allow_none=True, metadata={"description": "It must be <= this."})

    @validates_schema
    def has_a_bound(self, limit: dict, **_kwargs) -> None:
        lower, upper = limit["lower"], limit["upper"]
        if lower is None and upper is None:
            raise ValidationError("Give lower, upper or both.", "lower")
        if lower is not None and upper is not None and lower > upper:
            raise ValidationError(f"lower is {lower:g}, above upper, {upper:g}.", "lower")


class OptimizationIn(Input):
    name = name_field(load_default=None, allow_none=True)
    terms = fields.List(fields.Nested(TermIn), required=True, validate=validate.Length(1, MOST_TERMS))
    limits = fields.List(fields.Nested(LimitIn), load_default=[], validate=validate.Length(0, MOST_TERMS))
    bounds = fields.Dict(
        keys=fields.String(),
        values=fields.List(number_field(), validate=validate.Length(equal=2)),
        load_default={},
        metadata={"description": "Input tag -> [lower, upper]. Default: the range of the data."},
    )
    fixed = fields.Dict(
        keys=fields.String(),
        values=number_field(),
        load_default={},
        metadata={"description": "Input tag -> value. Every disturbance must be given; other inputs are free."},
    )
    solver = fields.String(load_default=SOLVERS[0], validate=validate.OneOf(SOLVERS))
    budget = fields.Integer(
        load_default=2000,
        strict=True,
        validate=validate.Range(1, LARGEST_BUDGET),
        metadata={"description": "How many points the model is asked for."},
    )
    seed = fields.Integer(load_default=0, strict=True, validate=validate.Range(0, LARGEST_SEED))


class OptimizationChangeIn(Input):
    name = name_field(required=True)


class OptimizationOut(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)
    project_id = fields.UUID(required=True)
    model_id = fields.UUID(required=True)
    task_id = fields.UUID(required=True, allow_none=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)
    problem = fields.Dict(required=True, metadata={"description": "Complete: bounds, scales and fixed inputs."})
    solver = fields.String(required=True)
    budget = fields.Integer(required=True)
    seed = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(ResultState)))


class OptimizationDetailOut(OptimizationOut):
    result = fields.Dict(required=True, allow_none=True, metadata={"description": "Null until it has ended well."})


class OptimizationQuery(page_query("created_at", "name", sort="-created_at")):
    project_id = fields.UUID(load_default=None)
    model_id = fields.UUID(load_default=None)
    state = fields.Enum(ResultState, by_value=True, load_default=None)


OptimizationPage = page_out(OptimizationOut)

"""Optimizations as they come in and go out."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.libs.enums import ResultState
from app.viewModels.optimization_options import FORMS, LEVEL
from app.viewModels.optimizations import LARGEST_BUDGET, LARGEST_SEED, SOLVERS
from app.viewModels.predictions import LARGEST
from app.viewModels.process_optimizations import MODES
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query, value_field

MOST_TERMS = 50
MOST_STARTS = 64


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

    objective = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 100),
        metadata={"description": "Terms of one name are added up; several names ask for a front instead of one point."},
    )

    @validates_schema
    def has_a_value_if_a_target(self, term: dict, **_kwargs) -> None:
        if (term["goal"] == "target") != (term["value"] is not None):
            raise ValidationError("A value is given with the goal 'target', and only then.", "value")


class LimitIn(Input):
    of = expression_field()
    lower = number_field(load_default=None, allow_none=True, metadata={"description": "It must be >= this."})
    upper = number_field(load_default=None, allow_none=True, metadata={"description": "It must be <= this."})

    equal = number_field(load_default=None, allow_none=True, metadata={"description": "It must be this."})
    tolerance = number_field(
        is_positive=True,
        load_default=None,
        allow_none=True,
        metadata={"description": "How far from `equal` it may be. Default: a ten-thousandth of its scale."},
    )

    @validates_schema
    def has_a_bound(self, limit: dict, **_kwargs) -> None:
        lower, upper, equal = limit["lower"], limit["upper"], limit["equal"]
        if equal is not None and (lower is not None or upper is not None):
            raise ValidationError("equal says all: leave out lower and upper.", "equal")
        if equal is None and limit["tolerance"] is not None:
            raise ValidationError("A tolerance belongs to equal.", "tolerance")
        if lower is None and upper is None and equal is None:
            raise ValidationError("Give lower, upper or both, or equal.", "lower")
        if lower is not None and upper is not None and lower > upper:
            raise ValidationError(f"lower is {lower:g}, above upper, {upper:g}.", "lower")


class InputTypeIn(Input):
    type = fields.String(required=True, validate=validate.OneOf(["real", "integer", "stepped"]))
    step = number_field(is_positive=True, metadata={"description": "With the type `stepped` only."})

    @validates_schema
    def has_a_step_if_stepped(self, given: dict, **_kwargs) -> None:
        if (given["type"] == "stepped") != ("step" in given):
            raise ValidationError("A step is given with the type 'stepped', and only then.", "step")


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
        values=value_field(LARGEST),
        load_default={},
        metadata={
            "description": "Input tag -> value, or category of an input that holds text. Every disturbance must be "
            "given; other inputs are free."
        },
    )
    inputs = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(InputTypeIn),
        load_default={},
        metadata={"description": "Input tag -> its type, for those that take only some values in their bounds."},
    )
    trust = fields.Float(
        load_default=LEVEL,
        allow_none=True,
        validate=validate.Range(0, 1, min_inclusive=False),
        metadata={
            "description": "The answer stays where the model has seen enough: as near to measured rows as this share "
            "of them is to the others. null trusts the model everywhere within the bounds."
        },
    )
    trust_form = fields.String(
        load_default=FORMS[0],
        validate=validate.OneOf(FORMS),
        metadata={"description": "`polyhedral` is what a certificate can speak of."},
    )
    current = fields.Dict(
        keys=fields.String(),
        values=value_field(LARGEST),
        load_default=None,
        allow_none=True,
        metadata={"description": "The operating point of now: the search begins there, and the answer is compared."},
    )
    n_recipes = fields.Integer(
        load_default=20,
        strict=True,
        validate=validate.Range(1, 200),
        metadata={"description": "With several objectives: most points of the front that are kept."},
    )
    certify = fields.Boolean(
        load_default=False, metadata={"description": "Prove how far the answer is from the best there can be."}
    )
    solver = fields.String(load_default=SOLVERS[0], validate=validate.OneOf(SOLVERS))
    budget = fields.Integer(
        load_default=2000,
        strict=True,
        validate=validate.Range(1, LARGEST_BUDGET),
        metadata={"description": "How many points the model is asked for."},
    )
    seed = fields.Integer(load_default=0, strict=True, validate=validate.Range(0, LARGEST_SEED))
    starts = fields.Integer(
        load_default=1,
        strict=True,
        validate=validate.Range(1, MOST_STARTS),
        metadata={
            "description": "How often the search begins, each time with another seed and the whole budget; the best "
            "answer counts. Workers share long searches."
        },
    )


class ProcessOptimizationIn(OptimizationIn):
    mode = fields.String(
        load_default=MODES[0],
        validate=validate.OneOf(MODES),
        metadata={
            "description": "`joint`: all layers at once. `cascade`: from the top, targets handed down. `negotiated`: "
            "targets sent back up until they meet what can be reached."
        },
    )
    models = fields.Dict(
        keys=fields.String(),
        values=fields.UUID(),
        load_default={},
        metadata={"description": "Module -> the model that stands for it. Default: the one in production."},
    )
    closes_cuts = fields.Boolean(
        load_default=False,
        metadata={"description": "Let streams that close a loop be found so that assumed and implied values agree."},
    )
    budget = fields.Integer(
        load_default=10_000,
        strict=True,
        validate=validate.Range(1, LARGEST_BUDGET),
        metadata={"description": "Evaluations: of the whole process in the mode `joint`, else of single modules."},
    )


class OptimizationChangeIn(Input):
    name = name_field(required=True)


class OptimizationOut(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)
    project_id = fields.UUID(required=True)
    model_id = fields.UUID(required=True, allow_none=True)
    process_id = fields.UUID(required=True, allow_none=True)
    mode = fields.String(required=True, allow_none=True, metadata={"description": "Of a process; null of a model."})
    task_id = fields.UUID(required=True, allow_none=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)
    problem = fields.Dict(required=True, metadata={"description": "Complete: bounds, scales and fixed inputs."})
    options = fields.Dict(required=True, metadata={"description": "Trust, comparison, recipes, certificate."})
    solver = fields.String(required=True)
    budget = fields.Integer(required=True)
    seed = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(ResultState)))


class OptimizationDetailOut(OptimizationOut):
    result = fields.Dict(required=True, allow_none=True, metadata={"description": "Null until it has ended well."})


class OptimizationQuery(page_query("created_at", "name", sort="-created_at")):
    project_id = fields.UUID(load_default=None)
    model_id = fields.UUID(load_default=None)
    process_id = fields.UUID(load_default=None)
    state = fields.Enum(ResultState, by_value=True, load_default=None)


OptimizationPage = page_out(OptimizationOut)

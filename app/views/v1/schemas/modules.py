"""Modules as they come in and go out."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.viewModels.module_tags import MOST_ROWS_BACK
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query

MOST_TAGS, MOST_LAGS = 500, 100
ROLES = validate.OneOf(["control", "disturbance", "link"])
ROLE = {"description": "control: we may set it; disturbance: it is given; link: the output of another module."}
LAGS = {"description": "Rows back at which the input is seen; 0 is the present row. Default: [0]."}
WINDOWS = {"description": "Numbers of rows, up to the present one, over which its mean is seen. Default: none."}
HORIZON = {"description": "Rows that the outputs lie ahead of the inputs: the model then predicts what will be."}


def rows_field(least: int, **kwargs) -> fields.List:
    """Return a field for numbers of rows, each once."""
    rows = fields.Integer(strict=True, validate=validate.Range(least, MOST_ROWS_BACK))
    return fields.List(rows, validate=validate.Length(0, MOST_LAGS), **kwargs)


class ModuleInputIn(Input):
    tag = name_field(required=True)
    role = fields.String(required=True, validate=ROLES, metadata=ROLE)
    source = name_field(metadata={"description": "With the role link: the name of the module that gives the tag."})
    source_tag = name_field(metadata={"description": "With the role link: its tag there. Default: the same tag."})
    lags = rows_field(0, metadata=LAGS)
    windows = rows_field(2, metadata=WINDOWS)

    @validates_schema
    def has_a_source_if_a_link(self, given: dict, **_kwargs) -> None:
        if given["role"] == "link" and "source" not in given:
            raise ValidationError("A link needs the name of the module that it comes from.", "source")
        if given["role"] != "link":
            for name in {"source", "source_tag"} & given.keys():
                raise ValidationError("Only an input with the role link has a source.", name)


def tags_field(item: fields.Field, **kwargs) -> fields.List:
    """Return a field for the inputs or the outputs of a module."""
    return fields.List(item, validate=validate.Length(1, MOST_TAGS), **kwargs)


class ModuleIn(Input):
    name = name_field(required=True)
    dataset_id = fields.UUID(required=True, metadata={"description": "The data set that the module is learned from."})
    inputs = tags_field(fields.Nested(ModuleInputIn), required=True)
    outputs = tags_field(name_field(), required=True)
    horizon = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, MOST_ROWS_BACK), metadata=HORIZON)


class ModuleChangeIn(Input):
    name = name_field()
    dataset_id = fields.UUID()
    inputs = tags_field(fields.Nested(ModuleInputIn))
    outputs = tags_field(name_field())
    horizon = fields.Integer(strict=True, validate=validate.Range(0, MOST_ROWS_BACK), metadata=HORIZON)


class ModuleInputOut(Schema):
    tag = fields.String(required=True)
    role = fields.String(required=True, validate=ROLES, metadata=ROLE)
    source = fields.String()
    source_tag = fields.String()
    lags = fields.List(fields.Integer(), metadata=LAGS)
    windows = fields.List(fields.Integer(), metadata=WINDOWS)


class DatasetRefOut(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)


class ModelRefOut(Schema):
    """A model in a few words: how much its predictions are worth, and by which validation."""

    id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    validation = fields.Dict(required=True)
    scores = fields.Dict(required=True, attribute="metrics.scores")


class ModuleOut(Schema):
    id = fields.UUID(required=True)
    project_id = fields.UUID(required=True)
    process_id = fields.UUID(required=True)
    name = fields.String(required=True)
    dataset = fields.Nested(DatasetRefOut, required=True)
    inputs = fields.List(fields.Nested(ModuleInputOut), required=True)
    outputs = fields.List(fields.String(), required=True)
    horizon = fields.Integer(required=True, metadata=HORIZON)
    production_model = fields.Nested(ModelRefOut, required=True, allow_none=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)


class ModuleChangedOut(ModuleOut):
    unset_production_model = fields.Nested(
        ModelRefOut,
        required=True,
        allow_none=True,
        metadata={"description": "The model that this change took out of production, since it no longer fits."},
    )


ModuleQuery = page_query("name", "created_at", sort="created_at")
ModulePage = page_out(ModuleOut)

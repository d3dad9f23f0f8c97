"""Modules as they come in and go out."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query

MOST_TAGS = 500
ROLES = validate.OneOf(["control", "disturbance", "link"])
ROLE = {"description": "control: we may set it; disturbance: it is given; link: the output of another module."}


class ModuleInputIn(Input):
    tag = name_field(required=True)
    role = fields.String(required=True, validate=ROLES, metadata=ROLE)
    source = name_field(metadata={"description": "With the role link: the name of the module that gives the tag."})
    source_tag = name_field(metadata={"description": "With the role link: its tag there. Default: the same tag."})

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


class ModuleChangeIn(Input):
    name = name_field()
    dataset_id = fields.UUID()
    inputs = tags_field(fields.Nested(ModuleInputIn))
    outputs = tags_field(name_field())


class ModuleInputOut(Schema):
    tag = fields.String(required=True)
    role = fields.String(required=True, validate=ROLES, metadata=ROLE)
    source = fields.String()
    source_tag = fields.String()


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

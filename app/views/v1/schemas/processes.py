"""Processes as they come in and go out."""

from marshmallow import Schema, fields, validate

from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query, text_field
from app.views.v1.schemas.modules import ModuleIn, ModuleOut

MOST_MODULES = 200


class ProcessIn(Input):
    name = name_field(required=True)
    description = text_field(load_default="")
    modules = fields.List(fields.Nested(ModuleIn), load_default=[], validate=validate.Length(0, MOST_MODULES))


class ProcessChangeIn(Input):
    name = name_field()
    description = text_field()


class ProcessOut(Schema):
    id = fields.UUID(required=True)
    project_id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)


class LinkOut(Schema):
    """Input ``tag`` of ``module`` is output ``source_tag`` of ``source``."""

    module = fields.String(required=True)
    tag = fields.String(required=True)
    source = fields.String(required=True)
    source_tag = fields.String(required=True)


class ProcessGraphOut(ProcessOut):
    """A process with everything in it."""

    id = fields.UUID(required=True, attribute="process.id")
    project_id = fields.UUID(required=True, attribute="process.project_id")
    name = fields.String(required=True, attribute="process.name")
    description = fields.String(required=True, attribute="process.description")
    created_at = Moment(required=True, attribute="process.created_at")
    created_by = fields.UUID(required=True, attribute="process.created_by")
    modules = fields.List(fields.Nested(ModuleOut), required=True)
    links = fields.List(fields.Nested(LinkOut), required=True)
    layers = fields.List(
        fields.List(fields.String()), required=True, metadata={"description": "Names of modules, upstream first."}
    )


ProcessQuery = page_query("name", "created_at", sort="name")
ProcessPage = page_out(ProcessOut)

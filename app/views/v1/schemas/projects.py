"""Projects as they come in and go out."""

from marshmallow import Schema, fields, validate

from app.libs.enums import MemberRole
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query, text_field


class ProjectIn(Input):
    name = name_field(required=True)
    description = text_field(load_default="")


class ProjectChangeIn(Input):
    name = name_field()
    description = text_field()
    is_archived = fields.Boolean(metadata={"description": "An archived project can only be read."})


class ProjectOut(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)
    archived_at = Moment(required=True, allow_none=True)


class ProjectQuery(page_query("name", "created_at", sort="name")):
    is_archived = fields.Boolean(load_default=False)


class MemberIn(Input):
    username = name_field(required=True)
    role = fields.Enum(MemberRole, by_value=True, required=True)


class MemberOut(Schema):
    user_id = fields.UUID(required=True)
    username = fields.String(required=True, attribute="user.username")
    role = fields.String(required=True, validate=validate.OneOf(list(MemberRole)))


ProjectPage = page_out(ProjectOut)
MemberPage = page_out(MemberOut)

"""Accounts as they come in and go out."""

from marshmallow import Schema, fields, validate

from app.libs.enums import Role
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query


class CredentialsIn(Input):
    username = name_field(required=True)
    password = fields.String(required=True, load_only=True)


class RefreshIn(Input):
    refresh_token = fields.String(required=True, load_only=True)


class PasswordChangeIn(Input):
    password = fields.String(required=True, load_only=True, metadata={"description": "The present one."})
    new_password = fields.String(required=True, load_only=True)


class PasswordIn(Input):
    password = fields.String(required=True, load_only=True)


class TokensOut(Schema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Life of the access token in seconds."})


class UserIn(CredentialsIn):
    role = fields.Enum(Role, by_value=True, load_default=Role.VIEWER)


class UserChangeIn(Input):
    role = fields.Enum(Role, by_value=True)
    is_active = fields.Boolean()


class UserOut(Schema):
    id = fields.UUID(required=True)
    username = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf(list(Role)))
    is_active = fields.Boolean(required=True)
    created_at = Moment(required=True)


class UserQuery(page_query("username", "created_at", "role", sort="username")):
    is_active = fields.Boolean(load_default=None)


UserPage = page_out(UserOut)

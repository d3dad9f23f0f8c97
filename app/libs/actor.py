"""Whoever asks: the value behind flask-login's ``current_user``."""

from dataclasses import dataclass
from uuid import UUID

from flask_login import UserMixin

from app.libs.enums import MemberRole, Role
from app.libs.scope import MEMBER_SCOPES, ROLE_SCOPES, Scope


@dataclass(frozen=True, slots=True)
class Actor(UserMixin):
    """A signed-in user as plain values: it needs no database session and cannot be changed by accident."""

    id: UUID
    username: str
    role: Role
    session_id: UUID | None = None
    expires_at: int | None = None  # when the proof of who this is runs out, in Unix milliseconds

    def may(self, scope: Scope) -> bool:
        """Whether this user's role allows ``scope`` at all."""
        return scope in ROLE_SCOPES[self.role]

    def may_as(self, membership: MemberRole | None, scope: Scope) -> bool:
        """Whether this user may do ``scope`` in a project. An administrator counts as an owner of every project."""
        member = MemberRole.OWNER if self.role is Role.ADMIN else membership
        return member is not None and self.may(scope) and scope in MEMBER_SCOPES[member]

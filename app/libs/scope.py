"""Rights: what a role may do, on the server and in a project.

What a person may do in a project is the intersection of the two tables. Nothing is allowed that is not listed.
"""

from enum import StrEnum

from app.libs.enums import MemberRole, Role


class Scope(StrEnum):
    """One thing that somebody may do. Every route names the one that it needs."""

    ACCOUNT_SELF = "account:self"
    USER_ADMIN = "user:admin"
    PROJECT_READ = "project:read"
    PROJECT_CREATE = "project:create"
    PROJECT_ADMIN = "project:admin"
    DATASET_READ = "dataset:read"
    DATASET_WRITE = "dataset:write"
    PROCESS_READ = "process:read"
    PROCESS_WRITE = "process:write"
    MODEL_READ = "model:read"
    MODEL_WRITE = "model:write"
    OPTIMIZATION_READ = "optimization:read"
    OPTIMIZATION_WRITE = "optimization:write"
    TASK_READ = "task:read"
    TASK_WRITE = "task:write"
    TASK_PRIORITIZE = "task:prioritize"

    @property
    def is_read(self) -> bool:
        """Whether holding this scope changes nothing."""
        return self.value.endswith(":read")


_READ = frozenset(scope for scope in Scope if scope.is_read)
_WRITE = frozenset(
    {
        Scope.DATASET_WRITE,
        Scope.PROCESS_WRITE,
        Scope.MODEL_WRITE,
        Scope.OPTIMIZATION_WRITE,
        Scope.TASK_WRITE,
    }
)

ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: _READ | {Scope.ACCOUNT_SELF},
    Role.ENGINEER: _READ
    | _WRITE
    | {Scope.ACCOUNT_SELF, Scope.PROJECT_CREATE, Scope.PROJECT_ADMIN, Scope.TASK_PRIORITIZE},
    Role.ADMIN: frozenset(Scope),
}

MEMBER_SCOPES: dict[MemberRole, frozenset[Scope]] = {
    MemberRole.VIEWER: _READ,
    MemberRole.EDITOR: _READ | _WRITE,
    MemberRole.OWNER: _READ | _WRITE | {Scope.PROJECT_ADMIN, Scope.TASK_PRIORITIZE},
}

"""People, for an administrator."""

from app.libs.scope import Scope
from app.viewModels import users
from app.views.auth import requires
from app.views.bodies import Blueprint
from app.views.v1.schemas.accounts import PasswordIn, UserChangeIn, UserIn, UserOut, UserPage, UserQuery

bp = Blueprint("users", __name__, description="People. For administrators.")


@bp.get("/users")
@requires(Scope.USER_ADMIN)
@bp.arguments(UserQuery, location="query")
@bp.response(200, UserPage)
def list_users(query):
    """List users."""
    return users.page(**query)


@bp.post("/users")
@requires(Scope.USER_ADMIN)
@bp.arguments(UserIn)
@bp.response(201, UserOut)
def create_user(payload):
    """Make an account for somebody."""
    return users.create(**payload)


@bp.get("/users/<uuid:user_id>")
@requires(Scope.USER_ADMIN)
@bp.response(200, UserOut)
def get_user(user_id):
    """Return a user."""
    return users.get(user_id)


@bp.patch("/users/<uuid:user_id>")
@requires(Scope.USER_ADMIN)
@bp.arguments(UserChangeIn)
@bp.response(200, UserOut)
def change_user(payload, user_id):
    """Give a user another role, or deactivate one: access ends at once."""
    return users.change(user_id, **payload)


@bp.put("/users/<uuid:user_id>/password")
@requires(Scope.USER_ADMIN)
@bp.arguments(PasswordIn)
@bp.response(204)
def set_user_password(payload, user_id):
    """Set a user's password. All the user's sessions end."""
    users.set_password(user_id, payload["password"])

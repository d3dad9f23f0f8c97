"""Signing in and out, and one's own account."""

from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import accounts, tokens, users
from app.views.auth import open_to_all, requires
from app.views.bodies import Blueprint
from app.views.throttle import throttled, throttled_for_user
from app.views.v1.schemas.accounts import CredentialsIn, PasswordChangeIn, RefreshIn, TokensOut, UserOut

bp = Blueprint("accounts", __name__, description="Signing in and out, and one's own account.")


@bp.post("/auth/register")
@open_to_all
@throttled
@bp.doc(security=[])
@bp.arguments(CredentialsIn)
@bp.response(201, UserOut)
def register(payload):
    """Make your own account, where the server allows it."""
    return accounts.register(**payload)


@bp.post("/auth/login")
@open_to_all
@throttled
@bp.doc(security=[])
@bp.arguments(CredentialsIn)
@bp.response(200, TokensOut)
def login(payload):
    """Sign in: a name and a password for an access token and a refresh token."""
    return accounts.login(**payload)


@bp.post("/auth/refresh")
@open_to_all
@bp.doc(security=[])
@bp.arguments(RefreshIn)
@bp.response(200, TokensOut)
def refresh_tokens(payload):
    """Exchange the newest refresh token for new tokens. Using an older one ends the session."""
    return tokens.refresh(payload["refresh_token"])


@bp.post("/auth/logout")
@requires(Scope.ACCOUNT_SELF)
@bp.response(204)
def logout():
    """Sign out. Every token of this session is refused from now on."""
    accounts.logout(current_user)


@bp.get("/me")
@requires(Scope.ACCOUNT_SELF)
@bp.response(200, UserOut)
def get_me():
    """Tell who you are."""
    return users.get(current_user.id)


@bp.put("/me/password")
@requires(Scope.ACCOUNT_SELF)
@throttled_for_user
@bp.arguments(PasswordChangeIn)
@bp.response(204)
def change_password(payload):
    """Change your password. Your other sessions end."""
    accounts.change_password(current_user, **payload)

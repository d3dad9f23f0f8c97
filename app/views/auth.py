"""Who may call a view. Every route says it with one of these decorators; a test walks all routes and looks."""

from collections.abc import Callable
from functools import wraps

from flask import Flask, Request
from flask_login import current_user

from app.extensions import login_manager
from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.libs.scope import Scope
from app.viewModels import tokens


def init_app(_app: Flask) -> None:
    """Let flask-login find the user of a request."""
    login_manager.request_loader(actor_of_request)


def actor_of_request(request: Request) -> Actor | None:
    """Return whom the request's ``Authorization`` header speaks for, or None without one.

    Raises:
        AppError: there is one, but it is not good (TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED).
    """
    given = request.authorization
    if given is None:
        return None
    if given.type != "bearer" or not given.token:
        raise AppError(ErrorCode.TOKEN_INVALID, "Send the header 'Authorization: Bearer <access token>'.")
    return tokens.actor_of_access_token(given.token)


def requires(scope: Scope) -> Callable:
    """Admit only users whose role has this scope. What they may do to one object is decided where it is found."""

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def guarded(*args, **kwargs):
            if not current_user.is_authenticated:
                raise AppError(ErrorCode.AUTH_REQUIRED)
            if not current_user.may(scope):
                raise AppError(ErrorCode.SCOPE_MISSING, f"This needs {scope}.", scope=scope)
            return view(*args, **kwargs)

        guarded.rights = scope
        return guarded

    return decorate


def open_to_all(view: Callable) -> Callable:
    """Say openly that a view needs no sign-in."""
    view.rights = "everybody"
    return view

"""Reading the tokens that a sign-in gave out."""

from typing import Any
from uuid import UUID

import jwt
from flask import current_app

from app.libs.actor import Actor
from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError
from app.viewModels import accounts


def actor_of_access_token(token: str) -> Actor:
    """Return whom an access token speaks for.

    Raises:
        AppError: TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED (also: the user was deactivated).
    """
    claims = _claims(token, wanted="access")
    actor = accounts.actor_of(UUID(claims["sub"]), UUID(claims["sid"]))
    if actor is None:
        raise AppError(ErrorCode.SESSION_ENDED)
    return actor


def refresh(token: str) -> accounts.Tokens:
    """Exchange a refresh token for new tokens.

    Raises:
        AppError: TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED, REFRESH_REUSED.
    """
    claims = _claims(token, wanted="refresh")
    return accounts.refresh(user_id=UUID(claims["sub"]), session_id=UUID(claims["sid"]), refresh_id=UUID(claims["rid"]))


def _claims(token: str, *, wanted: str) -> dict[str, Any]:
    try:
        claims = jwt.decode(
            token,
            current_app.config["JWT_SECRET_KEY"],
            algorithms=[current_app.config["JWT_ALGORITHM"]],
            options={"require": ["exp", "sub", "sid", "type"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise AppError(ErrorCode.TOKEN_EXPIRED) from error
    except (jwt.PyJWTError, UnicodeError) as error:  # no token has characters that cannot be encoded
        raise AppError(ErrorCode.TOKEN_INVALID) from error
    if claims["type"] != wanted:
        raise AppError(ErrorCode.TOKEN_INVALID, f"This is not an {wanted} token.", given=claims["type"])
    return claims

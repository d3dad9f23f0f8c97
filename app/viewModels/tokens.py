"""Reading the tokens that a sign-in gave out."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
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
    return replace(actor, expires_at=int(claims["exp"]) * 1000)


def refresh(token: str) -> accounts.Tokens:
    """Exchange a refresh token for new tokens.

    Raises:
        AppError: TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED, REFRESH_REUSED.
    """
    claims = _claims(token, wanted="refresh")
    return accounts.refresh(user_id=UUID(claims["sub"]), session_id=UUID(claims["sid"]), refresh_id=UUID(claims["rid"]))


def _claims(token: str, *, wanted: str) -> Mapping[str, Any]:
    config = current_app.config
    try:
        claims = _signed(token, config["JWT_SECRET_KEY"], config["JWT_ALGORITHM"])
    except (jwt.PyJWTError, UnicodeError) as error:  # no token has characters that cannot be encoded
        raise AppError(ErrorCode.TOKEN_INVALID) from error
    if claims["exp"] <= time.time():
        raise AppError(ErrorCode.TOKEN_EXPIRED)
    if claims["type"] != wanted:
        raise AppError(ErrorCode.TOKEN_INVALID, f"This is not an {wanted} token.", given=claims["type"])
    return claims


@lru_cache(maxsize=4096)
def _signed(token: str, secret: str, algorithm: str) -> Mapping[str, Any]:
    """Return the claims of a token that we signed. A signature stays good; what may end is looked at every time."""
    required = {"require": ["exp", "sub", "sid", "type"], "verify_exp": False}
    return MappingProxyType(jwt.decode(token, secret, algorithms=[algorithm], options=required))

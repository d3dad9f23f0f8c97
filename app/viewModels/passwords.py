"""Passwords: hashed with bcrypt, which reads 72 bytes, so that longer ones are refused openly."""

import bcrypt
from flask import current_app

from app.libs.error_codes import ErrorCode
from app.libs.errors import AppError

MIN_LENGTH = 10
MAX_BYTES = 72


def hash_password(password: str) -> str:
    """Return the bcrypt hash of a password.

    Raises:
        AppError: PASSWORD_UNFIT: shorter than MIN_LENGTH characters, or longer than MAX_BYTES in UTF-8.
    """
    encoded = password.encode()
    if len(password) < MIN_LENGTH:
        raise AppError(
            ErrorCode.PASSWORD_UNFIT,
            f"A password needs at least {MIN_LENGTH} characters.",
            min_length=MIN_LENGTH,
        )
    if len(encoded) > MAX_BYTES:
        raise AppError(
            ErrorCode.PASSWORD_UNFIT,
            f"A password may have at most {MAX_BYTES} bytes in UTF-8; this one has {len(encoded)}.",
            max_bytes=MAX_BYTES,
        )
    return bcrypt.hashpw(encoded, bcrypt.gensalt(current_app.config["SETTINGS"].bcrypt_rounds)).decode()


def is_password(password: str, password_hash: str | None) -> bool:
    """Whether this is the password of the hash. Without a hash it takes as long, so that names cannot be probed."""
    encoded = password.encode()[:MAX_BYTES]
    if password_hash is None:
        bcrypt.hashpw(encoded, bcrypt.gensalt(current_app.config["SETTINGS"].bcrypt_rounds))
        return False
    return len(password.encode()) <= MAX_BYTES and bcrypt.checkpw(encoded, password_hash.encode())

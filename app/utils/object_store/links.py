"""Links that give one object to whoever holds them, for a while: signed here, checked here."""

import hashlib
import string
import time
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from itsdangerous import BadData, URLSafeSerializer

from app.utils.object_store.errors import ObjectLinkInvalid

PLAIN_CHARACTERS = frozenset(string.ascii_letters + string.digits + " ._-()")
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=7)  # the longest is S3's own bound


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a valid token gives: the object, and the file name under which to offer it."""

    key: str
    file_name: str


class LinkSigner:
    """Makes and checks the tokens of links that our own server answers."""

    def __init__(self, signing_key: str) -> None:
        self._serializer = URLSafeSerializer(
            signing_key,
            salt="setpoint.object-link",  # a token made for another purpose with the same key is no link
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, key: str, expires_in: timedelta, file_name: str) -> str:
        """Return a token that fits into one segment of a URL."""
        expires_ms = int((time.time() + check_expiry(expires_in).total_seconds()) * 1000)
        return self._serializer.dumps([key, file_name, expires_ms])

    def unsign(self, token: str) -> SignedLink:
        """Return what was signed, or raise ObjectLinkInvalid."""
        try:
            key, file_name, expires_ms = self._serializer.loads(token)
        except BadData as error:
            raise ObjectLinkInvalid("this link was not made by this server, or was altered") from error
        if time.time() * 1000 >= expires_ms:
            raise ObjectLinkInvalid("this link has expired")
        return SignedLink(key, file_name)


def check_expiry(expires_in: timedelta) -> timedelta:
    """Return it unchanged, or raise ValueError if it is out of the bounds that every store can keep."""
    if not SHORTEST <= expires_in <= LONGEST:
        raise ValueError(f"a signed link lives between one second and seven days, not {expires_in}")
    return expires_in


def content_disposition(file_name: str) -> str:
    """Return the header value that offers a download under this name, in any script (RFC 6266).

    Old clients read the plain ``filename``, in which whatever could end the quotes, the header or a folder is
    replaced by an underscore.
    """
    letters = (char for char in unicodedata.normalize("NFKD", file_name) if not unicodedata.combining(char))
    plain = "".join(char if char in PLAIN_CHARACTERS else "_" for char in letters)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"

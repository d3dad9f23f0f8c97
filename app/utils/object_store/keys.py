"""Which keys an object may have: a set so small that every store, file system and URL agrees on it."""

import re

from app.utils.object_store.errors import InvalidObjectKey

MAX_KEY_LENGTH = 200  # a key must fit into one file name, 255 bytes on all common file systems
SEGMENT = r"[a-z0-9][a-z0-9._-]*"
KEY = re.compile(rf"{SEGMENT}(/{SEGMENT})*")
PREFIX = re.compile(rf"({SEGMENT}/)*({SEGMENT})?")


def check_key(key: str) -> str:
    """Return the key unchanged.

    Raises:
        InvalidObjectKey: it is empty or longer than 200 characters, or some part between slashes is not
            made of lower-case ASCII letters, digits, ``-``, ``_`` and ``.``, the first a letter or digit.
    """
    if len(key) > MAX_KEY_LENGTH:
        raise InvalidObjectKey(f"an object key has at most {MAX_KEY_LENGTH} characters, this one has {len(key)}")
    if not KEY.fullmatch(key):
        raise InvalidObjectKey(
            f"{key!r} is not an object key: parts of a-z, 0-9, '-', '_', '.', each beginning with a letter "
            "or digit, joined by single slashes"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return the beginning of a key unchanged; raise InvalidObjectKey if no key can begin so."""
    if len(prefix) > MAX_KEY_LENGTH or not PREFIX.fullmatch(prefix):
        raise InvalidObjectKey(f"no object key begins with {prefix!r}")
    return prefix

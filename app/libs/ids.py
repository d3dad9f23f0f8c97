"""Identifiers: UUIDv7, made before the insert, so that a row's id is known when its task is submitted."""

from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """Return a new UUIDv7. Ids made later sort later, which keeps database pages warm and lists in order."""
    return UUID(bytes=uuid_utils.uuid7().bytes)

"""What may be away for a while. The fault is not the task's, so it goes on later and no attempt is counted."""

import errno

from sqlalchemy.exc import InterfaceError, OperationalError

from app.utils.object_store import ObjectStoreUnavailable

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def outage_of(error: Exception) -> str | None:
    """Return what is away in a few words, or nothing if the error speaks of no outage."""
    match error:
        case ObjectStoreUnavailable():
            return "The object store is away"
        case OperationalError() | InterfaceError():
            return "The database is away"
        case OSError(errno=number) if number in _NO_ROOM:
            return "The worker's disk is full"
    return None

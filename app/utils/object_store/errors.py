"""What can go wrong between us and an object store, in words that an operator can act on."""

# ruff: noqa: N818 (the names already say what is wrong)


class ObjectStoreError(Exception):
    """Every error that an object store raises on its own account."""


class ObjectNotFound(ObjectStoreError):
    """There is no object under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no object {key!r} in the object store")
        self.key = key


class ObjectTooLarge(ObjectStoreError):
    """The stream went on past the size that the caller allowed; nothing of it was stored."""

    def __init__(self, size_limit: int) -> None:
        super().__init__(f"the object is larger than the {size_limit} bytes allowed")
        self.size_limit = size_limit


class ObjectStoreUnavailable(ObjectStoreError):
    """The store cannot be reached, refuses our credentials, or cannot do its work (a full disk, say)."""


class ObjectLinkInvalid(ObjectStoreError):
    """A signed link that this store did not make, that was altered, or that has expired."""


class InvalidObjectKey(ObjectStoreError, ValueError):
    """A key that no store accepts: a mistake of the caller, found before anything is touched."""

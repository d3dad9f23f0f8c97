"""Which object store a URL means."""

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from app.utils.object_store.folder import FolderObjectStore
from app.utils.object_store.interface import ObjectStore
from app.utils.object_store.s3 import S3ObjectStore

HOST = re.compile(r"[a-z0-9_.-]+")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
WANTED = "wanted file:///folder or s3://KEY:SECRET@host:port/bucket?secure=1&region=us-east-1"


def object_store_from_url(url: str, *, signing_key: str) -> ObjectStore:
    """Return the store that the URL means; nothing is opened yet.

    Key, secret and folder are percent-encoded where they hold characters with a meaning in URLs.
    ``secure`` (1, TLS, unless it is 0) and ``region`` may be left out.

    Args:
        signing_key: signs links to a folder store; S3 signs its own with the secret in the URL.

    Raises:
        ValueError: names the part of the URL that is wrong. No part of the URL is shown that could hold
            the secret.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _bad("it is not a URL") from None  # the cause would show the URL
    if parts.scheme == "file":
        return _folder_from(parts, signing_key)
    if parts.scheme == "s3":
        return _s3_from(parts)
    raise _bad("its scheme is neither file nor s3")


def _folder_from(parts: SplitResult, signing_key: str) -> FolderObjectStore:
    if parts.netloc not in ("", "localhost"):
        raise _bad("a folder has no host: write file:///folder, with three slashes")
    if parts.query or parts.fragment:
        raise _bad("a folder with ? or # in its name must be percent-encoded")
    path = Path(unquote(parts.path))
    if not path.is_absolute() or "\0" in str(path):
        raise _bad("the folder is not an absolute path")
    return FolderObjectStore(path, signing_key=signing_key)


def _s3_from(parts: SplitResult) -> S3ObjectStore:
    # First, since a secret with a bare / or ? spills over into the parts that follow.
    if not parts.username or not parts.password:
        raise _bad("key or secret is missing, or has characters that must be percent-encoded")
    try:
        port = parts.port
    except ValueError:
        raise _bad("the port is not a number up to 65535") from None
    if not parts.hostname:
        raise _bad("the host is missing")
    if not HOST.fullmatch(parts.hostname):
        raise _bad("its host is no host name or IPv4 address")
    bucket = parts.path.strip("/")
    if not BUCKET.fullmatch(bucket):
        raise _bad("the path is not the name of one bucket")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - {"secure", "region"}:
        raise _bad(f"there is no option {', '.join(sorted(unknown))}, only secure and region")
    if (secure := options.get("secure", "1")) not in ("0", "1"):
        raise _bad(f"secure is 0 or 1, not {secure!r}")
    try:
        return S3ObjectStore(
            endpoint=parts.hostname if port is None else f"{parts.hostname}:{port}",
            access_key=unquote(parts.username),
            secret_key=unquote(parts.password),
            bucket=bucket,
            secure=secure == "1",
            region=options.get("region") or "us-east-1",
        )
    except ValueError:
        raise _bad("there is no region of that name") from None


def _bad(what: str) -> ValueError:
    return ValueError(f"The object store's URL is wrong: {what}; {WANTED}.")

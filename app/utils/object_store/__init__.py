"""Where uploads, tables, models and checkpoints are kept: a folder, or any S3-compatible store."""

from flask import Flask

from app.utils.object_store.errors import (
    InvalidObjectKey,
    ObjectLinkInvalid,
    ObjectNotFound,
    ObjectStoreError,
    ObjectStoreUnavailable,
    ObjectTooLarge,
)
from app.utils.object_store.folder import FolderObjectStore
from app.utils.object_store.from_url import object_store_from_url
from app.utils.object_store.interface import ObjectInfo, ObjectStat, ObjectStore
from app.utils.object_store.links import LinkSigner, SignedLink, content_disposition
from app.utils.object_store.s3 import S3ObjectStore

__all__ = [
    "FolderObjectStore",
    "InvalidObjectKey",
    "LinkSigner",
    "ObjectInfo",
    "ObjectLinkInvalid",
    "ObjectNotFound",
    "ObjectStat",
    "ObjectStore",
    "ObjectStoreError",
    "ObjectStoreUnavailable",
    "ObjectTooLarge",
    "S3ObjectStore",
    "SignedLink",
    "content_disposition",
    "init_app",
    "object_store_from_url",
]


def init_app(app: Flask) -> None:
    """Give the application its object store. Nothing is opened."""
    settings = app.config["SETTINGS"]
    app.extensions["object_store"] = object_store_from_url(settings.object_store, signing_key=settings.secret_key)

"""One object store of each kind, empty for each test."""

from itertools import count

import pytest

from app.utils.object_store import FolderObjectStore, ObjectStore, object_store_from_url
from tests.support.s3 import BUCKET, s3_server

SIGNING_KEY = "a signing key for tests, long enough"
BUCKET_NUMBERS = count(1)


@pytest.fixture(scope="session")
def s3_url():
    with s3_server() as url:
        yield url


@pytest.fixture
def s3_store(s3_url):
    own_bucket = f"/{BUCKET}-{next(BUCKET_NUMBERS)}?"
    store = object_store_from_url(s3_url.replace(f"/{BUCKET}?", own_bucket), signing_key=SIGNING_KEY)
    store.prepare()
    return store


@pytest.fixture
def folder_store(tmp_path):
    return FolderObjectStore(tmp_path / "objects", signing_key=SIGNING_KEY)


@pytest.fixture(params=["folder", "s3"])
def store(request) -> ObjectStore:
    return request.getfixturevalue(f"{request.param}_store")

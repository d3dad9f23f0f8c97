"""The URL that says where objects are: what it means, and that a bad one never shows the secret."""

from pathlib import Path

import pytest

from app.utils.object_store import FolderObjectStore, S3ObjectStore, object_store_from_url

SECRET = "s3cr3t"


def store_from(url):
    return object_store_from_url(url, signing_key="a signing key")


@pytest.mark.parametrize("name", ["objects", "with space", "Anlage Süd", "锅炉", "100%", "a#b?c"])
def test_a_file_url_means_its_folder(tmp_path, name):
    store = store_from((tmp_path / name).as_uri())

    assert isinstance(store, FolderObjectStore)
    assert store.root == tmp_path / name
    assert not store.root.exists()


def test_a_file_url_may_name_this_machine():
    assert store_from("file://localhost/srv/objects").root == Path("/srv/objects").resolve()


@pytest.mark.parametrize(
    ("url", "address", "region"),
    [
        ("s3://key:secret@s3.example.com/plant", "https://s3.example.com/plant", "us-east-1"),
        ("s3://key:secret@10.0.0.7:9000/plant?secure=0", "http://10.0.0.7:9000/plant", "us-east-1"),
        ("s3://key:secret@host/plant/?secure=1&region=eu-west-3", "https://host/plant", "eu-west-3"),
    ],
)
def test_an_s3_url_means_its_bucket(url, address, region):
    store = store_from(url)

    assert isinstance(store, S3ObjectStore)
    assert store.url == address
    assert store._account["region"] == region


def test_key_and_secret_are_decoded():
    store = store_from("s3://AKIA%2F1:se%2Fcr%2Bet%40%3A%3F@host/bucket")

    assert store._account["access_key"] == "AKIA/1"
    assert store._account["secret_key"] == "se/cr+et@:?"


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "scheme"),
        ("/srv/objects", "scheme"),
        ("minio://key:s3cr3t@host/bucket", "scheme"),
        ("file:objects", "not an absolute path"),
        ("file://objects", "has no host"),
        ("file:///objects?x=1", "percent-encoded"),
        ("file:///objects#1", "percent-encoded"),
        ("file:///objects%00", "not an absolute path"),
        ("s3://host/bucket", "key or secret is missing"),
        ("s3://key@host/bucket", "key or secret is missing"),
        ("s3://:s3cr3t@host/bucket", "key or secret is missing"),
        ("s3://key:a/s3cr3t@host/bucket", "must be percent-encoded"),
        ("s3://key:a?s3cr3t@host/bucket", "must be percent-encoded"),
        ("s3://key:a#s3cr3t@host/bucket", "must be percent-encoded"),
        ("s3://key:[s3cr3t@host/bucket", "not a URL"),
        ("s3://key:s3cr3t@/bucket", "the host is missing"),
        ("s3://key:s3cr3t@host:port/bucket", "the port is not a number"),
        ("s3://key:s3cr3t@host:99999/bucket", "the port is not a number"),
        ("s3://key:s3cr3t@host", "name of one bucket"),
        ("s3://key:s3cr3t@host/a/b", "name of one bucket"),
        ("s3://key:s3cr3t@host/bucket?secure=yes", "secure is 0 or 1, not 'yes'"),
        ("s3://key:s3cr3t@host/bucket?tls=1", "no option tls"),
        ("s3://key:s3cr3t@host/Bad_Bucket!", "name of one bucket"),
        ("s3://key:s3cr3t@ho st/bucket", "no host name"),
        ("s3://key:s3cr3t@host/bucket?region=no%20where", "no region of that name"),
    ],
)
def test_a_bad_url_is_refused_with_the_part_that_is_wrong_and_without_the_secret(url, part):
    with pytest.raises(ValueError, match=part) as caught:
        store_from(url)

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None

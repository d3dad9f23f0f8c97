"""What is special to a server on the network: it can be away, slow, strict, or not know ranges."""

import io
import os
import socket
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
import urllib3
from werkzeug.http import parse_options_header

from app.utils.object_store import ObjectLinkInvalid, ObjectStoreUnavailable, S3ObjectStore
from tests.support.servers import free_port, wait_until

SECRET = "a-very-secret-key"


def store_at(port, **changes):
    account = {"access_key": "key", "secret_key": SECRET, "bucket": "bucket", "secure": False}
    return S3ObjectStore(endpoint=f"127.0.0.1:{port}", **account | changes)


def every_use(store):
    """Each way to use a store, by name."""
    return {
        "ping": store.ping,
        "prepare": store.prepare,
        "put": lambda: store.put("key", io.BytesIO(b"x")),
        "put long": lambda: store.put("key", io.BytesIO(bytes(11 << 20))),
        "open": lambda: store.open("key").__enter__(),
        "list": lambda: list(store.list()),
        "delete": lambda: store.delete("key"),
        "copy": lambda: store.copy("key", "other"),
        "local_file": lambda: store.local_file("key").__enter__(),
    }


@contextmanager
def http_server(answer):
    """A server that gives every GET to the function."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_secret_is_refused_everywhere_and_never_shown(s3_url):
    parts = urlsplit(s3_url)
    store = store_at(parts.port, access_key=parts.username, bucket="setpoint")

    for name, use in every_use(store).items():
        with pytest.raises(ObjectStoreUnavailable) as caught:
            use()

        assert SECRET not in str(caught.value), name
        assert "refused" in str(caught.value), name


def test_a_bucket_that_is_not_there_is_told_by_a_ping(s3_url, s3_store):
    parts = urlsplit(s3_url)
    store = S3ObjectStore(**s3_store._account, bucket="no-such-bucket")

    with pytest.raises(ObjectStoreUnavailable, match=f"there is no bucket at http://127.0.0.1:{parts.port}/no-such"):
        store.ping()
    with pytest.raises(ObjectStoreUnavailable, match="NoSuchBucket"):
        store.put("key", io.BytesIO(b"x"))


def test_a_server_that_is_away_is_told_within_seconds():
    store = store_at(free_port())

    for name, use in every_use(store).items():
        begin = time.monotonic()
        with pytest.raises(ObjectStoreUnavailable, match="Connection refused"):
            use()

        assert time.monotonic() - begin < 5, name


def test_a_server_that_never_answers_does_not_hold_a_ping():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = store_at(silent.getsockname()[1])
        begin = time.monotonic()

        with pytest.raises(ObjectStoreUnavailable, match="timed out"):
            store.ping()

    assert time.monotonic() - begin < 5


def test_a_server_that_never_answers_does_not_hold_a_reader_for_good():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = store_at(silent.getsockname()[1], timeout_s=0.2)

        with pytest.raises(ObjectStoreUnavailable, match="timed out"):
            store.stat("key")


def test_a_server_that_is_no_object_store_is_told_so():
    def greet(request):
        request.send_response(404)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", "5")
        request.end_headers()
        request.wfile.write(b"hello")

    with http_server(greet) as port, pytest.raises(ObjectStoreUnavailable, match="non-XML response"):
        list(store_at(port).list())


@pytest.mark.parametrize(("offset", "length"), [(0, 4), (3, None), (3, 4), (9, 5), (10, None), (50, 2)])
def test_a_server_that_answers_a_range_with_everything_is_cut_to_the_range(offset, length):
    def everything(request):
        request.send_response(200)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"0123456789")

    with http_server(everything) as port, store_at(port).open("key", offset=offset, length=length) as stream:
        assert stream.read() == b"0123456789"[offset:][:length]


def test_an_answer_that_breaks_off_is_an_error_and_no_short_object():
    def half(request):
        request.send_response(200)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"01234")

    with (
        http_server(half) as port,
        store_at(port).open("key") as stream,
        pytest.raises(ObjectStoreUnavailable, match="5 bytes read, 5 more expected"),
    ):
        stream.read()


def test_a_local_file_is_gone_once_it_is_given_back(s3_store):
    s3_store.put("key", io.BytesIO(b"x"))

    with s3_store.local_file("key") as path:
        is_there = path.exists()

    assert is_there
    assert not path.exists()


def test_a_forked_process_makes_connections_of_its_own(s3_store, monkeypatch):
    before = s3_store._client
    same = s3_store._client

    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert same is before
    assert s3_store._client is not before


def test_a_link_gives_the_object_under_a_name_in_any_script(s3_store):
    s3_store.put("datasets/1/original", io.BytesIO(b"a,b\n1,2\n"))
    url = s3_store.signed_url("datasets/1/original", timedelta(minutes=5), "锅炉 Übersicht #1.csv")

    answer = urllib3.request("GET", url)

    assert url.isascii()
    assert (answer.status, answer.data) == (200, b"a,b\n1,2\n")
    kind, options = parse_options_header(answer.headers["Content-Disposition"])
    assert (kind, options["filename"]) == ("attachment", "锅炉 Übersicht #1.csv")


def test_a_link_to_another_object_or_with_another_signature_is_refused(s3_store):
    for key in ("public", "private"):
        s3_store.put(key, io.BytesIO(key.encode()))
    url = s3_store.signed_url("public", timedelta(minutes=5), "file")

    for altered in (
        url.replace("/public?", "/private?"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
    ):
        answer = urllib3.request("GET", altered)

        assert answer.status == 403
        assert b"private" not in answer.data


def test_a_link_ends(s3_store):
    s3_store.put("key", io.BytesIO(b"x"))
    url = s3_store.signed_url("key", timedelta(seconds=1), "file")

    wait_until(lambda: urllib3.request("GET", url).status in (400, 403), "the link to expire", deadline_s=10)


def test_its_links_do_not_lead_through_our_server(s3_store):
    with pytest.raises(ObjectLinkInvalid, match="do not lead through this server"):
        s3_store.unsign("token")


def test_its_repr_tells_the_address_and_no_secret():
    store = store_at(9000, secure=True)

    assert repr(store) == "S3ObjectStore('https://127.0.0.1:9000/bucket')"

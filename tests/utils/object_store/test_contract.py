"""The promises of `ObjectStore`, kept by every store: a folder, and a real server of S3."""

import hashlib
import io
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.utils.object_store import InvalidObjectKey, ObjectInfo, ObjectNotFound, ObjectTooLarge

MIB = 1024 * 1024
PART = 10 * MIB  # of an S3 upload
TEN = b"0123456789"


class Stream:
    """``n_bytes`` bytes that are nowhere in memory at once, then an error if there is one to raise."""

    def __init__(self, n_bytes, error=None):
        self.left = n_bytes
        self.error = error

    def read(self, size):
        if not self.left and self.error:
            raise self.error
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


class ShortAnswers(io.BytesIO):
    """A source like a socket: it gives less than it is asked for."""

    def read(self, size=-1):
        return super().read(min(size, 1000) if size > 1 else size)


def read(store, key, **window):
    with store.open(key, **window) as stream:
        return stream.read()


@pytest.mark.parametrize("n_bytes", [0, 1, MIB, MIB + 1, PART, PART + 1, 2 * PART])
def test_what_was_put_is_read_back(store, n_bytes):
    data = bytes(range(251)) * (n_bytes // 251 + 1)
    data = data[:n_bytes]

    info = store.put("datasets/1/original", io.BytesIO(data))

    assert info == ObjectInfo("datasets/1/original", n_bytes, hashlib.sha256(data).hexdigest())
    assert store.stat(info.key).n_bytes == n_bytes
    assert read(store, info.key) == data


def test_a_stream_that_answers_short_is_stored_to_its_end(store):
    data = TEN * 5000

    info = store.put("key", ShortAnswers(data))

    assert info.n_bytes == len(data)
    assert read(store, "key") == data


def test_a_put_stores_the_rest_of_a_stream(store):
    stream = io.BytesIO(TEN)
    stream.seek(4)

    store.put("key", stream)

    assert read(store, "key") == b"456789"


def test_a_put_replaces_what_was_there(store):
    store.put("key", io.BytesIO(TEN))

    store.put("key", io.BytesIO(b"new"))

    assert read(store, "key") == b"new"
    assert [found.n_bytes for found in store.list()] == [3]


@pytest.mark.parametrize("offset", [0, 3, 9, 10, 11, 1000])
@pytest.mark.parametrize("length", [None, 0, 1, 4, 10, 1000])
def test_a_range_is_what_slicing_gives(store, offset, length):
    store.put("key", io.BytesIO(TEN))

    part = read(store, "key", offset=offset, length=length)

    assert part == TEN[offset:][:length]


@pytest.mark.parametrize("window", [{}, {"offset": 0}, {"offset": 1}, {"length": 0}, {"length": 5}])
def test_any_range_of_an_empty_object_is_empty(store, window):
    store.put("key", io.BytesIO(b""))

    assert read(store, "key", **window) == b""


@pytest.mark.parametrize("window", [{"offset": -1}, {"length": -1}])
def test_a_negative_range_is_refused(store, window):
    store.put("key", io.BytesIO(TEN))

    with pytest.raises(ValueError, match="must not be negative"):
        read(store, "key", **window)


def test_an_open_object_reads_as_a_binary_file_does(store):
    store.put("key", io.BytesIO(b"a,b\n1,2\n3,4\n"))

    with store.open("key") as stream:
        first, rest = stream.readline(), list(stream)

    assert first == b"a,b\n"
    assert rest == [b"1,2\n", b"3,4\n"]
    assert stream.closed


def test_an_object_may_be_left_half_read(store):
    store.put("key", Stream(5 * MIB))

    with store.open("key") as stream:
        stream.read(10)

    assert len(read(store, "key")) == 5 * MIB


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.stat("no/such"),
        lambda store: read(store, "no/such"),
        lambda store: read(store, "no/such", offset=3, length=2),
        lambda store: read(store, "no/such", length=0),
        lambda store: store.copy("no/such", "target"),
        lambda store: store.copy("no/such", "no/such"),
        lambda store: store.local_file("no/such").__enter__(),
    ],
)
def test_an_object_that_is_not_there_is_not_found(store, use):
    with pytest.raises(ObjectNotFound) as caught:
        use(store)

    assert caught.value.key == "no/such"
    assert not store.exists("no/such")
    assert list(store.list()) == []


def test_stat_tells_size_and_time(store):
    before_ms = time.time() * 1000
    store.put("key", io.BytesIO(TEN))

    found = store.stat("key")

    assert (found.key, found.n_bytes) == ("key", 10)
    assert before_ms - 2000 < found.modified_ms < time.time() * 1000 + 2000  # S3 tells whole seconds
    assert store.exists("key")


def test_the_list_holds_the_keys_with_the_prefix_in_order(store):
    keys = ["models/2/file", "models/1/file", "models-old/1", "datasets/9", "models/10/file", "m"]
    for key in keys:
        store.put(key, io.BytesIO(key.encode()))

    found = {prefix: [entry.key for entry in store.list(prefix)] for prefix in ("", "models/", "models", "x")}

    assert found[""] == sorted(keys)
    assert found["models/"] == ["models/1/file", "models/10/file", "models/2/file"]
    assert found["models"] == ["models-old/1", *found["models/"]]
    assert found["x"] == []
    assert all(entry.n_bytes == len(entry.key) for entry in store.list())


def test_deleting_twice_is_as_good_as_once(store):
    store.put("a/b", io.BytesIO(TEN))
    store.put("a/c", io.BytesIO(TEN))

    store.delete("a/b")
    store.delete("a/b")

    assert [found.key for found in store.list()] == ["a/c"]


def test_a_copy_outlives_its_source(store):
    store.put("source", io.BytesIO(TEN))
    store.put("target", io.BytesIO(b"old"))

    store.copy("source", "target")
    store.delete("source")

    assert read(store, "target") == TEN


def test_a_copy_onto_itself_changes_nothing(store):
    store.put("key", io.BytesIO(TEN))

    store.copy("key", "key")

    assert read(store, "key") == TEN


def test_a_local_file_holds_the_bytes_while_it_is_lent(store):
    store.put("tables/1.parquet", io.BytesIO(TEN))

    with store.local_file("tables/1.parquet") as path:
        data = path.read_bytes()

    assert data == TEN
    assert read(store, "tables/1.parquet") == TEN


@pytest.mark.parametrize("n_bytes", [0, 100, PART + 100, 2 * PART])
@pytest.mark.parametrize("error", [OSError("the client has gone"), KeyError("other")])
def test_a_stream_that_breaks_leaves_everything_as_it_was(store, n_bytes, error):
    store.put("old", io.BytesIO(TEN))

    with pytest.raises(type(error)) as caught:
        store.put("old", Stream(n_bytes, error))
    with pytest.raises(type(error)):
        store.put("new", Stream(n_bytes, error))

    assert caught.value is error
    assert read(store, "old") == TEN
    assert [found.key for found in store.list()] == ["old"]


@pytest.mark.parametrize("limit", [0, 100, PART, 2 * PART])
def test_a_stream_over_the_limit_leaves_nothing(store, limit):
    with pytest.raises(ObjectTooLarge, match=f"{limit} bytes") as caught:
        store.put("key", Stream(limit + 1), size_limit=limit)

    assert caught.value.size_limit == limit
    assert list(store.list()) == []


@pytest.mark.parametrize("limit", [0, 100, PART])
def test_a_stream_of_just_the_limit_is_stored(store, limit):
    info = store.put("key", Stream(limit), size_limit=limit)

    assert info.n_bytes == store.stat("key").n_bytes == limit


def test_memory_stays_bounded_however_long_the_object(store):
    n_bytes = 80 * MIB
    tracemalloc.start()

    try:
        store.put("key", Stream(n_bytes))
        _, put_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with store.open("key") as stream:
            n_read = sum(len(chunk) for chunk in iter(lambda: stream.read(MIB), b""))
        _, open_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert n_read == n_bytes
    assert put_peak < 40 * MIB  # S3: three parts of 10 MiB, and change
    assert open_peak < 5 * MIB


def test_of_racing_puts_one_remains_whole(store):
    contents = [bytes([number]) * (200_000 + number) for number in range(8)]

    with ThreadPoolExecutor(8) as threads:
        infos = list(threads.map(lambda data: store.put("key", io.BytesIO(data)), contents))

    assert [info.n_bytes for info in infos] == [len(data) for data in contents]
    assert read(store, "key") in contents
    assert len(list(store.list())) == 1


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.hidden", "-a", "~a"),
        *("A", "ä", "a b", "a\\b", "a\n", "a\0", "a+b", "a%2fb", "C:/a", "a" * 201),
    ],
)
def test_a_bad_key_is_refused_by_every_method(store, key):
    uses = [
        lambda: store.put(key, io.BytesIO(TEN)),
        lambda: read(store, key),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.copy(key, "good"),
        lambda: store.copy("good", key),
        lambda: store.local_file(key).__enter__(),
        lambda: store.signed_url(key, timedelta(hours=1), "file"),
    ]
    store.put("good", io.BytesIO(TEN))

    for use in uses:
        with pytest.raises(InvalidObjectKey):
            use()

    assert [found.key for found in store.list()] == ["good"]


def test_the_longest_key_is_a_key(store):
    key = "a/" * 99 + "bc"

    store.put(key, io.BytesIO(TEN))

    assert read(store, key) == TEN
    assert [found.key for found in store.list()] == [key]


@pytest.mark.parametrize("prefix", ["/", "../", "a//", "Ä"])
def test_a_prefix_that_no_key_has_is_refused(store, prefix):
    with pytest.raises(InvalidObjectKey):
        list(store.list(prefix))


@pytest.mark.parametrize("expires_in", [timedelta(0), timedelta(seconds=-1), timedelta(days=7, seconds=1)])
def test_a_link_lives_between_a_second_and_a_week(store, expires_in):
    with pytest.raises(ValueError, match="between one second and seven days"):
        store.signed_url("key", expires_in, "file")


def test_a_store_that_is_prepared_again_keeps_its_objects(store):
    store.put("key", io.BytesIO(TEN))

    store.prepare()
    store.ping()

    assert read(store, "key") == TEN
    assert store.sweep_temporary(timedelta(0)) == 0

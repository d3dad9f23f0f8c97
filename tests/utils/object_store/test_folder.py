"""What is special to objects in a folder: its walls, its leftovers, its links."""

import errno
import io
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.utils.object_store import (
    FolderObjectStore,
    InvalidObjectKey,
    ObjectLinkInvalid,
    ObjectStoreUnavailable,
    SignedLink,
)
from app.utils.object_store.keys import KEY

PUT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from app.utils.object_store import FolderObjectStore

class Stream:
    n_left = 3
    def read(self, size):
        self.n_left -= 1
        if not self.n_left:
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes(size)

FolderObjectStore(Path(sys.argv[1]), signing_key="").put("key", Stream())
"""


def files_below(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


@settings(max_examples=50, deadline=None)  # no deadline: a disk may be slow
@given(key=st.one_of(st.text(max_size=30), st.from_regex(KEY, fullmatch=True).filter(lambda k: len(k) <= 200)))
def test_whatever_the_key_its_file_is_two_floors_below_the_objects(tmp_path_factory, key):
    root = tmp_path_factory.getbasetemp() / "walls"
    store = FolderObjectStore(root, signing_key="")

    try:
        store.put(key, io.BytesIO(b"x"))
    except InvalidObjectKey:
        assert not KEY.fullmatch(key)
        return

    assert [file.parent.parent for file in files_below(root)] == [root.resolve() / "objects"]
    store.delete(key)
    assert files_below(root) == []


def test_objects_are_readable_by_their_owner_only(folder_store):
    folder_store.put("key", io.BytesIO(b"x"))

    assert [file.stat().st_mode & 0o777 for file in files_below(folder_store.root)] == [0o600]
    assert (folder_store.root / "objects").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("n_floors", [0, 1, 2], ids=["object", "shard", "objects"])
def test_a_symbolic_link_inside_the_store_is_not_followed(folder_store, tmp_path, n_floors):
    folder_store.put("key", io.BytesIO(b"inside"))
    file = files_below(folder_store.root)[0]
    linked = [file, *file.parents][n_floors]
    outside = tmp_path / "outside"
    linked.rename(outside)
    linked.symlink_to(outside)

    for use in (
        lambda: folder_store.put("key", io.BytesIO(b"changed")),
        lambda: folder_store.open("key").__enter__(),
        lambda: folder_store.stat("key"),
        lambda: folder_store.delete("key"),
        lambda: folder_store.local_file("key").__enter__(),
    ):
        with pytest.raises(ObjectStoreUnavailable, match="symbolic link"):
            use()

    assert (files_below(outside) or [outside])[0].read_bytes() == b"inside"


def test_a_symbolic_link_for_the_temporary_files_is_not_followed(folder_store, tmp_path):
    folder_store.prepare()
    (folder_store.root / "temporary").rmdir()
    (tmp_path / "outside").mkdir()
    (folder_store.root / "temporary").symlink_to(tmp_path / "outside")

    with pytest.raises(ObjectStoreUnavailable, match="symbolic link"):
        folder_store.put("key", io.BytesIO(b"x"))


def test_the_root_itself_may_be_a_symbolic_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    store = FolderObjectStore(tmp_path / "link", signing_key="")

    store.put("key", io.BytesIO(b"x"))

    assert len(files_below(tmp_path / "disk")) == 1


def test_readers_see_whole_objects_while_writers_race(folder_store):
    contents = [bytes([number]) * (200_000 + number) for number in range(8)]
    folder_store.put("key", io.BytesIO(contents[0]))

    def read(_):
        with folder_store.open("key") as stream:
            return stream.read()

    with ThreadPoolExecutor(8) as threads:
        puts = [threads.submit(folder_store.put, "key", io.BytesIO(data)) for data in contents]
        seen = list(threads.map(read, range(50)))

    assert all(future.result() for future in puts)
    assert all(data in contents for data in seen)


def test_a_reader_goes_on_with_the_object_that_it_opened(folder_store):
    folder_store.put("key", io.BytesIO(b"old"))

    with folder_store.open("key") as stream:
        folder_store.put("key", io.BytesIO(b"new"))
        folder_store.delete("key")

        assert stream.read() == b"old"


def test_a_killed_put_leaves_a_temporary_file_that_can_be_swept(folder_store):
    dead = subprocess.run([sys.executable, "-c", PUT_AND_DIE, str(folder_store.root)], check=False)
    leftover = files_below(folder_store.root)

    too_young = folder_store.sweep_temporary(older_than=timedelta(hours=1))
    os.utime(leftover[0], (0, 0))
    swept = folder_store.sweep_temporary(older_than=timedelta(hours=1))

    assert dead.returncode == -signal.SIGKILL
    assert [file.stat().st_size for file in leftover if file.exists()] == []
    assert [file.parent.name for file in leftover] == ["temporary"]
    assert (too_young, swept) == (0, 1)
    assert list(folder_store.list()) == []


def test_sweeping_a_store_that_was_never_used_finds_nothing(folder_store):
    assert folder_store.sweep_temporary(timedelta(0)) == 0
    assert list(folder_store.list()) == []


def test_a_full_disk_is_an_unavailable_store_and_leaves_nothing(folder_store, monkeypatch):
    folder_store.prepare()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(ObjectStoreUnavailable, match="No space left on device"):
        folder_store.put("key", io.BytesIO(b"x"))

    assert files_below(folder_store.root) == []


def test_a_root_that_is_a_file_is_an_unavailable_store(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = FolderObjectStore(tmp_path / "file", signing_key="")

    with pytest.raises(ObjectStoreUnavailable, match="failed"):
        store.ping()


def test_a_link_leads_to_the_object_under_a_name_in_any_script(folder_store):
    url = folder_store.signed_url("datasets/1/original", timedelta(minutes=5), "锅炉 Übersicht #1.csv")
    path, _, token = url.rpartition("/")

    assert path == "/api/v1/objects"
    assert url.isascii()
    assert folder_store.unsign(token) == SignedLink("datasets/1/original", "锅炉 Übersicht #1.csv")


def test_a_link_of_another_servers_key_is_refused(folder_store):
    other = FolderObjectStore(folder_store.root, signing_key="another key")
    token = other.signed_url("key", timedelta(minutes=5), "file").rpartition("/")[2]

    with pytest.raises(ObjectLinkInvalid, match="not made by this server"):
        folder_store.unsign(token)


def test_its_repr_tells_the_folder_and_no_key(folder_store):
    assert repr(folder_store) == f"FolderObjectStore({str(folder_store.root)!r})"

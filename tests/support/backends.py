"""What Setpoint runs on in a test: a database, a Redis and an object store, all empty, all real.

========== ================= ============= =================
name       database          Redis         objects
========== ================= ============= =================
sqlite     SQLite file       Valkey wheel  folder
mariadb    MariaDB           redis-server  S3 (rclone)
postgresql PostgreSQL        redis-server  S3 (rclone)
========== ================= ============= =================
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from redis import Redis

from app.utils.object_store import object_store_from_url
from tests.support.databases import Databases, SqliteDatabases, delete_all_rows
from tests.support.mariadb import find_mariadb, mariadb_server
from tests.support.postgresql import find_postgresql, postgresql_server
from tests.support.redis import find_redis, redis_server, valkey_server
from tests.support.s3 import s3_server
from tests.support.servers import MissingPackage, server_folder

FINDERS: dict[str, tuple[Callable[[], object], ...]] = {
    "sqlite": (),
    "mariadb": (find_mariadb, find_redis),
    "postgresql": (find_postgresql, find_redis),
}
NAMES = tuple(FINDERS)


@dataclass(frozen=True)
class Backend:
    """Where everything is; ``database_url`` leads to an empty database."""

    name: str
    database_url: str
    redis_url: str
    object_store_url: str
    databases: Databases

    @property
    def urls(self) -> dict[str, str]:
        """The three URLs, named as the settings are."""
        return {
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "object_store_url": self.object_store_url,
        }

    def new_database(self) -> str:
        """Make another empty database and return its URL."""
        return self.databases.new_database()

    def clear(self) -> None:
        """Delete all rows of `database_url` (tables stay), all keys and all objects."""
        delete_all_rows(self.database_url)
        with Redis.from_url(self.redis_url) as redis:
            for key in redis.scan_iter():
                if b"_kombu.binding" not in key:  # by which a running worker's queues are found
                    redis.delete(key)
        store = object_store_from_url(self.object_store_url, signing_key="")
        for found in list(store.list()):
            store.delete(found.key)


@contextmanager
def backend(name: str) -> Iterator[Backend]:
    """Start the servers of one backend, and stop them at the end.

    Raises:
        MissingPackage: names every package that is not installed, in one line.
    """
    check_installed(name)
    with ExitStack() as running:
        if name == "sqlite":
            folder = running.enter_context(server_folder())
            databases: Databases = SqliteDatabases(folder)
            redis_url = running.enter_context(valkey_server())
            object_store_url = (folder / "objects").as_uri()
        else:
            database_server = mariadb_server if name == "mariadb" else postgresql_server
            databases = running.enter_context(database_server())
            redis_url = running.enter_context(redis_server())
            object_store_url = running.enter_context(s3_server())
        yield Backend(name, databases.new_database(), redis_url, object_store_url, databases)


def check_installed(name: str) -> None:
    """Raise MissingPackage if some server of the backend is not installed; it names all that are missing."""
    packages = []
    for find in FINDERS[name]:
        try:
            find()
        except MissingPackage as missing:
            packages.extend(missing.packages)
    if packages:
        raise MissingPackage(*packages)

"""One frozen settings object, read once from ``SETPOINT_*`` environment variables.

``docs/settings.md`` lists every setting, and a test keeps the two equal. A missing secret, an unknown name or a value
of the wrong type stops the start with the variable's name.
"""

import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, Union, get_args, get_origin
from urllib.parse import quote

from dotenv import dotenv_values

from app.libs.enums import TaskKind

PREFIX = "SETPOINT_"


class SettingsError(Exception):
    """The environment does not say how to run; the message names the variable."""


def setting(help: str, default: Any = MISSING, *, secret: bool = False) -> Any:
    """Declare a setting: what it is for, its default (none: it must be given), whether it is a secret."""
    return field(default=default, repr=not secret, metadata={"help": help, "secret": secret}, kw_only=True)


@dataclass(frozen=True)
class Settings:
    """How this server runs. Field ``database_url`` is read from ``SETPOINT_DATABASE_URL``, and so on."""

    # secrets
    secret_key: str = setting("Signs links, cookies and callbacks. At least 32 characters.", secret=True)
    jwt_secret_key: str = setting("Signs access and refresh tokens. At least 32 characters.", secret=True)

    # where things are
    env: Literal["production", "development", "test"] = setting("What this process is for.", "production")
    instance_dir: Path = setting("Folder of the embedded database, objects and logs.", Path("instance"))
    database_url: str | None = setting(
        "SQLAlchemy URL (mysql+pymysql, postgresql+psycopg). Default: SQLite in the instance folder.",
        None,
        secret=True,
    )
    redis_url: str | None = setting(
        "Redis or Valkey, redis:// or rediss://. May only be left out in tests.", None, secret=True
    )
    object_store_url: str | None = setting(
        "file:///folder or s3://KEY:SECRET@host/bucket. Default: a folder in the instance folder.",
        None,
        secret=True,
    )

    # the web side
    web_bind: str = setting("Address and port on which gunicorn listens.", "127.0.0.1:8000")
    web_workers: int = setting("gunicorn worker processes.", 1)
    web_threads: int = setting("Threads of each gunicorn worker: more than open sockets and requests.", 64)
    trusted_proxies: int = setting("How many proxies in front may set X-Forwarded-* headers.", 0)
    cors_origins: str = setting("Origins of other sites that may call the API, with commas. None by default.", "")

    # accounts
    registration: Literal["closed", "open"] = setting("Whether people may register by themselves.", "closed")
    bcrypt_rounds: int = setting("Cost of a password hash: 2 to the power of this.", 12)
    access_token_minutes: int = setting("Life of an access token.", 15)
    refresh_token_days: int = setting("Life of a sign-in without use: each refresh starts it again.", 30)
    login_rate: str = setting("How often one address may try to sign in as one user.", "10 per minute")

    # data sets
    upload_max_bytes: int = setting("Largest upload.", 4 * 1024**3)

    # tasks
    task_lease_seconds: int = setting("A worker silent for so long has lost its task.", 30)
    task_max_attempts: int = setting("How often a task is begun before it is given up.", 3)
    task_checkpoint_seconds: int = setting("How often, at most, a task keeps what it has come to.", 5)
    task_stop_grace: int = setting("Seconds after which a task that was told to stop is killed.", 30)
    task_time_limits: str = setting(
        "Seconds that a task may run, by kind.",
        "dataset.import=3600,model.train=86400,model.train_fold=86400,optimization.run=86400,"
        "optimization.search=86400,analysis.run=86400,process.pipeline=3600",
    )
    task_memory_limits: str = setting("Megabytes that the process of a task may have, by kind. None by default.", "")
    task_fan_out_seconds: int = setting("Work that takes longer is split over the workers, where it can be.", 20)
    task_most_per_user: int = setting("Unfinished tasks that one user may have.", 1000)
    task_most_per_project: int = setting("Unfinished tasks that one project may have.", 5000)
    task_keep_days: int = setting("Days after its end for which a task is kept, with its events.", 90)
    task_sweep_seconds: int = setting("How often lost leases and unsent wake-ups are looked for.", 10)
    schedule_late_minutes: int = setting("Minutes after which a missed time of a schedule is not made up for.", 60)
    callback_private_addresses: Literal["refuse", "allow"] = setting(
        "Whether callbacks may go to private, loopback and link-local addresses.", "refuse"
    )

    # logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting("Least important level to log.", "INFO")
    log_format: Literal["auto", "json", "console"] = setting("auto: JSON in production, else readable.", "auto")

    # benchmarks
    data: Path | None = setting("Folder of benchmark data. The server does not use it.", None)

    def __post_init__(self) -> None:
        for name in ("secret_key", "jwt_secret_key"):
            if len(getattr(self, name)) < 32:
                raise SettingsError(f"{PREFIX}{name.upper()} must have at least 32 characters.")
        if self.redis_url is None and self.env != "test":
            raise SettingsError(f"{PREFIX}REDIS_URL is missing: the address of a Redis or Valkey server.")
        if not 4 <= self.bcrypt_rounds <= 20:
            raise SettingsError(f"{PREFIX}BCRYPT_ROUNDS must be 4 to 20, not {self.bcrypt_rounds}.")
        if self.task_lease_seconds > 300:
            raise SettingsError(f"{PREFIX}TASK_LEASE_SECONDS must be at most 300, not {self.task_lease_seconds}.")
        if self.task_fan_out_seconds < 0:
            raise SettingsError(f"{PREFIX}TASK_FAN_OUT_SECONDS must be at least 0, not {self.task_fan_out_seconds}.")
        _by_kind("task_time_limits", self.task_time_limits)
        _by_kind("task_memory_limits", self.task_memory_limits)
        for name in (
            "web_workers",
            "web_threads",
            "task_lease_seconds",
            "task_max_attempts",
            "task_sweep_seconds",
            "task_stop_grace",
            "task_checkpoint_seconds",
            "task_most_per_user",
            "task_most_per_project",
            "task_keep_days",
            "schedule_late_minutes",
        ):
            if getattr(self, name) < 1:
                raise SettingsError(f"{PREFIX}{name.upper()} must be at least 1, not {getattr(self, name)}.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment and, in development, the file ``.env`` below it.

        Raises:
            SettingsError: a variable is missing, unknown or not of its type; the message names it.
        """
        given = dict(os.environ if environ is None else environ)
        if given.get(f"{PREFIX}ENV") == "development":
            given = {k: v for k, v in dotenv_values(".env").items() if v is not None} | given
        known = {f"{PREFIX}{f.name.upper()}": f for f in fields(cls)}
        for variable in given:
            if variable.startswith(PREFIX) and variable not in known:
                near = get_close_matches(variable, known, n=1)
                raise SettingsError(f"{variable} is not a setting." + (f" Did you mean {near[0]}?" if near else ""))
        for variable, f in known.items():
            if f.default is MISSING and not given.get(variable):
                raise SettingsError(f"{variable} is missing. {f.metadata['help']}")
        return cls(**{f.name: _convert(v, f, given[v]) for v, f in known.items() if given.get(v)})

    @property
    def database(self) -> str:
        """The database's URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{quote(str(self.instance_dir.resolve() / 'setpoint.db'))}"

    @property
    def object_store(self) -> str:
        """The object store's URL, with the embedded default filled in."""
        return self.object_store_url or (self.instance_dir.resolve() / "objects").as_uri()

    @property
    def time_limits(self) -> dict[str, int]:
        """Seconds that a task may run, by kind."""
        return _by_kind("task_time_limits", self.task_time_limits)

    @property
    def memory_limits(self) -> dict[str, int]:
        """Megabytes that the process of a task may have, by kind."""
        return _by_kind("task_memory_limits", self.task_memory_limits)

    @property
    def logs_json(self) -> bool:
        """Whether logs are JSON lines, not text for a person."""
        return self.log_format == "json" or (self.log_format == "auto" and self.env == "production")


def _by_kind(name: str, text: str) -> dict[str, int]:
    """Return the numbers of "kind=number,kind=number"."""
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        kind, _, number = part.partition("=")
        if kind not in list(TaskKind) or not number.isdigit() or int(number) < 1:
            allowed = ", ".join(TaskKind)
            raise SettingsError(f"{PREFIX}{name.upper()} must be kind=number with commas; kinds are {allowed}.")
        found[kind] = int(number)
    return found


def _convert(variable: str, f: Field, text: str) -> Any:
    """Return ``text`` as the type that the setting is declared with."""
    kind: Any = f.type
    if get_origin(kind) in {Union, types.UnionType}:
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise SettingsError(f"{variable} must be one of {', '.join(get_args(kind))}, not {text!r}.")
        return text
    try:
        return kind(text)
    except ValueError as error:
        shown = "the value given" if f.metadata["secret"] else repr(text)
        raise SettingsError(f"{variable} must be of type {kind.__name__}, not {shown}.") from error

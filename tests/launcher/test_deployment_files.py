"""Dockerfile and compose.yaml run what the launcher runs: the same commands, variables that exist, ports that meet."""

import os
import re
import runpy
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from app.settings import PREFIX, Settings
from app.utils.object_store import ObjectStoreUnavailable, object_store_from_url
from launcher import commands, ports, valkey
from launcher.__main__ import USUAL_PORT, parser

ROOT = commands.ROOT
SETTINGS = {f"{PREFIX}{field.name.upper()}" for field in fields(Settings)}
OURS = ("web", "worker", "beat", "prepare")
SECRET = "x" * 40
ONE_SHOT = ("prepare", "s3-folder")


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def dockerfile():
    """Return the Dockerfile's instructions as (name, rest) pairs, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and not line.startswith("#")]


def instruction(dockerfile, name):
    return next(rest for found, rest in dockerfile if found == name)


def test_compose_has_every_part_of_the_house(services):
    assert {"web", "worker", "beat", "database", "valkey", "s3"} <= set(services)


@pytest.mark.parametrize(
    ("name", "command"),
    [("web", commands.WEB), ("worker", commands.WORKER), ("beat", commands.BEAT), ("prepare", commands.PREPARE)],
)
def test_compose_runs_the_launchers_commands(services, name, command):
    assert tuple(services[name]["command"]) == command


@pytest.mark.parametrize("name", OURS)
def test_compose_sets_only_settings_that_exist(services, name):
    assert {key for key in services[name]["environment"] if key.startswith(PREFIX)} <= SETTINGS


@pytest.mark.parametrize("name", OURS)
def test_what_compose_sets_makes_valid_settings(services, name):
    values = {key: given(str(value)) for key, value in services[name]["environment"].items()}

    settings = Settings.from_env(values)

    assert settings.database.startswith("postgresql+psycopg://setpoint:")
    assert settings.object_store.startswith("s3://")
    assert settings.redis_url.startswith("redis://:")


def given(value: str) -> str:
    """Fill in a compose file's variables: a required one with a long value, another with its default."""
    return re.sub(r"\$\{\w+:([?-])([^}]*)\}", lambda m: SECRET if m[1] == "?" else m[2], value)


def test_no_secret_in_compose_has_a_default(services):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|PASSWORD|_URL", name):
                assert ":?" in str(value), name


def test_compose_urls_point_at_its_own_services(services):
    environment = services["web"]["environment"]
    hosts = {
        name: re.search(r"@(\w+):(\d+)/", environment[f"SETPOINT_{name}_URL"]).groups()
        for name in ("DATABASE", "REDIS", "OBJECT_STORE")
    }

    assert hosts == {"DATABASE": ("database", "5432"), "REDIS": ("valkey", "6379"), "OBJECT_STORE": ("s3", "9000")}
    assert "port 6379\n" in services["valkey"]["command"][2]
    assert ":9000" in services["s3"]["command"]


@pytest.fixture
def start_service(services, supervisor, tmp_path):
    """Start a service's own command with the program that is installed here, in a folder and on a port of ours."""

    def start(name: str, program: Path, port: str) -> int:
        free = ports.propose()
        command = [str(part).replace("$$", "$") for part in services[name]["command"]]
        command = [part.replace("/data", str(tmp_path)).replace(port, str(free)) for part in command]
        environment = {key: given(value) for key, value in services[name]["environment"].items()}
        environment["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        entrypoint = [] if command[0] == "sh" else [str(program)]
        supervisor.start(name, [*entrypoint, *command], environment=environment)
        return free

    return start


def test_the_valkey_of_compose_takes_its_password(start_service, supervisor):
    port = start_service("valkey", valkey.binary(), "6379")

    supervisor.wait_until(lambda: valkey.answers(port, SECRET), seconds=30, otherwise="no answer")


def test_the_object_store_of_compose_takes_its_key_and_no_other(services, start_service, supervisor):
    port = start_service("s3", Path(sys.executable).with_name("rclone"), "9000")
    url = given(services["web"]["environment"]["SETPOINT_OBJECT_STORE_URL"]).replace("s3:9000", f"127.0.0.1:{port}")

    supervisor.wait_until(lambda: is_prepared(url), seconds=30, otherwise="no answer")

    assert not is_prepared(url.replace(SECRET, "another-secret"))


def is_prepared(url: str) -> bool:
    """Make the bucket, and tell whether the store then takes us."""
    store = object_store_from_url(url, signing_key="s" * 40)
    try:
        store.prepare()
        store.ping()
    except ObjectStoreUnavailable:
        return False
    return True


def test_compose_and_the_launcher_give_valkey_the_same_promises(services):
    in_compose = set(services["valkey"]["command"][2].splitlines())

    for line in valkey.configuration(6379, "$$VALKEY_PASSWORD").splitlines():
        assert line in in_compose or line in ("bind 127.0.0.1", "daemonize no", "")


@pytest.mark.parametrize("part", ["bind", "EXPOSE", "HEALTHCHECK", "CMD", "compose port"])
def test_the_web_port_is_the_same_everywhere(services, dockerfile, part, monkeypatch):
    monkeypatch.delenv("SETPOINT_WEB_BIND", raising=False)
    texts = {
        "bind": services["web"]["environment"]["SETPOINT_WEB_BIND"] + runpy.run_path(str(ROOT / "gunicorn.py"))["bind"],
        "EXPOSE": instruction(dockerfile, "EXPOSE"),
        "HEALTHCHECK": instruction(dockerfile, "HEALTHCHECK"),
        "CMD": instruction(dockerfile, "CMD"),
        "compose port": services["web"]["ports"][0],
    }

    ports = set(re.findall(r"\b\d{4}\b", texts[part]))

    assert ports == {str(USUAL_PORT)}


def test_the_image_runs_the_launcher(dockerfile):
    python, module, name, *arguments = yaml.safe_load(instruction(dockerfile, "CMD"))

    given = parser().parse_args(arguments)

    assert (python, module, name) == ("python", "-m", "launcher")
    assert (given.action.__name__, given.host, given.port) == ("run", "0.0.0.0", USUAL_PORT)


def test_the_image_sets_only_settings_that_exist(dockerfile):
    assert set(re.findall(rf"\b{PREFIX}\w+(?==)", instruction(dockerfile, "ENV"))) <= SETTINGS


def test_the_image_installs_from_the_hashed_lock_and_runs_without_root(dockerfile):
    install = next(rest for name, rest in dockerfile if name == "RUN" and "pip install" in rest)

    assert "--require-hashes -r dependency/requirements.txt" in install
    assert instruction(dockerfile, "USER") == "setpoint"


def test_the_image_holds_every_folder_that_the_server_imports():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert {"app", "engine", "launcher", "migrations", "wsgi.py", "gunicorn.py"} <= kept
    assert not {"tests", "instance", ".env", ".git", ".venv"} & kept


def test_every_service_is_watched_and_none_but_a_one_shot_is_root(services, dockerfile):
    for name, service in services.items():
        if name in ONE_SHOT:
            continue
        assert "healthcheck" in service or service.get("build"), name
        assert service.get("user", instruction(dockerfile, "USER")) not in ("root", "0"), name


def test_only_the_web_server_is_reachable_and_only_from_this_machine(services):
    assert [name for name, service in services.items() if "ports" in service] == ["web"]
    assert services["web"]["ports"][0].startswith("127.0.0.1:")

"""The private Valkey: with its password only, kept over restarts and crashes, in any folder."""

import socket

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from launcher import ports, valkey
from launcher.errors import LaunchError

NO_RETRY = Retry(NoBackoff(), 0)
PASSWORD = "a-password-of-this-test"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "a plant" / "实例 with a long name" / ("x" * 120)
    path.mkdir(parents=True)
    return path


def test_it_answers_with_its_password_and_refuses_without(supervisor, folder):
    url = valkey.start(supervisor, folder, PASSWORD)
    port = redis.connection.parse_url(url)["port"]

    with redis.Redis.from_url(url) as client:
        assert client.ping()
    with redis.Redis(port=port, retry=NO_RETRY) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert not valkey.answers(port, "another password")


def test_nothing_shows_the_password(supervisor, folder, tmp_path, processes):
    valkey.start(supervisor, folder, PASSWORD)

    (child,) = supervisor.children
    command = processes()[child.process.pid].command
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "valkey-server" in command
    assert PASSWORD not in command
    assert PASSWORD.encode() not in written


def test_it_listens_on_this_machine_alone(supervisor, folder):
    port = redis.connection.parse_url(valkey.start(supervisor, folder, PASSWORD))["port"]

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=5).close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_it_was_given_survives_a_restart(supervisor, folder, end):
    with redis.Redis.from_url(valkey.start(supervisor, folder, PASSWORD)) as client:
        client.set("kept", "value")
        client.config_set("appendfsync", "always")  # for the kill: do not count on the last second
        client.set("kept too", "value")
    (child,) = supervisor.children
    child.process.terminate() if end == "stop" else child.process.kill()
    child.process.wait()
    supervisor.forget(child)

    with redis.Redis.from_url(valkey.start(supervisor, folder, PASSWORD)) as client:
        assert client.mget("kept", "kept too") == [b"value", b"value"]


def test_a_lost_race_for_its_port_is_run_again(supervisor, folder, monkeypatch):
    with ports.listen("127.0.0.1", 0) as taken:
        proposals = iter([taken.getsockname()[1], ports.propose()])
        monkeypatch.setattr(ports, "propose", lambda: next(proposals))

        url = valkey.start(supervisor, folder, PASSWORD)

    with redis.Redis.from_url(url) as client:
        assert client.ping()
    assert len(supervisor.children) == 1


def test_it_gives_up_when_no_port_is_free(supervisor, folder, monkeypatch):
    with ports.listen("127.0.0.1", 0) as taken:
        monkeypatch.setattr(ports, "propose", lambda: taken.getsockname()[1])

        with pytest.raises(LaunchError, match="no free port in 5 tries"):
            valkey.start(supervisor, folder, PASSWORD)


def test_a_damaged_folder_is_reported_with_its_own_words(supervisor, folder):
    (folder / "appendonlydir").write_text("not a folder")

    with pytest.raises(LaunchError, match=r"(?s)valkey ended with exit status 1.*append"):
        valkey.start(supervisor, folder, PASSWORD)


def test_it_starts_in_a_locale_that_is_not_installed(supervisor, folder):
    supervisor.environment["LC_ALL"] = "xx_XX.UTF-8"

    with redis.Redis.from_url(valkey.start(supervisor, folder, PASSWORD)) as client:
        assert client.ping()


def test_the_packages_own_server_is_found(monkeypatch):
    monkeypatch.setenv("PATH", "")

    assert valkey.binary().name == "valkey-server"


@pytest.mark.parametrize("missing", ["package", "binary"])
def test_an_installed_server_is_used_where_the_package_has_none(missing, monkeypatch, tmp_path):
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(valkey, "PACKAGE", "no_such_package" if missing == "package" else "json")

    assert valkey.binary() == program


def test_no_server_at_all_is_said_with_the_remedies(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(valkey, "PACKAGE", "no_such_package")

    with pytest.raises(LaunchError, match="install valkey-server or redis-server, or set SETPOINT_REDIS_URL"):
        valkey.binary()

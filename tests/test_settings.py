"""Settings are read once, and a wrong one stops the start by name."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.settings import Settings, SettingsError
from app.utils.object_store import object_store_from_url

NEEDED = {
    "SETPOINT_SECRET_KEY": "s" * 40,
    "SETPOINT_JWT_SECRET_KEY": "j" * 40,
    "SETPOINT_REDIS_URL": "redis://:hidden-password@localhost:6379/0",
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_secret_or_address_stops_the_start_by_name(name):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({key: value for key, value in NEEDED.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SETPOINT_WEB_WORKERS", "two", "SETPOINT_WEB_WORKERS must be of type int, not 'two'"),
        ("SETPOINT_WEB_WORKERS", "0", "SETPOINT_WEB_WORKERS must be at least 1"),
        ("SETPOINT_REGISTRATION", "maybe", "SETPOINT_REGISTRATION must be one of closed, open, not 'maybe'"),
        ("SETPOINT_BCRYPT_ROUNDS", "3", "SETPOINT_BCRYPT_ROUNDS must be 4 to 20"),
        ("SETPOINT_SECRET_KEY", "short", "SETPOINT_SECRET_KEY must have at least 32 characters"),
        ("SETPOINT_REGISTRATON", "open", "SETPOINT_REGISTRATON is not a setting. Did you mean SETPOINT_REGISTRATION?"),
    ],
)
def test_a_wrong_value_or_an_unknown_name_stops_the_start_by_name(name, value, said):
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env(NEEDED | {name: value})

    assert said in str(refusal.value)


def test_values_get_the_types_they_are_declared_with():
    settings = Settings.from_env(NEEDED | {"SETPOINT_WEB_THREADS": "7", "SETPOINT_INSTANCE_DIR": "somewhere"})

    assert settings.web_threads == 7
    assert settings.instance_dir == Path("somewhere")
    assert settings.log_format == "auto"


def test_other_variables_and_empty_ones_do_not_matter():
    settings = Settings.from_env(NEEDED | {"HOME": "/root", "SETPOINT_WEB_THREADS": ""})

    assert settings.web_threads == 64


def test_settings_cannot_be_changed_and_do_not_show_their_secrets():
    settings = Settings.from_env(NEEDED)

    with pytest.raises(FrozenInstanceError):
        settings.secret_key = "another"
    assert "ssssssss" not in repr(settings)
    assert "hidden-password" not in repr(settings)


def test_without_urls_everything_is_in_the_instance_folder(tmp_path):
    settings = Settings.from_env(NEEDED | {"SETPOINT_INSTANCE_DIR": str(tmp_path)})

    assert settings.database == f"sqlite:///{tmp_path}/setpoint.db"
    assert settings.object_store == f"file://{tmp_path}/objects"


def test_any_folder_holds_its_database_and_its_objects(tmp_path):
    folder = tmp_path / "电厂 a#b?c=d%41 'e'"

    settings = Settings.from_env(NEEDED | {"SETPOINT_INSTANCE_DIR": str(folder)})

    assert make_url(settings.database).database == str(folder / "setpoint.db")
    store = object_store_from_url(settings.object_store, signing_key=settings.secret_key)
    assert store.root == folder / "objects"


def test_in_development_a_file_is_read_and_the_environment_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SETPOINT_WEB_THREADS=5\nSETPOINT_WEB_WORKERS=2\n")
    given = NEEDED | {"SETPOINT_WEB_THREADS": "9"}

    development = Settings.from_env(given | {"SETPOINT_ENV": "development"})
    production = Settings.from_env(given)

    assert (development.web_threads, development.web_workers) == (9, 2)
    assert production.web_workers == 1


@pytest.mark.parametrize(("env", "is_json"), [("production", True), ("development", False)])
def test_logs_are_for_machines_in_production_and_for_people_in_development(env, is_json):
    assert Settings.from_env(NEEDED | {"SETPOINT_ENV": env}).logs_json is is_json

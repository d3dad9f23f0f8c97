"""An instance: private, locked by one run, with secrets made once."""

import os
import subprocess
import sys

import pytest

from launcher import instance
from launcher.errors import LaunchError


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "a plant" / "实例"
    instance.prepare(path)
    return path


def test_the_folder_and_the_secrets_are_for_the_owner_alone(folder):
    instance.load_secrets(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / instance.SECRETS_FILE).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_there_already_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)

    instance.prepare(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_secrets_are_long_different_and_made_only_once(folder):
    first = instance.load_secrets(folder)

    assert instance.load_secrets(folder) == first
    assert set(first) == set(instance.SECRET_NAMES)
    assert len(set(first.values())) == 3
    assert min(map(len, first.values())) >= 32


def test_a_secret_that_is_new_is_added_and_the_others_stay(folder):
    before = instance.load_secrets(folder)

    after = instance.load_secrets(folder, (*instance.SECRET_NAMES, "DEMO_PASSWORD"))

    assert after == before | {"DEMO_PASSWORD": after["DEMO_PASSWORD"]}
    assert instance.load_secrets(folder) == after


def test_secrets_that_others_can_read_are_refused_with_the_remedy(folder):
    instance.load_secrets(folder)
    (folder / instance.SECRETS_FILE).chmod(0o644)

    with pytest.raises(LaunchError, match="chmod 600"):
        instance.load_secrets(folder)


def test_a_damaged_line_of_secrets_is_named(folder):
    path = folder / instance.SECRETS_FILE
    path.touch(mode=0o600)
    path.write_text("# made\nSECRET_KEY\n")

    with pytest.raises(LaunchError, match="Line 2"):
        instance.load_secrets(folder)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(LaunchError, match="Cannot make the instance folder"):
        instance.prepare(tmp_path / "file" / "instance")


def test_a_second_run_is_refused_at_once_with_the_first_ones_number(folder):
    with (
        instance.locked(folder),
        pytest.raises(LaunchError, match=rf"already running, as process {os.getpid()}\."),
        instance.locked(folder),
    ):
        pass


def test_a_lock_is_free_again_after_its_run(folder):
    with instance.locked(folder):
        pass

    with instance.locked(folder):
        pass


def test_the_lock_of_a_dead_launcher_is_waited_for_until_its_children_are_gone(folder):
    crashed = subprocess.run([sys.executable, "-S", "-c", "import os; print(os.getpid())"], capture_output=True)
    with instance.locked(folder) as lock:
        os.pwrite(lock, crashed.stdout, 0)
        left_over = subprocess.Popen(["sleep", "0.5"], pass_fds=[lock])

    with instance.locked(folder):
        assert left_over.wait(timeout=5) == 0


def test_waiting_for_a_dead_launchers_children_has_an_end(folder):
    with instance.locked(folder) as lock:
        os.truncate(lock, 0)

        with pytest.raises(LaunchError, match="as process unknown"), instance.locked(folder, patience=0.2):
            pass

"""``flask prepare``: safe to repeat, and the only way in which a first account comes to be."""

import pytest
from sqlalchemy import func, inspect, select

from app.extensions import db
from app.libs.errors import AppError
from app.models import User
from app.viewModels import accounts


@pytest.fixture
def prepare(another_app, tmp_path, running_backend):
    """Run the command on an application whose database and object store are not there yet."""
    app = another_app(
        database_url=running_backend.new_database(),
        redis_url=running_backend.redis_url,
        object_store_url=(tmp_path / "objects").as_uri(),
    )

    def run(*arguments: str, stdin: str = ""):
        return app.test_cli_runner().invoke(args=["prepare", *arguments], input=stdin)

    with app.app_context():
        yield run


def test_the_tables_and_the_store_are_there_afterwards(prepare, tmp_path):
    done = prepare()

    assert done.exit_code == 0, done.output
    assert inspect(db.engine).has_table("tasks")
    assert (tmp_path / "objects").is_dir()
    assert db.session.scalar(select(func.count()).select_from(User)) == 0


def test_the_first_admin_can_sign_in(prepare):
    done = prepare("--first-admin", "ada", stdin="a long password\n")

    assert done.output.splitlines()[-1] == "Made ada."
    assert accounts.login(username="ada", password="a long password")


def test_where_there_is_an_account_no_other_is_made_and_nothing_is_said(prepare):
    prepare("--first-admin", "ada", stdin="a long password\n")

    again = prepare("--first-admin", "eve", stdin="another password\n")

    assert (again.exit_code, again.stdout) == (0, "")
    with pytest.raises(AppError):
        accounts.login(username="eve", password="another password")


def test_a_database_that_does_not_answer_is_one_sentence(another_app, running_backend, tmp_path):
    (tmp_path / "a file").touch()
    app = another_app(redis_url=running_backend.redis_url, database_url=f"sqlite:///{tmp_path}/a file/setpoint.db")

    done = app.test_cli_runner().invoke(args=["prepare"])

    assert (done.exit_code, done.stderr) == (1, "Error: The database does not answer: unable to open database file\n")


def test_an_object_store_that_does_not_answer_is_one_sentence(another_app, running_backend, tmp_path):
    (tmp_path / "a file").touch()
    app = another_app(
        redis_url=running_backend.redis_url,
        database_url=running_backend.new_database(),
        object_store_url=(tmp_path / "a file" / "objects").as_uri(),
    )

    done = app.test_cli_runner().invoke(args=["prepare"])

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The object store does not answer: ")


def test_an_unfit_password_is_refused(prepare):
    done = prepare("--first-admin", "ada", stdin="\n")

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert db.session.scalar(select(func.count()).select_from(User)) == 0

"""Who may import whom: the house as the table in docs/architecture.md draws it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "app/views/v1": {"viewModels", "views", "libs", "utils", "version"},
    "app/views": {"viewModels", "libs", "utils", "extensions", "settings", "version", "engine"},
    "app/sockets": {"viewModels", "libs", "utils", "extensions", "settings"},
    "app/tasks": {"viewModels", "engine", "libs", "utils", "extensions", "settings"},
    "app/commands": {"viewModels", "libs", "utils", "extensions"},
    "app/viewModels": {"models", "engine", "libs", "utils", "extensions", "version"},
    "app/models": {"libs", "utils", "extensions", "settings"},
    "app/utils": {"libs"},
    "app/libs": set(),
    "engine": set(),
    "launcher": set(),
}
FILES = [path for folder in ("app", "engine", "launcher") for path in sorted((ROOT / folder).rglob("*.py"))]


def folder_of(path: Path) -> str | None:
    """The row of the table that a file belongs to; None for the files of ``app/`` itself."""
    name = path.relative_to(ROOT).as_posix()
    return next((row for row in ALLOWED if name.startswith(row + "/")), None)


def imported_parts(path: Path) -> set[str]:
    """Which parts of ours a file imports: the folder's name inside app, or engine, or launcher."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module] if node.module != "app" else [f"app.{alias.name}" for alias in node.names]
        for name in names:
            if found := re.match(r"app\.(\w+)", name):
                parts.add(found[1])
            elif name.split(".")[0] in {"engine", "launcher"}:
                parts.add(name.split(".")[0])
    return parts


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_only_what_its_folder_may(path):
    row = folder_of(path)
    if row is None:  # create_app() and what it binds import everything
        return
    own = row.split("/")[1] if row.startswith("app/") else row

    strangers = imported_parts(path) - ALLOWED[row] - {own}

    assert not strangers, (
        f"{path.relative_to(ROOT)} imports {sorted(strangers)}; {row} may import {sorted(ALLOWED[row])}"
    )


def test_the_engine_knows_no_flask_and_no_database():
    forbidden = re.compile(r"^\s*(?:import|from) (flask|sqlalchemy|celery|redis|app)\b", re.MULTILINE)

    offenders = [path for path in FILES if path.is_relative_to(ROOT / "engine") and forbidden.search(path.read_text())]

    assert offenders == []

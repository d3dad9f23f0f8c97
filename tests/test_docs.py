"""The reference tables in docs/ say what the code says."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

from app.libs.error_codes import ErrorCode
from app.libs.scope import MEMBER_SCOPES, ROLE_SCOPES, Scope
from app.settings import PREFIX, Settings
from engine.errors import all_errors
from tests.test_imports import ALLOWED

DOCS = Path(__file__).parent.parent / "docs"


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head and without backticks."""
    section = (DOCS / page).read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table]


def test_every_setting_is_documented_with_its_default():
    documented = {row[0]: row[1] for group in headings("settings.md") for row in rows("settings.md", group)}

    declared = {
        f"{PREFIX}{field.name.upper()}": "required" if field.default is MISSING else shown(field.default)
        for field in fields(Settings)
    }

    assert documented == declared


def test_every_error_code_is_documented_with_its_status():
    documented = {row[0]: (row[1], row[2]) for row in rows("error_codes.md", "Of the server")}

    assert documented == {error.code: (str(error.status), error.title) for error in ErrorCode}


def test_every_error_of_the_engine_is_documented():
    documented = {row[0]: row[1] for row in rows("error_codes.md", "Of the engine")}

    assert documented == {error.code: error.title for error in all_errors()}


def test_the_rights_are_documented_as_they_are():
    documented = {row[0]: row[1:] for row in rows("accounts.md", "What each role may do")}

    tables = [*ROLE_SCOPES.values(), *MEMBER_SCOPES.values()]
    assert documented == {scope.value: ["yes" if scope in t else "" for t in tables] for scope in Scope}


def test_the_import_table_is_documented_as_it_is_tested():
    documented = {row[0].rstrip("/"): row[2] for row in rows("architecture.md", "Who imports whom")}

    assert documented == {folder: ", ".join(sorted(parts)) or "nothing of ours" for folder, parts in ALLOWED.items()}


def headings(page: str) -> list[str]:
    return re.findall(r"^## (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)


def shown(default: object) -> str:
    return "none" if default is None else str(default)

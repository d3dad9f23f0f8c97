"""The guide to data sets tells what there is."""

import re
from dataclasses import fields
from pathlib import Path

from app.libs.error_codes import ErrorCode
from engine.errors import TableError, all_errors
from engine.expressions import FUNCTIONS
from engine.tables import EXTENSIONS, Reading
from engine.tables.derived import PARTS

GUIDE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """The first column of the first table under a heading."""
    section = GUIDE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line.split("|")[1].strip().strip("`") for line in section.splitlines() if line.startswith("|")][2:]


def test_every_option_of_reading_is_told():
    assert first_cells("What is guessed, and how to say it") == [field.name for field in fields(Reading)]


def test_every_field_of_an_upload_is_told(client):
    schemas = client.get("/api/v1/openapi.json").json["components"]["schemas"]

    assert set(first_cells("Uploading")) == set(schemas["DatasetIn"]["properties"])


def test_every_ending_is_told():
    assert all(f"`{ending}`" in GUIDE for ending in EXTENSIONS)


def test_every_way_to_derive_a_tag_is_told():
    assert all(f'"part": "{part}"' in GUIDE for part in PARTS)
    assert " ".join(FUNCTIONS) in GUIDE


def test_every_refusal_of_a_table_is_told_with_what_to_do():
    told = set(first_cells("What is refused"))
    codes = {error.code for error in [*all_errors(), *ErrorCode]}

    assert {error.code for error in all_errors() if issubclass(error, TableError)} <= told
    assert told <= codes


def test_every_address_that_is_told_is_there(app):
    rules = {re.sub(r"<(?:\w+:)?(\w+)>", "<>", rule.rule) for rule in app.url_map.iter_rules()}
    told = re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^`?]+)", GUIDE)

    assert len(told) >= 9
    assert all(f"/api/v1{re.sub(r'<[a-z]+>', '<>', path)}" in rules for path in told)

"""The guide to schedules tells what there is."""

import json
import re
from pathlib import Path

from app.libs.enums import RunOutcome
from app.utils import cron

GUIDE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """The first column of the first table under a heading."""
    section = GUIDE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line.split("|")[1].strip().strip("`") for line in section.splitlines() if line.startswith("|")][2:]


def test_the_schedules_of_the_guide_are_accepted_as_they_stand_there(client, headers, project, module):
    examples = re.findall(r"^```json\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)

    answers = [
        client.post(
            f"/api/v1/projects/{project.id}/schedules",
            json=json.loads(example.replace("MODULE", module["id"]).replace("PROCESS", module["process_id"])),
            headers=headers,
        )
        for example in examples
    ]

    assert [answer.status_code for answer in answers] == [201, 201]


def test_every_field_of_a_schedule_is_told(client):
    schemas = client.get("/api/v1/openapi.json").json["components"]["schemas"]

    assert set(first_cells("Making one")) == set(schemas["ScheduleIn"]["properties"])


def test_every_time_that_is_told_is_one():
    assert all(cron.parse(text, "Europe/Berlin").after(0) for text in first_cells("When"))


def test_every_outcome_is_told():
    assert first_cells("What came of it") == list(RunOutcome)


def test_every_address_that_is_told_is_there(app):
    rules = {re.sub(r"<(?:\w+:)?(\w+)>", "<>", rule.rule) for rule in app.url_map.iter_rules()}
    told = re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^`?]+)", GUIDE)

    assert len(told) >= 6
    assert all(f"/api/v1{re.sub(r'<[a-z]+>', '<>', path)}" in rules for path in told)

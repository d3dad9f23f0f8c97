"""`python -m launcher demo`: a server of its own, an example driven through it, and everything stopped again."""

import json

from launcher import commands, demo

EXAMPLE = """
import argparse, json, os, urllib.request
parser = argparse.ArgumentParser()
for name in ("url", "username", "report", "plot"):
    parser.add_argument(f"--{name}", required=True)
given = parser.parse_args()
body = json.dumps({"username": given.username, "password": os.environ["SETPOINT_CLIENT_PASSWORD"]}).encode()
request = urllib.request.Request(f"{given.url}/api/v1/auth/login", body, {"Content-Type": "application/json"})
status = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).status
with open(given.report, "w") as report:
    json.dump({"login": status, "registration": os.environ.get("SETPOINT_REGISTRATION")}, report)
print("from the example", flush=True)
raise SystemExit(3)
"""


def test_the_example_signs_in_and_its_exit_status_is_the_demos(tmp_path, monkeypatch, capfd):
    example = tmp_path / "run.py"
    example.write_text(EXAMPLE)
    monkeypatch.setattr(commands, "COAL_UNIT", example)
    monkeypatch.setenv("SETPOINT_REGISTRATION", "no such value")  # a server's settings are no matter of the demo
    folder = tmp_path / "a demo"

    status = demo.run(folder, port=0)

    assert status == 3
    assert json.loads((folder / "report.json").read_text()) == {"login": 200, "registration": None}
    assert capfd.readouterr().out.splitlines()[-2:] == ["from the example", "Stopping ..."]

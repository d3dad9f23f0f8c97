"""Follow a task of a Setpoint server, through lost connections and tokens that run out. Needs nothing but Python.

    URL=http://127.0.0.1:8000 NAME=erika PASSWORD=... python3 examples/follow.py TASK [AFTER]

Prints every event once, in order, as a line of JSON. Given the number of the last event seen, it goes on after that.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

SILENCE_S = 45  # the server gives a sign of life every 15 seconds
PAUSE_S = 1.0  # before it is tried again
GO_ON = {"auth.token_expired", "stream.too_slow", "server.unavailable"}  # reasons after which it goes on
LOST = (OSError, http.client.HTTPException, json.JSONDecodeError)  # also a line that was cut in two

Token = Callable[[bool], str]  # given whether it must be a fresh one


class Refused(Exception):  # noqa: N818 (it is what happened)
    """The server says no, and will say so again."""


def follow(url: str, task_id: str, token: Token, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the task's events after a number, until the task has ended.

    Raises:
        Refused: the task may not be followed, or not any more.
    """
    reason, needs_fresh = "", False
    while reason != "task.ended":
        reason = ""
        try:
            for event in _connect(url, task_id, token(needs_fresh), after):
                if event["type"] == "end":
                    reason = event["data"]["reason"]
                    break
                after = event["number"]
                yield event
        except urllib.error.HTTPError as error:
            reason = json.load(error).get("code", "") if error.code < 500 else ""
            time.sleep(float(error.headers.get("Retry-After") or PAUSE_S))
        except LOST:
            time.sleep(PAUSE_S)
        if reason not in GO_ON | {"", "task.ended"}:
            raise Refused(reason)
        needs_fresh = reason == "auth.token_expired"


def signed_in(url: str, name: str, password: str) -> Token:
    """Return what gives an access token, and a fresh one when asked to."""
    tokens = _post(f"{url}/api/v1/auth/login", {"username": name, "password": password})

    def token(needs_fresh: bool) -> str:
        if needs_fresh:
            tokens.update(_post(f"{url}/api/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]}))
        return tokens["access_token"]

    return token


def _connect(url: str, task_id: str, token: str, after: int) -> Iterator[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/x-ndjson"}
    request = urllib.request.Request(f"{url}/api/v1/tasks/{task_id}/events?after={after}", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=SILENCE_S) as lines:  # noqa: S310 (the user's own server)
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _post(url: str, body: dict[str, str]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:  # noqa: S310 (the user's own server)
        return json.load(answer)


def main() -> None:
    """Print the events of the task that the command line names."""
    url = os.environ["URL"].rstrip("/")
    token = signed_in(url, os.environ["NAME"], os.environ["PASSWORD"])
    for event in follow(url, sys.argv[1], token, after=int(sys.argv[2]) if len(sys.argv) > 2 else 0):
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
